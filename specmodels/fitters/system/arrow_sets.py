"""Sets of coefficients which no pixel sees with those of others, put in order and into blocks."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Sets"]

# Neighbouring sets that are shorter than the first number are put together in a block up to about
# so many coefficients. Sets belong together where the rows of their pixels grow by no more than a
# factor.
LONG, MOST_IN_BLOCK, MOST_GROWTH = 64, 4096, 1.5


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of coefficients: how many they have, and where their pixels are.

    Attributes
    ----------
    number : ndarray of int, shape (n,)
        Set of each coefficient.
    size : ndarray of int, shape (n_set,)
    rows : ndarray of int, shape (2, n_set)
        First and last row of the pixels.
    """

    number: np.ndarray
    size: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, n_set, number, rows):
        """From the set of each coefficient, and its first and last row, (2, n)."""
        least, most = np.full(n_set, np.iinfo(np.int64).max), np.full(n_set, -1)
        np.minimum.at(least, number, rows[0])
        np.maximum.at(most, number, rows[1])
        return cls(number, np.bincount(number, minlength=n_set), np.stack([least, most]))

    def blocks(self, met):
        """Blocks of neighbouring sets, and a key by which the coefficients are in their order.

        Parameters
        ----------
        met : ndarray of int, shape (2, n)
            First and last of what is shared that coefficients meet.

        Returns
        -------
        blocks : ndarray of int, shape (n_block, 4)
            First and end of the places, first and end of the rows.
        key : ndarray of int, shape (n,)
            Place of the set of each coefficient.
        """
        low = np.full(len(self.size), np.iinfo(np.int64).max)
        np.minimum.at(low, self.number, met[0])
        order = np.lexsort((low, self._groups))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        ends = np.cumsum(self.size[order])
        if not len(ends):
            return np.zeros((0, 4), dtype=np.int64), place[self.number]
        long = self.size[order] > LONG
        new = (np.diff((ends - 1) // MOST_IN_BLOCK) > 0) | long[1:] | long[:-1]
        first = np.flatnonzero(np.append(True, new | (low[order[1:]] < low[order[:-1]])))
        rows = self.rows[:, order]
        blocks = np.stack([
            (ends - self.size[order])[first], np.append(ends[first[1:] - 1], ends[-1]),
            np.minimum.reduceat(rows[0], first), np.maximum.reduceat(rows[1], first) + 1,
        ], axis=1)  # fmt: skip
        return blocks, place[self.number]

    @property
    def _groups(self):
        """Number of each set, in the order of rows, that is the same where they are alike."""
        order = np.lexsort((self.rows[1], self.rows[0]))
        group = np.empty(len(order), dtype=np.int64)
        number, least, most, limit = -1, 0, 0, -1.0
        for k, low, high in zip(order.tolist(), *self.rows[:, order].tolist(), strict=True):
            limit = max(limit, MOST_GROWTH * (high - low + 1))
            if number < 0 or max(most, high) - least + 1 > limit:
                number, least, most, limit = number + 1, low, high, MOST_GROWTH * (high - low + 1)
            most = max(most, high)
            group[k] = number
        return group
