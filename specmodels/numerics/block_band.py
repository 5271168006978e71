r"""Symmetric positive matrices whose band is so wide that it is made of dense blocks.

Blocks of neighbouring coefficients meet the next block only, and a border meets all of them:

.. math::
    S = \begin{pmatrix} D_1 & E_1^T & & G_1 \\ E_1 & D_2 & E_2^T & G_2 \\
        & E_2 & D_3 & G_3 \\ G_1^T & G_2^T & G_3^T & B \end{pmatrix}

All is dense algebra of blocks, in place. Of a block only the last coefficients, its tail, meet the
next one.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numba
import numpy as np
from scipy.linalg import lapack

from .bordered_band import dense_factor, dense_solve, forward_solve

__all__ = ["BlockBand", "BlockLayout"]

LEAST_BLOCK = 256


@dataclass(frozen=True, eq=False)
class BlockLayout:
    """Where the blocks are.

    Attributes
    ----------
    starts : ndarray of int, shape (n_block + 1,)
        First coefficient of each block; the last is the number of those in blocks.
    tails : ndarray of int, shape (n_block,)
        How many of each meet the next block.
    n_border : int
    """

    starts: np.ndarray
    tails: np.ndarray
    n_border: int

    @classmethod
    def of(cls, reach, n_border):
        """Smallest blocks for coefficients that meet none beyond `reach`, shape (n_band,)."""
        n = len(reach)
        far = np.maximum.accumulate(np.maximum(reach, np.arange(n))) if n else reach
        starts = [0]
        while starts[-1] < n:
            here = starts[-1]
            last = int(far[max(here - 1, 0)]) + 1
            last = max(last if last > here else int(far[here]) + 1, min(here + LEAST_BLOCK, n))
            starts.append(last)
        starts = np.array(starts)
        tails = [b - np.searchsorted(far[a:b], b) - a
                 for a, b in pairwise(starts)]  # fmt: skip
        return cls(starts, np.array(tails, dtype=int), n_border)

    @property
    def sizes(self):
        """Number of coefficients of each block."""
        return np.diff(self.starts)

    @property
    def n_band(self):
        """Number of coefficients in blocks."""
        return int(self.starts[-1])

    @property
    def offsets(self):
        """First places of the blocks D, E and G in an array of all numbers, and of B and its end.

        Returns
        -------
        ndarray of int, shape (3, n_block + 1)
            B is at ``[2, -1]``; ``[0, -1]`` is the length of the array.
        """
        n, t, m = self.sizes.astype(np.int64), self.tails, self.n_border
        below = np.append(n[1:], 0)[: len(n)] * t
        ends = np.cumsum(np.concatenate([[0], n * n, below, n * m, [m * m]]))
        k = len(n)
        out = np.empty((3, k + 1), dtype=np.int64)
        out[0, :k], out[1, :k], out[2, :k] = ends[:k], ends[k : 2 * k], ends[2 * k : 3 * k]
        out[0, k], out[1, k], out[2, k] = ends[-1], 0, ends[3 * k]
        return out

    @property
    def numbers(self):
        """Numbers to hold."""
        return int(self.offsets[0, -1])

    @property
    def work(self):
        """Rough number of operations of a factorisation."""
        n, t, m = self.sizes.astype(float), self.tails.astype(float), float(self.n_border)
        after = np.append(n[1:], 0)[: len(n)]
        own = n**3 / 3 + after * t**2 + after**2 * t + n**2 * m + after * t * m * 2 + n * m**2
        return float(np.sum(own)) + m**3 / 3


class BlockBand:
    """A matrix in blocks, to which parts are added, and which is then factorised in its place.

    Parameters
    ----------
    layout : BlockLayout
    """

    def __init__(self, layout):
        self.layout, self._at = layout, layout.offsets
        self.numbers = np.zeros(layout.numbers)
        n_block = len(layout.sizes)
        self.diagonal = [self._part(0, i, n, n) for i, n in enumerate(layout.sizes)]
        after = np.append(layout.sizes[1:], 0)[:n_block]
        self.below = [self._part(1, i, after[i], t) for i, t in enumerate(layout.tails)]
        self.reach = [self._part(2, i, n, layout.n_border) for i, n in enumerate(layout.sizes)]
        self.corner = self._part(2, n_block, layout.n_border, layout.n_border)

    def _part(self, kind, number, n, m):
        start = self._at[kind, number]
        return self.numbers[start : start + n * m].reshape(n, m)

    @property
    def address(self):
        """What `place_of` needs: starts, block of each coefficient, tails, offsets, border."""
        layout = self.layout
        block = np.repeat(np.arange(len(layout.sizes)), layout.sizes)
        return layout.starts, block, layout.tails, self._at, layout.n_border

    def add_part(self, rows, columns, matrix):
        """Add to some rows and columns; what is added in all must be symmetric."""
        _add_part(self.numbers, rows, columns, matrix, *self.address)

    def add_pairs(self, first, second, value):
        """Add elements, each pair given once."""
        _add_pairs(self.numbers, first, second, value, *self.address)

    def matrix_diagonal(self):
        """Diagonal of what is held, shape (n,)."""
        own = [np.diagonal(block) for block in (*self.diagonal, self.corner)]
        return np.concatenate(own)

    def rescale(self, scale):
        """Multiply rows and columns by a scale, shape (n,), in place."""
        starts, n = self.layout.starts, self.layout.n_band
        for i, (a, b) in enumerate(pairwise(starts)):
            self.diagonal[i] *= np.outer(scale[a:b], scale[a:b])
            self.reach[i] *= np.outer(scale[a:b], scale[n:])
            if self.below[i].size:
                last = starts[i + 2]
                self.below[i] *= np.outer(scale[b:last], scale[b - self.layout.tails[i] : b])
        self.corner *= np.outer(scale[n:], scale[n:])

    def factorise(self, out, floor):
        """Cholesky factor, in place of the matrix, which is scaled to a unit diagonal.

        Parameters
        ----------
        out : ndarray of bool, shape (n,)
            Coefficients that have no part in it.
        floor : float
            Those with smaller pivots have none either.

        Returns
        -------
        ndarray of bool, shape (n,)
            All that have no part in it.
        """
        layout, out = self.layout, out.copy()
        for i, (start, stop) in enumerate(pairwise(layout.starts)):
            own = out[start:stop]
            factor, left = dense_factor(self.diagonal[i], own, floor)
            own[:] = left
            self.diagonal[i][:] = factor
            if i and left.any():
                self.below[i - 1][left] = 0.0
            self.reach[i][left] = 0.0
            self._eliminate(i, left)
        corner, left = dense_factor(self.corner, out[layout.n_band :], floor)
        self.corner[:] = corner
        for reach in self.reach:
            reach[:, left] = 0.0
        out[layout.n_band :] = left
        return out

    def _eliminate(self, i, left):
        """Take a block out of what follows it."""
        below, tail, reach = self.below[i], self.layout.tails[i], self.reach[i]
        if reach.size:
            reach[:] = forward_solve(self.diagonal[i], reach)
            self.corner -= reach.T @ reach
        if below.size:
            below[:, left[len(left) - tail :]] = 0.0
            below[:] = forward_solve(self.diagonal[i][-tail:, -tail:], below.T).T
            self.diagonal[i + 1] -= below @ below.T
            if reach.size:
                self.reach[i + 1] -= below @ reach[-tail:]

    def solve(self, vectors):
        """Solution for vectors, shape (n, n_vector)."""
        out = vectors.astype(float)
        n = self.layout.n_band
        parts = [out[a:b] for a, b in pairwise(self.layout.starts)]
        for i, part in enumerate(parts):
            part[:] = forward_solve(self.diagonal[i], part)
            if self.below[i].size:
                parts[i + 1] -= self.below[i] @ part[-self.layout.tails[i] :]
            out[n:] -= self.reach[i].T @ part
        out[n:] = dense_solve(self.corner, out[n:])
        for i in range(len(parts) - 1, -1, -1):
            parts[i] -= self.reach[i] @ out[n:]
            if self.below[i].size:
                parts[i][-self.layout.tails[i] :] -= self.below[i].T @ parts[i + 1]
            parts[i][:] = _backward(self.diagonal[i], parts[i])
        return out

    def _inverse_blocks(self):
        """Block, its meeting with the next and with the border, of the inverse: the last first."""
        eye, after, far = np.eye(self.layout.n_border), None, None
        corner = dense_solve(self.corner, eye)
        for i in range(len(self.diagonal) - 1, -1, -1):
            tail, meet = self.layout.tails[i], self.below[i]
            half = forward_solve(self.diagonal[i], np.eye(len(self.diagonal[i])))
            border = self.reach[i].T @ half  # rows of the factor below, times the inverse factor
            own, reach = half.T @ half, -border.T @ corner
            if self.below[i].size:
                nearby = self.below[i] @ half[-tail:]
                reach -= nearby.T @ far
                meet = -after @ nearby - far @ border
                own -= nearby.T @ meet
                meet = meet[:, -tail:]
            own -= border.T @ reach.T
            after, far = own, reach
            yield i, own, meet, reach

    @cached_property
    def _inverse(self):
        """Blocks of the inverse where the matrix has blocks: another `BlockBand`."""
        new = BlockBand(self.layout)
        new.corner[:] = dense_solve(self.corner, np.eye(self.layout.n_border))
        for i, own, meet, reach in self._inverse_blocks():
            new.diagonal[i][:], new.below[i][:], new.reach[i][:] = own, meet, reach
        return new

    def inverse_of(self, which):
        """Covariances of some coefficients, increasing; zero where two of them do not meet."""
        inverse = self._inverse
        return _dense(inverse.numbers, np.asarray(which), *inverse.address)

    def variances(self):
        """Diagonal of the inverse, shape (n,), without the rest of it being held."""
        corner = dense_solve(self.corner, np.eye(self.layout.n_border))
        own = [np.diagonal(block).copy() for _, block, _, _ in self._inverse_blocks()]
        return np.concatenate([*own[::-1], np.diagonal(corner)])


def _backward(factor, vectors):
    return lapack.dtrtrs(factor, vectors, lower=1, trans=1)[0] if vectors.size else vectors


@numba.njit(cache=True, nogil=True)
def place_of(low, high, starts, block, tails, at, n_border):
    """Place of an element of the matrix in the array of all numbers, and of its mirror image.

    The mirror image is at the same place where it is not held; -1 where the element is not.
    """
    n = starts[-1]
    last = starts.size - 1
    if low >= n:
        own = at[2, last]
        return own + (high - n) * n_border + low - n, own + (low - n) * n_border + high - n
    i = block[low]
    here = low - starts[i]
    if high >= n:
        place = at[2, i] + here * n_border + high - n
        return place, place
    j, size = block[high], starts[i + 1] - starts[i]
    if i == j:
        there = high - starts[i]
        return at[0, i] + there * size + here, at[0, i] + here * size + there
    here -= size - tails[i]
    if j != i + 1 or here < 0:
        return -1, -1
    place = at[1, i] + (high - starts[j]) * tails[i] + here
    return place, place


@numba.njit(cache=True, nogil=True)
def _add_part(numbers, rows, columns, matrix, starts, block, tails, at, n_border):
    for a in range(rows.size):
        i = rows[a]
        for b in range(columns.size):
            if matrix[a, b] == 0.0:
                continue
            j = columns[b]
            low, high = place_of(min(i, j), max(i, j), starts, block, tails, at, n_border)
            if low != high:
                numbers[low if i > j else high] += matrix[a, b]
            elif i <= j:
                numbers[low] += matrix[a, b]


@numba.njit(cache=True, nogil=True)
def _add_pairs(numbers, first, second, value, starts, block, tails, at, n_border):
    for p in range(first.size):
        low, high = min(first[p], second[p]), max(first[p], second[p])
        one, two = place_of(low, high, starts, block, tails, at, n_border)
        numbers[one] += value[p]
        if two != one:
            numbers[two] += value[p]


@numba.njit(cache=True, nogil=True)
def _dense(numbers, which, starts, block, tails, at, n_border):
    out = np.zeros((which.size, which.size))
    for a in range(which.size):
        for b in range(a + 1):
            one, _ = place_of(which[b], which[a], starts, block, tails, at, n_border)
            out[a, b] = out[b, a] = numbers[one] if one >= 0 else 0.0
    return out
