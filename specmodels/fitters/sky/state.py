"""One slit during the fit of a sky: which of its pixels count, with what variances."""

from dataclasses import dataclass, field

import numpy as np

from ...numerics.bsplines import LocalBasis
from ...numerics.robust import MAD_TO_SIGMA
from .fit import SlitFit
from .slits import follows_noise, smooth_poisson

__all__ = ["SlitState"]

# The share of pixels whose coming and going makes no difference.
NEGLIGIBLE = 1e-4


@dataclass
class SlitState:
    """One slit during the fit.

    Attributes
    ----------
    pixels : `~specmodels.fitters.SkyPixels`
    breaks : ndarray, shape (n_break,)
        Breakpoints of the spline.
    factor, error, chi2, misfit : float, float, float, (float, float)
        How it fits: see `~specmodels.fitters.SlitFit` and `misfit_of`.
    inside, use : ndarray of bool, shape (n_pixel,)
        Pixels that have not been left out for good, and those of them that are no outliers.
    """

    pixels: object
    breaks: np.ndarray
    factor: float = 1.0
    error: float = 0.0
    chi2: float = 0.0
    misfit: tuple = (np.nan, 1.0)
    basis: LocalBasis = field(init=False)
    variance: np.ndarray = field(init=False)
    use: np.ndarray = field(init=False)
    equations: object = field(default=None, init=False)
    follows_noise: bool | None = field(default=None, init=False)
    kept: np.ndarray | None = field(default=None, init=False)

    def __post_init__(self):
        low, high = self.breaks[0], self.breaks[-1]
        wavelength = self.pixels.wavelength
        self.basis = LocalBasis.at(np.clip(wavelength, low, high), self.breaks)
        self.inside = (wavelength >= low) & (wavelength <= high)
        self.variance = self.pixels.variance
        self.scaled = self.pixels.data / self.pixels.throughput
        self.use = self.inside

    def update(self, use, variance):
        """Take these pixels with these variances; whether that makes a difference."""
        changed = np.count_nonzero(use != self.use) > NEGLIGIBLE * use.size
        if variance is not self.variance:
            changed |= not np.allclose(variance, self.variance, rtol=0.02)
        if changed:
            self.use, self.variance, self.equations = use, variance, None
        return changed

    def leave_out(self, which):
        """Leave out pixels for good."""
        self.inside = self.inside & ~which
        self.kept = ~which if self.kept is None else self.kept & ~which
        self.update(self.use & ~which, self.variance)

    def judged(self, judge, light):
        """What `misfit_of` or `local_misfit` say of the pixels that were not left out."""
        if self.kept is None:
            return judge(self.pixels, light, self.variance)
        return judge(self.pixels.take(self.kept), light[self.kept], self.variance[self.kept])

    def smoothed_variance(self, light):
        """Variances of the pixels; without the noise of the data where they follow it."""
        if not self.pixels.variance_known:
            return self._scatter_about(light)
        if self.follows_noise is None:
            self.follows_noise = follows_noise(self.pixels, light, self.use)
        if not self.follows_noise:
            return self.variance
        return smooth_poisson(self.pixels, light, self.use)

    def _scatter_about(self, light):
        """The same variance for all pixels, from their scatter about the model."""
        if not self.use.any():
            return self.variance
        gap = np.abs(self.pixels.data - light)[self.use]
        noise = MAD_TO_SIGMA * np.median(gap)
        return np.full(self.use.size, noise**2 if noise > 0 else self.variance[0])

    def own_equations(self):
        """Normal equations of the slit, for a factor of one, on the finest breakpoints."""
        if self.equations is None:
            weights = self.use * self.pixels.throughput**2 / self.variance
            n_terms = self.breaks.size + 2
            self.equations = self.basis.equations(self.scaled, weights, n_terms)
        return self.equations

    def summary(self, reason="", local=0.0):
        """The `SlitFit` of the slit."""
        n_used = int(self.use.sum())
        return SlitFit(float(self.factor), float(self.error), float(self.chi2), n_used,
                       self.pixels.size - n_used, float(self.misfit[0]), reason, local)  # fmt: skip
