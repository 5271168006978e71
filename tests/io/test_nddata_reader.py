"""Reading objects in memory: arrays, NDData, CCDData, Spectrum."""

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from specutils import Spectrum

from specmodels.io import read

SHAPE = (5, 8)


@pytest.fixture
def data():
    return np.random.default_rng(1).normal(10, 1, SHAPE)


@pytest.fixture
def wavelength():
    return np.linspace(1, 2, SHAPE[1]) * u.um


def test_array_is_read_with_the_options_given(data, wavelength):
    image = read(data, variance=np.full(SHAPE, 4.0), wavelength=wavelength, name="a").single
    assert image.name == "a"
    assert image.wavelength_unit == u.um
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_array_equal(image.variance, 4.0)


def test_vertical_array_is_turned_with_all_arrays_given(data, wavelength):
    mask = data > 11
    image = read(
        data.T, dispersion_axis=-2, uncertainty=np.sqrt(data).T, mask=mask.T, wavelength=wavelength
    ).single
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.variance, data)
    np.testing.assert_array_equal(image.mask, mask)
    assert image.wavelength.shape == (8,)


@pytest.mark.parametrize("axis", [-1, 1])
def test_horizontal_axis_by_either_number(data, axis):
    assert read(data, dispersion_axis=axis).single.shape == SHAPE


def test_input_arrays_are_not_changed_and_stay_writeable(data):
    before = data.copy()
    image = read(data, variance=data).single
    assert data.flags.writeable
    assert not image.data.flags.writeable
    np.testing.assert_array_equal(data, before)


def test_masked_array_brings_its_mask_unless_the_user_gives_one(data):
    masked = np.ma.masked_greater(data, 11)
    np.testing.assert_array_equal(read(masked).single.mask, data > 11)
    assert not read(masked, mask=np.zeros(SHAPE, bool)).single.mask.any()


def test_quantity_and_masked_quantity_keep_their_unit(data):
    assert read(data * u.mJy).single.unit == u.mJy
    image = read(Masked(data * u.mJy, mask=data > 11)).single
    assert image.unit == u.mJy
    np.testing.assert_array_equal(image.mask, data > 11)


@pytest.mark.parametrize("dtype", [">f4", ">i2", "<f8", "uint16", "f4"])
def test_any_real_dtype_is_read(dtype):
    assert read(np.ones(SHAPE, dtype=dtype)).single.data.dtype.isnative


@pytest.mark.parametrize(
    "uncertainty",
    [
        lambda var, unit: StdDevUncertainty(np.sqrt(var), unit=unit),
        lambda var, unit: VarianceUncertainty(var, unit=unit and unit**2),
        lambda var, unit: InverseVariance(1 / var, unit=unit and unit**-2),
    ],
)
@pytest.mark.parametrize("unit", [None, u.Jy])
def test_every_kind_of_uncertainty_becomes_a_variance(data, uncertainty, unit):
    var = np.abs(data) + 1
    image = read(NDData(data, uncertainty=uncertainty(var, unit), unit=unit)).single
    np.testing.assert_allclose(image.variance, var)
    given = read(data if unit is None else data * unit, uncertainty=uncertainty(var, unit))
    np.testing.assert_allclose(given.single.variance, var)


def test_uncertainty_in_another_unit_is_converted(data):
    uncertainty = StdDevUncertainty(np.full(SHAPE, 2.0), unit=u.mJy)
    nddata = NDData(data, uncertainty=uncertainty, unit=u.Jy)
    np.testing.assert_allclose(read(nddata).single.variance, 4e-6)


def test_zero_inverse_variance_masks(data):
    ivar = np.ones(SHAPE)
    ivar[2, 3] = 0
    image = read(NDData(data, uncertainty=InverseVariance(ivar))).single
    assert image.mask[2, 3]
    assert image.mask.sum() == 1


def test_unknown_uncertainty_raises_unless_the_user_gives_one(data):
    nddata = NDData(data, uncertainty=UnknownUncertainty(np.ones(SHAPE)))
    with pytest.raises(ValueError, match=r"uncertainty.*UnknownUncertainty"):
        read(nddata)
    assert read(nddata, variance=np.ones(SHAPE)).single.variance[0, 0] == 1


def test_ccddata_mask_unit_and_meta_are_read(data):
    ccd = CCDData(data, unit="adu", mask=data > 11, meta={"OBJECT": "x"})
    image = read(ccd).single
    assert image.unit == u.adu
    assert image.meta["OBJECT"] == "x"
    np.testing.assert_array_equal(image.mask, data > 11)


def test_ccddata_with_spectral_wcs_gives_wavelengths_and_axis(data):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["LINEAR", "WAVE"]
    wcs.wcs.cunit = ["arcsec", "um"]
    wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = [1, 1], [0, 1.5], [0.1, 0.01]
    image = read(CCDData(data.T, unit="adu", wcs=wcs)).single
    assert image.shape == SHAPE
    values = (image.wavelength * image.wavelength_unit).to_value(u.um)
    np.testing.assert_allclose(values, 1.5 + 0.01 * np.arange(8))


def test_nddata_with_a_sky_wcs_has_no_wavelengths(data):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    assert read(NDData(data, wcs=wcs)).single.wavelength is None
    assert read(NDData(data, wcs=SlicedLowLevelWCS(wcs, np.s_[:, 1:]))).single.shape == SHAPE


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_spectrum_is_read_whichever_axis_is_spectral(data, wavelength, index, kind):
    flux = data if index == 1 else data.T
    spectrum = Spectrum(
        flux=flux * u.mJy, spectral_axis=wavelength, spectral_axis_index=index,
        uncertainty=kind(np.ones(flux.shape)), mask=flux > 11, meta={"note": 1},
    )  # fmt: skip
    image = read(spectrum).single
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.variance, 1)
    np.testing.assert_array_equal(image.mask, data > 11)
    np.testing.assert_allclose(image.wavelength, wavelength.value)
    assert (image.unit, image.wavelength_unit) == (u.mJy, u.um)


def test_spectrum_with_descending_frequencies_is_read(data):
    axis = np.linspace(300, 200, 8) * u.THz
    image = read(Spectrum(flux=data * u.Jy, spectral_axis=axis)).single
    np.testing.assert_allclose(image.wavelength, axis.value)


@pytest.mark.parametrize("shape", [(8,), (2, 5, 8)])
def test_spectrum_of_other_dimensions_raises(shape, wavelength):
    spectrum = Spectrum(flux=np.ones(shape) * u.Jy, spectral_axis=wavelength)
    with pytest.raises(ValueError, match="two-dimensional Spectrum"):
        read(spectrum)


@pytest.mark.parametrize("shape", [(), (8,), (2, 5, 8), (0, 3)])
def test_array_of_other_dimensions_raises(shape):
    with pytest.raises(ValueError, match="data: expected"):
        read(np.ones(shape))
    with pytest.raises(ValueError, match="data: expected"):
        read(NDData(np.ones(shape)))
