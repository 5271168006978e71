"""Elimination of blocks from what they share: rows of a triangular solution, some at once.

The inverse of a block's Cholesky factor makes of what the block has in common with shared
coefficients rows whose entries fall off along the block. Only the columns are kept, for some rows
at a time, in which they are not negligible. Couplings are made from the pixels and forgotten.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.arrow_kernels import (
    Couplings,
    Pixels,
    add_couplings,
    fill_rows,
    scale_couplings,
)
from ...numerics.band_factors import backward_rows, forward_rows
from .arrow_structure import ROWS_AT_ONCE

__all__ = ["Blocks", "Rows"]

# Entries this small change no digit of what follows, in a matrix of unit diagonal.
LEAST_ENTRY = 1e-18
# Couplings are made of so many numbers at once, or of one block.
MOST_COUPLINGS = 1e7


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a block.

    Attributes
    ----------
    first, end : int
        Their ranks.
    window : ndarray of int, shape (2, 2)
        First shared coefficient that is kept, and the one behind the last: before the border, and
        in it.
    values : ndarray, shape (n_row, n_column)
        The columns of the second range follow those of the first.
    """

    first: int
    end: int
    window: np.ndarray
    values: np.ndarray

    @property
    def ranges(self):
        """The window as a list of pairs."""
        return self.window.tolist()

    def columns(self, shared):
        """Columns of shared coefficients, which the window has."""
        (low, high), (other, end) = self.ranges
        inside = (shared >= other) & (shared < end)
        return np.where(inside, shared - other + high - low, shared - low)


class Blocks:
    """The blocks of a factorised matrix.

    Parameters
    ----------
    entries : Entries
    weights : ndarray, shape (n_pixel,)
    structure : ArrowStructure
    mixed : tuple of ndarray, each of shape (n_pair,)
        What priors add: ranks in blocks, numbers of shared coefficients, and values.
    factor : ndarray, shape (n_band, width + 1)
        Cholesky factor of the scaled matrix of the blocks.
    scale : ndarray, shape (n,)
        By which rows and columns are multiplied; zero of those that have no part in it.
    """

    def __init__(self, entries, weights, structure, mixed, factor, scale):
        self.entries, self.weights, self.structure = entries, weights, structure
        self.mixed, self.factor, self.scale = mixed, factor, scale

    def forward(self):
        """`Rows` of the couplings, divided by the lower factor, of all blocks in turn."""
        for couplings, blocks in self._batches():
            for first, end in blocks:
                yield from self._forward(couplings, first, end)

    def solved(self):
        """`Rows` of the couplings, divided by the matrices of the blocks.

        Block by block, the last rows first; the values have rows beyond the end as well, up to as
        many as there are diagonals beside the main one.
        """
        for couplings, blocks in self._batches():
            for first, end in blocks:
                yield from self._backward(list(self._forward(couplings, first, end)))

    def _batches(self):
        """Couplings of blocks that are made together, with the ranks of these blocks."""
        s = self.structure
        size = np.maximum(s.met[:, 1] - s.met[:, 0], 0)
        ends = np.concatenate([[0], np.cumsum(size.sum(axis=0))])
        start = 0
        while start < len(s.blocks):
            most = ends[s.blocks[start, 0]] + MOST_COUPLINGS
            stop = max(int(np.searchsorted(ends[s.blocks[:, 1]], most, side="right")), start + 1)
            blocks = s.blocks[start:stop]
            own = slice(blocks[0, 0], blocks[-1, 1])
            yield self._couplings(own, size[:, own], blocks[:, 2:]), blocks[:, :2].tolist()
            start = stop

    def _couplings(self, own, size, rows):
        """`Couplings` of a slice of ranks, scaled."""
        s = self.structure
        low = np.where(size > 0, s.met[:, 0, own], 0)
        start = np.zeros((2, size.shape[1] + 1), dtype=np.int64)
        np.cumsum(size, axis=1, out=start[:, 1:])
        start[1] += start[0, -1]
        out = Couplings(own.start, low, start, np.zeros(start[1, -1]))
        for pixels, index, value in self.entries.between(rows[:, 0].min(), rows[:, 1].max()):
            add_couplings(Pixels(index, value, self.weights[pixels]), s.ranks, out)
        one, other, value = self.mixed
        some = (one >= own.start) & (one < own.stop)
        part = (other[some] >= s.n_inner).astype(int)
        row = one[some] - own.start
        place = out.start[part, row] + other[some] - low[part, row]
        np.add.at(out.numbers, place, value[some])
        scale_couplings(out, self.scale, s.n_band)
        return out

    def _forward(self, couplings, first, end):
        """`Rows` of one block, divided by the lower factor."""
        diagonals, met = self.factor.shape[1] - 1, self.structure.met
        before, step = _none(first), max(ROWS_AT_ONCE, diagonals)
        for a in range(first, end, step):
            b = min(a + step, end)
            before = _trimmed(before, slice(max(len(before.values) - diagonals, 0), None))
            here = _joined(met[:, 0, a:b].min(axis=1), met[:, 1, a:b].max(axis=1), before.window)
            known = len(before.values)
            values = np.zeros((known + b - a, _width(here)))
            _put(values[:known], here, before)
            fill_rows(couplings, a, here, values[known:])
            forward_rows(self.factor, a, values, known)
            before = Rows(a, b, here, values[known:])
            yield before

    def _backward(self, rows):
        """`Rows` of one block, divided by the transposed factor too, from the last up."""
        diagonals = self.factor.shape[1] - 1
        after = _none(rows[-1].end)
        for own in reversed(rows):
            after = _trimmed(after, slice(0, diagonals))
            here = _joined(*own.window.T, after.window)
            n, known = own.end - own.first, len(after.values)
            values = np.zeros((n + known, _width(here)))
            _put(values[:n], here, own)
            _put(values[n:], here, after)
            backward_rows(self.factor, own.first, values, n)
            after = Rows(own.first, own.end, here, values)
            yield after


def _none(place):
    return Rows(place, place, np.zeros((2, 2), dtype=np.int64), np.zeros((0, 0)))


def _width(window):
    return int(np.sum(window[:, 1] - window[:, 0]))


def _joined(low, high, window):
    """Window of two, of which either may be empty."""
    empty, none = high <= low, window[:, 1] <= window[:, 0]
    low = np.where(empty, window[:, 0], np.where(none, low, np.minimum(low, window[:, 0])))
    high = np.where(empty, window[:, 1], np.where(none, high, np.maximum(high, window[:, 1])))
    return np.stack([low, high], axis=1)


def _put(values, window, rows):
    """Set values in a window from rows of a smaller one."""
    middle, own = window[0, 1] - window[0, 0], rows.window
    width = own[0, 1] - own[0, 0]
    start = own[0, 0] - window[0, 0]
    values[:, start : start + width] = rows.values[:, :width]
    start = middle + own[1, 0] - window[1, 0]
    values[:, start : start + rows.values.shape[1] - width] = rows.values[:, width:]


def _trimmed(rows, some):
    """Some rows of others without the columns at either end in which they have nothing."""
    values = rows.values[some]
    seen = (np.abs(values) > LEAST_ENTRY).any(axis=0)
    width = rows.window[0, 1] - rows.window[0, 0]
    window, kept = np.zeros((2, 2), dtype=np.int64), [values[:, :0]]
    for part, (start, stop) in enumerate(((0, width), (width, len(seen)))):
        where = np.flatnonzero(seen[start:stop])
        if len(where):
            window[part] = rows.window[part, 0] + np.array([where[0], where[-1] + 1])
            kept.append(values[:, start + where[0] : start + where[-1] + 1])
    return Rows(rows.first, rows.end, window, np.concatenate(kept, axis=1))
