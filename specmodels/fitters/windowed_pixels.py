"""The pixels of one image as `WindowedFitter` sees them: a flat list with positions and columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..numerics.clipping import reject_by_column
from ..numerics.fine_pixels import LEAST_STEP, MOST_STEP, ProfileTable, look_up
from ..numerics.normal import NormalEquations
from ..numerics.robust import MAD_TO_SIGMA
from ..numerics.spline_grid import SplineGrid
from ..numerics.windows import Moments

__all__ = ["Layout", "WindowPixels", "regular_positions"]

# Fine bins per pixel: half of one, 0.005 pixel, is far below what noise lets positions mean.
BINS_PER_PIXEL = 100
LEAST_PIXELS = 4
# Below this part of its square a profile cannot be told from a level.
LEAST_CONTRAST = 1e-4
# Part of its variance that a residual keeps, at least, when pixels are judged.
LEAST_FREEDOM = 0.05
# Part of the usual number of pixels that a knot interval needs near a node.
LEAST_COVER = 0.3
# Signal-to-noise ratio of bright pixels, and how many are needed to tell the model's error.
BRIGHT, LEAST_BRIGHT = 10, 50
LOW_PERCENTILE = 20
# Rounds in which missing light is estimated, and the least part that is enough to do so.
COMPLETIONS, LEAST_PART = 3, 0.05
SPIKE_SIGMA = 8


@dataclass(frozen=True, eq=False)
class Layout:
    """Nodes along the dispersion and knots along the slit.

    Attributes
    ----------
    nodes : ndarray, shape (n_nodes,)
        Columns, two or more.
    grid : `~specmodels.numerics.spline_grid.SplineGrid`
        Positions in pixels.
    """

    nodes: np.ndarray
    grid: SplineGrid

    def place(self, x):
        """Interval between nodes of each column, and the fraction of it."""
        place = np.interp(x, self.nodes, np.arange(self.nodes.size))
        interval = np.minimum(place.astype(np.intp), self.nodes.size - 2)
        return interval, place - interval

    def table(self, coefficients, x, width=1.0):
        """Profiles averaged over pixels of a width in columns ``x``, as a `ProfileTable`."""
        grid = self.grid
        return ProfileTable.of_nodes(
            grid.profiles(coefficients, width), grid.low, grid.step, *self.place(x)
        )

    def shape(self, coefficients, positions, x, width=1.0):
        """Profile averaged over pixels of a width at positions in columns ``x`` (broadcast)."""
        columns = np.arange(np.size(x)).reshape(np.shape(x))
        positions, columns = np.broadcast_arrays(positions, columns)
        table = self.table(coefficients, np.ravel(x), width)
        return look_up(table, positions.ravel(), columns.ravel()).reshape(positions.shape)

    def wide_shape(self, coefficients, position, x, width):
        """Profile averaged over a width of any size about one position, in columns ``x``."""
        # Not wider than a pixel, for which the tables are made.
        n = int(np.ceil(width))
        middles = position + width * ((np.arange(n) + 0.5) / n - 0.5)
        return self.shape(coefficients, middles[:, None], x, width / n).mean(axis=0)


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
        """Pixels of a `~specmodels.exposure.SpectralImage`.

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

    def covered(self, layout):
        """Whether there are enough pixels near each node and bin, shape (n_nodes, n_bins)."""
        grid, n_intervals = layout.grid, len(layout.nodes) - 1
        cells = self.bins(grid) // grid.bins
        key = layout.place(self.x)[0][self.columns] * grid.n_cells + cells
        counts = np.bincount(key, minlength=n_intervals * grid.n_cells)
        counts = counts.reshape(n_intervals, grid.n_cells)
        at_node = np.zeros((n_intervals + 1, grid.n_cells), dtype=int)
        at_node[:-1] += counts
        at_node[1:] += counts
        enough = at_node > LEAST_COVER * np.median(at_node[at_node > 0])
        return np.repeat(enough, grid.bins, axis=1)

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

    def first_scales(self):
        """Scale, level and slope of each column before any profile is known, and pixels to use.

        The level is a low percentile, the scale what is above and below it, in pixels that do not
        stick out of their rows; the slope is zero.
        """
        kept = ~self._spikes()
        ordered = np.sort(self.image_of(np.where(kept, self.data, np.inf), np.inf), axis=0)
        count = np.bincount(self.columns[kept], minlength=self.shape[1])
        at = np.minimum(count * LOW_PERCENTILE // 100, np.maximum(count - 1, 0))
        level = np.where(count > 0, ordered[at, np.arange(self.shape[1])], 0.0)
        above = np.where(kept, np.abs(self.data - level[self.columns]), 0.0)
        scale = self._completed(self.sums(above), above, kept)
        return np.array([scale, level, np.zeros(scale.size)]), kept

    def _completed(self, sums, above, kept):
        """Sums of columns with what their missing pixels would bring, by the mean profile.

        Pixels of a row are often missing in many columns. Without this, the profile would go by
        what is left.
        """
        missing = np.isfinite(self.places)
        missing[self.rows[kept], self.columns[kept]] = False
        rows, columns = np.nonzero(missing)
        if not rows.size:
            return sums
        low, high = self.range
        bins = (self.positions - low).astype(np.intp)
        n_bins = int(high - low) + 1
        middles = low + 0.5 + np.arange(n_bins)
        mine = np.flatnonzero(kept & np.isin(self.columns, columns))
        total = sums
        for _ in range(COMPLETIONS):
            light = np.where(kept, total[self.columns], 0.0)
            norm = np.bincount(bins, light, n_bins)
            profile = np.bincount(bins, above, n_bins) / np.where(norm > 0, norm, np.inf)
            own = np.interp(self.positions[mine], middles, profile)
            lost = np.interp(self.places[rows, columns], middles, profile)
            seen = np.bincount(self.columns[mine], own, self.shape[1])
            whole = seen + np.bincount(columns, lost, self.shape[1])
            part = np.divide(seen, whole, out=np.ones(seen.size), where=whole > 0)
            total = sums / np.maximum(part, LEAST_PART)
        return total

    def _spikes(self):
        """Pixels far from the median of the four nearest in their row: hits, or narrow lines."""
        padded = np.pad(self.image_of(self.data, 0.0), ((0, 0), (2, 2)), mode="reflect")
        around = [padded[:, i : i + self.shape[1]] for i in (0, 1, 3, 4)]
        high, low = np.maximum.reduce(around), np.minimum.reduce(around)
        middle = ((sum(around) - high - low) / 2)[self.rows, self.columns]
        limit = SPIKE_SIGMA / np.sqrt(self.weights) + np.abs(middle)
        return np.abs(self.data - middle) > limit

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
        mine = np.isin(self.columns, columns)
        place = np.searchsorted(columns, self.columns[mine])

        def part(values):
            out = np.zeros((self.shape[0], columns.size))
            out[self.rows[mine], place] = values[mine]
            return out

        found = reject_by_column(
            [part(shape), np.ones((self.shape[0], 1)), part(self.height)], part(self.data),
            part(1 / variance), np.full((self.shape[0], columns.size), float(sigma)),
        )  # fmt: skip
        out = np.zeros(self.shape, dtype=bool)
        out[:, columns] = found
        return out


def regular_positions(image):
    """Positions along the slit in pixels, the size of a pixel, and where they run evenly.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`

    Returns
    -------
    positions : ndarray, shape of the image
        NaN where they are not regular.
    unit : float
        Size of a pixel in the unit of ``spatial``.
    sign : int
        -1 where positions fall with the row.
    regular : ndarray of bool, shape of the image
        False where positions are missing, or go on neither from the row before nor to the next.

    Raises
    ------
    ValueError
        If no two neighbours have different positions.
    """
    if image.spatial is None:
        rows = np.broadcast_to(image.y[:, None].astype(float), image.shape)
        return rows, 1.0, 1, np.ones(image.shape, dtype=bool)
    steps = np.diff(image.spatial, axis=0)
    known = steps[np.isfinite(steps) & (steps != 0)]
    if not known.size:
        raise ValueError(f"{image.name}: positions along the slit do not change along columns")
    unit = np.median(known)
    relative = steps / unit
    even = (relative > LEAST_STEP) & (relative < MOST_STEP)
    lost = np.isfinite(image.spatial)
    lost[1:] &= ~even
    lost[:-1] &= ~even
    if image.shape[0] == 1:
        lost[:] = False
    regular = np.isfinite(image.spatial) & ~lost
    positions = np.where(regular, image.spatial / abs(unit), np.nan)
    return positions, abs(unit), int(np.sign(unit)), regular
