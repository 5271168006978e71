"""The order of coefficients in which their normal matrix is banded, but for a border.

Found from the pixels that see them, whatever the models are: a flux sees a column, a spline in
wavelength a few, an offset of a row all of them. Coefficients are sorted by where their pixels lie
along the dispersion or across it; those that reach too far form the border.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.sparse_rows import band_width, supports

__all__ = ["Structure", "TooLargeError"]

# Work and memory (in numbers of eight bytes) beyond which a system is not factorised.
MOST_WORK, MOST_NUMBERS = 2e12, 2e8
MOST_CUTS = 6


class TooLargeError(ValueError):
    """A system that has no structure and is too large to be solved without."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Places of coefficients in the matrix.

    Attributes
    ----------
    rank : ndarray of int, shape (n_coefficient,)
        Place of each coefficient: those below `n_band` form the band.
    n_band, width : int
        Size of the band, and the number of its diagonals beside the main one.
    """

    rank: np.ndarray
    n_band: int
    width: int

    @property
    def n_border(self):
        """Size of the border."""
        return len(self.rank) - self.n_band

    @property
    def kind(self):
        """In words."""
        if not self.n_band:
            return f"dense, {self.n_border} coefficients"
        band = f"banded, {self.n_band} coefficients, {self.width} diagonals"
        return band if not self.n_border else f"bordered: {band}, border of {self.n_border}"

    @property
    def work(self):
        """Rough number of operations of a factorisation."""
        n, w, m = self.n_band, self.width + 1.0, float(self.n_border)
        return n * w * w + 4 * n * w * m + n * m * m + m**3 / 3

    @property
    def numbers(self):
        """Rough number of numbers that are held."""
        n, m = float(self.n_band), float(self.n_border)
        return 2 * n * (self.width + 1) + 3 * n * m + 4 * m * m

    @classmethod
    def of(cls, n, entries, weights, positions, pairs):
        """The structure that costs least.

        Parameters
        ----------
        n : int
            Number of coefficients.
        entries : tuple of ndarray, each of shape (n_pixel, n_entry)
            Numbers and values of the coefficients.
        weights : ndarray, shape (n_pixel,)
            Pixels without any do not count.
        positions : sequence of ndarray, each of shape (n_pixel,)
            Ways to order the pixels.
        pairs : tuple of ndarray of int, each of shape (n_pair,)
            Pairs of coefficients which priors connect.

        Raises
        ------
        TooLargeError
            If none is small enough to be factorised.
        """
        found = []
        for position in positions:
            first, last = supports(*entries, weights, position, n)
            span = np.where(first <= last, last - first, 0.0)
            middle = np.add(first, last, where=first <= last, out=np.full(n, np.inf))
            for limit in _cuts(span):
                rank, n_band = _ranks(middle, span > limit)
                found.append(cls(rank, n_band, 0).fitting(entries, weights, pairs))
        return min(found, key=lambda one: one.work).checked()

    @classmethod
    def dense(cls, n):
        """All coefficients in the border."""
        return cls(np.arange(n), 0, 0).checked()

    def checked(self):
        """Itself, if it is small enough to be factorised; else `TooLargeError`."""
        if self.work > MOST_WORK or self.numbers > MOST_NUMBERS:
            raise TooLargeError(
                f"model: {len(self.rank)} coefficients without a structure that can be factorised "
                f"({self.kind})"
            )
        return self

    def fitting(self, entries, weights, pairs):
        """The same order with as many diagonals as these entries and pairs need."""
        width = band_width(*entries, weights, self.rank, self.n_band) if self.n_band else 0
        low, high = (np.sort(self.rank[np.stack(pairs)], axis=0) if len(pairs[0]) else
                     (np.zeros(0, int),) * 2)  # fmt: skip
        inside = high < self.n_band
        if inside.any():
            width = max(width, int((high - low)[inside].max()))
        return Structure(self.rank, self.n_band, int(width))


def _cuts(span):
    """Limits of the reach of a coefficient of the band: none, or below one of the large jumps."""
    steps = np.unique(span)
    jumps = np.flatnonzero(steps[1:] > 1.5 * steps[:-1] + 1)
    order = np.argsort(-(steps[1:] - steps[:-1])[jumps], kind="stable")[:MOST_CUTS]
    return [np.inf, *steps[jumps[order]], -1.0 if len(span) <= 600 else np.inf]


def _ranks(middle, border):
    """Places of coefficients: the band by their middle, then the border as it comes."""
    rank = np.empty(len(middle), dtype=np.int64)
    order = np.argsort(middle, kind="stable")
    order = np.concatenate([order[~border[order]], np.flatnonzero(border)])
    rank[order] = np.arange(len(order))
    return rank, int(np.count_nonzero(~border))
