"""Small simulated inputs with their truth, for examples, tutorials, tests and benchmarks.

Nothing is read or fetched: the light and the noise are drawn here, the same for the same seed.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from ..models import GaussianProfile
from ..spectral_image import SpectralImage
from .flicker import FlickerTruth, make_flicker
from .nods import NodTruth, make_nods
from .slitless import SlitlessTruth, make_slitless
from .slitlets import SlitletTruth, make_slitlets
from .time_series import TimeSeriesTruth, make_time_series
from .undersampled import UndersampledTruth, make_undersampled_slit

__all__ = [
    "FlickerTruth",
    "make_flicker",
    "NodTruth",
    "make_nods",
    "SlitTruth",
    "SlitletTruth",
    "UndersampledTruth",
    "make_slit",
    "make_slitlets",
    "make_undersampled_slit",
    "SlitlessTruth",
    "make_slitless",
    "TimeSeriesTruth",
    "make_time_series",
]


@dataclass(frozen=True, eq=False)
class SlitTruth:
    """What was put into a simulated slit.

    Attributes
    ----------
    flux, trace : ndarray, shape (n_source, n_column)
        Flux of each source, and the row of its trace.
    profiles : ndarray, shape (n_source, n_row, n_column)
        Fraction of its light in each pixel.
    sky : ndarray, shape (n_row, n_column)
        Light of the sky.
    image : ndarray, shape (n_row, n_column)
        All light, without noise.
    hits : ndarray of bool, shape (n_row, n_column)
        Pixels struck by cosmic rays, which are not flagged.
    smallest_error : ndarray, shape (n_source, n_column)
        Cramér-Rao bound of the flux: profiles known, fluxes and the level of the sky free.
    """

    flux: np.ndarray
    trace: np.ndarray
    profiles: np.ndarray
    sky: np.ndarray
    image: np.ndarray
    hits: np.ndarray
    smallest_error: np.ndarray


def make_slit(
    *, seed=0, rng=None, shape=(40, 400), n_sources=1, separation=5.0, snr=30.0, sky=20.0,
    read_noise=5.0, curvature=3.0, width=(0.9, 1.3), wing=0.1, hit_fraction=0.002,
    bad_fraction=0.003,
):  # fmt: skip
    """Simulate a slit: curved traces whose width grows with wavelength, with wide wings, and sky.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    shape : tuple of int
        Rows and columns.
    n_sources : int
        Number of sources; each has half the light of the one before.
    separation : float
        Distance of neighbouring sources, in pixels.
    snr : float
        Signal-to-noise ratio of the brightest pixel of the first source, in the median column.
    sky, read_noise : float
        Counts of the sky in each pixel, and the standard deviation of the read noise.
    curvature : float
        How far the trace bends from end to end, in pixels.
    width : tuple of float
        Standard deviation of the core in the first and the last column, in pixels.
    wing : float
        Fraction of the light in a Gaussian of three times the width.
    hit_fraction, bad_fraction : float
        Fractions of pixels with unflagged cosmic rays, and of flagged bad pixels.

    Returns
    -------
    image : `~specmodels.SpectralImage`
        Counts, with read and Poisson variance, mask, and wavelengths in micron.
    truth : SlitTruth
        What was put in.
    """
    rng = np.random.default_rng(seed if rng is None else rng)
    n_row, n_column = shape
    fraction = np.linspace(0, 1, n_column)
    trace = _traces(n_row, fraction, n_sources, separation, curvature, rng)
    sigma = width[0] + (width[1] - width[0]) * fraction
    profiles = np.array([_profile(np.arange(n_row)[:, None], t, sigma, wing) for t in trace])
    peak = 0.5 * (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * (read_noise**2 + sky)))
    level = peak / np.median(profiles[0].max(axis=0)) * 0.5 ** np.arange(n_sources)
    flux = np.array([value * _spectrum(fraction, rng) for value in level])
    sky_image = np.broadcast_to(sky * _spectrum(fraction, rng, n_lines=8), shape)
    image = np.einsum("kx,kyx->yx", flux, profiles) + sky_image
    data, hits = _observed(image, read_noise, hit_fraction, rng)
    mask = rng.random(shape) < bad_fraction
    data = np.where(mask, np.nan, data)
    variance = image + read_noise**2
    slit = SpectralImage(
        data, mask=mask, unit=u.count, wavelength=1.0 + 0.8 * fraction, wavelength_unit=u.um,
        components={"read": np.full(shape, read_noise**2), "poisson": image}, name="slit",
    )  # fmt: skip
    error = _smallest_errors(profiles, variance, ~mask & ~hits)
    return slit, SlitTruth(flux, trace, profiles, sky_image, image, hits, error)


def _traces(n_row, fraction, n_sources, separation, curvature, rng):
    bend = curvature * ((2 * fraction - 1) ** 2 - 0.5) + 0.5 * curvature * (fraction - 0.5)
    offsets = separation * (np.arange(n_sources) - (n_sources - 1) / 2) + rng.uniform(-0.5, 0.5)
    return 0.5 * (n_row - 1) + bend + offsets[:, None]


def _profile(y, trace, sigma, wing):
    gaussian = GaussianProfile()
    core, halo = (gaussian.evaluate(y, trace, s) for s in (sigma, 3 * sigma))
    return (1 - wing) * core + wing * halo


def _spectrum(fraction, rng, n_lines=5):
    """Continuum with a slope and lines, mean near one."""
    spectrum = 1 + rng.uniform(-0.4, 0.4) * (2 * fraction - 1)
    for center, height in zip(rng.uniform(0.05, 0.95, n_lines), rng.uniform(-0.4, 1.5, n_lines),
                              strict=True):  # fmt: skip
        spectrum += height * np.exp(-0.5 * ((fraction - center) / 0.005) ** 2)
    return np.maximum(spectrum, 0.05)


def _observed(image, read_noise, hit_fraction, rng):
    data = rng.poisson(image) + rng.normal(0, read_noise, image.shape)
    hits = rng.random(image.shape) < hit_fraction
    return data + np.where(hits, 20 * read_noise * (1 + rng.pareto(1.5, image.shape)), 0), hits


def _smallest_errors(profiles, variance, usable):
    columns = np.concatenate([profiles, np.ones((1, *variance.shape))])
    weights = np.where(usable, 1 / variance, 0)
    information = np.einsum("ayx,byx,yx->xab", columns, columns, weights, optimize=True)
    return np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)).T[: len(profiles)]
