"""Sums over groups of pixels of an image, such as bins of each line, and back: compiled passes.

The group of a pixel is a part that its row tells plus one that its column tells, whatever the order
in which the pixels are read.
"""

from dataclasses import dataclass

import numpy as np

from .compiled import compiled
from .correlated import TimeGrid
from .medians import medians_of_rows

__all__ = ["PixelGroups", "line_bins", "line_groups", "stripe_groups"]

# Pixels whose mean is one value of a median: as many as leave enough values, but not more.
LONGEST_RUN, LEAST_RUNS = 8, 64


@dataclass(frozen=True, eq=False)
class PixelGroups:
    """Groups of the pixels of an image.

    Parameters
    ----------
    rows, columns : ndarray of int, shapes (n_y,) and (n_x,)
        Parts of the number of a pixel's group, whose sum it is.
    shape : tuple of int
        Of the groups.
    """

    rows: np.ndarray
    columns: np.ndarray
    shape: tuple

    def sums(self, image, use):
        """Sums of the used pixels of each group, and their numbers, f4, both of `shape`.

        Parameters
        ----------
        image : ndarray of float32, shape (n_y, n_x)
        use : ndarray of bool, same shape
        """
        total, number = np.zeros((2, *self.shape), "f4")
        image, use = np.ascontiguousarray(image, "f4"), np.ascontiguousarray(use)
        _sums(image, use, self.rows, self.columns, total.reshape(-1), number.reshape(-1))
        return total, number

    def medians(self, image, use):
        """Median of the used pixels of each group, and their numbers, both of `shape`.

        It is that of the means of runs of pixels, as they follow one another: as exact where noise
        is Gaussian, and much faster to find. Zero where a group has no used pixel.

        Parameters
        ----------
        image : ndarray of float32, shape (n_y, n_x)
        use : ndarray of bool, same shape
        """
        n_group = self.shape[0] * self.shape[1]
        width = len(self.rows) * len(self.columns) // n_group
        run = min(max(width // LEAST_RUNS, 1), LONGEST_RUN)
        means = np.zeros((n_group, width // run + 2), "f4")
        number, full = np.zeros((2, n_group), np.int64)
        image, use = np.ascontiguousarray(image, "f4"), np.ascontiguousarray(use)
        _runs(image, use, self.rows, self.columns, run, means, full, number)
        out = np.empty(n_group, "f4")
        medians_of_rows(means, np.arange(means.shape[1]) < full[:, None], out, full)
        return out.reshape(self.shape), number.reshape(self.shape)

    def spread(self, values):
        """Image of which each pixel has the value of its group, f4, shape (n_y, n_x)."""
        values = np.ascontiguousarray(values, "f4").reshape(-1)
        out = np.empty((len(self.rows), len(self.columns)), "f4")
        _spread(values, self.rows, self.columns, out)
        return out


def line_bins(readout, shape, size):
    """Bins of neighbouring pixels of each line, on a coarse grid of time.

    Parameters
    ----------
    readout : `~specmodels.numerics.readout.Readout`
    shape : tuple of int
        Of the image.
    size : int
        Pixels of a bin, about.

    Returns
    -------
    groups : PixelGroups
        Of shape (n_output, grid.size).
    grid : `~specmodels.numerics.correlated.TimeGrid`
        Whose pixels are the bins; pauses have bins without pixels.
    full : float
        Pixels of a bin of which none is missing.
    """
    _, n_line, width = readout.frame_shape(shape)
    line = width + readout.overhead
    n_bin = max(1, round(line / size))
    grid = TimeGrid(n_line, n_bin)
    along = _along(readout, shape, lambda time: time * n_bin // line, grid.size)
    lines = np.arange(n_line)[:: readout.slow_direction] * n_bin
    return _groups(readout, along, lines, grid.size), grid, line / n_bin


def line_groups(readout, shape):
    """Whole lines of each output; shape (n_output, n_line)."""
    n_line = readout.frame_shape(shape)[1]
    along = _along(readout, shape, lambda time: 0 * time, n_line)
    return _groups(readout, along, np.arange(n_line)[:: readout.slow_direction], n_line)


def stripe_groups(readout, shape):
    """Pixels at the same place of all lines of an output; shape (n_output, width)."""
    _, n_line, width = readout.frame_shape(shape)
    along = _along(readout, shape, lambda time: time, width)
    return _groups(readout, along, np.zeros(n_line, dtype=int), width)


def _along(readout, shape, number, size):
    """Numbers of groups along a line, from those of the times within it."""
    one_line = (1, shape[-1]) if readout.fast_axis == -1 else (shape[-2], 1)
    output, _, time = np.indices(readout.frame_shape(one_line))
    return readout.lines(readout.image(output * size + number(time)))[0]


def _groups(readout, along, lines, size):
    rows, columns = (lines, along) if readout.fast_axis == -1 else (along, lines)
    parts = (np.ascontiguousarray(part, np.int64) for part in (rows, columns))
    return PixelGroups(*parts, (readout.n_outputs, size))


@compiled
def _sums(image, use, rows, columns, total, number):
    """Add the used pixels to the sums and numbers of their groups."""
    for y in range(image.shape[0]):
        k, value, n = rows[y] + columns[0], np.float32(0), np.float32(0)
        for x in range(image.shape[1]):
            if rows[y] + columns[x] != k:
                total[k] += value
                number[k] += n
                k, value, n = rows[y] + columns[x], np.float32(0), np.float32(0)
            value += image[y, x] if use[y, x] else np.float32(0)
            n += use[y, x]
        total[k] += value
        number[k] += n


@compiled
def _spread(values, rows, columns, out):
    """Write to each pixel the value of its group."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = values[rows[y] + columns[x]]


@compiled
def _runs(image, use, rows, columns, length, means, full, number):
    """Means of runs of used pixels of each group, how many, and the numbers of used pixels.

    A last run that is shorter counts if it is half as long, or the only one.
    """
    size = np.zeros(number.size, np.int64)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if use[y, x]:
                k = rows[y] + columns[x]
                means[k, full[k]] += image[y, x]
                size[k] += 1
                if size[k] == length:
                    means[k, full[k]] /= np.float32(length)
                    number[k] += length
                    full[k] += 1
                    size[k] = 0
    for k in range(number.size):
        number[k] += size[k]
        if 2 * size[k] >= length or (full[k] == 0 and size[k] > 0):
            means[k, full[k]] /= np.float32(size[k])
            full[k] += 1
