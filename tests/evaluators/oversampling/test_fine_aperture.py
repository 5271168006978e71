"""Spectra of apertures along a slit, against sums of the truth and of pixels."""

import numpy as np
import pytest
from astropy import units as u

import specmodels as sm

SIZE = 0.1


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_undersampled_slit(seed=1, shape=(26, 400), factor=40)


@pytest.fixture(scope="module")
def result(slit):
    return sm.TraceOversampling()(slit[0])


def true_sum(slit, center, size):
    """Sum of the fine truth between two positions, in native pixels."""
    image, truth = slit
    native = np.arange(image.shape[0])
    fine = (np.arange(len(truth.oversampled)) + 0.5) / 40 - 0.5
    places = np.array([np.interp(fine, native, column) for column in image.spatial.T]).T
    step = (image.spatial[1] - image.spatial[0]).mean()
    places += (fine - np.clip(fine, 0, native[-1]))[:, None] * step
    inside = np.clip(0.5 + (size / 2 - np.abs(places - center)) * 40 / step, 0, 1)
    return (truth.oversampled * inside).sum(axis=0) / 40


@pytest.mark.parametrize("size", [0.1, 0.25, 0.7])
@pytest.mark.parametrize("residual", [sm.SignificantResidual(), sm.FullResidual()])
def test_light_and_its_error(slit, size, residual):
    found = sm.TraceOversampling(residual=residual)(slit[0]).aperture_spectrum("1", size, 0.13)
    true = true_sum(slit, 0.13, size)
    assert found.flux.shape == true.shape
    pulls = (found.flux.value - true) / found.uncertainty.array
    assert 0.85 < np.std(pulls) < 1.15
    assert abs(np.median(found.flux.value / true) - 1) < 3e-3


def test_ground_can_be_left_out(slit, result):
    whole = result.aperture_spectrum("1", SIZE)
    source = result.aperture_spectrum("1", SIZE, subtract_ground=True)
    ground = result.fits["1"].ground(np.full(400, result.fits["1"].brightest))
    difference = (whole.flux - source.flux).value
    np.testing.assert_allclose(difference, ground * SIZE / 0.1, rtol=1e-6)


def test_spectral_axis_and_unit_are_those_of_the_image(slit, result):
    spectrum = result.aperture_spectrum("1", SIZE)
    assert spectrum.spectral_axis.unit == slit[0].wavelength_unit
    assert np.all(np.diff(spectrum.spectral_axis.value) > 0)
    jansky = sm.TraceOversampling()(slit[0].replace(unit="Jy"))
    assert jansky.aperture_spectrum("1", SIZE).flux.unit == u.Jy


def test_slice_without_positions():
    image, truth = sm.datasets.make_undersampled_slit(seed=1, shape=(26, 400), tilt=0)
    result = sm.TraceOversampling()(image.replace(spatial=None))
    spectrum = result.aperture_spectrum("1", 20.0, subtract_ground=True)
    assert abs(np.median(spectrum.flux.value / truth.flux[0]) - 1) < 0.03


def test_places_with_units(slit, result):
    plain = result.aperture_spectrum("1", SIZE, 0.13)
    with_unit = sm.TraceOversampling(spatial=slit[0].spatial * u.arcsec)(slit[0])
    for size, center in ((100 * u.mas, 0.13 * u.arcsec), (SIZE, 130 * u.mas)):
        found = with_unit.aperture_spectrum("1", size, center)
        np.testing.assert_allclose(found.flux.value, plain.flux.value, rtol=1e-9)
    with pytest.raises(ValueError, match="center: expected a length in units like arcsec, got 1"):
        with_unit.aperture_spectrum("1", SIZE, 1 * u.m)
    with pytest.raises(ValueError, match=r"size: expected a plain number, .*got 0\.1 arcsec"):
        result.aperture_spectrum("1", SIZE * u.arcsec)


def test_rows_are_pixels():
    image, _ = sm.datasets.make_undersampled_slit(seed=1, shape=(26, 100), tilt=0)
    result = sm.TraceOversampling()(image.replace(spatial=None))
    plain = result.aperture_spectrum("1", 4.0, 12.0)
    found = result.aperture_spectrum("1", 4 * u.pix, 12 * u.pix)
    np.testing.assert_array_equal(found.flux, plain.flux)


def test_apertures_that_cannot_be(slit, result):
    with pytest.raises(KeyError, match="no slice '9'"):
        result.aperture_spectrum("9", SIZE)
    for size in ("0.1", None, [0.1, 0.2]):
        with pytest.raises(TypeError, match="size: expected a number"):
            result.aperture_spectrum("1", size)
    with pytest.raises(ValueError, match="size: expected a number"):
        result.aperture_spectrum("1", np.nan)
    with pytest.raises(ValueError, match="size: expected a positive"):
        result.aperture_spectrum("1", 0.0)
    with pytest.raises(ValueError, match="in no column"):
        result.aperture_spectrum("1", SIZE, 9.0)
    plain = sm.TraceOversampling(fit_threshold=1e9)(slit[0])
    with pytest.raises(ValueError, match="expected one with a model"):
        plain.aperture_spectrum("1", SIZE)
