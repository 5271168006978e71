"""One integration of a time series: its fluxes, its movements, and the hits in it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...numerics.clipping import reject_by_column, relative_misfit
from ...numerics.moving_kernels import judged, largest_excess, prepared
from ...numerics.robust import MAD_TO_SIGMA

__all__ = ["Integration", "IntegrationFitter"]

# Variances that exceed those of the series by such a factor are those of single pixels.
LARGEST_RATIO = 2.0
# The misfit of bright pixels and the scatter are judged in every eighth column.
FEW_COLUMNS = (..., slice(None, None, 8))
PROFILE_ERROR = 0.002
# A fit follows a pixel by itself where it leaves less than this part of its variance.
LEAST_FREEDOM = 0.02
# Step of derivatives by the movements, as a part of the largest ones.
SMALL_STEP = 0.01
# Hits are looked for once more where those found changed the movements so that a pixel changed by
# this part of its noise. Before the first search chi-square may be so far from its minimum.
MAX_ROUNDS, SMALL_CHANGE, FIRST_GAIN = 3, 0.2, 20.0


@dataclass(frozen=True, eq=False)
class Integration:
    """What was found in an integration.

    Attributes
    ----------
    fit : `~specmodels.numerics.moving_profiles.MovingFit`
    data : ndarray, shape (n_row, n_column)
        What was fitted: the pixels less what does not change.
    used : ndarray of bool, same shape
        The pixels fitted.
    hits : ndarray of bool, same shape
        Pixels left out because they disagree with all other integrations.
    """

    fit: object
    data: np.ndarray
    used: np.ndarray
    hits: np.ndarray

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom; NaN without any."""
        return self.fit.chi2 / self.fit.dof if self.fit.dof > 0 else np.nan

    @property
    def residual(self):
        """Data less model."""
        return self.data - self.fit.model


@dataclass(frozen=True, eq=False)
class IntegrationFitter:
    """Fits integrations by images that they share.

    Attributes
    ----------
    geometry : `~specmodels.evaluators.time_series.moving_sources.Geometry`
    sigma : float
        Threshold of the rejection of hits, in standard deviations.
    """

    geometry: object
    sigma: float = 4.5

    @cached_property
    def profiles(self):
        """Images of which an integration is made."""
        return self.geometry.profiles()

    def __call__(self, image, start=None):
        """Fit an integration.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`
        start : ndarray, optional
            Movements to start from.

        Returns
        -------
        Integration
        """
        data, weights, scale = self._pixels(image)
        sums = self.profiles.sums(data, weights, scale)
        fit, hits = self.profiles.fit(sums, start, FIRST_GAIN), np.zeros(data.shape, dtype=bool)
        if not self.profiles.is_within(fit.theta):  # led astray by a hit, most likely
            fit = self.profiles.at_rest(sums)
        for _ in range(MAX_ROUNDS):
            found = self._outliers(fit, data, weights)
            if np.array_equal(found, hits):
                break
            hits, before = found, fit
            left = self.profiles.without(sums, hits, data, weights)
            fit = self.profiles.fit(left, before.theta)
            if np.max(np.abs(fit.theta - before.theta) * self._slopes) <= SMALL_CHANGE:
                break
        return Integration(fit, data, (weights > 0) & ~hits, hits)

    def _pixels(self, image):
        """Data less the offset, weights, and their factor over those typical of the series."""
        part = self.geometry.cut(image)
        typical, mask = self.profiles.weights, image.mask[part]
        # Without variances all are typical, and none is that of a single pixel.
        own, scale = np.zeros(typical.shape), 1.0
        if image.variance is not None:
            own = image.variance[part]
            seen = ((typical > 0) & ~mask)[FEW_COLUMNS]
            ratio = own[FEW_COLUMNS][seen] * typical[FEW_COLUMNS][seen]
            scale = 1 / float(np.median(ratio)) if ratio.size else 1.0
        known = mask, self.geometry.offset, typical, scale, LARGEST_RATIO
        return *prepared(image.data[part], own, *known), scale

    @cached_property
    def _slopes(self):
        """Largest change of a pixel by each movement, over its noise and the movement."""
        root, profiles = np.sqrt(self.profiles.weights[FEW_COLUMNS]), self.profiles
        names = self.geometry.numbers
        fluxes = np.array([self.geometry.result._flux(n)[0] for n in names])[FEW_COLUMNS]
        rest, out = profiles.mixing(np.zeros(2)), []
        for movement in np.diag(SMALL_STEP * profiles.limit):
            change = (profiles.mixing(movement) - rest)[:, : len(names)]
            moved = np.tensordot(change.T, self._few_images, (1, 0)) / movement.max()
            moved = np.einsum("kyx,kx->yx", moved, np.nan_to_num(fluxes)) * root
            out.append(np.max(np.abs(moved)))
        return np.array(out + [root.max()] * len(profiles.levels))

    @cached_property
    def _few_images(self):
        return np.ascontiguousarray(self.profiles.images[FEW_COLUMNS])

    def _outliers(self, fit, data, weights):
        """Pixels that disagree with the fit of the others."""
        covariance, level = np.nan_to_num(fit.covariance), np.sum(fit.theta[2:])
        data = data - level * (weights > 0) if level else data
        known = fit.mixing, fit.particular, covariance, data, weights
        scale, misfit = self._errors(*known)
        excess = largest_excess(self.profiles.images, *known, scale, misfit, LEAST_FREEDOM)
        columns, out = np.flatnonzero(excess > self.sigma**2), np.zeros(data.shape, dtype=bool)
        if columns.size:
            basis = np.tensordot(fit.mixing.T, self.profiles.images[:, :, columns], (1, 0))
            model = np.einsum("kyx,kx->yx", basis, fit.particular[:, columns])
            own = weights[:, columns]
            # With the misfit as part of the noise all pixels have one threshold.
            own = own / (scale**2 + misfit**2 * model**2 * own)
            limit = np.full(own.shape, self.sigma)
            out[:, columns] = reject_by_column(basis, data[:, columns], own, limit)
        return out

    def _errors(self, mixing, values, covariance, data, weights):
        """Scatter of residuals in units of the noise, and relative error of the model."""
        few = [np.ascontiguousarray(a[FEW_COLUMNS]) for a in (values, covariance, data, weights)]
        student, signal = judged(self._few_images, mixing, *few)
        use = few[-1] > 0
        seen = np.abs(student[use])
        scale = max(MAD_TO_SIGMA * float(np.median(seen)), 1.0) if seen.size else 1.0
        return scale, max(PROFILE_ERROR, float(relative_misfit(student, np.abs(signal), use)))
