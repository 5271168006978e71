"""Simulated nods: exposures of one source that was moved along a slit with tilted lines."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from ..dithers import Dithers
from ..models import GaussianProfile
from ..spectral_image import SpectralImage

__all__ = ["NodTruth", "make_nods"]

FIRST, STEP = 1.0, 0.002  # of the wavelengths, in micron
LSF = 0.9


@dataclass(frozen=True, eq=False)
class NodTruth:
    """What was put into simulated nods.

    Attributes
    ----------
    wavelength, flux : ndarray, shape (n_column,)
        The spectrum of the source: wavelengths in micron, and electrons per column.
    rows, sigmas, skies : ndarray, shape (n_exposure,)
        Row of the source, standard deviation of its profile in pixels, and level of the sky
        relative to that of the first exposure.
    shifts : ndarray, shape (n_exposure,)
        By how many columns the light has moved against the wavelengths told.
    """

    wavelength: np.ndarray
    flux: np.ndarray
    rows: np.ndarray
    sigmas: np.ndarray
    skies: np.ndarray
    shifts: np.ndarray


def make_nods(
    *, seed=0, n_exposures=3, shape=(36, 400), snr=5.0, nod=8.0, tilt=0.08, flexure=0.15, sky=60.0,
    read_noise=4.0, hit_fraction=1e-3, bad_fraction=0.003,
):  # fmt: skip
    """Simulate exposures of one source, nodded along a slit with tilted lines of the sky.

    Seeing and level of the sky are others in each.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    n_exposures : int
        Number of exposures.
    shape : tuple of int
        Rows and columns.
    snr : float
        Signal-to-noise ratio of the continuum in the brightest pixel of a column.
    nod : float
        Distance of neighbouring positions, in rows.
    tilt : float
        Columns by which a line moves from one row to the next.
    flexure : float
        Largest shift of the light against the wavelengths, in columns; none in the first exposure.
    sky, read_noise : float
        Electrons of the continuum of the sky in a pixel, and standard deviation of the read noise.
    hit_fraction, bad_fraction : float
        Fractions of pixels with unflagged cosmic rays, and of flagged bad pixels.

    Returns
    -------
    nods : `~specmodels.Dithers`
        Electrons with variances, masks, and a wavelength in each pixel.
    truth : NodTruth
        What was put in.
    """
    rng = np.random.default_rng(seed)
    n_row, n_column = shape
    y, x = np.mgrid[:n_row, :n_column].astype(float)
    emission = rng.uniform(0, n_column, 6), rng.uniform(1, 5, 6)
    night = rng.uniform(0, n_column, n_column // 12), 20 * rng.random(n_column // 12) ** 3
    level = snr * np.sqrt(sky + read_noise**2) * 3.2

    def star(p):
        return level * (1 + 0.2 * np.sin(p / 50) + _lines(p, *emission))

    steps = np.arange(n_exposures) - (n_exposures - 1) / 2
    rows = (n_row - 1) / 2 + nod * steps + rng.uniform(-0.5, 0.5, n_exposures)
    sigmas, skies = rng.uniform(1.2, 1.5, n_exposures), rng.uniform(0.8, 1.2, n_exposures)
    shifts = rng.uniform(-flexure, flexure, n_exposures)
    skies[0], shifts[0] = 1.0, 0.0
    images = []
    for number in range(n_exposures):
        told = x - tilt * (y - n_row / 2)
        p = told - shifts[number]
        profile = GaussianProfile().evaluate(y, rows[number] + 0.002 * x, sigmas[number])
        light = star(p) * profile + skies[number] * sky * (1 + _lines(p, *night))
        bad, struck = rng.random(shape) < bad_fraction, rng.random(shape) < hit_fraction
        data = rng.poisson(light) + rng.normal(0, read_noise, shape)
        data += np.where(struck, 30 * read_noise * (1 + rng.pareto(1.5, shape)), 0.0)
        images.append(SpectralImage(
            np.where(bad, np.nan, data), mask=bad, unit=u.electron, name=f"nod {number + 1}",
            wavelength=FIRST + STEP * told, wavelength_unit=u.um,
            components={"read": np.full(shape, read_noise**2), "poisson": light},
        ))  # fmt: skip
    columns = np.arange(n_column, dtype=float)
    truth = NodTruth(FIRST + STEP * columns, star(columns), rows, sigmas, skies, shifts)
    return Dithers(images), truth


def _lines(p, centers, heights):
    """Lines as wide as the spectrograph makes them, averaged over pixels."""
    total = np.zeros(np.shape(p))
    for center, height in zip(centers, heights, strict=True):
        total += height * GaussianProfile().evaluate(p, center, LSF)
    return total
