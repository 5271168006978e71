"""Slits of JWST datamodels: the throughput for the sky that they tell, and writing them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.io.exposure_frames import model_of
from specmodels.io.provenance import note_of, steps_done
from specmodels.io.slit_models import sky_throughputs, with_new_slits

datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")

PLANES = {
    "barshadow": 0.8, "pathloss_point": 0.5, "pathloss_uniform": 0.9, "flatfield_point": 1.1,
    "flatfield_uniform": 1.2, "photom_point": 3.0, "photom_uniform": 2.0,
}  # fmt: skip


def to_model(exposure, throughputs=None):
    """A MultiSlitModel with the images of an exposure."""
    model = datamodels.MultiSlitModel()
    model.meta.instrument.name = "NIRSPEC"
    model.meta.exposure.type = "NRS_MSASPEC"
    for name, image in exposure.items():
        slit = datamodels.SlitModel()
        slit.data, slit.err = image.data.astype("f4"), np.sqrt(image.variance).astype("f4")
        slit.dq = image.mask.astype("u4")
        slit.var_rnoise = image.components["read"].astype("f4")
        slit.var_poisson = image.components["poisson"].astype("f4")
        slit.wavelength = np.broadcast_to(image.wavelength, image.shape).astype("f4")
        if throughputs is not None:
            slit.barshadow = throughputs[name].astype("f4")
        slit.name, slit.source_name = name, name
        slit.meta.wcsinfo.dispersion_direction = 1
        slit.meta.bunit_data = "MJy/sr"
        model.slits.append(slit)
    return model


@pytest.fixture
def scene():
    return sm.datasets.make_slitlets(seed=3, shape=(11, 120), n_background=3, n_science=1)


def slit_model(**changes):
    slit = datamodels.SlitModel()
    slit.data = np.ones((4, 6), "f4")
    slit.err = np.ones((4, 6), "f4")
    slit.wavelength = np.broadcast_to(np.arange(1.0, 7), (4, 6)).astype("f4")
    slit.meta.wcsinfo.dispersion_direction = 1
    slit.meta.instrument.name, slit.meta.exposure.type = "NIRSPEC", "NRS_MSASPEC"
    for name, value in PLANES.items():
        setattr(slit, name, np.full((4, 6), value, "f4"))
    steps = changes.pop("steps", {})
    for key, value in steps.items():
        setattr(slit.meta.cal_step, key, value)
    for key, value in changes.items():
        setattr(slit, key, value)
    return slit


class TestThroughput:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            # Nothing applied yet: the sky is behind path loss and bars.
            ({"source_type": "EXTENDED"}, 0.9 * 0.8),
            # Corrected as a uniform source: nothing is left.
            ({"source_type": "EXTENDED", "barshadow_corrected": True,
              "pathloss_correction_type": "UNIFORM", "steps": {"pathloss": "COMPLETE"}}, None),
            # Corrected as a point source: undone, and made for the sky.
            ({"pathloss_correction_type": "POINT", "steps": {"pathloss": "COMPLETE"}},
             0.9 / 0.5 * 1.2 / 1.1 * 3.0 / 2.0 * 0.8),
        ],
    )  # fmt: skip
    def test_follows_the_corrections(self, changes, expected):
        found = sky_throughputs(sm.read(slit_model(**changes)))
        if expected is None:
            assert found == {}
        else:
            (throughput,) = found.values()
            assert_allclose(throughput, expected, rtol=1e-6)

    def test_holes_are_unknown(self):
        slit = slit_model(source_type="EXTENDED")
        slit.barshadow[1, 2] = 0
        (throughput,) = sky_throughputs(sm.read(slit)).values()
        assert np.array_equal(np.argwhere(np.isnan(throughput)), [[1, 2]])

    def test_nothing_is_known_of_arrays(self):
        assert sky_throughputs(sm.read(np.ones((4, 6)))) == {}


class TestWriting:
    def test_a_model_with_slits_comes_back_as_one(self, scene):
        exposure, truth = scene
        model = to_model(exposure, truth.throughputs)
        before = [np.array(slit.data) for slit in model.slits]
        result = sm.MasterBackgroundSubtraction()(model)
        out = result.to_source()
        assert isinstance(out, datamodels.MultiSlitModel)
        assert out is not model
        for slit, old, own, name in zip(model.slits, before, out.slits, exposure, strict=True):
            assert np.array_equal(slit.data, old, equal_nan=True)
            known = np.isfinite(own.data)
            expected = (old - result.background(name))[known]
            assert_allclose(own.data[known], expected, rtol=1e-5, atol=1e-6)
            extra = result.background_variance(name)[known]
            assert_allclose(own.err[known] ** 2, slit.err[known] ** 2 + extra, rtol=1e-4)
            assert_allclose(own.var_rnoise[known], slit.var_rnoise[known] + extra, rtol=1e-3)
            assert np.all(own.dq[~known] & 1)
        level = np.nanmedian(out.slits[0].data) / np.nanmedian(result.background("BKG_1"))
        assert abs(level) < 0.03

    def test_a_file_comes_back_as_a_model(self, scene, tmp_path):
        exposure, truth = scene
        path = tmp_path / "slits.fits"
        to_model(exposure, truth.throughputs).save(str(path))
        out = sm.MasterBackgroundSubtraction()(path).to_source()
        assert isinstance(out, datamodels.MultiSlitModel)
        assert len(out.slits) == 4
        out.save(str(tmp_path / "out.fits"))
        assert len(sm.read(tmp_path / "out.fits")) == 4

    def test_a_single_slit_comes_back_as_one(self, scene):
        exposure, truth = scene
        slit = to_model(exposure, truth.throughputs).slits[0]
        single = datamodels.SlitModel(slit.instance)
        out = sm.MasterBackgroundSubtraction(slits=lambda image: True)(single).to_source()
        assert isinstance(out, datamodels.SlitModel)

    def test_other_sources_have_no_datamodel(self, scene):
        with pytest.raises(TypeError, match="datamodel"):
            with_new_slits(scene[0])

    def test_number_of_slits_must_agree(self, scene):
        exposure, _ = scene
        model = to_model(exposure)
        fewer = sm.Exposure(list(exposure.values())[:2], source=model)
        with pytest.raises(ValueError, match="2 slits"):
            with_new_slits(fewer)

    def test_steps_that_images_note_are_recorded(self, scene):
        exposure, _ = scene
        model = to_model(exposure)
        noted = [image.replace(notes=(note_of("flat_field"), note_of(f"only {number}")))
                 for number, image in enumerate(exposure.values())]  # fmt: skip
        done = sm.Exposure(noted, source=model)
        assert steps_done(model_of(done)) == {"flat_field"}
