"""One slice on fine rows: model and residual."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_dilation, uniform_filter

from ...numerics.fine_pixels import (
    ColumnModel,
    Linear,
    NativePixels,
    ProfileTable,
    fill_values,
    residuals,
)
from ...numerics.hidden_residuals import ColumnErrors, local_misfit, predicted
from ...numerics.oversample import FineRows, isolated
from ..extraction.fluxes.coherent_light import line_pixels

__all__ = ["FineSlice", "compact_region"]

# Box of rows and columns in which outliers are counted, and the largest part that may be hits.
CROWD, MOST_CROWDED = (5, 33), 0.05
# Of a column the model knows nothing if good pixels see less than this part of the squared profile.
LEAST_SEEN = 0.02
# A pixel that determines its column tells nothing of how it would be predicted.
MOST_LEVERAGE = 0.98


@dataclass(frozen=True, eq=False)
class FineSlice:
    """A slice, its fit (None where there is none), and the fine rows to be filled.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
        The slice, pixels of others masked and without position.
    inside : ndarray of bool, shape of the image
        Pixels of the slice.
    fit : `~specmodels.fitters.WindowedFit` or None
    rows : `~specmodels.numerics.oversample.FineRows`
    settings : object
        ``slope_limit``, ``pad``, ``residual``, ``native_response`` and ``psf_optimal``.
    """

    image: object
    inside: np.ndarray
    fit: object
    rows: FineRows
    settings: object

    @cached_property
    def hits(self):
        """Outliers that stand alone along the dispersion: cosmic rays that nothing has flagged.

        Where many pixels are outliers it is the model that is wrong, and none is taken for a hit;
        nor are lines, which are hardly wider than a pixel in some spectrographs.
        """
        if self.fit is None or not self.fit.rejected.any():
            return np.zeros(self.image.shape, dtype=bool)
        rejected = self.fit.rejected
        found = isolated(self.all_residuals, rejected) & ~self.lines
        if np.count_nonzero(rejected) > MOST_CROWDED * CROWD[0] * CROWD[1]:
            density = uniform_filter(rejected.astype(float), CROWD, mode="constant")
            found &= density < MOST_CROWDED
        return found

    @cached_property
    def lines(self):
        """Outliers that are as smooth as light is: lines that the profile does not have."""
        if self.fit is None:
            return np.zeros(self.image.shape, dtype=bool)
        root = np.sqrt(self.image.weights)
        light = self.fit.scale * self.native_profile * root
        return line_pixels(self.all_residuals * root, self.fit.rejected, light)

    @cached_property
    def available(self):
        """Pixels with a value of their own, at a place that is known where a model wants one."""
        own = (self.image.weights > 0) & ~self.hits
        return own if self.fit is None else own & np.isfinite(self.positions)

    @cached_property
    def positions(self):
        """Positions along the slice in pixels; NaN outside, and where they make no sense."""
        if self.image.spatial is None:
            rows = np.broadcast_to(self.image.y[:, None], self.image.shape)
            return np.where(self.inside, rows, np.nan)
        return self.image.spatial if self.fit is None else self.fit.pixels.places

    @cached_property
    def fine_positions(self):
        """Positions of the fine pixels, in native pixels."""
        return self.rows.coordinates(self.positions, None if self.fit is None else 1.0)

    @cached_property
    def _native_fit(self):
        """Profile of unit area in each native pixel, and data minus model where data are good."""
        fit, image = self.fit, self.image
        table = fit.layout.table(fit.coefficients, image.x)
        use = image.weights > 0
        return residuals(table, fit.column_model, self.positions, image.filled, use)

    @property
    def native_profile(self):
        """Profile of unit area in each native pixel, zero outside."""
        return self._native_fit[0]

    @property
    def all_residuals(self):
        """Data minus model where data are good, hits that nothing has flagged among them."""
        return self._native_fit[1]

    @cached_property
    def native_model(self):
        """Scale times profile plus level in each native pixel, NaN where there is no model."""
        model = self.fit.scale * self.native_profile + self.fit.ground(self.positions)
        return np.where(self.known, model, np.nan)

    @cached_property
    def known(self):
        """Native pixels of the slice that the model has a value for."""
        columns = self.fit.fitted_columns & (self.seen > LEAST_SEEN)
        known = self.inside & self.fit.witnessed(self.positions) & columns
        return known & ~self._made_up(known)

    def _made_up(self, known):
        """Missing pixels in which the profile is less certain than it is high in its column."""
        good = self.image.weights > 0
        missing = known & ~good
        columns = np.flatnonzero(missing.any(axis=0))
        variance = self.fit.profile_variance(self.positions[:, columns], self.image.x[columns])
        highest = np.max(np.abs(self.native_profile[:, columns]) * good[:, columns], axis=0)
        out = np.zeros(known.shape, dtype=bool)
        out[:, columns] = missing[:, columns] & ~(variance < highest**2)
        return out

    @cached_property
    def seen(self):
        """Part of the squared profile that good pixels of each column see, shape (n_column,)."""
        good = self.image.weights > 0
        columns = np.flatnonzero((self.inside & ~good).any(axis=0))
        squares = self.native_profile[:, columns] ** 2
        total = squares.sum(axis=0)
        seen = np.where(good[:, columns], squares, 0.0).sum(axis=0)
        out = np.ones(good.shape[1])
        out[columns] = np.divide(seen, total, out=np.zeros(total.shape), where=total > 0)
        return out

    @cached_property
    def compact(self):
        """Native pixels near a compact source, or all modelled ones for ``psf_optimal``."""
        if self.fit is None:
            return np.zeros(self.image.shape, dtype=bool)
        if self.settings.psf_optimal or self.settings.slope_limit == 0:
            return self.known
        profile = np.where(self.known, self.native_profile, np.nan)
        return self.known & compact_region(profile, self.settings.slope_limit, self.settings.pad)

    @cached_property
    def fine_compact(self):
        """Fine pixels that are given by model and residual."""
        return self.rows.own(self.compact)

    @cached_property
    def filled(self):
        """Native pixels without a value of their own, of which the model knows the value."""
        if self.fit is None:
            return np.zeros(self.image.shape, dtype=bool)
        return self.known & ~self.available

    @cached_property
    def by_model(self):
        """Native pixels given by the model: near compact sources, and where data are missing."""
        return self.compact | self.filled

    @cached_property
    def modelled(self):
        """Fine pixels with the model in them."""
        return self.rows.own(self.by_model)

    @cached_property
    def width(self):
        """Size of the pixels that the model is averaged over, in native pixels."""
        return 1.0 if self.settings.native_response else 1 / self.rows.factor

    @cached_property
    def fine_profile(self):
        """Profile of unit area in each fine pixel."""
        return self.fit.profile(self.fine_positions, self.image.x, self.width)

    @cached_property
    def fine_model(self):
        """The trace model: scale times profile plus level in each fine pixel."""
        return self.fit.scale * self.fine_profile + self.fit.ground(self.fine_positions)

    @cached_property
    def residual_weight(self):
        """Weight of the residual of each native pixel."""
        if self.settings.residual.constant is not None:
            return np.full(self.image.shape, self.settings.residual.constant)
        student = self.residual * np.sqrt(self.image.weights)
        weight = self.settings.residual(student, self.available & self.known)
        # Outliers that are no hits belong to the sky.
        return np.where(self.fit.rejected & self.available & (weight > 0), 1.0, weight)

    @property
    def column_errors(self):
        """What errors of scale, level and slope do to the model of native pixels."""
        terms = (self.native_profile, 1.0, np.nan_to_num(self.fit.height(self.positions)))
        c = self.fit.column_covariance
        variance = sum(c[k, j] * terms[k] * terms[j] for k in range(3) for j in range(3))
        weights = np.where(self.fit_kept, self.image.weights, 0.0)
        return ColumnErrors(np.clip(weights * variance, 0.0, MOST_LEVERAGE), variance)

    @property
    def linear(self):
        """The fine rows for compiled loops."""
        return Linear(self.rows.native, self.rows.offset)

    @property
    def native_pixels(self):
        """The native pixels for compiled loops."""
        positions = np.zeros(self.image.shape) if self.fit is None else self.positions
        return NativePixels(self.inside, self.available, self.by_model, positions)

    @property
    def table(self):
        """Profiles averaged over fine pixels, for compiled loops."""
        if self.fit is None:
            return self.no_table(4)
        return self.fit.layout.table(self.fit.coefficients, self.image.x, self.width)

    def no_table(self, n_values):
        """A table for slices without model."""
        none, n = np.zeros((0, 0, n_values)), self.image.shape[1]
        return ProfileTable(none, 0.0, 1.0, np.zeros(n, dtype=np.intp), np.zeros(n))

    def fill_data(self, out, corner):
        """Write the values of the fine pixels into an image that is not a number, in place.

        Parameters
        ----------
        out : ndarray
            The whole image.
        corner : tuple of int
            Row and column of the slice's first fine pixel.
        """
        data = self.image.filled
        model, residual = ColumnModel(*np.zeros((3, data.shape[1]))), np.zeros(data.shape)
        if self.fit is not None:
            model, residual = self.fit.column_model, self.residual
            if self.settings.residual.constant != 1:
                residual = residual * self.residual_weight
            residual = residual + self.hidden_residual[0]
        pixels, table = self.native_pixels, self.table
        fill_values(self.linear, pixels, table, model, data, residual, out, corner)

    @cached_property
    def hidden_residual(self):
        """What the model leaves over in filled pixels by the residuals around, and its variance.

        Zero elsewhere, and without residuals the variance of the misfit. The third image is the
        share that filled pixels have of the model; the rest is told by their neighbours.
        """
        value, error = np.zeros((2, *self.image.shape))
        share = np.ones(self.image.shape)
        if not self.filled.any():
            return value, error, share
        use = self.available & self.known
        noise = np.divide(1.0, self.image.weights, out=np.zeros(use.shape), where=use)
        if self.settings.residual.constant == 0:
            misfit = local_misfit(self.residual, noise, use)
            return value, np.where(self.filled, misfit, 0.0), share
        value[self.filled], error[self.filled], share[self.filled] = predicted(
            self.native_model, self.residual, noise, use, self.filled, self.column_errors
        )
        return value, error, share

    @cached_property
    def residual(self):
        """Data minus model of the native pixels, zero where they have no value of their own."""
        out = np.array(self.all_residuals)
        out[self.hits] = 0.0
        out[:, ~self.fit.fitted_columns] = 0.0
        return out

    @cached_property
    def fit_kept(self):
        """Pixels that scale and level were found from."""
        return self.fit.used & ~self.fit.rejected


def compact_region(profile, slope_limit, pad):
    """Pixels within `pad` rows of a steep part of the profile.

    Parameters
    ----------
    profile : ndarray, shape (n_row, n_column)
        Of unit area in each column; NaN where there is none.
    slope_limit : float
        Least absolute difference of neighbouring pixels.
    pad : int
        Rows on either side.

    Returns
    -------
    ndarray of bool, same shape
    """
    with np.errstate(invalid="ignore"):
        edge = np.abs(np.diff(profile, axis=0)) > slope_limit
    steep = np.zeros(profile.shape, dtype=bool)
    steep[1:] |= edge
    steep[:-1] |= edge
    return binary_dilation(steep, np.ones((2 * int(pad) + 1, 1), dtype=bool))
