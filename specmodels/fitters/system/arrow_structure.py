"""Blocks that never meet one another, and what they share: found from the pixels.

A coefficient that reaches over much of the frame, a line of readout or a sky for all slits, is
shared; the rest falls into sets of which no pixel sees two (connected components), such as the
spectra of a slit. Long sets may be cut, so that what is shared has a band of its own.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.arrow_kernels import connect, joined, roots
from ...numerics.block_band import BlockLayout
from ...numerics.sparse_rows import band_width, supports

__all__ = ["MOST_NUMBERS", "MOST_WORK", "ArrowStructure", "Reach", "reached"]

# Work and memory (in numbers of eight bytes) beyond which a system is not factorised.
MOST_WORK, MOST_NUMBERS = 2e12, 2e8

# Numbers of segments into which long sets may be cut; work that calls for no search of better.
SEGMENTS, LITTLE_WORK = (1, 8, 16, 32), 1e11
# Sets are put together in a block up to so many coefficients, and shared ones that they meet, where
# the rows of their pixels grow by no more than a factor.
# Jumps of the part of the frame over which coefficients reach that part blocks from what is shared.
MOST_LIMITS, LEAST_JUMP, LEAST_PART = 3, 1.3, 0.02
MOST_IN_BLOCK, MOST_MET, MOST_GROWTH = 8192, 1000, 1.5


@dataclass(frozen=True, eq=False)
class Reach:
    """First and last position of the pixels that see each coefficient.

    Attributes
    ----------
    first, last : ndarray, shape (n_way, n)
        Along each way to order the pixels; the first is above the last where no pixel sees it.
    rows : ndarray of int, shape (2, n)
        First and last row, counted over all images.
    """

    first: np.ndarray
    last: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, entries, weights, positions):
        """Of all pixels; `positions` as of `Structure.of`."""
        *ends, rows = reached(entries, weights, [*positions, entries.row_numbers])
        rows = np.where(rows[0] <= rows[1], rows, [[0.0], [-1.0]]).astype(np.int64)
        ends = np.array(ends)
        return cls(ends[:, 0], ends[:, 1], rows)

    @property
    def span(self):
        """Length along each way, (n_way, n)."""
        return np.where(self.first <= self.last, self.last - self.first, 0.0)

    @property
    def middle(self):
        """Middle along each way, (n_way, n); the beginning where no pixel sees it."""
        seen = self.first <= self.last
        low = np.where(seen, self.first, self.first.min(axis=1, keepdims=True))
        return low + np.where(seen, self.last, low)

    @property
    def size(self):
        """Length of the frame along each way, shape (n_way,)."""
        return np.maximum(self.last.max(axis=1) - self.first.min(axis=1), 1.0)

    @property
    def part(self):
        """Largest part of the frame over which each reaches, shape (n,)."""
        return np.max(self.span / self.size[:, None], axis=0)


@dataclass(frozen=True, eq=False)
class ArrowStructure:
    """Places of coefficients in a matrix of blocks and what they share.

    Attributes
    ----------
    rank : ndarray of int, shape (n,)
        Place of each coefficient: those of blocks first, block after block.
    n_band, width : int
        Size of all blocks, and the number of diagonals beside the main one.
    blocks : ndarray of int, shape (n_block, 4)
        First rank, and the one behind the last; first row of the pixels, and the one behind.
    layout : BlockLayout
        Of what is shared.
    met : ndarray of int, shape (n_block,)
        Rough number of shared coefficients that each block meets.
    """

    rank: np.ndarray
    n_band: int
    width: int
    blocks: np.ndarray
    layout: BlockLayout
    met: np.ndarray
    choice: tuple = ()

    @property
    def n_border(self):
        """Number of shared coefficients."""
        return len(self.rank) - self.n_band

    @property
    def kind(self):
        """In words."""
        n, layout = len(self.blocks), self.layout
        own = f"arrow: {n} blocks, {self.n_band} coefficients, {self.width} diagonals; "
        shared = f"{self.n_border} shared, eliminated exactly"
        if len(layout.sizes) > 1:
            shared += f" in {len(layout.sizes)} steps"
        return own + shared + (f", border of {layout.n_border}" if layout.n_border else "")

    @property
    def work(self):
        """Rough number of operations of a factorisation, those of sparse loops counted tenfold.

        A coefficient of a block is taken to meet some tens of shared ones, however many the block.
        """
        size, met = np.diff(self.blocks[:, :2], axis=1)[:, 0], self.met.astype(float)
        own = size * met * (40.0 * (self.width + 1) + np.minimum(met, 640.0))
        return float(np.sum(own)) + self.layout.work

    @property
    def numbers(self):
        """Rough number of numbers that are held."""
        size = np.diff(self.blocks[:, :2], axis=1)[:, 0]
        most = np.max(2 * size * self.met + self.met**2, initial=0)
        return self.layout.numbers + 2.0 * self.n_band * (self.width + 1) + float(most)

    @classmethod
    def of(cls, entries, weights, reach, pairs):
        """The structure that costs least; None where there is none.

        Parameters
        ----------
        entries : Entries
        weights : ndarray, shape (n_pixel,)
        reach : Reach
        pairs : tuple of ndarray of int, each of shape (n_pair,)
            Pairs of coefficients which priors connect.
        """
        best = None
        for limit in _limits(reach.part):
            ways = range(len(reach.first))
            for number in SEGMENTS:
                found = _all_ways(entries, weights, reach, pairs, limit, number, ways)
                for one in found:
                    if best is None or (one.is_small, -one.work) > (best.is_small, -best.work):
                        best = one
                if best.is_small and best.work < LITTLE_WORK:
                    return best
                # Cuts help along the way in which few coefficients are wide.
                least = min(found, key=lambda one: one.layout.n_border)
                ways = (least.choice[-1],)
        return best
        return best

    @property
    def is_small(self):
        """Whether it can be factorised."""
        return self.work <= MOST_WORK and self.numbers <= MOST_NUMBERS

    def fitting(self, entries, weights, pairs, positions):
        """The same for other entries."""
        limit, number, way = self.choice
        reach = Reach.of(entries, weights, positions())
        return _all_ways(entries, weights, reach, pairs, limit, number, (way,))[0]


def reached(entries, weights, positions):
    """First and last of each of several positions of the pixels that see each coefficient.

    Returns
    -------
    ndarray, shape (n_position, 2, n_coefficient)
    """
    out = np.empty((len(positions), 2, entries.n))
    out[:, 0], out[:, 1] = np.inf, -np.inf
    for pixels, index, value in entries:
        for (first, last), position in zip(out, positions, strict=True):
            low, high = supports(index, value, weights[pixels], position[pixels], entries.n)
            np.minimum(first, low, out=first)
            np.maximum(last, high, out=last)
    return out


def _limits(part):
    """Parts of the frame over which coefficients of blocks may reach: below the largest jumps."""
    steps = np.unique(part)
    jumps = steps[1:] / np.maximum(steps[:-1], LEAST_PART)
    order = np.argsort(-jumps, kind="stable")[:MOST_LIMITS]
    return [float(steps[k]) for k in order if jumps[k] > LEAST_JUMP]


def _all_ways(entries, weights, reach, pairs, limit, number, ways):
    """Structures with what is shared ordered along each of some ways."""
    found = []
    shared = [_shared(reach, limit, number, way) for way in ways]
    for way, own in zip(ways, shared, strict=True):
        place, n_border = _shared_places(reach, own, limit, way)
        found.append(_structure(entries, weights, reach, pairs, own, place, n_border,
                                (limit, number, way)))  # fmt: skip
    return found


def _shared(reach, limit, number, way):
    """Mask of the coefficients that are shared, with those at cuts along a way."""
    shared = reach.part > limit
    first, last = reach.first[way], reach.last[way]
    low, high = first.min(), np.max(last[np.isfinite(last)], initial=first.min())
    for cut in np.linspace(low, high, number + 1)[1:-1]:
        shared |= (first < cut) & (last >= cut)
    return shared


def _shared_places(reach, shared, limit, way):
    """Place of shared coefficients along a way, their border last, and the size of that."""
    span = reach.span[way]
    wide = shared & (span > limit * reach.size[way])
    narrow = np.flatnonzero(shared & ~wide)
    order = narrow[np.argsort(reach.middle[way][narrow], kind="stable")]
    place = np.full(len(shared), -2)
    place[wide] = -1
    place[order] = np.arange(len(order))
    return place, int(np.count_nonzero(wide))


def _structure(entries, weights, reach, pairs, shared, place, n_border, choice):
    n, way = entries.n, choice[-1]
    parent = np.arange(n)
    low, high = np.full((1, n), n), np.full((1, n), -1)
    for pixels, index, value in entries:
        connect(index, value, weights[pixels], place[None], parent, low, high)
    low, high = low[0], high[0]
    _connect_pairs(pairs, place, parent, low, high)
    own = np.flatnonzero(~shared)
    first, number = np.unique(roots(parent)[own], return_inverse=True)
    sets = _Sets.of(len(first), number, low[own], high[own], reach.rows[:, own])
    blocks, order = sets.blocks()
    along = int(np.argmin(reach.span[:, own].mean(axis=1))) if len(own) else way
    ranked = own[np.lexsort((reach.middle[along][own], order[number]))]
    n_band, inner = len(own), n - len(own) - n_border
    rank = np.empty(n, dtype=np.int64)
    rank[ranked] = np.arange(n_band)
    narrow = place >= 0
    rank[narrow] = n_band + place[narrow]
    rank[shared & ~narrow] = n_band + inner + np.arange(n_border)
    far = np.arange(inner)
    np.maximum.at(far, place[narrow], high[narrow])
    meets = sets.high >= sets.low
    np.maximum.at(far, sets.low[meets], sets.high[meets])
    width = 0
    for pixels, index, value in entries:
        width = max(width, band_width(index, value, weights[pixels], rank, n_band))
    if len(pairs[0]):
        one, two = np.sort(rank[np.stack(pairs)], axis=0)
        width = max(width, int(np.max((two - one)[two < n_band], initial=0)))
    met = np.maximum(blocks[:, 5] - blocks[:, 4] + 1, 0) + n_border
    return ArrowStructure(
        rank, n_band, width, blocks[:, :4], BlockLayout.of(far, n_border), met, choice
    )


def _connect_pairs(pairs, place, parent, low, high):
    """The same for pairs of coefficients that priors connect."""
    for first, second in (pairs, pairs[::-1]):
        met = place[second]
        known = met >= 0
        np.minimum.at(low, first[known], met[known])
        np.maximum.at(high, first[known], met[known])
    both = (place[pairs[0]] == -2) & (place[pairs[1]] == -2)
    joined(parent, pairs[0][both], pairs[1][both])


@dataclass(frozen=True, eq=False)
class _Sets:
    """Sets of coefficients: how many, what they meet, and where their pixels are."""

    size: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, n_set, number, low, high, rows):
        first, last = np.full(n_set, np.iinfo(np.int64).max), np.full(n_set, -1)
        least, most = first.copy(), last.copy()
        for target, source, function in ((first, low, np.minimum), (last, high, np.maximum),
                                         (least, rows[0], np.minimum),
                                         (most, rows[1], np.maximum)):  # fmt: skip
            function.at(target, number, source)
        return cls(np.bincount(number, minlength=n_set), first, last, np.stack([least, most]))

    def blocks(self):
        """Blocks of neighbouring sets, and the place of each set among all.

        Returns
        -------
        blocks : ndarray of int, shape (n_block, 6)
            First and end of the ranks, first and end of the rows, first and last shared one met.
        place : ndarray of int, shape (n_set,)
        """
        order, group = self._by_rows()
        order = order[np.lexsort((self.low[order], group[order]))]
        found, groups, at = [], [], 0
        for k in order.tolist():
            size, low, high = int(self.size[k]), int(self.low[k]), int(self.high[k])
            least, most = int(self.rows[0, k]), int(self.rows[1, k]) + 1
            if groups and group[k] == groups[-1]:
                last = found[-1]
                met = max(last[5], high) - min(last[4], low) + 1
                alike = met <= max(MOST_MET, last[5] - last[4] + 1, high - low + 1)
                if alike and at + size - last[0] <= MOST_IN_BLOCK:
                    at += size
                    last[1:] = [at, min(last[2], least), max(last[3], most), min(last[4], low),
                                max(last[5], high)]  # fmt: skip
                    continue
            found.append([at, at + size, least, most, low, high])
            at += size
            groups.append(group[k])
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        found, groups = np.array(found, dtype=np.int64).reshape(-1, 6), np.array(groups, dtype=int)
        for number in np.unique(groups):  # the pixels of alike rows are looked at together
            own = groups == number
            found[own, 2], found[own, 3] = found[own, 2].min(), found[own, 3].max()
        return found, place

    def _by_rows(self):
        """Sets in the order of their rows, and a number of each for those with alike rows."""
        order = np.lexsort((self.rows[1], self.rows[0]))
        group = np.empty(len(order), dtype=np.int64)
        number, least, most, limit = -1, 0, 0, -1.0
        for k in order.tolist():
            low, high = int(self.rows[0, k]), int(self.rows[1, k])
            limit = max(limit, MOST_GROWTH * (high - low + 1))
            if number < 0 or max(most, high) - least + 1 > limit:
                number, least, most, limit = number + 1, low, high, MOST_GROWTH * (high - low + 1)
            most = max(most, high)
            group[k] = number
        return order, group
