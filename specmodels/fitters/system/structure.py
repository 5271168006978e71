"""The order of coefficients in which their normal matrix is banded, but for a border.

Found from the pixels that see them, whatever the models are: a flux sees a column, a spline in
wavelength a few, an offset of a row all of them. Coefficients are sorted by where their pixels lie
along the dispersion or across it; those that reach too far form the border.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.sparse_rows import band_width
from .arrow_structure import MOST_NUMBERS, MOST_WORK, ArrowStructure, Reach

__all__ = ["Structure", "TooLargeError", "orders_of_pixels"]

# Work that calls for a structure of blocks.
MUCH_WORK = 1e9
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
        """Rough number of operations of a factorisation and of the inverse in the band."""
        n, w, m = self.n_band, self.width + 1.0, float(self.n_border)
        return 5 * n * w * w + 4 * n * w * m + n * m * m + m**3 / 3

    @property
    def numbers(self):
        """Rough number of numbers that are held."""
        n, m = float(self.n_band), float(self.n_border)
        return 2 * n * (self.width + 1) + 3 * n * m + 4 * m * m

    @classmethod
    def of(cls, entries, weights, positions, pairs):
        """The structure that costs least.

        Parameters
        ----------
        entries : Entries
            Of all pixels.
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
        reach, found = Reach.of(entries, weights, positions), []
        for first, last in zip(reach.first, reach.last, strict=True):
            span = np.where(first <= last, last - first, 0.0)
            middle = np.add(first, last, where=first <= last, out=np.full(entries.n, np.inf))
            found += [cls(*_ranks(middle, span > limit), 0) for limit in _cuts(span)]
        # The work without any diagonals tells which are out of the question.
        least = min(found, key=lambda one: one.work)
        found = _with_widths([one for one in found if one.is_small], entries, weights, pairs)
        best = min(found, key=lambda one: one.work, default=least)
        if best.work > MUCH_WORK or not best.is_small or best is least:
            best = _cheaper(best, entries, weights, reach, pairs)
        if not best.is_small:
            raise TooLargeError(
                f"model: {entries.n} coefficients without a structure that can be factorised "
                f"({best.kind})"
            )
        return best

    @classmethod
    def dense(cls, n):
        """All coefficients in the border."""
        return cls(np.arange(n), 0, 0)

    @property
    def is_small(self):
        """Whether it can be factorised."""
        return self.work <= MOST_WORK and self.numbers <= MOST_NUMBERS

    def fitting(self, entries, weights, pairs, positions):
        """The same order with as many diagonals as these entries and pairs need."""
        return _with_widths([self], entries, weights, pairs)[0]


def _with_widths(structures, entries, weights, pairs):
    """The structures with as many diagonals as these entries and pairs need."""
    widths = np.zeros(len(structures), dtype=int)
    for pixels, index, value in entries if structures else ():
        for k, one in enumerate(structures):
            if one.n_band:
                own = band_width(index, value, weights[pixels], one.rank, one.n_band)
                widths[k] = max(widths[k], own)
    out = []
    for one, width in zip(structures, widths.tolist(), strict=True):
        if len(pairs[0]):
            low, high = np.sort(one.rank[np.stack(pairs)], axis=0)
            width = max(width, int(np.max((high - low)[high < one.n_band], initial=0)))
        out.append(Structure(one.rank, one.n_band, width))
    return out


def _cheaper(best, entries, weights, reach, pairs):
    """The best structure, or one of blocks and what they share where it costs less."""
    blocks = ArrowStructure.of(entries, weights, reach, pairs)
    worth = blocks is not None and (blocks.is_small, -blocks.work) > (best.is_small, -best.work)
    return blocks if worth else best


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


def orders_of_pixels(images):
    """Ways to order the pixels: by column or row, of all images or one image after another."""
    x = [np.broadcast_to(image.x[None], image.shape).ravel() for image in images]
    y = [np.broadcast_to(image.y[:, None], image.shape).ravel() for image in images]
    ways = [np.concatenate(x), np.concatenate(y)]
    if len(images) > 1:
        for parts in (x, y):
            step = 10 * max(np.ptp(part) for part in parts) + 10
            ways.append(np.concatenate([part + n * step for n, part in enumerate(parts)]))
    return ways
