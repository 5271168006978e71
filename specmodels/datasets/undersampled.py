"""An undersampled point source in a tilted slit, with its truth on finer rows."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from scipy.special import ndtr

from ..spectral_image import SpectralImage

__all__ = ["UndersampledTruth", "make_undersampled_slit"]

FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))
PIXEL = 0.1


@dataclass(frozen=True, eq=False)
class UndersampledTruth:
    """What was put into a simulated slit.

    Attributes
    ----------
    image : ndarray, shape (n_row, n_column)
        Light in each pixel, without noise.
    oversampled : ndarray, shape (factor * n_row, n_column)
        Light in each fine pixel, as surface brightness.
    native_response : ndarray, shape (factor * n_row, n_column)
        Light in a whole pixel, centred on each fine one.
    core : ndarray of bool, shape (factor * n_row, n_column)
        Fine pixels with more than a tenth of the light of the brightest in their column.
    hits : ndarray of bool, shape (n_row, n_column)
        Pixels struck by cosmic rays, which are not flagged.
    flux : ndarray, shape (n_source, n_column)
        Light of each source, in units of a pixel.
    """

    image: np.ndarray
    oversampled: np.ndarray
    native_response: np.ndarray
    core: np.ndarray
    hits: np.ndarray
    flux: np.ndarray


def make_undersampled_slit(
    *, seed=0, rng=None, shape=(32, 600), fwhm=(1.0, 1.5), positions=(0.13,), fluxes=(1.0,),
    snr=100.0, tilt=6.0, diffuse=0.02, wing=0.1, factor=2, hit_fraction=2e-4, bad_fraction=0.005,
):  # fmt: skip
    """Simulate a slit whose image of a point source is not resolved by its pixels.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    shape : tuple of int
        Rows and columns.
    fwhm : tuple of float
        Full width at half maximum of the core in the first and the last column, in pixels.
    positions, fluxes : tuple of float
        Places of sources in arcsec (a pixel is 0.1), and their light relative to each other. A
        negative one is the first source in a nod that was subtracted, with the same spectrum.
    snr : float
        Signal-to-noise ratio of the brightest pixels.
    tilt : float
        Rows by which the slit moves from the first to the last column.
    diffuse : float
        Light between the sources relative to the peak; it rises along the slit.
    wing : float
        Fraction of the light in a Gaussian of three times the width.
    factor : int
        Fine rows of the truth for each row.
    hit_fraction, bad_fraction : float
        Fractions of pixels with unflagged cosmic rays, and of flagged bad pixels.

    Returns
    -------
    image : `~specmodels.SpectralImage`
        Surface brightness with variance, mask, wavelengths in micron, and positions in arcsec.
    truth : UndersampledTruth
    """
    rng = np.random.default_rng(seed if rng is None else rng)
    n_row, n_column = shape
    fraction = np.linspace(0, 1, n_column)
    sigma = FWHM_TO_SIGMA * (fwhm[0] + (fwhm[1] - fwhm[0]) * fraction)
    rows = np.arange(n_row)[:, None]
    place = rows - 0.5 * (n_row - 1) - tilt * (fraction - 0.5)
    first = _spectrum(fraction, rng)
    own = [first, *(_spectrum(fraction, rng) for _ in fluxes[1:])]
    flux = np.array([f * (s if f > 0 else first) for f, s in zip(fluxes, own, strict=True)])
    fine_rows = (np.arange(factor * n_row)[:, None] + 0.5) / factor - 0.5
    fine = fine_rows - 0.5 * (n_row - 1) - tilt * (fraction - 0.5)

    def light(at, size):
        total = diffuse * (1 + at / n_row)
        for center, own in zip(positions, flux, strict=True):
            total = total + own * _profile(at - center / PIXEL, size, sigma, wing)
        return total

    image, oversampled = light(place, 1.0), light(fine, 1 / factor)
    peak = np.percentile(np.abs(image), 99.9)
    electrons = snr**2 / peak
    variance = np.abs(image) / electrons + (0.1 * peak / snr) ** 2
    data = image + np.sqrt(variance) * rng.normal(size=shape)
    hits = rng.random(shape) < hit_fraction
    data = data + np.where(hits, 0.3 * peak * (1 + rng.pareto(1.5, shape)), 0)
    mask = rng.random(shape) < bad_fraction
    slit = SpectralImage(
        np.where(mask, np.nan, data), variance=variance, mask=mask, spatial=PIXEL * place,
        wavelength=1.0 + 0.8 * fraction, wavelength_unit=u.um, unit=u.MJy / u.sr, name="slit",
    )  # fmt: skip
    core = np.abs(oversampled) > 0.1 * np.abs(oversampled).max(axis=0)
    return slit, UndersampledTruth(image, oversampled, light(fine, 1.0), core, hits, flux)


def _profile(distance, size, sigma, wing):
    """Mean density over pixels of a Gaussian with wings."""

    def within(width):
        upper, lower = (ndtr((distance + half) / width) for half in (size / 2, -size / 2))
        return (upper - lower) / size

    return (1 - wing) * within(sigma) + wing * within(3 * sigma)


def _spectrum(fraction, rng, n_lines=5):
    spectrum = 1 + rng.uniform(-0.4, 0.4) * (2 * fraction - 1)
    centers, heights = rng.uniform(0.05, 0.95, n_lines), rng.uniform(-0.4, 1.5, n_lines)
    for center, height in zip(centers, heights, strict=True):
        spectrum += height * np.exp(-0.5 * ((fraction - center) / 0.005) ** 2)
    return np.maximum(spectrum, 0.05)
