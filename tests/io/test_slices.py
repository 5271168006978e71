"""What tells the slices of an image: maps of the caller, of the source, of the image; refusals."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_array_equal
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.slices import SlicedImage

from .oversampled_models import slices_model


@pytest.fixture(scope="module")
def ifu():
    return slices_model()[0]


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_undersampled_slit(seed=1, shape=(26, 60))[0]


def sliced(obj, **maps):
    exposure = sm.read(obj)
    return SlicedImage.of(exposure.single, exposure, **maps)


def without_wcs(model):
    wavelength = sm.read(model).single.wavelength
    model = model.copy()
    model.wavelength = np.asarray(wavelength.T, "f4")
    model.meta.wcs = None
    return model


class TestIntegralFieldUnits:
    """Their images cannot be one slit."""

    @pytest.mark.parametrize("evaluator", [sm.TraceOversampling(), sm.PixelReplacement()])
    def test_without_wcs_they_are_refused(self, ifu, evaluator):
        with pytest.raises(ValueError, match=r"expected an integral .* a map of its slices"):
            evaluator(without_wcs(ifu))

    def test_the_kind_of_datamodel_tells_them_where_the_instrument_does_not(self, ifu):
        model = without_wcs(ifu)
        model.meta.instrument.name, model.meta.exposure.type = "NIRCAM", "NRC_IMAGE"
        with pytest.raises(ValueError, match="expected an integral field unit"):
            sliced(model)

    def test_a_map_alone_is_not_enough(self, ifu):
        model = without_wcs(ifu)
        regions = np.ones(sm.read(model).single.shape, int)
        with pytest.raises(ValueError, match=r"got none with positions along them \(spatial\)$"):
            sliced(model, regions=regions)

    def test_with_maps_of_the_caller_no_wcs_is_wanted(self, ifu):
        known = sliced(ifu)
        again = sliced(without_wcs(ifu), regions=known.regions, spatial=known.spatial)
        assert_array_equal(again.regions, known.regions)
        assert_array_equal(again.spatial, known.spatial)

    def test_map_of_the_datamodel_in_another_shape(self, ifu):
        model = ifu.copy()
        model.instance["regions"] = np.ones((3, 3), "i4")
        with pytest.raises(ValueError, match=r"regions of the datamodel: .*got \(3, 3\)"):
            sliced(model)

    def test_map_of_the_wcs_in_another_shape(self, ifu):
        model = datamodels.IFUImageModel(np.ones((50, 40), "f4"))
        for name in ("instrument.name", "exposure.type", "wcs"):
            model[f"meta.{name}"] = ifu[f"meta.{name}"]
        with pytest.raises(ValueError, match=r"map of slices of the WCS: .*got \(300, 64\)"):
            sliced(model)


@pytest.mark.parametrize("plane", ["dq", "err", "var_poisson", "wavelength"])
def test_planes_of_another_shape_are_refused(ifu, plane):
    model = ifu.copy()
    model.instance[plane] = np.ones((3, 3), "u4" if plane == "dq" else "f4")
    with pytest.raises(ValueError, match=rf"plane {plane} of IFUImageModel .*got \(3, 3\)"):
        sm.read(model)


def test_positions_have_the_unit_of_the_wcs_or_of_the_caller(ifu, slit):
    assert sliced(ifu).spatial_unit == u.arcsec
    assert sliced(slit).spatial_unit is None
    assert sliced(slit, spatial=slit.spatial * u.mm).spatial_unit == u.mm


def test_maps_lie_like_the_image_not_like_the_detector(ifu):
    regions = sliced(ifu).regions
    with pytest.raises(ValueError, match=r"regions: .* turned: the dispersion is along the last"):
        sliced(ifu, regions=regions.T)


def test_numbers_of_slices_are_whole(slit):
    with pytest.raises(ValueError, match=r"regions: expected whole numbers, got 1\.7"):
        sliced(slit, regions=np.full(slit.shape, 1.7))
    regions = np.full(slit.shape, 2.0)
    regions[:3] = np.nan
    assert_array_equal(np.unique(sliced(slit, regions=regions).regions), [0, 2])


def test_positions_that_are_not_finite_are_none(slit):
    spatial = np.array(slit.spatial)
    spatial[3, 5], spatial[4, 6] = np.inf, -np.inf
    result = sm.TraceOversampling(spatial=spatial)(slit)
    assert np.isnan(result.sliced.spatial).sum() == 2
    assert np.isinf(spatial).sum() == 2


def test_map_that_came_with_an_image_is_cut_like_it(slit):
    regions = np.repeat([1, 2], 13)[:, None] * np.ones(slit.shape, int)
    image = slit.replace(meta={"regions": regions})
    assert list(sliced(image).boxes) == ["1", "2"]
    assert_array_equal(sliced(image.cutout(slice(10, 20))).regions, regions[10:20])
    with pytest.raises(ValueError, match=r"meta\['regions'\]: expected the shape"):
        sliced(image.replace(meta={"regions": regions[:5]}))


def test_maps_of_a_file_are_turned_like_its_data(slit, tmp_path):
    regions = np.repeat([1, 2], 13)[:, None] * np.ones(slit.shape, int)
    planes = {"SCI": slit.data, "VAR": slit.variance, "SPATIAL": slit.spatial, "REGIONS": regions}
    hdus = [fits.ImageHDU(np.asarray(plane).T, name=name) for name, plane in planes.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "vertical.fits")
    exposure = sm.read(tmp_path / "vertical.fits", dispersion_axis=-2)
    found = SlicedImage.of(exposure.single, exposure)
    assert_array_equal(found.regions, regions)
    assert_array_equal(found.spatial, slit.spatial)


def test_positions_are_found_in_an_extension_of_another_name(slit, tmp_path):
    hdus = [fits.ImageHDU(np.asarray(slit.data), name="SCI"),
            fits.ImageHDU(np.asarray(slit.spatial), name="ALPHA")]  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "own.fits")
    image = sm.read(tmp_path / "own.fits", extensions={"spatial": "ALPHA"}).single
    assert_array_equal(image.spatial, slit.spatial)
