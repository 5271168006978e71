"""`WindowedFit`: the result of a `WindowedFitter`."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models.bspline_trace import BSplineTrace
from ...models.psf import TabulatedPSF
from ...models.traces import TabulatedTrace
from ...numerics.fine_pixels import ColumnModel, ProfileTable
from ..shape_errors import shape_errors
from .layout import Layout
from .pixels import WindowPixels
from .profile_errors import design_covariance, variance_table

__all__ = ["WindowedFit"]

# Samples per pixel of a profile that is handed on.
SOURCE_STEPS = 10


@dataclass(frozen=True, eq=False, repr=False)
class WindowedFit:
    """A profile for each column of an image, with its scales, levels and rejected pixels.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
        What was fitted.
    layout : `~specmodels.fitters.windowed.layout.Layout`
        Nodes and knots.
    coefficients : ndarray, shape (n_nodes, n_terms)
        Of profiles with unit area (of absolute values).
    values : ndarray, shape (3, n_column)
        Scale of each column (its light in units of a pixel), and level and slope of what lies under
        the profile, the slope from the middle to the end of the slit; zero where nothing is found.
    column_covariance : ndarray, shape (3, 3, n_column)
        Of these, the profile held.
    scale_prior : ndarray, shape (n_column,), or None
        Inverse variance of what other slices told about the scales.
    """

    image: object
    layout: Layout
    coefficients: np.ndarray
    values: np.ndarray
    column_covariance: np.ndarray
    pixels: WindowPixels
    shape: np.ndarray
    kept: np.ndarray
    system: object
    factor: np.ndarray
    smoothing: float
    scale_prior: np.ndarray | None = None

    def __repr__(self):
        return (
            f"<WindowedFit of {self.image.name!r}: {len(self.layout.nodes) - 1} windows, knots "
            f"every {self.layout.grid.spacing:g} pixels, chi2/dof {self.reduced_chi2:.4g}, "
            f"{int(self.rejected.sum())} pixels rejected>"
        )

    @property
    def unit(self):
        """Size of a pixel in the unit of the image's positions."""
        return self.pixels.unit

    @property
    def scale(self):
        """Light of the profile in each column, shape (n_column,)."""
        return self.values[0]

    def height(self, positions):
        """Positions in pixels relative to the range of the slit: -1 and 1 at its ends."""
        return self.pixels.relative(positions)

    def ground(self, positions):
        """What lies under the profile, for positions of shape (..., n_column)."""
        return self.values[1] + self.values[2] * self.height(positions)

    @cached_property
    def fitted_columns(self):
        """Columns with a profile that can be told from a level, shape (n_column,)."""
        return (self.column_covariance[0, 0] > 0) & (self.scale != 0)

    @cached_property
    def significance(self):
        r"""By how many standard deviations the light of the profile exceeds that of a fit to noise.

        The profile that fits noise best has the light of the largest singular value of a random
        matrix, :math:`(\sqrt{n} + \sqrt{k})^2` for `n` scales and `k` coefficients.
        """
        light = self.scale[self.fitted_columns] ** 2
        excess = np.sum(light / self.column_covariance[0, 0][self.fitted_columns])
        expected = (np.sqrt(light.size) + np.sqrt(self.freedom)) ** 2
        return (excess - expected) / np.sqrt(2 * expected)

    @cached_property
    def rejected(self):
        """Pixels left out as outliers, shape of the image."""
        return self.pixels.image_of(~self.kept, False)

    @property
    def used(self):
        """Pixels that were fitted or rejected, shape of the image."""
        return self.pixels.image_of(np.ones(self.kept.size, dtype=bool), False)

    @cached_property
    def residuals(self):
        """Data minus model of the pixels that were fitted, in their order, shape (n_pixel,)."""
        columns = self.pixels.columns
        return self.pixels.data - self.scale[columns] * self.shape - self.pixels.ground(self.values)

    @property
    def chi2(self):
        """Chi-square of each column, rejected pixels left out, shape (n_column,)."""
        return self.pixels.sums(np.where(self.kept, self.residuals**2 * self.pixels.weights, 0.0))

    @cached_property
    def freedom(self):
        """Effective number of parameters of the profile; the penalty makes it smaller."""
        return self.system.freedom(self.smoothing)

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom of all columns together."""
        n_parameters = self.freedom + 3 * self.pixels.n_columns
        dof = np.count_nonzero(self.kept) - n_parameters
        return self.chi2.sum() / dof if dof > 0 else np.nan

    def witnessed(self, positions):
        """Whether pixels at positions, shape (n_row, n_column), are like some that were fitted.

        Elsewhere the profile is made up; false where positions are no numbers.
        """
        table = self.pixels.witnessed(self.layout)
        interval, fraction = self.layout.place(self.image.x)
        bins = self.layout.grid.index(np.where(np.isfinite(positions), positions, np.inf))
        first = table[interval, bins] | (fraction == 1)
        return np.isfinite(positions) & first & (table[interval + 1, bins] | (fraction == 0))

    def profile(self, positions, x, width=1.0):
        """Profile averaged over pixels.

        Parameters
        ----------
        positions : ndarray
            Along the slit, in pixels: the image's positions over `unit`. Anything where NaN.
        x : ndarray
            Columns, broadcast against the positions.
        width : float
            Size of the pixels relative to those of the image; zero for the spline itself.
        """
        return self.layout.shape(self.coefficients, positions, x, width)

    def predict(self, image=None):
        """Scale times profile, plus the ground, in each pixel; NaN where there is no model."""
        image = self.image if image is None else image
        if not np.array_equal(image.x, self.image.x):
            raise ValueError("image: expected the columns fitted")
        positions = image.spatial / self.unit if image.spatial is not None else image.y[:, None]
        model = self.scale * self.profile(positions, image.x) + self.ground(positions)
        return np.where(np.isfinite(positions) & self.fitted_columns, model, np.nan)

    def residual(self, image=None):
        """Data minus model, shape of the image."""
        image = self.image if image is None else image
        return image.data - self.predict(image)

    @cached_property
    def model(self):
        """The profile as a `~specmodels.models.BSplineTrace`, in the unit of the positions.

        ``meta["covariance"]`` holds the covariance of its coefficients.
        """
        grid, unit = self.layout.grid, self.unit
        model = BSplineTrace(
            grid.low * unit, (grid.low + grid.n_cells * grid.spacing) * unit,
            knot_spacing=grid.spacing * unit, columns=self.layout.nodes, pixel_size=unit,
            **{f"c{j}": c for j, c in enumerate(self.coefficients.ravel())},
        )  # fmt: skip
        n = model.n_terms
        model.meta["covariance"] = self.covariance.reshape(n, n)
        return model

    @cached_property
    def covariance(self):
        """Covariance of the coefficients, scales held; (n_nodes, n_terms, n_nodes, n_terms)."""
        raw = self.system.covariance(self.smoothing)
        return raw / self.factor[:, None, None, None] / self.factor[None, None, :, None]

    @cached_property
    def penalty_effect(self):
        """What the penalty takes off the coefficients, shape (n_nodes, n_terms)."""
        raw = self.system.solve(self.smoothing)
        return self.system.penalty_effect(raw, self.smoothing) / self.factor[:, None]

    @property
    def column_model(self):
        """The `~specmodels.numerics.fine_pixels.ColumnModel` of these values."""
        low, high = self.pixels.range
        gradient = self.values[2] / (0.5 * (high - low))
        level = self.values[1] - gradient * 0.5 * (low + high)
        return ColumnModel(self.values[0], level, gradient)

    def profile_variance(self, positions, x, width=1.0):
        """Variance of `profile`, with the square of what its penalty does; arguments as there."""
        values, low, step, interval, fraction = self.variance_table(x, width)
        index = np.clip(np.rint((np.nan_to_num(positions) - low) / step), 0, values.shape[1] - 1)
        first, both, second = np.moveaxis(values[interval, index.astype(np.intp)], -1, 0)
        return (
            (1 - fraction) ** 2 * first
            + 2 * fraction * (1 - fraction) * both
            + fraction**2 * second
        )

    def design(self, positions, width=1.0):
        """Means of the B-splines over pixels, shape (n, n_terms) for positions of shape (n,)."""
        return self.layout.grid.design(positions, width)

    def design_covariance(self, design, column):
        """Covariance of combinations of the coefficients; see `profile_errors`."""
        return design_covariance(self, design, column)

    def derivative_tables(self, x, width=1.0):
        """Tables of the first and second derivative of `profile` by the position, columns ``x``."""
        grid = self.layout.grid
        profiles = grid.profiles(self.coefficients, width)
        first = np.gradient(profiles, grid.step, axis=1)
        second = np.gradient(first, grid.step, axis=1)
        place = self.layout.place(x)
        return [ProfileTable.of_nodes(d, grid.low, grid.step, *place) for d in (first, second)]

    @cached_property
    def shape_errors(self):
        """Variances of the profile's place and of half its squared width, shape (2, n_column)."""
        return shape_errors(self)

    def variance_table(self, x, width=1.0):
        """Variances of `profile` as a table; see `profile_errors.variance_table`."""
        return variance_table(self, x, width)

    def source_parts(self):
        """The profile and the trace of the brightest source, for a `~specmodels.models.Source`.

        Returns
        -------
        profile : `~specmodels.models.TabulatedPSF`
            Density at the nodes, in rows from the trace, linear between them as in this fit.
        trace : `~specmodels.models.TabulatedTrace`
            Row of the source in each column that has a position there.

        Raises
        ------
        ValueError
            If the position of the source crosses fewer than two columns.
        """
        nodes, center = self.layout.nodes, self.brightest
        low, high = self.pixels.range
        columns, rows = self.crossings(center)
        if columns.size < 2:
            raise ValueError(f"{self.image.name}: the source at {center:g} crosses no two columns")
        ends = np.sort(self.pixels.sign * np.array([low - center, high - center]))
        first, last = np.trunc(SOURCE_STEPS * ends)
        offsets = np.arange(first, last + 1) / SOURCE_STEPS
        positions = center + self.pixels.sign * offsets
        covered = self.pixels.covered(self.layout)
        table = self.profile(positions[None], nodes[:, None], 0.0)
        # Beyond what a node has seen the spline is an extrapolation, not light.
        table[~covered[:, self.layout.grid.index(positions)]] = 0.0
        return TabulatedPSF(table, offsets, nodes), TabulatedTrace(columns, rows)

    @cached_property
    def brightest(self):
        """Position of the brightest source, in pixels."""
        grid = self.layout.grid
        mean = np.abs(grid.profiles(self.coefficients, 1.0)).mean(axis=0)
        low, high = self.pixels.range
        seen = (grid.centers > low + 1) & (grid.centers < high - 1)
        return grid.centers[np.argmax(np.where(seen, mean, -np.inf))]

    def crossings(self, center):
        """Columns and fractional rows at which the positions reach a value."""
        positions = self.image.spatial
        if positions is None:
            return self.image.x, np.full(len(self.image.x), center)
        away = self.pixels.sign * (positions / self.unit - center)
        crossed = (away[:-1] <= 0) & (away[1:] > 0)
        columns = np.flatnonzero(crossed.any(axis=0))
        row = np.argmax(crossed[:, columns], axis=0)
        before, after = away[row, columns], away[row + 1, columns]
        return self.image.x[columns], self.image.y[row] + before / (before - after)
