r"""Symmetric positive matrices in square tiles, of which only those are held that have entries.

The lower triangle is held. A matrix whose entries lie along its diagonal has few tiles, and one
with a dense border has those of the border as well: nothing needs to be known of it beforehand.
Factors and the entries of the inverse that meet the pattern of the factor (Takahashi, Fagan and
Chin 1973) are dense algebra of tiles, in an order that depends on the pattern alone.
"""

from functools import cached_property

import numpy as np
from scipy.linalg import blas, lapack

from .dense_factors import dense_factor, forward_solve
from .tiling import Address

__all__ = ["TiledMatrix"]


class TiledMatrix:
    """A matrix to which parts are added, and which is then factorised in its place.

    Parameters
    ----------
    tiling : Tiling
    seen : ndarray of bool, shape (n_tile, n_tile), optional
        Tiles of the lower triangle which are filled by their `address`.
    most : float
        Numbers to be held at most.
    """

    def __init__(self, tiling, seen=None, most=np.inf):
        self.tiling, self.tiles, self.most, self.held = tiling, {}, most, 0
        n = len(tiling)
        seen = np.zeros((n, n), dtype=bool) if seen is None else seen
        row, column = np.nonzero(seen)
        ends = np.cumsum([0, *(tiling.size[row] * tiling.size[column])])
        self.numbers = np.zeros(ends[-1])
        first = np.full((n, n), -1)
        first[row, column] = ends[:-1]
        self.address = Address(tiling.tile, tiling.place, tiling.size, first)
        for i, j, a, b in zip(row.tolist(), column.tolist(), ends, ends[1:], strict=False):
            self.tiles[i, j] = self.numbers[a:b].reshape(tiling.size[i], tiling.size[j])
        for k in range(n):
            filled = np.arange(tiling.starts[k + 1] - tiling.starts[k], tiling.size[k])
            self._tile(k, k)[filled, filled] = 1.0
        self.held += len(self.numbers)

    def _tile(self, i, j):
        """A tile of the lower triangle, made where it is not held.

        Raises
        ------
        ValueError
            If there are too many.
        """
        if (i, j) not in self.tiles:
            self.tiles[i, j] = np.zeros((self.tiling.size[i], self.tiling.size[j]))
            self.held += self.tiles[i, j].size
            if self.held > self.most:
                raise ValueError(f"model: {self.tiling.n} coefficients that much of the frame has "
                                 f"in common meet one another in more than {self.most:.0g} pairs: "
                                 f"too many to be factorised")  # fmt: skip
        return self.tiles[i, j]

    def take_square(self, ranges, rows):
        """Take the square of rows away, whose columns are those of some ranges, increasing.

        The square is the transposed matrix times the matrix, of shape (n_row, n_column).
        """
        if rows.size:
            self.add_part(ranges, blas.dsyrk(-1.0, rows.T).T)

    def add_part(self, ranges, matrix):
        """Add a symmetric matrix, its lower triangle alone, of the coefficients of some ranges."""
        pieces = self.tiling.pieces(ranges)
        for a, (i, rows, own) in enumerate(pieces):
            for j, columns, other in pieces[: a + 1]:
                self._tile(i, j)[rows, columns] += matrix[own, other]

    def add_pairs(self, first, second, value):
        """Add elements, each pair given once."""
        for (i, j), rows, columns, which in self._by_tile(first, second):
            tile = self._tile(i, j)
            np.add.at(tile, (rows, columns), value[which])

    def _by_tile(self, first, second):
        """Tile, rows, columns and numbers of pairs of coefficients."""
        tiling = self.tiling
        low, high = np.minimum(first, second), np.maximum(first, second)
        key = tiling.tile[high] * len(tiling) + tiling.tile[low]
        order = np.argsort(key, kind="stable")
        keys, starts = np.unique(key[order], return_index=True)
        for number, which in zip(keys.tolist(), np.split(order, starts[1:]), strict=False):
            yield (divmod(number, len(tiling)), tiling.place[high[which]],
                   tiling.place[low[which]], which)  # fmt: skip

    def diagonal(self):
        """Diagonal of what is held, shape (n,)."""
        return self.tiling.joined([np.diagonal(self.tiles[k, k]) for k in range(len(self.tiling))])

    def rescale(self, scale):
        """Multiply rows and columns by a scale, shape (n,), in place."""
        parts = self.tiling.split(scale, 1.0)
        for (i, j), tile in self.tiles.items():
            tile *= parts[i][:, None]
            tile *= parts[j]

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
        parts = self.tiling.split(out, False)
        rows = {k: [] for k in range(len(self.tiling))}  # tiles beside the diagonal, by column
        for i, j in sorted(self.tiles):
            if i != j:
                rows[j].append(i)
        for k in range(len(self.tiling)):
            own = self.tiles[k, k]
            own[:], parts[k] = dense_factor(own, parts[k], floor)
            for j in range(k):
                if parts[k].any() and (k, j) in self.tiles:
                    self.tiles[k, j][parts[k]] = 0.0
            self._eliminate(k, rows, parts[k])
        self.rows = rows
        return self.tiling.joined(parts).astype(bool)

    def _eliminate(self, k, rows, left):
        """Take the coefficients of a tile out of those that follow."""
        for i in rows[k]:
            tile = self.tiles[i, k]
            tile[:, left] = 0.0
            _divide(self.tiles[k, k], tile)
        for a, i in enumerate(rows[k]):
            for j in rows[k][: a + 1]:
                if (i, j) not in self.tiles:
                    rows[j].append(i)
                    rows[j].sort()
                _take(self._tile(i, j), self.tiles[i, k], self.tiles[j, k])

    def solve(self, vectors):
        """Solution for vectors, shape (n, n_vector)."""
        parts = self.tiling.split(vectors.astype(float), 0.0)
        for k, part in enumerate(parts):
            part[:] = forward_solve(self.tiles[k, k], part)
            for i in self.rows[k]:
                parts[i] -= self.tiles[i, k] @ part
        for k in range(len(parts) - 1, -1, -1):
            for i in self.rows[k]:
                parts[k] -= self.tiles[i, k].T @ parts[i]
            if parts[k].size:
                parts[k][:] = lapack.dtrtrs(self.tiles[k, k], parts[k], lower=1, trans=1)[0]
        return self.tiling.joined(parts).reshape(vectors.shape)

    def _inverse_columns(self, begin=0, end=None):
        """Tile number and, by row, the tiles of the inverse in its column: the last first.

        It is the inverse of the matrix whose factor has some of the tiles. Those that no other
        column needs are forgotten.
        """
        known, first = {}, {}
        numbers = range(begin, len(self.tiling) if end is None else end)
        rows_of = {k: [i for i in self.rows[k] if i in numbers] for k in numbers}
        for k in reversed(numbers):
            first.update(dict.fromkeys([k, *rows_of[k]], k))
        for k in reversed(numbers):
            factor, rows = self.tiles[k, k], rows_of[k]
            half = forward_solve(factor, np.eye(len(factor)))
            follow = {i: self.tiles[i, k] @ half for i in rows}
            column = {i: np.zeros((self.tiling.size[i], len(factor))) for i in rows}
            for a, i in enumerate(rows):
                for j in rows[:a]:
                    column[i] -= known[i, j] @ follow[j]
                    column[j] -= known[i, j].T @ follow[i]
                column[i] -= known[i, i] @ follow[i]
            own = half.T @ half.copy()  # of one array with itself the bits depend on threads
            for i in rows:
                own -= follow[i].T @ column[i]
            column[k] = own
            known.update({(i, k): tile for i, tile in column.items()})
            yield k, column
            known = {(i, j): tile for (i, j), tile in known.items() if max(first[i], first[j]) < k}

    @cached_property
    def _inverse(self):
        """Tiles of the inverse where the factor has some."""
        return {(i, k): tile for k, column in self._inverse_columns() for i, tile in column.items()}

    def inverse_of(self, ranges):
        """Covariances of the coefficients of some ranges; zero where two of them do not meet."""
        pieces = self.tiling.pieces(ranges)
        n = pieces[-1][2].stop if pieces else 0
        out = np.zeros((n, n))
        for a, (i, rows, own) in enumerate(pieces):
            for j, columns, other in pieces[: a + 1]:
                if (i, j) in self._inverse:
                    tile = self._inverse[i, j][rows, columns]
                    out[own, other], out[other, own] = tile, tile.T
        return out

    def covariances(self, first, second):
        """Covariances of pairs of coefficients; NaN where their tile is not held."""
        out = np.full(len(first), np.nan)
        for place, rows, columns, which in self._by_tile(first, second):
            if place in self._inverse:
                out[which] = self._inverse[place][rows, columns]
        return out

    def variances(self):
        """Diagonal of the inverse, shape (n,), without the rest of it being held."""
        n = self.tiling.n_inner
        parts = self.tiling.split(np.zeros(self.tiling.n), 0.0)
        for k, column in (*self._inverse_columns(0, n), *self._inverse_columns(n)):
            parts[k][:] = np.diagonal(column[k])
        for k, part in self._border_parts():
            parts[k] += part
        return self.tiling.joined(parts)

    def _border_parts(self):
        """What the border adds to the variances of each other tile, the last first."""
        starts, n = self._border_starts, self.tiling.n_inner
        known, first = {}, {i: k for k in range(n - 1, -1, -1) for i in self.rows[k]}
        for k in range(n - 1, -1, -1) if n < len(self.tiling) else ():
            meet = np.zeros((starts[-1], self.tiling.size[k]))
            for i in self.rows[k]:
                if i < n:
                    meet -= known[i] @ self.tiles[i, k]
                else:
                    meet[starts[i - n] : starts[i - n + 1]] += self.tiles[i, k]
            _divide(self.tiles[k, k], meet, transposed=False)
            yield k, self._square(meet.copy())
            known = {i: part for i, part in (known | {k: meet}).items() if first.get(i, k) < k}

    @property
    def _border_starts(self):
        """First rows of the tiles of the border among all of them, and the end."""
        return np.cumsum([0, *self.tiling.size[self.tiling.n_inner :]])

    def _square(self, meet):
        """Squares of columns, added up, of a part of the border divided by its factor."""
        n = self.tiling.n_inner
        parts = np.split(meet, self._border_starts[1:-1])
        for k, part in enumerate(parts, start=n):
            part[:] = forward_solve(self.tiles[k, k], part)
            for i in self.rows[k]:
                parts[i - n] -= self.tiles[i, k] @ part
        return np.einsum("ij,ij->j", meet, meet)


def _divide(factor, tile, *, transposed=True):
    """The tile times the inverse of the factor, transposed or as it is, in its place."""
    if tile.size:
        blas.dtrsm(1.0, factor.T, tile.T, lower=0, trans_a=int(transposed), overwrite_b=1)


def _take(tile, left, right):
    """Take the product of a tile and another one transposed from a third, in place."""
    if tile.size and left.size:
        blas.dgemm(-1.0, right.T, left.T, beta=1.0, c=tile.T, trans_a=1, overwrite_c=1)
