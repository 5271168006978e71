"""Simulated time series of a spectrum: a transit, a trace that moves, and seeing that changes.

Each integration is drawn when it is asked for, the same for the same seed.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u

from ..models import GaussianProfile
from ..spectral_image import SpectralImage
from ..time_series import LazyImages, TimeSeries

__all__ = ["TimeSeriesTruth", "make_time_series"]

HALO, HALO_WIDTH = 0.08, 3.0


@dataclass(frozen=True, eq=False)
class TimeSeriesTruth:
    """What was put into a simulated time series.

    Attributes
    ----------
    flux : ndarray, shape (n_integration, n_column)
        Counts of the star.
    shift : ndarray, shape (n_integration,)
        Row of the trace less its mean over the integrations.
    stretch : ndarray, shape (n_integration,)
        Width of the profile over its mean over the integrations, less one.
    trace, sigma : ndarray, shape (n_column,)
        Row of the mean trace, and standard deviation of the core of the mean profile.
    sky : ndarray, shape (n_integration, n_column)
        Counts of the sky in a pixel.
    read_noise : float
        Standard deviation of the read noise.
    hit_fraction : float
        Fraction of pixels that are hit.
    """

    flux: np.ndarray
    shift: np.ndarray
    stretch: np.ndarray
    trace: np.ndarray
    sigma: np.ndarray
    sky: np.ndarray
    read_noise: float
    hit_fraction: float

    def light(self, i, y):
        """Light of integration `i` without noise, rows `y`, shape (n_row, n_column)."""
        gaussian, rows = GaussianProfile(), np.asarray(y, dtype=float)[:, None]
        center, sigma = self.trace + self.shift[i], self.sigma * (1 + self.stretch[i])
        profile = (1 - HALO) * gaussian.evaluate(rows, center, sigma)
        profile += HALO * gaussian.evaluate(rows, center, HALO_WIDTH * sigma)
        return self.flux[i] * profile + self.sky[i]

    def hits(self, i, shape, seed):
        """Counts of hits in each pixel of integration `i`, mostly zero."""
        rng = np.random.default_rng([seed, i, 1])
        struck = rng.random(shape) < self.hit_fraction
        return np.where(struck, 25 * self.read_noise * (1 + rng.pareto(1.5, shape)), 0.0)


def make_time_series(
    *, seed=0, rng=None, n_integrations=30, shape=(40, 200), snr=100.0, depth=0.01, motion=0.05,
    seeing=0.03, sky=20.0, read_noise=8.0, sigma=1.3, curvature=2.0, hit_fraction=5e-4,
    bad_fraction=0.003,
):  # fmt: skip
    """Simulate a transit of a star seen through a slitless or long-slit spectrograph.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    n_integrations : int
        Number of integrations.
    shape : tuple of int
        Rows and columns.
    snr : float
        Signal-to-noise ratio of the flux of the median column of an integration.
    depth : float
        Depth of the transit in the first column; it is a half larger in the last.
    motion : float
        Standard deviation of the row of the trace, in pixels: a drift and jitter.
    seeing : float
        Relative standard deviation of the width of the profile, likewise.
    sky, read_noise : float
        Counts of the sky in each pixel, and the standard deviation of the read noise.
    sigma : float
        Standard deviation of the core of the profile in the first column, in pixels.
    curvature : float
        How far the trace bends, in pixels.
    hit_fraction, bad_fraction : float
        Fractions of pixels with unflagged cosmic rays in an integration, and of pixels that are bad
        in all of them.

    Returns
    -------
    series : `~specmodels.TimeSeries`
        Counts with variances; times are in days.
    truth : TimeSeriesTruth
        What was put in.
    """
    if rng is not None:
        seed = int(np.random.default_rng(rng).integers(2**31))
    rng = np.random.default_rng(seed)
    n_row, n_column = shape
    fraction, phase = np.linspace(0, 1, n_column), np.linspace(-1, 1, n_integrations)
    trace = 0.5 * (n_row - 1) + curvature * ((2 * fraction - 1) ** 2 - 0.5) + rng.uniform(-0.5, 0.5)
    spectrum = (1 + 0.3 * np.sin(5 * fraction)) * (
        1 - 0.4 * np.exp(-0.5 * ((fraction - 0.6) / 0.01) ** 2)
    )
    level = 0.5 * snr * (snr + np.sqrt(snr**2 + 4 * 4 * sigma * (sky + read_noise**2)))
    transit = 1 / (1 + np.exp((np.abs(phase) - 0.5) / 0.02))
    dip = 1 - depth * (1 + 0.5 * fraction) * transit[:, None]
    truth = TimeSeriesTruth(
        flux=level * spectrum * dip,
        shift=_wander(rng, motion, n_integrations),
        stretch=_wander(rng, seeing, n_integrations),
        trace=trace,
        sigma=sigma * (1 + 0.2 * fraction),
        sky=sky * (1 + 0.1 * phase[:, None]) * (1 + 0.3 * fraction),
        read_noise=read_noise,
        hit_fraction=hit_fraction,
    )
    bad = rng.random(shape) < bad_fraction

    def integration(i):
        light = truth.light(i, np.arange(n_row))
        own = np.random.default_rng([seed, i])
        data = own.poisson(light) + own.normal(0, read_noise, shape) + truth.hits(i, shape, seed)
        return SpectralImage(
            np.where(bad, np.nan, data), mask=bad, unit=u.count, wavelength=1 + 4 * fraction,
            wavelength_unit=u.um, name="series",
            components={"read": np.full(shape, read_noise**2), "poisson": light},
        )  # fmt: skip

    times = 0.1 * phase
    return TimeSeries(LazyImages(n_integrations, integration), times=times), truth


def _wander(rng, size, n):
    """A drift with jitter, mean zero, of a standard deviation."""
    values = np.linspace(-1, 1, n) * rng.uniform(0.5, 1) + 0.5 * rng.normal(size=n)
    values -= values.mean()
    spread = values.std()
    return size * values / spread if spread > 0 else 0 * values
