"""One pass over the pixels of a slit: a profile by scales, and scales by the profile."""

from dataclasses import dataclass, replace

import numpy as np

from .fit import WindowedFit
from .layout import Layout
from .pixels import WindowPixels

__all__ = ["WindowPass", "better_pass"]

# Finer knots have to lower the cross-validation by this much.
LEAST_GAIN = 1e-3


@dataclass(frozen=True, eq=False)
class WindowPass:
    """A layout with its penalty, and what one pass over the pixels has found with it."""

    image: object
    pixels: WindowPixels
    layout: Layout
    covered: np.ndarray
    smoothing: float | None
    values: np.ndarray
    kept: np.ndarray
    covariance: np.ndarray | None = None
    shape: np.ndarray | None = None
    coefficients: np.ndarray | None = None
    factor: np.ndarray | None = None
    system: object = None
    roughness: np.ndarray | None = None
    near: float | None = None

    def on(self, layout, smoothing):
        """The same scales on another layout, where it is not known how rough the profile is."""
        covered = self.pixels.covered(layout)
        return replace(
            self, layout=layout, covered=covered, smoothing=smoothing, roughness=None, near=None
        )

    @property
    def chi2(self):
        """Mean square of the residuals of the pixels that are kept, in standard deviations."""
        return np.mean(self._squares[self.kept])

    @property
    def _squares(self):
        pixels = self.pixels
        model = self.values[0][pixels.columns] * self.shape + pixels.ground(self.values)
        return pixels.weights * (pixels.data - model) ** 2

    def cross_validation(self, kept):
        """Generalised cross-validation of those of the pixels that are kept."""
        n_data, n_other = np.count_nonzero(kept), 3 * self.pixels.n_columns
        n_free = n_data - n_other - self.system.freedom(self.smoothing)
        return n_data * self._squares[kept].sum() / n_free**2 if n_free > 0 else np.inf

    @property
    def fit(self):
        """The result."""
        return WindowedFit(
            image=self.image, layout=self.layout, coefficients=self.coefficients,
            values=self.values, column_covariance=self.covariance, pixels=self.pixels,
            shape=self.shape, kept=self.kept, system=self.system, factor=self.factor,
            smoothing=self.smoothing,
        )  # fmt: skip


def better_pass(wide, fine):
    """Of two passes the one with the lower cross-validation; fine knots have to gain by it."""
    kept = wide.kept & fine.kept
    limit = fine.cross_validation(kept) * (1 + LEAST_GAIN)
    return wide if wide.cross_validation(kept) <= limit else fine
