"""Readers of time series: FITS, datamodels, arrays, ramps and lists; writers of JWST products."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.io import is_series
from specmodels.io.time_series import _StoredPlanes

SHAPE = (5, 8, 30)
RNG = np.random.default_rng(1)
DATA = RNG.normal(10, 1, SHAPE).astype("f4")
ERROR = np.full(SHAPE, 2.0, "f4")
FLAGS = np.zeros(SHAPE, np.uint32)
FLAGS[2, 3, 4] = 1


def hdus():
    return fits.HDUList([
        fits.PrimaryHDU(), fits.ImageHDU(DATA, name="SCI"), fits.ImageHDU(ERROR, name="ERR"),
        fits.ImageHDU(FLAGS, name="DQ"),
        fits.ImageHDU(np.linspace(1, 2, 30, dtype="f4") * np.ones((8, 1), "f4"), name="WAVELENGTH"),
    ])  # fmt: skip


def check(series):
    assert isinstance(series, sm.TimeSeries)
    assert series.shape == SHAPE
    for i in (0, 2, 4):
        assert_allclose(np.where(series[i].mask, DATA[i], series[i].data), DATA[i])
        assert_allclose(series[i].variance, 4.0)
    assert series[2].mask.sum() == 1
    assert series[2].mask[3, 4]
    assert not series[1].mask.any()


class TestFits:
    def test_planes_are_read_from_the_file_when_asked_for(self, tmp_path):
        hdus().writeto(tmp_path / "series.fits")
        assert is_series(tmp_path / "series.fits")
        series = sm.read_series(tmp_path / "series.fits")
        check(series)
        assert_allclose(series.first.wavelength, np.linspace(1, 2, 30) * np.ones((8, 1)), rtol=1e-6)

    def test_compressed_files(self, tmp_path):
        hdus().writeto(tmp_path / "series.fits.gz")
        check(sm.read_series(tmp_path / "series.fits.gz"))

    def test_open_files(self):
        check(sm.read_series(hdus()))

    def test_only_one_plane_is_held(self, tmp_path):
        hdus().writeto(tmp_path / "series.fits")
        with fits.open(tmp_path / "series.fits") as opened:
            offset = opened["SCI"].fileinfo()["datLoc"]
        planes = _StoredPlanes(tmp_path / "series.fits", SHAPE, np.dtype(">f4"), offset, 0)
        assert_array_equal(planes[3], DATA[3])

    def test_images_are_no_series(self, tmp_path):
        fits.ImageHDU(DATA[0]).writeto(tmp_path / "image.fits")
        assert not is_series(tmp_path / "image.fits")
        with pytest.raises(ValueError, match="three-dimensional"):
            sm.read_series(tmp_path / "image.fits")

    def test_spectral_cubes_are_no_series(self, tmp_path):
        hdu = fits.PrimaryHDU(DATA)
        hdu.header["CTYPE3"] = "WAVE"
        hdu.writeto(tmp_path / "cube.fits")
        assert not is_series(tmp_path / "cube.fits")


class TestModels:
    @pytest.fixture
    def model(self):
        datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
        model = datamodels.SlitModel(data=DATA, err=ERROR, dq=FLAGS)
        model.wavelength = (np.linspace(5, 12, 30) * np.ones((8, 1))).astype("f4")
        model.meta.wcsinfo.dispersion_direction = 1
        model.meta.instrument.name = "NIRSPEC"
        model.meta.exposure.type = "NRS_BRIGHTOBJ"
        return model

    def test_slits_of_three_dimensions(self, model):
        series = sm.read_series(model)
        check(series)
        assert series.first.wavelength_unit == u.um

    def test_files_of_models(self, model, tmp_path):
        model.save(tmp_path / "calints.fits")
        check(sm.read_series(tmp_path / "calints.fits"))

    def test_integrations_of_a_ramp(self, model):
        from stdatamodels.jwst import datamodels

        cube = datamodels.CubeModel(data=DATA, err=ERROR, dq=FLAGS)
        cube.meta.wcsinfo.dispersion_direction = 1
        cube.meta.instrument.name = "NIRSPEC"
        cube.meta.exposure.type = "NRS_BRIGHTOBJ"
        with pytest.warns(UserWarning, match="numbered in pixels"):
            check(sm.read_series(sm.read(cube)))

    def test_paths_that_are_text_hand_on_their_metadata(self, model, tmp_path):
        from stdatamodels.jwst import datamodels

        series, _ = sm.datasets.make_time_series(seed=1, n_integrations=4, shape=(30, 60))
        made = datamodels.SlitModel(data=np.array([np.nan_to_num(one.data) for one in series]))
        made.err = np.array([np.sqrt(one.variance) for one in series])
        made.dq = np.array([one.mask for one in series])
        made.wavelength = np.broadcast_to(series.first.wavelength, (30, 60))
        made.meta.wcsinfo.dispersion_direction = 1
        made.meta.instrument.name, made.meta.exposure.type = "NIRSPEC", "NRS_BRIGHTOBJ"
        made.save(tmp_path / "series_calints.fits")
        result = sm.OptimalExtraction()(str(tmp_path / "series_calints.fits"))
        written = sm.write(result, datamodels.TSOMultiSpecModel)
        assert written.meta.instrument.name == "NIRSPEC"

    def test_results_become_models(self, model, tmp_path):
        from stdatamodels.jwst import datamodels

        series, _ = sm.datasets.make_time_series(seed=1, n_integrations=4, shape=(30, 60))
        result = sm.OptimalExtraction()(series)
        made = sm.write(result, datamodels.TSOMultiSpecModel)
        table = made.spec[0].spec_table
        assert table["FLUX"].shape == (4, 60)
        assert_allclose(table["FLUX"], result.flux["source"])
        path = sm.write(result, tmp_path / "x1dints.fits", format="jwst")
        with datamodels.open(path) as again:
            assert type(again) is datamodels.TSOMultiSpecModel
            assert_allclose(again.spec[0].spec_table["MJD-AVG"], series.times)


class TestMemory:
    def test_arrays_with_their_variance_and_mask(self):
        series = sm.read_series(DATA, variance=ERROR**2, mask=FLAGS > 0)
        check(series)

    def test_vertical_dispersion(self):
        series = sm.read_series(DATA, dispersion_axis=-2)
        assert series.shape == (5, 30, 8)

    def test_nddata(self):
        nddata = NDData(DATA, uncertainty=StdDevUncertainty(ERROR), mask=FLAGS > 0, unit=u.DN)
        series = sm.read_series(nddata)
        check(series)
        assert series.first.unit == u.DN

    def test_lists_of_integrations(self):
        series = sm.read_series(list(DATA), times=np.arange(5) * 0.1)
        assert_allclose(series[3].data, DATA[3])
        assert_allclose(series.times, np.arange(5) * 0.1)

    def test_what_is_no_series_is_refused(self):
        with pytest.raises(ValueError, match=r"three dimensions.*\(8, 30\)"):
            sm.read_series(DATA[0])
        with pytest.raises(TypeError, match=r"obj.*int"):
            sm.read_series(3)
