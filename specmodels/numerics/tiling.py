"""Borders of the tiles of a symmetric matrix, and where its elements are. See `tiled`."""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .dense_factors import EVEN

__all__ = ["Address", "Tiling", "add_element"]

TILE = 256  # coefficients in a tile at most: products of that size run at full speed


class Address(NamedTuple):
    """Where the elements are: tile and place in it of each coefficient, and those of tiles.

    Attributes
    ----------
    tile, place : ndarray of int, shape (n,)
        Tile of each coefficient, and its place there.
    size : ndarray of int, shape (n_tile,)
        Number of rows of tiles, those that fill them up included.
    first : ndarray of int, shape (n_tile, n_tile)
        First number of each tile of the lower triangle among all numbers.
    """

    tile: np.ndarray
    place: np.ndarray
    size: np.ndarray
    first: np.ndarray


class Tiling:
    """Borders of tiles.

    Parameters
    ----------
    n : int
        Number of coefficients.
    n_border : int
        How many of them, the last ones, meet most of the others: they have tiles of their own.
    """

    def __init__(self, n, n_border=0):
        inner = _even(0, n - n_border)
        self.n, self.n_inner = n, len(inner) - 1  # tiles before those of the border
        self.starts = np.concatenate([inner, _even(n - n_border, n)[1:]])
        own = np.diff(self.starts)
        self.size = -(-own // EVEN) * EVEN  # filled up with rows of the unit matrix
        self.tile = np.repeat(np.arange(len(own)), own)
        self.place = np.arange(n) - self.starts[self.tile]

    def __len__(self):
        return len(self.size)

    def split(self, values, fill):
        """Values of all coefficients, shape (n, ...), as arrays for each tile, filled up."""
        out = []
        for own, size in zip(np.split(values, self.starts[1:-1]), self.size, strict=False):
            room = [(0, size - len(own))] + [(0, 0)] * (values.ndim - 1)
            out.append(np.pad(own, room, constant_values=fill))
        return out

    def joined(self, parts):
        """The reverse of it."""
        own = [part[:n] for part, n in zip(parts, np.diff(self.starts), strict=True)]
        return np.concatenate(own) if own else np.zeros(0)

    def pieces(self, ranges):
        """Parts of some ranges in tiles: tile, slice in it, and slice among all in the ranges."""
        done, out = 0, []
        for first, end in ranges:
            if end <= first:
                continue
            for k in range(self.tile[first], self.tile[end - 1] + 1):
                low, high = max(first, self.starts[k]), min(end, self.starts[k + 1])
                own = slice(low - self.starts[k], high - self.starts[k])
                out.append((k, own, slice(done + low - first, done + high - first)))
            done += end - first
        return out


def _even(first, end):
    number = -(-(end - first) // TILE)
    return np.round(np.linspace(first, end, number + 1)).astype(np.int64)


@compiled
def add_element(numbers, address, i, j, value):
    """Add to the element of coefficients ``i >= j``."""
    row, column = address.tile[i], address.tile[j]
    at = address.first[row, column] + address.place[i] * address.size[column]
    numbers[at + address.place[j]] += value
