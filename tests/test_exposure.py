"""Pixels and coordinates: what is accepted and refused, and that nothing is changed in place."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, StdDevUncertainty
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.exposure import Exposure
from specmodels.spectral_image import SpectralImage

SHAPE = (5, 8)


def ramp():
    return np.arange(40.0).reshape(SHAPE)


@pytest.fixture
def image():
    return SpectralImage(
        ramp(),
        variance=np.full(SHAPE, 4.0),
        mask=np.eye(*SHAPE, dtype=bool),
        wavelength=np.linspace(1, 2, 8) * u.um,
        spatial=np.arange(5.0)[:, np.newaxis] * np.ones(8),
        components={"read": np.ones(SHAPE), "poisson": np.full(SHAPE, 3.0)},
        unit="MJy/sr",
        name="slit",
        meta={"slit_id": 3},
    )


class TestInput:
    def test_units_come_with_quantities(self):
        image = SpectralImage(ramp() * u.Jy, variance=ramp() * u.mJy**2)
        assert image.unit == u.Jy
        assert_allclose(image.variance, ramp() * 1e-6)
        assert type(image.data) is np.ndarray

    def test_units_must_agree(self):
        with pytest.raises(ValueError, match="unit"):
            SpectralImage(ramp() * u.Jy, unit="DN")
        with pytest.raises(ValueError, match="variance"):
            SpectralImage(ramp() * u.Jy, variance=ramp() * u.Jy)
        with pytest.raises(ValueError, match="variance"):
            SpectralImage(ramp(), variance=ramp() * u.Jy**2)

    @pytest.mark.parametrize("unit", ["no such unit", object()])
    def test_refuses_what_is_no_unit(self, unit):
        with pytest.raises(ValueError, match="unit"):
            SpectralImage(ramp(), unit=unit)

    def test_masked_array_brings_its_mask(self):
        data = np.ma.masked_greater(ramp(), 35)
        image = SpectralImage(data, mask=ramp() < 2)
        assert image.mask.sum() == 4 + 2
        assert image.masked == {"flagged": 6}

    def test_big_endian_becomes_native(self):
        image = SpectralImage(ramp().astype(">f4"), variance=ramp().astype(">f8") + 1)
        assert image.data.dtype == np.float32
        assert image.data.dtype.isnative
        assert image.variance.dtype == np.float64
        assert_array_equal(image.data, ramp())

    @pytest.mark.parametrize("dtype", [np.uint16, np.int64, bool, np.float16, ">i4"])
    def test_other_numbers_become_double(self, dtype):
        image = SpectralImage(ramp().astype(dtype))
        assert image.data.dtype == np.float64
        assert_array_equal(image.data, ramp().astype(dtype))

    @pytest.mark.parametrize("data", [np.full(SHAPE, "a"), ramp() * 1j, np.full(SHAPE, None)])
    def test_refuses_what_are_no_real_numbers(self, data):
        with pytest.raises(TypeError, match="data"):
            SpectralImage(data)

    @pytest.mark.parametrize("shape", [(40,), (0, 8), (5, 0), (1, 5, 8)])
    def test_refuses_data_without_two_dimensions(self, shape):
        with pytest.raises(ValueError, match="data"):
            SpectralImage(np.ones(shape))

    @pytest.mark.parametrize("name", ["variance", "mask", "spatial", "wavelength"])
    def test_refuses_another_shape(self, name):
        with pytest.raises(ValueError, match=name):
            SpectralImage(ramp(), **{name: np.ones((8, 5))})

    def test_names_the_component_of_another_shape(self):
        with pytest.raises(ValueError, match="read"):
            SpectralImage(ramp(), components={"read": np.ones(3)})

    def test_refuses_a_mask_of_floats(self):
        with pytest.raises(TypeError, match="mask"):
            SpectralImage(ramp(), mask=ramp())

    def test_lists_are_arrays(self):
        image = SpectralImage([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]], wavelength=[1.0, 2.0])
        assert image.shape == (2, 2)
        assert image.mask.sum() == 1

    def test_one_pixel_is_an_image(self):
        image = SpectralImage([[3.0]], variance=[[1.0]])
        assert image.weights.tolist() == [[1.0]]

    def test_ccddata_is_read_as_an_array(self):
        ccd = CCDData(ramp(), unit="adu", uncertainty=StdDevUncertainty(np.ones(SHAPE)))
        image = SpectralImage(ccd.data, variance=ccd.uncertainty.array**2, unit=ccd.unit)
        assert image.unit == u.adu


class TestMask:
    def test_reasons_are_counted_once(self):
        data, variance = ramp(), np.ones(SHAPE)
        data[0, 0] = np.nan
        data[0, 1] = np.inf
        variance[0, :4] = [0, -1, np.nan, np.inf]
        mask = np.zeros(SHAPE, dtype=np.uint32)
        mask[0, 0] = 4
        image = SpectralImage(data, variance=variance, mask=mask)
        expected = {"flagged": 1, "data not finite": 1, "variance not positive and finite": 2}
        assert image.masked == expected
        assert image.mask.sum() == 4

    def test_weights_are_inverse_variances_and_zero_where_masked(self, image):
        expected = np.where(image.mask, 0, 0.25)
        assert_array_equal(image.weights, expected)

    def test_weights_without_variance_are_one(self):
        data = ramp()
        data[2, 2] = np.nan
        weights = SpectralImage(data).weights
        assert weights[2, 2] == 0
        assert weights.sum() == 39

    def test_variance_is_the_sum_of_its_components(self):
        parts = {"read": np.ones(SHAPE), "poisson": ramp(), "flat": None}
        image = SpectralImage(ramp(), components=parts)
        assert_array_equal(image.variance, 1 + ramp())
        assert list(image.components) == ["read", "poisson"]

    def test_image_without_good_pixels_is_still_one(self):
        image = SpectralImage(np.full(SHAPE, np.nan))
        assert image.mask.all()
        assert "100.0% masked" in repr(image)


class TestNothingChanges:
    def test_inputs_stay_as_they_are(self):
        data, variance, mask = ramp(), np.ones(SHAPE), np.zeros(SHAPE, dtype=bool)
        data[1, 1] = np.nan
        originals = [array.copy() for array in (data, variance, mask)]
        meta = {"a": 1}
        SpectralImage(data, variance=variance, mask=mask, meta=meta)
        for array, original in zip((data, variance, mask), originals, strict=True):
            assert_array_equal(array, original)
            assert array.flags.writeable
        assert meta == {"a": 1}

    @pytest.mark.parametrize("name", ["data", "variance", "mask", "wavelength", "spatial"])
    def test_arrays_are_read_only(self, image, name):
        with pytest.raises(ValueError, match="read-only"):
            getattr(image, name)[...] = 1

    def test_weights_are_read_only(self, image):
        with pytest.raises(ValueError, match="read-only"):
            image.weights[...] = 1

    def test_fields_are_frozen(self, image):
        with pytest.raises(FrozenInstanceError):
            image.data = ramp()
        with pytest.raises(TypeError):
            image.meta["b"] = 2
        with pytest.raises(TypeError):
            image.components["read"] = ramp()

    @pytest.mark.parametrize(
        "clone", [copy.copy, copy.deepcopy, lambda image: pickle.loads(pickle.dumps(image))]
    )
    def test_clones_are_equal_and_read_only(self, image, clone):
        image.weights  # noqa: B018 - fills the cache
        other = clone(image)
        for name in ("data", "variance", "mask", "wavelength", "spatial", "weights"):
            assert_array_equal(getattr(other, name), getattr(image, name))
            assert not getattr(other, name).flags.writeable
        assert (other.unit, other.wavelength_unit) == (image.unit, image.wavelength_unit)
        assert (other.name, other.meta, other.masked) == (image.name, image.meta, image.masked)
        with pytest.raises(TypeError):
            other.meta["b"] = 2


class TestReplace:
    def test_replaces_and_keeps_the_rest(self, image):
        other = image.replace(data=2 * image.data, name="twice")
        assert_array_equal(other.data, 2 * ramp())
        assert other.unit == image.unit
        assert other.meta == image.meta
        assert_array_equal(other.mask, image.mask)
        assert image.name == "slit"

    def test_checks_what_comes(self, image):
        with pytest.raises(ValueError, match="variance"):
            image.replace(variance=np.ones(3))

    def test_new_quantity_needs_the_same_unit(self, image):
        with pytest.raises(ValueError, match="unit"):
            image.replace(data=ramp() * u.s)


class TestCutout:
    def test_cuts_every_array(self, image):
        cut = image.cutout(slice(1, 4), slice(2, 6))
        assert cut.shape == (3, 4)
        assert_array_equal(cut.data, ramp()[1:4, 2:6])
        assert_array_equal(cut.mask, image.mask[1:4, 2:6])
        assert_array_equal(cut.wavelength, image.wavelength[2:6])
        assert_array_equal(cut.spatial, image.spatial[1:4, 2:6])
        assert cut.components["poisson"].shape == (3, 4)

    def test_all_of_an_image_is_the_image(self, image):
        assert image.cutout() is image
        assert image.cutout(columns=slice(0, image.shape[1])) is image

    def test_cuts_wavelengths_of_pixels(self):
        wavelength = ramp() + 1
        cut = SpectralImage(ramp(), wavelength=wavelength).cutout(rows=slice(2, 4))
        assert_array_equal(cut.wavelength, wavelength[2:4])

    def test_refuses_an_empty_region(self, image):
        with pytest.raises(ValueError, match="data"):
            image.cutout(rows=slice(4, 2))


class TestWavelengthAlong:
    def test_one_wavelength_per_column_whatever_the_trace(self, image):
        along = image.wavelength_along(np.full(8, 2.5))
        assert along.unit == u.um
        assert_allclose(along.value, np.linspace(1, 2, 8))

    def test_column_numbers_without_wavelengths(self):
        along = SpectralImage(ramp()).wavelength_along(np.zeros(8))
        assert_array_equal(along.value, np.arange(8))
        assert along.unit == u.pix

    def test_follows_curved_lines(self):
        rows, columns = np.indices(SHAPE)
        wavelength = 1 + 0.1 * columns + 0.01 * rows
        image = SpectralImage(ramp(), wavelength=wavelength, wavelength_unit="um")
        trace = np.linspace(0.3, 3.7, 8)
        expected = 1 + 0.1 * np.arange(8) + 0.01 * trace
        assert_allclose(image.wavelength_along(trace).to_value("um"), expected)

    def test_keeps_its_ends_beyond_the_image(self):
        wavelength = 1 + np.indices(SHAPE)[0] * 0.01
        image = SpectralImage(ramp(), wavelength=wavelength)
        assert_allclose(image.wavelength_along(np.full(8, -5.0)), 1.0)
        assert_allclose(image.wavelength_along(np.full(8, 99.0)), 1.04)

    def test_nearest_good_row_serves_beside_missing_ones(self):
        wavelength = 1 + np.indices(SHAPE)[0] * 0.01
        wavelength[3:] = np.nan
        image = SpectralImage(ramp(), wavelength=wavelength)
        assert_allclose(image.wavelength_along(np.full(8, 2.4)), 1.02)

    def test_column_without_any_wavelength_is_nan(self):
        wavelength = np.ones(SHAPE)
        wavelength[:, 3] = np.nan
        along = SpectralImage(ramp(), wavelength=wavelength).wavelength_along(np.full(8, 2.0))
        assert_array_equal(np.isnan(along), np.arange(8) == 3)

    def test_trace_that_is_nan_does_not_spoil_other_columns(self):
        wavelength = 1 + np.indices(SHAPE)[0] * 0.01
        trace = np.full(8, 2.0)
        trace[4] = np.nan
        along = SpectralImage(ramp(), wavelength=wavelength).wavelength_along(trace)
        assert_allclose(np.delete(along, 4), 1.02)

    def test_one_row(self):
        image = SpectralImage(np.ones((1, 4)), wavelength=np.ones((1, 4)))
        assert_allclose(image.wavelength_along(np.full(4, 0.3)), 1)


def test_repr_says_what_it_is(image):
    text = repr(image)
    for part in ("'slit'", "5 x 8", "MJy / sr", "12.5% masked", "1 to 2 um"):
        assert part in text
    assert "no variance" in repr(SpectralImage(ramp()))


class TestExposure:
    def images(self):
        return [SpectralImage(ramp() * k, name=f"s{k}") for k in (1, 2, 3)]

    def test_is_a_mapping_in_order(self):
        exposure = Exposure(self.images(), instrument="I", source="S")
        assert list(exposure) == ["s1", "s2", "s3"]
        assert len(exposure) == 3
        assert exposure["s2"].data[0, 1] == 2
        assert (exposure.instrument, exposure.source) == ("I", "S")

    def test_map_makes_a_new_exposure(self):
        exposure = Exposure(iter(self.images()), instrument="I", source="S")
        doubled = exposure.map(lambda image: image.replace(data=2 * image.data))
        assert_array_equal(doubled["s3"].data, 6 * ramp())
        assert_array_equal(exposure["s3"].data, 3 * ramp())
        assert (doubled.instrument, doubled.source) == ("I", "S")

    def test_unknown_name_lists_the_known(self):
        with pytest.raises(KeyError, match="s1"):
            Exposure(self.images())["nothing"]

    def test_single_image(self):
        assert Exposure(self.images()[:1]).single.name == "s1"
        with pytest.raises(ValueError, match="3"):
            Exposure(self.images()).single  # noqa: B018

    def test_refuses_repeated_names(self):
        with pytest.raises(ValueError, match="s1"):
            Exposure([*self.images(), self.images()[0]])

    @pytest.mark.parametrize(("images", "error"), [([], ValueError), ([ramp()], TypeError)])
    def test_refuses_what_are_no_images(self, images, error):
        with pytest.raises(error, match="images"):
            Exposure(images)

    def test_repr_names_every_image(self):
        assert "s2" in repr(Exposure(self.images()))

    def test_can_be_pickled(self):
        exposure = pickle.loads(pickle.dumps(Exposure(self.images())))
        assert list(exposure) == ["s1", "s2", "s3"]
