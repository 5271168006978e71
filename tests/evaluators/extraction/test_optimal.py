"""Optimal extraction: fluxes and errors are true; what cannot be had is masked with a reason."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.datasets import make_slit


def in_order(result):
    """Names of the sources from the lowest row up."""
    return sorted(result.sources, key=lambda name: np.mean(result.trace(name)))


def fluxes(result):
    tables = [result.table(name) for name in in_order(result)]
    return np.array([[t[key].value for t in tables] for key in ("flux", "flux_error")])


@pytest.fixture(scope="module")
def slit():
    return make_slit(seed=7)


@pytest.fixture(scope="module")
def result(slit):
    return sm.OptimalExtraction()(slit[0])


def assert_optimal(errors, quoted, smallest, *, bias=0.1, pull=0.03, efficiency, outliers=1e-3):
    """Figures of merit within their own scatter: three standard errors of each are allowed.

    All arrays have the shape (n_scene, n_column); robust widths scatter by 1.17 / sqrt(n).
    """
    n = errors.size
    wrong, pulls = errors / smallest, errors / quoted
    by_scene = np.median(wrong, axis=1)
    assert abs(by_scene.mean()) < bias + 3 * by_scene.std() / np.sqrt(len(by_scene))
    width = 1.4826 * np.median(np.abs(pulls - np.median(pulls)))
    assert abs(width - 1) < pull + 3 * 1.17 / np.sqrt(n)
    reached = 1 / (1.4826 * np.median(np.abs(wrong - np.median(wrong))))
    assert reached > efficiency - 3 * 1.17 / np.sqrt(n)
    assert np.mean(np.abs(wrong) > 5) < outliers + 3 * np.sqrt(outliers / n)


class TestTruth:
    """Nothing is told but the number of sources."""

    @pytest.mark.parametrize(("n_sources", "efficiency"), [(1, 0.98), (3, 0.97)])
    def test_small_simulated_slits(self, n_sources, efficiency):
        collected = []
        for seed in range(5):
            image, truth = make_slit(seed=seed, n_sources=n_sources)
            flux, error = fluxes(sm.OptimalExtraction(n_sources=n_sources)(image))
            collected.append((flux - truth.flux, error, truth.smallest_error))
        for source in np.moveaxis(collected, 2, 0):
            assert_optimal(*np.moveaxis(source, 1, 0), efficiency=efficiency)

    @pytest.mark.parametrize(("n_sources", "efficiency"), [(1, 0.98), (3, 0.97)])
    def test_independent_scenes(self, shared_tools, n_sources, efficiency):
        figures = []
        for seed in range(3):
            scene = shared_tools.scenes.slit_scene(seed=seed, n_sources=n_sources)
            result = sm.OptimalExtraction(n_sources=n_sources)(scene.models["slit"])
            figures.append(shared_tools.judge.extraction(scene, *fluxes(result)))
        n = 3 * 2048
        scatter = 3 * 1.17 / np.sqrt(n)
        for own in zip(*figures, strict=True):
            bias = np.array([one["bias"] for one in own])
            assert abs(bias.mean()) < 0.1 + 3 * bias.std() / np.sqrt(len(own))
            assert abs(np.mean([one["pull"] for one in own]) - 1) < 0.03 + scatter
            assert np.mean([one["efficiency"] for one in own]) > efficiency - scatter
            assert np.mean([one["outliers"] for one in own]) < 1e-3
            assert max(one["lost"] for one in own) == 0

    def test_flux_does_not_depend_on_the_place_within_a_pixel(self):
        """The same noiseless source, moved by fractions of a pixel; undersampled."""
        profile = sm.GaussianProfile()
        rows, columns = np.arange(30)[:, None], np.arange(200)
        flux = 5000 * (1 + 0.5 * np.sin(columns / 9.0))
        sums = []
        for shift in np.arange(0, 1, 0.125):
            trace = 14 + shift + 1.5 * (columns / 200) ** 2
            clean = flux * profile.evaluate(rows, trace, 0.7 + 0.002 * columns) + 20
            result = sm.OptimalExtraction()(sm.SpectralImage(clean, variance=clean + 25))
            sums.append(result.table("source")["flux"].value / flux)
        assert_allclose(np.mean(sums, axis=1), 1, atol=1e-3)
        assert np.ptp(np.mean(sums, axis=1)) < 1e-3

    def test_negative_copies_of_nodded_exposures_are_extracted(self):
        first, truth = make_slit(seed=3, shape=(50, 300), sky=0, hit_fraction=0, bad_fraction=0)
        data = first.data - np.roll(first.data, 14, axis=0)
        variance = first.variance + np.roll(first.variance, 14, axis=0)
        result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=variance))
        assert len(result.sources) == 2
        positive, negative = in_order(result)
        for name, sign in ((positive, 1), (negative, -1)):
            table = result.table(name)
            pulls = (sign * table["flux"].value - truth.flux[0]) / table["flux_error"].value
            assert abs(np.median(pulls)) < 0.25
            assert 0.85 < 1.4826 * np.median(np.abs(pulls - np.median(pulls))) < 1.15
        assert_allclose(result.trace(negative) - result.trace(positive), 14, atol=0.1)

    def test_unflagged_hits_change_nothing(self):
        """The errors of the columns struck are larger, and right."""
        struck, truth = make_slit(seed=9, hit_fraction=0.01)
        result = sm.OptimalExtraction()(struck)
        flux, error = fluxes(result)
        pulls = ((flux - truth.flux) / error)[0]
        columns = truth.hits.any(axis=0)
        assert columns.sum() > 100
        assert np.abs(pulls[columns]).max() < 5
        assert result.fit.rejected[truth.hits & ~struck.mask].mean() > 0.9
        assert (result.fit.rejected & ~truth.hits).mean() < 1e-3

    def test_copies_go_the_same_way(self):
        """Whether a fitter was chosen decides on the way, and is not to be lost on the way."""
        slit = make_slit(seed=1, shape=(20, 30))[0]
        extract = sm.OptimalExtraction(n_sources=1)
        expected = fluxes(extract(slit))
        for other in (pickle.loads(pickle.dumps(extract)), deepcopy(extract)):
            assert other.fitter is sm.OptimalExtraction.default_fitter
            np.testing.assert_array_equal(fluxes(other(slit)), expected)
        own = sm.OptimalExtraction(fitter=sm.VarProFitter())
        assert isinstance(pickle.loads(pickle.dumps(own)).fitter, sm.VarProFitter)

    def test_a_number_as_sky_is_its_degree(self, slit):
        found, expected = (sm.OptimalExtraction(n_sources=1, sky=sky)(slit[0])
                           for sky in (1, sm.ColumnPolynomial(1)))  # fmt: skip
        np.testing.assert_array_equal(fluxes(found), fluxes(expected))
        assert "c1_1" in found.fit.names
        for wrong in (True, 0.5):
            with pytest.raises(TypeError, match="sky: expected a Model"):
                sm.OptimalExtraction(sky=wrong)
        with pytest.raises(ValueError, match="degree: expected a whole number from 0, got -1"):
            sm.OptimalExtraction(sky=-1)

    def test_sources_and_sky_make_up_the_model(self, result):
        parts = sum(result.fit.components().values())
        assert_allclose(result.model, parts, rtol=1e-12)
        assert_allclose(result.residual, result.image.data - result.model)
        assert_allclose(np.median(result.sky), 20, rtol=0.3)


class TestWhatIsKnown:
    def test_aperture_flux_agrees_with_the_optimal_one(self, result, slit):
        ratio, error = result.normalisation("source")
        assert abs(ratio - 1) < max(4 * error, 0.01)
        flux, error = result.aperture_flux("source")
        assert np.isfinite(flux).all()
        assert_allclose(np.median(flux / slit[1].flux[0]), 1, atol=0.03)

    def test_trace_and_background_are_those_of_the_truth(self, result, slit):
        table = result.table("source")
        assert_allclose(table["trace"], slit[1].trace[0], atol=0.1)
        rows = np.round(slit[1].trace[0]).astype(int)
        sky = slit[1].sky[rows, np.arange(400)]
        assert abs(np.median(table["background"].value / sky) - 1) < 0.05

    def test_table_has_units_and_the_parts_of_the_variance(self, result):
        table = result.table("source")
        assert table["flux"].unit == table["flux_error"].unit == u.count
        assert table["wavelength"].unit == u.um
        assert table["var_read"].unit == u.count**2
        total = table["var_read"] + table["var_poisson"]
        assert (total <= 1.001 * table["flux_error"] ** 2).all()
        assert_allclose(total / table["flux_error"] ** 2, 1, atol=0.1)
        assert_array_equal(table["column"], np.arange(400))
        assert table.meta["source"] == "source"

    def test_spectrum_is_that_of_the_table(self, result):
        table, spectrum = result.table("source"), result.spectrum
        assert_array_equal(spectrum.flux, table["flux"])
        assert_array_equal(spectrum.uncertainty.array, table["flux_error"].value)
        assert_array_equal(spectrum.mask, table["mask"])
        assert_array_equal(spectrum.spectral_axis.value, table["wavelength"].value)
        assert list(result.spectra) == list(result.aperture_spectra) == ["source"]

    def test_spectrum_increases_in_wavelength_whichever_way_the_data_lie(self, slit, result):
        image = slit[0]
        turned = image.replace(
            data=image.data[:, ::-1], mask=image.mask[:, ::-1], variance=None,
            wavelength=image.wavelength[::-1],
            components={k: v[:, ::-1] for k, v in image.components.items()},
        )  # fmt: skip
        other = sm.OptimalExtraction()(turned).spectrum
        assert_array_equal(other.spectral_axis, result.spectrum.spectral_axis)
        error = result.spectrum.uncertainty.array
        assert_allclose(other.flux.value, result.spectrum.flux.value, atol=0.3 * error.max())

    def test_columns_without_a_wavelength_are_left_out_of_the_spectrum(self, slit):
        wavelength = np.array(slit[0].wavelength)
        wavelength[:7] = np.nan
        result = sm.OptimalExtraction()(slit[0].replace(wavelength=wavelength))
        assert len(result.spectrum.flux) == 393
        assert len(result.table("source")) == 400

    def test_data_without_wavelengths_are_numbered(self, slit):
        image = sm.SpectralImage(slit[0].data, variance=slit[0].variance)
        spectrum = sm.OptimalExtraction()(image).spectrum
        assert spectrum.spectral_axis.unit == u.pix
        assert spectrum.flux.unit == u.dimensionless_unscaled

    def test_good_extraction_is_ok(self, result):
        report = result.report()
        assert report["status"][0] == "ok"
        assert report["reason"][0] == ""
        assert report["lost"][0] == 0
        assert abs(report["chi2_dof"][0] - 1) < 0.05
        assert abs(report["row"][0] - np.mean(result.trace("source"))) < 1e-9
        assert report["n_rejected"][0] == result.fit.rejected.sum()

    def test_results_can_be_pickled_with_their_spectra_made(self, result):
        assert result.spectrum is not None
        other = pickle.loads(pickle.dumps(result))
        assert_array_equal(other.table("source")["flux"], result.table("source")["flux"])
        assert_array_equal(other.model, result.model)
        assert_array_equal(other.spectrum.flux, result.spectrum.flux)

    def test_result_knows_what_it_was_made_from(self, slit):
        exposure = sm.read(slit[0])
        assert sm.OptimalExtraction()(exposure).source_exposure is exposure

    def test_same_answer_bit_for_bit(self, slit, result):
        again = sm.OptimalExtraction()(slit[0])
        for name in ("flux", "flux_error", "aperture_flux", "trace"):
            assert_array_equal(again.table("source")[name], result.table("source")[name])

    def test_repr_names_the_sources(self, result):
        assert "'slit'" in repr(result)
        assert "['source']" in repr(result)


class TestMasked:
    def test_bad_pixels_never_kill_a_column(self, slit):
        """One pixel of the core of every column, whatever is in it."""
        image, truth = slit
        rows = np.round(truth.trace[0]).astype(int)
        flags = np.array(image.mask)
        data = np.array(image.data)
        flags[rows, np.arange(400)] = True
        data[rows, np.arange(400)] = 1e9
        result = sm.OptimalExtraction()(image.replace(data=data, mask=flags))
        table = result.table("source")
        assert not table["mask"].any()
        pulls = (table["flux"].value - truth.flux[0]) / table["flux_error"].value
        assert 0.85 < pulls.std() < 1.2
        assert (table["flux_error"].value > truth.smallest_error[0]).mean() > 0.95

    @pytest.mark.parametrize("reach", [50, 8], ids=["empty", "only wings"])
    def test_columns_without_the_source_are_masked(self, slit, reach):
        image, truth = slit
        hidden = np.abs(np.arange(40)[:, None] - truth.trace[0]) < reach
        hidden[:, :100] = hidden[:, 200:] = False
        result = sm.OptimalExtraction()(image.replace(mask=image.mask | hidden))
        expected = hidden.any(axis=0)
        assert_array_equal(result.table("source")["mask"], expected)
        assert_array_equal(result.spectrum.mask, expected)
        flux, error = fluxes(result)
        assert np.abs(((flux - truth.flux) / error)[0][~expected]).max() < 5

    def test_columns_lost_where_there_are_data_are_counted(self, slit):
        image, truth = slit
        hidden = np.abs(np.arange(40)[:, None] - truth.trace[0]) < 8
        hidden[:, 100:] = False
        row = sm.OptimalExtraction()(image.replace(mask=image.mask | hidden)).report()[0]
        assert row["lost"] == 0.25
        assert row["status"] == "check"
        assert "25% of the columns lost" in row["reason"]

    def test_identical_sources_are_masked_with_the_reason(self, slit):
        source = sm.Source(sm.GaussianProfile(stddev=1.2), name="a", trace_c0=20.0)
        for name in ("trace_c0", "stddev"):
            getattr(source, name).fixed = True
        twin = source.copy()
        twin.name = "b"
        result = sm.OptimalExtraction(source + twin)(slit[0])
        for name in ("a", "b"):
            assert result.table(name)["mask"].all()
        assert all("cannot be told apart" in reason for reason in result.report()["reason"])

    def test_data_quality_flags_are_respected(self, slit):
        image, truth = slit
        data = np.nan_to_num(image.data)
        flags = image.mask.astype(np.uint32) + 4 * truth.hits.astype(np.uint32)
        instrument = sm.Instrument(bad_flags=5)
        flagged = instrument.image(data, variance=image.variance, flags=flags)
        result = sm.OptimalExtraction()(flagged)
        flux, error = fluxes(result)
        assert np.abs((flux - truth.flux) / error).max() < 5
        assert result.fit.rejected.sum() < 5


@pytest.fixture(scope="module")
def results():
    images = [make_slit(seed=k, shape=(30, 100))[0].replace(name=f"s{k}") for k in (1, 2)]
    bad = images[0].replace(mask=np.ones((30, 100), dtype=bool), name="bad")
    return sm.OptimalExtraction()(sm.Exposure([images[0], bad, images[1]]))


class TestSeveralImages:
    def test_one_bad_slit_does_not_stop_the_others(self, results):
        assert list(results) == ["s1", "s2"]
        assert list(results.failures) == ["bad"]
        assert "no usable pixel" in results.failures["bad"]

    def test_report_names_what_failed_and_why(self, results):
        report = results.report()
        status = dict(zip(report["image"], report["status"], strict=True))
        assert status["bad"] == "failed"
        assert "no usable pixel" in report["reason"][list(report["image"]).index("bad")]
        assert len(report) == 3

    def test_spectra_and_tables_are_named_by_image_and_source(self, results):
        assert list(results.spectra) == list(results.tables()) == ["s1/source", "s2/source"]

    def test_missing_result_says_why(self, results):
        with pytest.raises(KeyError, match="no usable pixel"):
            results["bad"]
        with pytest.raises(KeyError, match="s1"):
            results["nothing"]

    def test_every_image_failing_is_still_an_answer(self):
        bad = [sm.SpectralImage(np.full((20, 30), np.nan), name=n) for n in "ab"]
        results = sm.OptimalExtraction()(sm.Exposure(bad))
        assert len(results) == 0
        assert list(results.report()["status"]) == ["failed", "failed"]

    def test_results_can_be_pickled(self, results):
        assert list(pickle.loads(pickle.dumps(results))) == ["s1", "s2"]

    def test_repr_has_a_line_for_each(self, results):
        assert "failed" in repr(results)
        assert "'s2'" in repr(results)


class TestSettings:
    def test_model_and_its_settings_exclude_each_other(self):
        model = sm.Source(sm.GaussianProfile())
        with pytest.raises(ValueError, match=r"model: .*n_sources"):
            sm.OptimalExtraction(model, n_sources=2)

    def test_settings_are_not_changed_by_a_call(self, slit):
        model = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(2), name="mine")
        evaluator = sm.OptimalExtraction(model)
        values = model.parameters.copy()
        evaluator(slit[0])
        assert evaluator.model is model
        assert_array_equal(model.parameters, values)

    def test_fitter_is_the_users(self, slit):
        result = sm.OptimalExtraction(fitter=sm.VarProFitter())(slit[0])
        assert not result.fit.rejected.any()

    def test_repr_shows_what_was_set(self):
        assert "aperture=2" in repr(sm.OptimalExtraction(aperture=2))
