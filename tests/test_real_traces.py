"""Trace models of real lamp exposures of NIRSpec, with their bad pixels."""

import numpy as np
import pytest
from astropy.io import fits

import specmodels as sm


def lamp(folder, pattern):
    """Image, and map of the pixels within the slit."""
    (path,) = folder.glob(pattern)
    with fits.open(path) as hdus:
        data, variance, wavelength, position = (
            hdus[name].data.astype(float) for name in ("DATA1", "VAR1", "LAMBDA1", "SLITY1")
        )
        bad = hdus["QUALITY1"].data != 0
    inside = (wavelength > 0) & np.isfinite(position)
    image = sm.SpectralImage(
        data, variance=variance, mask=bad | ~inside, spatial=np.where(inside, position, np.nan),
        wavelength=np.where(inside, 1e6 * wavelength, np.nan), wavelength_unit="um",
    )  # fmt: skip
    return image, inside.astype(int)


@pytest.mark.parametrize("pattern", ["Trace_IFU*JLAB88*", "Trace_SLIT*"])
def test_held_out_pixels_are_predicted_within_their_errors(shared_data, pattern):
    image, regions = lamp(shared_data / "ifu", pattern)
    rng = np.random.default_rng(0)
    held = ~image.mask & (rng.random(image.shape) < 0.02)
    replace = sm.PixelReplacement(regions=regions)
    result = replace(image.replace(mask=image.mask | held))
    error = (result.data - image.data)[held]
    pulls = error / np.sqrt(result.variance + image.variance)[held]
    neighbours = 0.5 * (np.roll(image.data, 1, axis=0) + np.roll(image.data, -1, axis=0))
    assert np.isfinite(error).all()
    assert 0.7 < 1.4826 * np.median(np.abs(pulls)) < 1.4
    assert np.median(np.abs(error)) < 0.8 * np.nanmedian(np.abs(neighbours - image.data)[held])


@pytest.mark.parametrize("pattern", ["Trace_IFU*JLAB88*", "Trace_SLIT*"])
def test_oversampled_lamp_keeps_its_light(shared_data, pattern):
    image, regions = lamp(shared_data / "ifu", pattern)
    result = sm.TraceOversampling(regions=regions)(image)
    assert result.fits
    good = ~image.mask
    pairs = 0.5 * (result.data[::2] + result.data[1::2])
    assert abs(np.median(pairs[good] / image.data[good]) - 1) < 0.01
    assert abs(pairs[good].sum() / image.data[good].sum() - 1) < 0.01
    assert np.isfinite(result.data[result.regions > 0]).mean() > 0.98


def test_real_slitlet_keeps_its_light_and_its_coordinates(shared_data):
    path = sorted((shared_data / "mos").glob("*_phot*.fits"))[0]
    result = sm.TraceOversampling()(path)
    image = result.sliced.image
    assert result.fits
    good = ~image.mask & (result.sliced.regions > 0) & ~result.estimated[::2]
    pairs = 0.5 * (result.data[::2] + result.data[1::2])
    # Chosen by the model: pixels chosen by their data would be those with upward noise.
    with np.errstate(invalid="ignore"):
        bright = good & (result.trace**2 > 9 * image.variance)
    assert bright.sum() > 500
    assert abs(pairs[bright].sum() / image.data[bright].sum() - 1) < 0.01
    out = result.to_source()
    y, x = np.nonzero(np.isfinite(np.asarray(out.wavelength)))
    wavelength = out.meta.wcs(x + 0.0, y + 0.0)[2]
    known = np.isfinite(wavelength)
    assert known.mean() > 0.97
    np.testing.assert_allclose(wavelength[known], out.wavelength[y, x][known], atol=1e-5)


def test_nothing_is_made_up_between_the_pixels_of_a_real_slitlet(shared_data):
    """Each row sees hardly more than one phase, with the errors of its flat."""
    for path in sorted((shared_data / "mos").glob("*_phot*.fits")):
        result = sm.TraceOversampling()(path)
        fine = result.oversampled_trace
        around = 0.5 * (fine[2:] + fine[:-2])
        ripple = np.abs(fine[1:-1] - around) / np.abs(fine[1:-1])
        assert np.nanmedian(ripple) < 0.07


def test_halves_of_the_pixels_of_a_lamp_lit_slice_hardly_differ(shared_data):
    """Where the slice does not move against the pixels, structure within them is not known."""
    (path,) = (shared_data / "ifu").glob("Trace_IFU*jlab85*")
    with fits.open(path) as hdus:
        data, variance, position = (
            hdus[name].data.astype(float) for name in ("DATA2", "VAR2", "SLITY2")
        )
        mask = (hdus["QUALITY2"].data != 0) | ~np.isfinite(position) | ~(variance > 0)
    image = sm.SpectralImage(data, variance=np.where(mask, 1, variance), mask=mask,
                             spatial=position)  # fmt: skip
    result = sm.TraceOversampling(regions=np.isfinite(position).astype(int))(image)
    halves = 0.5 * (result.data[::2] - result.data[1::2])
    for columns in np.array_split(np.arange(data.shape[1]), 5):
        good = np.isfinite(halves[:, columns]) & ~mask[:, columns]
        contrast = halves[:, columns][good].std() / np.median(data[:, columns][good])
        assert contrast < 0.05
    assert result.report()["reason"][0].startswith("chi2/dof")


def test_light_of_a_slice_that_grows_along_it_leaves_no_comb(shared_data):
    """Halves of pixels differ by what their neighbours say, within 3 per cent of the light."""
    image, regions = lamp(shared_data / "ifu", "Trace_IFU*jlab85*")
    result = sm.TraceOversampling(regions=regions)(image)
    halves = 0.5 * (result.data[::2] - result.data[1::2])
    data = np.where(image.mask, np.nan, image.data)
    for columns in np.array_split(np.arange(data.shape[1]), 5):
        rows = np.isfinite(data[:, columns]).any(axis=1) & np.isfinite(halves[:, columns]).any(
            axis=1
        )
        light = np.nanmedian(data[rows][:, columns], axis=1)
        expected = (light[:-2] - light[2:]) / 8
        comb = np.nanmedian(halves[rows][1:-1, columns], axis=1) - expected
        assert comb.std() < 0.03 * np.median(light)


def test_dead_rows_at_the_end_of_a_slice_are_not_made_up(shared_data):
    """Next to no column sees their positions: what is filled is no brighter than the slice."""
    image, regions = lamp(shared_data / "ifu", "Trace_IFU*jlab85*")
    dead = np.zeros(image.shape, bool)
    dead[:2] = ~image.mask[:2]
    result = sm.PixelReplacement(regions=regions)(image.replace(mask=image.mask | dead))
    filled = dead & np.isfinite(result.data)
    light = np.nanmedian(image.data[~image.mask])
    error = np.abs(result.data - image.data)[filled]
    assert error.max() < 2 * light
    variance = (result.variance + image.variance)[filled]
    assert 0.7 < 1.4826 * np.median(error / np.sqrt(variance)) < 1.4
