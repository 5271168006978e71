"""The pixels of one image as `WindowedFitter` sees them: a flat list with positions and columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ...numerics.clipping import reject_by_column
from ...numerics.normal import NormalEquations
from ...numerics.robust import MAD_TO_SIGMA
from ...numerics.spline_grid import SplineGrid
from ...numerics.window_moments import Moments
from ..sky.positions import regular_positions
from .layout import Layout

__all__ = ["WindowPixels"]

# Fine bins per pixel: half of one, 0.005 pixel, is far below what noise lets positions mean.
BINS_PER_PIXEL = 100
LEAST_PIXELS = 4
# Below this part of its square a profile cannot be told from a level.
LEAST_CONTRAST = 1e-4
# Part of its variance that a residual keeps, at least, when pixels are judged.
LEAST_FREEDOM = 0.05
# Part of the usual number of pixels that a knot interval needs near a node.
LEAST_COVER = 0.3
# A pixel knows of another one that is no farther from it, in pixels.
OVERLAP = 0.4
# Signal-to-noise ratio of bright pixels, and how many are needed to tell the model's error.
BRIGHT, LEAST_BRIGHT = 10, 50


@dataclass(frozen=True, eq=False)
class WindowPixels:
    """Pixels that can be used, in the order of rows.

    Attributes
    ----------
    rows, columns : ndarray of int, shape (n_pixel,)
    positions : ndarray, shape (n_pixel,)
        Along the slit, in pixels.
    data, weights : ndarray, shape (n_pixel,)
    x : ndarray, shape (n_column,)
        Numbers of the columns.
    unit : float
        Size of a pixel in the unit of the image's positions.
    sign : int
        -1 where positions fall with the row.
    places : ndarray, shape of the image
        Positions of all pixels, as from `regular_positions`.
    """

    rows: np.ndarray
    columns: np.ndarray
    positions: np.ndarray
    data: np.ndarray
    weights: np.ndarray
    x: np.ndarray
    unit: float
    sign: int
    places: np.ndarray

    @classmethod
    def of(cls, image):
        """Pixels of a `~specmodels.SpectralImage`.

        Raises
        ------
        ValueError
            If none can be used.
        """
        positions, unit, sign, regular = regular_positions(image)
        use = regular & (image.weights > 0)
        if np.count_nonzero(use) < LEAST_PIXELS:
            raise ValueError(f"{image.name}: no good pixels with positions along the slit")
        rows, columns = np.nonzero(use)
        return cls(
            rows, columns, positions[use], image.data[use].astype(float), image.weights[use],
            image.x, unit, sign, positions,
        )  # fmt: skip

    @property
    def shape(self):
        """Shape of the image."""
        return self.places.shape

    @cached_property
    def range(self):
        """Lowest and highest edge of a pixel."""
        return self.positions.min() - 0.5, self.positions.max() + 0.5

    @cached_property
    def ends(self):
        """First and last column with pixels."""
        return self.x[self.columns.min()], self.x[self.columns.max()]

    @cached_property
    def n_columns(self):
        """Number of columns with pixels."""
        return int(np.count_nonzero(np.bincount(self.columns, minlength=self.shape[1])))

    @property
    def span(self):
        """Number of columns from the first to the last."""
        return self.ends[1] - self.ends[0] + 1

    @cached_property
    def drift(self):
        """How far positions move against the pixels from the first to the last column, in pixels.

        Back and forth both count.
        """
        count = np.bincount(self.columns, minlength=self.shape[1])
        moved = self.sums(self.positions - self.sign * self.rows)
        return float(np.abs(np.diff(moved[count > 0] / count[count > 0])).sum())

    def layout(self, n_intervals, spacing):
        """Evenly spaced nodes and knots over all pixels."""
        low, high = self.ends
        nodes = np.linspace(low, max(high, low + 1.0), n_intervals + 1)
        grid = SplineGrid.over(*self.range, spacing, step=1 / BINS_PER_PIXEL)
        return Layout(nodes, grid)

    @cached_property
    def _bins(self):
        return {}

    def covered(self, layout, *, closed=True):
        """Whether there are enough good pixels near each node and bin, shape (n_nodes, n_bins).

        Bins between the middles of neighbouring pixels are ``closed``.
        """
        enough = _enough(layout, self.bins(layout.grid), layout.place(self.x)[0][self.columns])
        if closed:
            enough = _closed(enough, int(1 / layout.grid.spacing))
        return np.repeat(enough, layout.grid.bins, axis=1)

    def spanned(self, layout):
        """Whether bins lie within the slit near each node, its pixels good or bad."""
        inside = np.isfinite(self.places)
        interval = layout.place(self.x)[0][np.nonzero(inside)[1]]
        enough = _enough(layout, layout.grid.index(self.places[inside]), interval)
        after = np.logical_or.accumulate(enough, axis=1)
        before = np.logical_or.accumulate(enough[:, ::-1], axis=1)[:, ::-1]
        return np.repeat(after & before, layout.grid.bins, axis=1)

    def witnessed(self, layout):
        """Whether pixels at a bin, in columns near a node, overlap by half with good ones.

        Elsewhere the profile is an extrapolation that no column has seen. Shape (n_nodes, n_bins).
        """
        grid, n_intervals = layout.grid, len(layout.nodes) - 1
        interval = layout.place(self.x)[0][self.columns]
        seen = np.zeros((n_intervals, grid.n_bins), dtype=bool)
        seen[interval, self.bins(grid)] = True
        near = ndimage.maximum_filter1d(seen, 2 * int(np.rint(OVERLAP / grid.step)) + 1, axis=1,
                                        mode="constant")  # fmt: skip
        nothing = np.zeros((1, grid.n_bins), dtype=bool)
        return np.concatenate([near, nothing]) | np.concatenate([nothing, near])

    def bins(self, grid):
        """Bin of each pixel; grids of the same bins share them."""
        key = (grid.low, grid.step)
        if key not in self._bins:
            self._bins[key] = grid.index(self.positions)
        return self._bins[key]

    @cached_property
    def height(self):
        """Position relative to the range of all pixels, from -1 to 1, shape (n_pixel,)."""
        return self.relative(self.positions)

    def relative(self, positions):
        """Positions relative to the range of the pixels: -1 and 1 at its ends."""
        low, high = self.range
        return (2 * positions - low - high) / (high - low)

    def ground(self, values):
        """What lies under the profile: level and slope of the columns, shape (n_pixel,)."""
        return values[1][self.columns] + values[2][self.columns] * self.height

    def moments(self, layout, values, kept):
        """Sums over the pixels of a spline that is multiplied by the scale of each column."""
        interval, fraction = layout.place(self.x)
        scale = values[0]
        usable = scale != 0
        use = kept & usable[self.columns]
        weighted = np.where(use, self.weights * scale[self.columns], 0.0)
        residual = self.data - self.ground(values)
        weights = weighted * scale[self.columns]
        weighted *= residual
        bins = self.bins(layout.grid)
        chi2 = np.sum(np.where(use, self.weights * residual**2, 0.0))
        return Moments.of_pixels(
            bins, bins.max() + 1, interval[self.columns], fraction[self.columns],
            len(layout.nodes) - 1, weights, weighted, chi2,
        )  # fmt: skip

    def sums(self, values):
        """Sum over the pixels of each column, shape (n_column,)."""
        return np.bincount(self.columns, values, self.shape[1])

    def image_of(self, values, fill):
        """Image of a value per pixel."""
        out = np.full(self.shape, fill, dtype=np.asarray(values).dtype)
        out.ravel()[self._numbers] = values
        return out

    @cached_property
    def _numbers(self):
        """Number of each pixel in the flattened image."""
        return self.rows * self.shape[1] + self.columns

    def scales(self, shape, kept):
        """Scale, level and slope of each column, and their covariance.

        Parameters
        ----------
        shape : ndarray, shape (n_pixel,)
            Profile in each pixel.
        kept : ndarray of bool, shape (n_pixel,)

        Returns
        -------
        values : ndarray, shape (3, n_column)
            Zero where nothing can be found.
        covariance : ndarray, shape (3, 3, n_column)
        """
        w = np.where(kept, self.weights, 0.0)
        terms = (shape, None, self.height)
        matrix = np.empty((3, 3, self.shape[1]))
        vector = np.empty((3, self.shape[1]))
        for k, term in enumerate(terms):
            own = w if term is None else w * term
            vector[k] = self.sums(own * self.data)
            for j in range(k, 3):
                other = own if terms[j] is None else own * terms[j]
                matrix[k, j] = matrix[j, k] = self.sums(other)
        count = np.bincount(self.columns[kept], minlength=self.shape[1])
        solution = NormalEquations(matrix, vector, np.zeros(self.shape[1]), count).solve()
        values, covariance = np.nan_to_num(solution.values), np.nan_to_num(solution.covariance)
        flat = covariance[0, 0] * matrix[0, 0] > 1 / LEAST_CONTRAST
        values[0, flat] = 0.0
        covariance[0, :, flat] = 0.0
        covariance[:, 0, flat] = 0.0
        return values, covariance

    def judged(self, shape, values, covariance, sigma, profile_error):
        """Pixels that agree with the model, True, shape (n_pixel,)."""
        model = values[0][self.columns] * shape
        residual = self.data - model - self.ground(values)
        profile_error = max(profile_error, self._misfit(residual, model))
        variance = 1 / self.weights + (profile_error * model) ** 2
        # Only these can stand out when divided by what their leverage leaves to them.
        some = np.flatnonzero(residual**2 > LEAST_FREEDOM * sigma**2 * variance)
        c, own = covariance[:2, :2, self.columns[some]], shape[some]
        leverage = ((c[0, 0] * own + 2 * c[0, 1]) * own + c[1, 1]) * self.weights[some]
        free = np.clip(1 - leverage, LEAST_FREEDOM, 1.0)
        suspect = some[residual[some] ** 2 > sigma**2 * variance[some] * free]
        kept = np.ones(len(self.data), dtype=bool)
        columns = np.unique(self.columns[suspect])
        if columns.size:
            kept[:] = ~self._rejected(columns, shape, variance, sigma)[self.rows, self.columns]
        return kept

    def _misfit(self, residual, model):
        """Relative error of the model that bright pixels show beyond their noise."""
        bright = model**2 * self.weights > BRIGHT**2
        if np.count_nonzero(bright) < LEAST_BRIGHT:
            return 0.0
        relative = np.abs(residual[bright] / model[bright])
        noise = 1 / (np.abs(model[bright]) * np.sqrt(self.weights[bright]))
        excess = (MAD_TO_SIGMA * np.median(relative)) ** 2 - (1.2 * np.median(noise)) ** 2
        return np.sqrt(max(excess, 0.0))

    def _rejected(self, columns, shape, variance, sigma):
        """Outliers of some columns, one by one, as an image."""
        profile, height, data, weights = self._images_of(
            columns, shape, self.height, self.data, 1 / variance
        )
        # Hits are told from lines by the columns beside them, which need not be suspects.
        beside = [self._images_of(columns + step, self.data, self.weights) for step in (-1, 1)]
        found = reject_by_column(
            [profile, np.ones((self.shape[0], 1)), height], data, weights,
            np.full(data.shape, float(sigma)), beside=beside,
        )  # fmt: skip
        out = np.zeros(self.shape, dtype=bool)
        out[:, columns] = found
        return out

    def _images_of(self, columns, *values):
        """Images of some columns of values per pixel, zero outside of the image of all."""
        inside = (columns >= 0) & (columns < self.shape[1])
        place = np.full(self.shape[1], -1)
        place[columns[inside]] = np.flatnonzero(inside)
        place = place[self.columns]
        mine = place >= 0
        out = np.zeros((len(values), self.shape[0], columns.size))
        for image, value in zip(out, values, strict=True):
            image[self.rows[mine], place[mine]] = value[mine]
        return out


def _enough(layout, bins, interval):
    """Whether pixels in bins and intervals are enough near each node, shape (n_nodes, n_cells)."""
    grid, n_intervals = layout.grid, len(layout.nodes) - 1
    key = interval * grid.n_cells + bins // grid.bins
    counts = np.bincount(key, minlength=n_intervals * grid.n_cells)
    counts = counts.reshape(n_intervals, grid.n_cells)
    at_node = np.zeros((n_intervals + 1, grid.n_cells), dtype=int)
    at_node[:-1] += counts
    at_node[1:] += counts
    return at_node > LEAST_COVER * np.median(at_node[at_node > 0])


def _closed(use, size):
    """Without holes of up to so many cells along the last axis."""
    padded = np.pad(use, ((0, 0), (size, size)))
    near = ndimage.maximum_filter1d(padded, size + 1, axis=1, origin=-((size + 1) // 2))
    return ndimage.minimum_filter1d(near, size + 1, axis=1, origin=size // 2)[:, size:-size]
