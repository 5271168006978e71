"""Evaluators one after the other: what is handed on, what is left out, and the last fluxes."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.provenance import steps_done

CLEAN = sm.FlickerNoiseSubtraction(sm.LineMedian(by_output=False))
EXTRACT = sm.OptimalExtraction(n_sources=1)
CHAIN = CLEAN | EXTRACT


@pytest.fixture(scope="module")
def slit():
    """A slit of which each row has an offset of its own."""
    image, _ = sm.datasets.make_slit(seed=3, shape=(30, 120))
    offsets = np.random.default_rng(1).normal(0, 8, (30, 1))
    readout = sm.Readout(fast_axis=-1, line_overhead=12)
    return image.replace(data=image.data + offsets, readout=readout, name="α Cen")


def fluxes(result):
    return next(iter(result.tables().values()))["flux"]


def same_image(found, expected):
    """All that is known of two images is the same, bit by bit."""
    for name in ("data", "variance", "mask", "wavelength", "spatial", "x", "y"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("components", "coordinates"):
        own, other = getattr(found, name), getattr(expected, name)
        assert own.keys() == other.keys()
        for key, value in own.items():
            np.testing.assert_array_equal(value, other[key])
    for name in ("unit", "wavelength_unit", "name", "notes", "readout"):
        assert getattr(found, name) == getattr(expected, name)


class TestTogether:
    def test_steps_give_what_they_give_one_by_one(self, slit):
        result = CHAIN(slit)
        cleaned = CLEAN(slit).to_source()
        np.testing.assert_array_equal(fluxes(result), fluxes(EXTRACT(cleaned)))
        assert list(result) == ["cleaned", "spectrum"]
        assert result.spectra.keys() == result["spectrum"].spectra.keys()

    def test_variance_mask_and_wavelengths_stay_with_the_data(self, slit):
        cleaned = CHAIN(slit).passed["cleaned"].single
        np.testing.assert_array_equal(cleaned.mask, slit.mask)
        np.testing.assert_array_equal(cleaned.wavelength, slit.wavelength)
        assert np.median(cleaned.variance[~slit.mask] / slit.variance[~slit.mask]) != 1
        total = sum(cleaned.components.values())
        np.testing.assert_allclose(total[~slit.mask], cleaned.variance[~slit.mask])
        assert (cleaned.name, cleaned.readout) == (slit.name, slit.readout)

    def test_chains_are_joined_and_their_names_differ(self):
        chain = (CLEAN | CLEAN) | sm.Chain(CLEAN, EXTRACT)
        assert chain.steps == (CLEAN, CLEAN, CLEAN, EXTRACT)
        assert list(chain.named) == ["cleaned", "cleaned_2", "cleaned_3", "spectrum"]
        assert chain.product == "spectrum"
        assert repr(chain) == f"Chain({CLEAN!r}, {CLEAN!r}, {CLEAN!r}, {EXTRACT!r})"
        assert isinstance(chain, sm.Evaluator)

    def test_input_is_not_changed(self, slit):
        before = slit.data.copy(), slit.variance.copy()
        CHAIN(slit)
        np.testing.assert_array_equal(slit.data, before[0])
        np.testing.assert_array_equal(slit.variance, before[1])

    def test_report_has_the_rows_of_all_steps(self, slit):
        report = CHAIN(slit).report()
        assert list(report["step"]) == ["cleaned", "spectrum"]
        assert report["status"][0] == "done"
        assert report["status"][1] in ("ok", "check")

    def test_all_steps_are_drawn(self, slit):
        from matplotlib import pyplot as plt

        result = CHAIN(slit)
        figure = result.plot()
        assert len(figure.subfigs) == 2
        alone = result.plot("spectrum")
        assert alone.axes
        plt.close(figure)
        plt.close(alone)

    def test_errors_and_masks_of_nddata_reach_the_last_step(self, slit):
        error = StdDevUncertainty(np.sqrt(slit.variance))
        data = CCDData(slit.data, uncertainty=error, mask=slit.mask, unit=u.adu)
        read = sm.read(data).single
        passed = CHAIN(data).passed["cleaned"].single
        assert passed.unit == u.adu
        np.testing.assert_array_equal(passed.mask, read.mask)
        assert passed.variance is not None


class TestWritten:
    @pytest.mark.parametrize("suffix", [".fits", ".asdf"])
    def test_image_is_read_again_without_loss(self, slit, tmp_path, suffix):
        handed = CHAIN(slit).passed["cleaned"]
        again = sm.read(sm.write(handed, tmp_path / f"cleaned{suffix}"))
        same_image(again.single, handed.single)

    def test_what_was_taken_from_a_square_vertical_frame_lies_as_its_data(self, tmp_path):
        from astropy.io import fits

        data = np.random.default_rng(2).normal(size=(64, 64)) + np.arange(64)[:, None]
        known = sm.Instrument(dispersion_axis=-2, readout=sm.Readout(fast_axis=-1))
        exposure = sm.read(data * u.ct, instrument=known, variance=np.ones((64, 64)))
        result = sm.FlickerNoiseSubtraction(sm.LineMedian(by_output=False))(exposure)
        with fits.open(sm.write(result, tmp_path / "cleaned.fits")) as hdus:
            taken = hdus["SCI"].data + hdus["FLICKER"].data
            np.testing.assert_allclose(taken, exposure.single.data, atol=1e-5)
            assert hdus["FLICKER"].header["BUNIT"] == hdus["SCI"].header["BUNIT"]

    @pytest.mark.parametrize("suffix", [".fits", ".asdf"])
    def test_chain_goes_on_from_an_intermediate_with_the_same_bits(self, slit, tmp_path, suffix):
        result = CHAIN(slit)
        path = sm.write(result.passed["cleaned"], tmp_path / f"cleaned{suffix}")
        again = CHAIN(path)
        assert list(again.left_out) == ["cleaned"]
        for name in ("flux", "flux_error", "background"):
            one, other = (next(iter(r.tables().values()))[name] for r in (result, again))
            np.testing.assert_array_equal(one, other)

    def test_result_of_a_step_is_an_intermediate_as_well(self, slit, tmp_path):
        result = CHAIN(slit)
        path = sm.write(result["cleaned"], tmp_path / "cleaned.fits")
        np.testing.assert_array_equal(fluxes(CHAIN(path)), fluxes(result))

    def test_last_step_is_written(self, slit, tmp_path):
        result = CHAIN(slit)
        one = sm.write(result, tmp_path / "chain.fits").read_bytes()
        assert one == sm.write(result["spectrum"], tmp_path / "own.fits").read_bytes()

    def test_header_of_the_input_is_kept(self, slit, tmp_path):
        from astropy.io import fits

        path = sm.write(slit, tmp_path / "slit.fits")
        with fits.open(path, mode="update") as hdus:
            hdus[0].header["TELESCOP"] = "NTT"
        handed = CHAIN(path).passed["cleaned"]
        header = fits.getheader(sm.write(handed, tmp_path / "cleaned.fits"))
        assert header["TELESCOP"] == "NTT"

    def test_image_dispersed_along_columns_stays_as_it_was_turned(self, slit, tmp_path):
        exposure = sm.read(np.array(slit.data.T), dispersion_axis=-2, variance=slit.variance.T)
        result = CHAIN(exposure)
        handed = result.passed["cleaned"]
        again = sm.read(sm.write(handed, tmp_path / "cleaned.fits"))
        same_image(again.single, handed.single)
        np.testing.assert_array_equal(fluxes(CHAIN(again)), fluxes(result))


class TestDatamodels:
    @pytest.fixture
    def model(self, slit):
        model = datamodels.ImageModel(
            data=slit.data.astype("f4"), err=np.sqrt(slit.variance).astype("f4"),
            dq=slit.mask.astype("u4"),
        )  # fmt: skip
        model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 1, 2
        model.wavelength = np.broadcast_to(slit.wavelength, slit.shape).astype("f4")
        return model

    def test_model_says_what_was_done(self, model, tmp_path):
        result = CHAIN(model)
        handed = result.passed["cleaned"]
        assert handed.meta.cal_step.clean_flicker_noise == "COMPLETE"
        assert model.meta.cal_step.clean_flicker_noise is None
        assert "specmodels" in str(handed._asdf.tree["history"])
        handed.save(tmp_path / "cleaned.fits")
        assert steps_done(tmp_path / "cleaned.fits") == {"clean_flicker_noise"}
        again = CHAIN(str(tmp_path / "cleaned.fits"))
        assert again.left_out == {"cleaned": "clean_flicker_noise was done before"}
        np.testing.assert_array_equal(fluxes(again), fluxes(result))

    def test_what_a_pipeline_has_done_is_not_done_again(self, model):
        model.meta.cal_step.clean_flicker_noise = "COMPLETE"
        result = CHAIN(model)
        assert list(result) == ["spectrum"]
        np.testing.assert_array_equal(fluxes(result), fluxes(EXTRACT(model)))

    def test_what_a_pipeline_has_skipped_is_done(self, model):
        model.meta.cal_step.clean_flicker_noise = "SKIPPED"
        assert list(CHAIN(model)) == ["cleaned", "spectrum"]

    def test_chain_that_has_nothing_left_gives_the_data(self, model, tmp_path):
        once = (CLEAN | CLEAN)(model)
        assert list(once) == ["cleaned"]
        assert list(once.left_out) == ["cleaned_2"]
        twice = CLEAN | CLEAN
        result = twice(once.to_source())
        assert len(result) == 0
        assert set(result.report()["status"]) == {"left out"}
        sm.write(result, tmp_path / "same.fits")
        np.testing.assert_array_equal(result.to_source().data, once.to_source().data)


class TestBackground:
    def test_flicker_of_a_slit_without_its_sky_is_that_of_the_difference(self):
        exposure, truth = sm.datasets.make_slitlets(seed=2, n_background=2, n_science=1)
        subtract = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)
        without = subtract(exposure).to_source()
        assert steps_done(without) == {"master_background"}
        name = list(without)[-1]
        readout = sm.Readout(fast_axis=-1)
        alone = sm.Exposure([without[name].replace(readout=readout)], source=exposure.source)
        np.testing.assert_array_equal(CLEAN(alone).data, without[name].data)

    def test_slits_go_on_to_extraction(self, tmp_path):
        exposure, truth = sm.datasets.make_slitlets(seed=2, n_background=3, n_science=2)
        chain = sm.MasterBackgroundSubtraction(throughput=truth.throughputs) | EXTRACT
        result = chain(exposure)
        handed = result.passed["background"]
        again = sm.read(sm.write(handed, tmp_path / "slits.fits"))
        assert list(again) == list(exposure)
        for name in exposure:
            same_image(again[name], handed[name])
            assert "background" in again[name].components
        assert list(chain(again)) == ["spectrum"]


@pytest.mark.parametrize("wrong", [(), (5,), (sm.OptimalExtraction,)])
def test_what_is_no_evaluator_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="steps: expected"):
        sm.Chain(*wrong)


def test_spectra_are_the_end_of_a_chain(slit):
    with pytest.raises(TypeError, match="steps: expected results of which data are made"):
        (EXTRACT | CLEAN)(slit)


def test_evaluators_join_with_evaluators_only():
    with pytest.raises(TypeError, match="unsupported operand"):
        EXTRACT | 5
