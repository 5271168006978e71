"""One integration of a time series: its fluxes, its movements, and the hits in it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...numerics.clipping import reject_by_column, relative_misfit
from ...numerics.moving_kernels import Pixels, judged, largest_excess, light_of, prepared
from ...numerics.robust import MAD_TO_SIGMA

__all__ = ["Integration", "IntegrationFitter"]

# The misfit of bright pixels and the scatter are judged in every eighth column.
STEP = 8
PROFILE_ERROR = 0.002
# A fit follows a pixel by itself where it leaves less than this part of its variance.
LEAST_FREEDOM = 0.02
# Hits are looked for once more where those found changed the movements so that a column changed by
# this part of its noise.
MAX_ROUNDS, SMALL_CHANGE = 3, 0.3


@dataclass(frozen=True, eq=False)
class Integration:
    """What was found in an integration.

    Attributes
    ----------
    fit : `~specmodels.numerics.moving_profiles.MovingFit`
    data : ndarray, shape (n_column, n_row)
        What was fitted: the pixels less what does not change.
    hits : ndarray of bool, same shape
        Pixels left out because they disagree with all other integrations.
    """

    fit: object
    data: np.ndarray
    hits: np.ndarray

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom; NaN without any."""
        return self.fit.chi2 / self.fit.dof if self.fit.dof > 0 else np.nan

    @property
    def residual(self):
        """Data less model, shape (n_column, n_row)."""
        return self.data - self.fit.model

    @property
    def used(self):
        """The pixels fitted, an array of bool (n_column, n_row)."""
        return self.fit.weights > 0


@dataclass(frozen=True, eq=False)
class IntegrationFitter:
    """Fits integrations by shapes that they share.

    Attributes
    ----------
    geometry : `~specmodels.evaluators.time_series.moving_sources.Geometry`
    sigma : float
        Threshold of the rejection of hits, in standard deviations.
    """

    geometry: object
    sigma: float = 4.5

    @cached_property
    def _made(self):
        return self.geometry.profiles()

    @property
    def profiles(self):
        """What an integration is made of, a `MovingProfiles`."""
        return self._made[0]

    def light(self, movement):
        """Light of the sources at a shift and a stretch, shape (n_source, n_column, n_row)."""
        return light_of(self.profiles.shapes, movement, len(self.geometry.image.y))

    def __call__(self, image):
        """Fit an integration, a `~specmodels.SpectralImage`; returns an `Integration`."""
        pixels = self._pixels(image)
        fit, hits = self.profiles.fit(pixels), np.zeros(pixels.data.shape, dtype=bool)
        if not self.profiles.is_within(fit.theta):  # led astray by a hit, most likely
            fit = self.profiles.at_rest(pixels)
        weights = fit.weights
        for _ in range(MAX_ROUNDS):
            found = self._outliers(fit, pixels, np.where(hits, weights, fit.weights))
            changed = np.flatnonzero((found != hits).any(axis=1))
            if not changed.size:
                break
            hits, before = found, fit
            left = pixels._replace(least=np.where(hits, np.inf, pixels.least))
            fit = self.profiles.refit(before, left, changed)
            if np.max(np.abs(fit.theta - before.theta) * fit.slopes) <= SMALL_CHANGE:
                break
        return Integration(fit, pixels.data, hits)

    def _pixels(self, image):
        """The pixels as they are fitted, and the factor of their variances."""
        part = self.geometry.cut(image)
        known = image.variance is not None
        variance = image.variance[part] if known else np.zeros(image.data[part].shape)
        mask = image.mask[part] | (self.geometry.image.weights <= 0)
        data, least = prepared(image.data[part], variance, mask, self.geometry.offset)
        scale = 1.0
        if known:
            own, typical = least[::STEP], self._made[1][::STEP]
            ratio = own[np.isfinite(own)] * typical[np.isfinite(own)]
            ratio = ratio[ratio > 0]
            scale = float(np.median(ratio)) if ratio.size else 1.0
        return Pixels(data, least, scale)

    def _outliers(self, fit, pixels, weights):
        """Pixels that disagree with the fit of the others."""
        data = pixels.data - fit.level
        fitted = fit.basis, fit.particular, np.nan_to_num(fit.covariance)
        scale, misfit = _errors(fit, data, weights)
        excess = largest_excess(fitted, data, weights, scale, misfit, LEAST_FREEDOM)
        columns, out = np.flatnonzero(excess > self.sigma**2), np.zeros(data.shape, dtype=bool)
        if columns.size:
            basis, own = fit.basis[:, columns].swapaxes(1, 2), weights[columns].T
            model = np.einsum("kyx,kx->yx", basis, fit.particular[:, columns])
            # With the misfit as part of the noise all pixels have one threshold.
            own = own / (scale**2 + misfit**2 * model**2 * own)
            limit = np.full(own.shape, self.sigma)
            # Hits are told from lines by the columns beside them, whether or not these have any.
            beside = [_columns_at(columns + step, data, weights) for step in (-1, 1)]
            out[columns] = reject_by_column(basis, data[columns].T, own, limit, beside=beside).T
        return out


def _columns_at(places, data, weights):
    """Data and weights of some columns, shape (n_row, n_place); outside there is no weight."""
    inside = (places >= 0) & (places < len(data))
    places = np.where(inside, places, 0)
    return data[places].T, np.where(inside, weights[places].T, 0.0)


def _errors(fit, data, weights):
    """Scatter of residuals in units of the noise, and relative error of the model."""
    few = fit.basis[:, ::STEP], fit.particular[:, ::STEP], data[::STEP], weights[::STEP]
    student, signal = judged(*(np.ascontiguousarray(a) for a in few))
    use = few[-1] > 0
    seen = np.abs(student[use])
    scale = max(MAD_TO_SIGMA * float(np.median(seen)), 1.0) if seen.size else 1.0
    return scale, max(PROFILE_ERROR, float(relative_misfit(student, np.abs(signal), use)))
