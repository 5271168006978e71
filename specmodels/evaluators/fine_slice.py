"""One slice on fine rows: model, residual, and the variance of their sum.

With what belongs to a column found by least squares, what is written to a fine pixel is linear in
the data of its column; the variances and covariances here are those of that map.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.ndimage import binary_dilation, uniform_filter

from ..numerics.fine_pixels import (
    ColumnFit,
    ColumnModel,
    Linear,
    NativePixels,
    ProfileTable,
    fill_values,
    fill_variances,
    residuals,
)
from ..numerics.oversample import FineRows, isolated

__all__ = ["FineSlice", "compact_region"]

# Box of rows and columns in which outliers are counted, and the largest part that may be hits.
CROWD, MOST_CROWDED = (5, 33), 0.05
# Box of rows and columns whose residuals tell the misfit of the model.
AROUND = (3, 9)


@dataclass(frozen=True, eq=False)
class FineSlice:
    """A slice, its fit (None where there is none), and the fine rows to be filled.

    Attributes
    ----------
    image : `~specmodels.exposure.SpectralImage`
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

        Where many pixels are outliers it is the model that is wrong, and none is taken for a hit.
        """
        if self.fit is None or not self.fit.rejected.any():
            return np.zeros(self.image.shape, dtype=bool)
        rejected = self.fit.rejected
        found = isolated(self.all_residuals, rejected)
        if np.count_nonzero(rejected) > MOST_CROWDED * CROWD[0] * CROWD[1]:
            density = uniform_filter(rejected.astype(float), CROWD, mode="constant")
            found &= density < MOST_CROWDED
        return found

    @cached_property
    def available(self):
        """Pixels with a value of their own."""
        return (self.image.weights > 0) & ~self.hits

    @cached_property
    def positions(self):
        """Positions along the slice in pixels; NaN outside."""
        if self.image.spatial is None:
            rows = np.broadcast_to(self.image.y[:, None], self.image.shape)
            return np.where(self.inside, rows, np.nan)
        return self.image.spatial / (1.0 if self.fit is None else self.fit.unit)

    @cached_property
    def fine_positions(self):
        """Positions of the fine pixels, in native pixels."""
        return self.rows.coordinates(self.positions)

    @cached_property
    def _native_fit(self):
        """Profile of unit area in each native pixel, and data minus model where data are good."""
        fit, image = self.fit, self.image
        table = fit.layout.table(fit.coefficients, image.x)
        use = image.weights > 0
        return residuals(table, fit.column_model, self.positions, np.array(image.filled), use)

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
        return self.inside & np.isfinite(self.positions) & self.fit.fitted_columns

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

    @cached_property
    def interpolation(self):
        """Weights of the own and the neighbouring row, each of shape (n_fine, n_column)."""
        return self.rows.weights(self.available)

    def _native(self):
        """What the compiled loops want to know of the native pixels."""
        positions = np.zeros(self.image.shape) if self.fit is None else self.positions
        return NativePixels(self.inside, self.available, self.by_model, positions)

    def _table(self):
        """Profiles averaged over fine pixels."""
        if self.fit is None:
            return _no_table(self.image.shape[1], 4)
        return self.fit.layout.table(self.fit.coefficients, self.image.x, self.width)

    def fill_data(self, out, corner):
        """Write the values of the fine pixels into an image that is not a number, in place.

        Parameters
        ----------
        out : ndarray
            The whole image.
        corner : tuple of int
            Row and column of the slice's first fine pixel.
        """
        data = np.array(self.image.filled)
        model, residual = ColumnModel(*np.zeros((3, data.shape[1]))), data
        if self.fit is not None:
            model, residual = self.fit.column_model, self.residual
            if self.settings.residual.constant != 1:
                residual = residual * self.residual_weight
        rows = Linear(self.rows.native, self.rows.offset)
        fill_values(rows, self._native(), self._table(), model, data, residual, out, corner)

    def fill_variance(self, out, corner, component=None):
        """Write the variances of the fine pixels into an image that is not a number, in place.

        Parameters
        ----------
        out, corner
            As in `fill_data`.
        component : ndarray, optional
            A part of the variance of the native pixels. Default: all of it, with that of the
            profile.
        """
        native = component if component is not None else self.image.variance
        native = 1.0 if native is None else native
        native = np.where(self.available, native, 0.0)
        n_column, none = native.shape[1], np.zeros(native.shape)
        light, spread, extra = np.zeros(n_column), _no_table(n_column, 3), none
        if self.fit is None:
            fit = ColumnFit(none, none, np.zeros((3, 3, n_column)), light, 0.0, 1.0)
            kept = none
        else:
            low, high = self.fit.pixels.range
            weights = np.where(self.fit_kept, self.image.weights, 0.0)
            prior = np.zeros(n_column)
            if component is None and self.fit.scale_prior is not None:
                prior = self.fit.scale_prior
            fit = ColumnFit(
                weights, self.native_profile, self.fit.column_covariance, prior, (low + high) / 2,
                (high - low) / 2,
            )  # fmt: skip
            kept = self.residual_weight
            if component is None:
                light = self.fit.scale**2
                spread = self.fit.variance_table(self.image.x, self.width)
                extra = np.where(self.filled, self.misfit, 0.0) if self.filled.any() else none
        rows = Linear(self.rows.native, self.rows.offset)
        fill_variances(rows, self._native(), self._table(), fit, kept, native, light, spread, extra,
                       out, corner)  # fmt: skip

    @cached_property
    def misfit(self):
        """Variance of the data about the model beyond their noise, from the pixels around each.

        Pixels without a value of their own have no residual that would make up for it.
        """
        use = self.available & self.known
        variance = np.divide(1.0, self.image.weights, out=np.zeros(use.shape), where=use)
        excess = np.where(use, self.residual**2 - variance, 0.0)
        count = uniform_filter(use.astype(float), AROUND, mode="constant")
        mean = uniform_filter(excess, AROUND, mode="constant") / np.maximum(count, 1e-3)
        return np.maximum(mean, 0.0)

    @cached_property
    def residual(self):
        """Data minus model of the native pixels, zero where they have no value of their own."""
        out = np.array(self.all_residuals)
        out[self.hits] = 0.0
        out[:, ~self.fit.fitted_columns] = 0.0
        return out

    def _terms(self, profile, positions):
        """What scale, level and slope are multiplied by."""
        height = np.nan_to_num(self.fit.height(positions))
        return (profile, np.ones(profile.shape), height)

    @cached_property
    def fit_kept(self):
        """Pixels that scale and level were found from."""
        return self.fit.used & ~self.fit.rejected

    def _column_effect(self):
        """Weights of native pixels, and the change of fine pixels with the sums of the columns.

        Returns
        -------
        own, other : ndarray, shape (n_fine, n_column)
            Weights of the native pixels in the residual.
        effect : list of ndarray
            Change by the sums over each column of weighted data times each term.
        """
        own, other = self.interpolation
        weight = self.residual_weight
        own, other = own * self.rows.own(weight), other * self.rows.other(weight)
        native = self._terms(self.native_profile, self.positions)
        fine = self._terms(self.fine_profile, self.fine_positions)
        by_value = [
            f - own * self.rows.own(n) - other * self.rows.other(n)
            for f, n in zip(fine, native, strict=True)
        ]
        c = self.fit.column_covariance
        effect = [sum(c[k, j] * by for j, by in enumerate(by_value)) for k in range(len(fine))]
        return own, other, effect

    def covariance_map(self, columns):
        """Matrix from the data of some columns to their fine pixels.

        Parameters
        ----------
        columns : sequence of int
            Numbers within the slice.

        Returns
        -------
        `~scipy.sparse.csr_matrix`, shape (n_fine * n, n_row * n)
            Pixels in the order of rows.
        """
        n_fine, (n_row, _) = len(self.rows.native), self.image.shape
        own, other = self.interpolation
        model = self.fit is not None and self.modelled.any()
        if model:
            model_own, model_other, effect = self._column_effect()
            terms = self._terms(self.native_profile, self.positions)
            own = np.where(self.modelled, model_own, own)
            other = np.where(self.modelled, model_other, other)
        blocks = np.zeros((len(columns), n_fine, n_row))
        at = np.arange(n_fine)
        clipped = np.clip(self.rows.neighbour, 0, n_row - 1)
        for place, column in enumerate(columns):
            np.add.at(blocks[place], (at, self.rows.native), own[:, column])
            np.add.at(blocks[place], (at, clipped), other[:, column])
            if model:
                weights = np.where(self.fit_kept[:, column], self.image.weights[:, column], 0.0)
                use = self.modelled[:, column]
                by_data = sum(
                    np.outer(change[:, column], weights * term[:, column])
                    for change, term in zip(effect, terms, strict=True)
                )
                blocks[place] += np.where(use[:, None], by_data, 0)
        n = len(columns)
        index = np.nonzero(blocks)
        values = blocks[index]
        place, fine, row = index
        return sparse.csr_matrix(
            (values, (fine * n + place, row * n + place)), shape=(n_fine * n, n_row * n)
        )


def _no_table(n_column, n_values):
    """A table for slices without model."""
    empty = np.zeros((0, 0, n_values))
    return ProfileTable(empty, 0.0, 1.0, np.zeros(n_column, dtype=np.intp), np.zeros(n_column))


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
