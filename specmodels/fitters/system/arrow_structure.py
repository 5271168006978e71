"""Blocks that never meet one another, and what they share: found from the pixels.

A coefficient that reaches over much of the frame, a line of readout or a sky for all slits, is
shared; the rest falls into sets of which no pixel sees two (connected components), such as the
spectra of a slit.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...numerics.arrow_kernels import Pixels, Ranks, connect, joined, roots, spread
from ...numerics.sparse_rows import supports
from ...numerics.tiling import Tiling
from .arrow_sets import Sets

__all__ = ["MOST_NUMBERS", "MOST_WORK", "ROWS_AT_ONCE", "ArrowStructure", "Reach"]

# Work and memory (in numbers of eight bytes) beyond which a system is not factorised.
MOST_WORK, MOST_NUMBERS = 2e12, 2e8

# Work that calls for no search of better, and that of handling some rows of blocks.
LITTLE_WORK, WORK_OF_ROWS = 1e11, 1e6
# What the inverse of a block makes of a coupling falls off along the block: so many rows are looked
# at together, and are taken to meet what those before them do.
ROWS_AT_ONCE = 64
# Jumps of the part of the frame over which coefficients reach that part blocks from what is shared.
MOST_LIMITS, LEAST_JUMP, LEAST_PART = 3, 1.3, 0.02
NOWHERE = np.iinfo(np.int64).max


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
    n_band, n_inner : int
        Size of all blocks, and of what is shared without its border.
    blocks : ndarray of int, shape (n_block, 4)
        First rank, and the one behind the last; first row of the pixels, and the one behind.
    met : ndarray of int, shape (2, 2, n_band)
        First shared coefficient that those of blocks meet, and the one behind the last: before the
        border, and in it.
    direct : ndarray of int, shape (n_inner,)
        The one behind the last shared coefficient that pixels see with those before the border.
    choice : tuple
        What was chosen: the part of the frame over which blocks reach, and a way to order.
    width : int
        Number of diagonals of the blocks beside the main one.
    seen : ndarray of bool
        Tiles of what is shared in which pixels see it.
    """

    rank: np.ndarray
    n_band: int
    n_inner: int
    blocks: np.ndarray
    met: np.ndarray
    direct: np.ndarray
    choice: tuple
    width: int = 0
    seen: np.ndarray | None = None

    @property
    def n_border(self):
        """Number of shared coefficients."""
        return len(self.rank) - self.n_band

    @cached_property
    def tiling(self):
        """Tiles of what is shared."""
        return Tiling(self.n_border, self.n_border - self.n_inner)

    @property
    def ranks(self):
        """The same for kernels."""
        return Ranks(self.rank, self.n_band, self.n_inner)

    @property
    def kind(self):
        """In words."""
        n, wide = len(self.blocks), self.n_border - self.n_inner
        own = f"arrow: {n} blocks, {self.n_band} coefficients, {self.width} diagonals; "
        shared = f"{self.n_border} shared, eliminated exactly"
        return own + shared + (f", border of {wide}" if wide else "")

    @cached_property
    def _windows(self):
        """What some rows of blocks and those before them meet, shape (2, 2, n_window)."""
        if not self.n_band:
            return np.zeros((2, 2, 0), dtype=np.int64)
        starts = np.unique(np.concatenate([self.blocks[:, 0],
                                           np.arange(0, self.n_band, ROWS_AT_ONCE)]))  # fmt: skip
        low = np.minimum.reduceat(self.met[:, 0], starts, axis=1)
        high = np.maximum.reduceat(self.met[:, 1], starts, axis=1)
        inside = ~np.isin(starts[1:], self.blocks[:, 0])
        before, after = low[:, :-1].copy(), high[:, :-1].copy()
        low[:, 1:] = np.where(inside, np.minimum(low[:, 1:], before), low[:, 1:])
        high[:, 1:] = np.where(inside, np.maximum(high[:, 1:], after), high[:, 1:])
        return np.stack([low, high], axis=1)

    @cached_property
    def _reach(self):
        """How many shared coefficients behind it, the border apart, each of them meets."""
        (low, high), _ = self._windows
        far = np.maximum(np.arange(self.n_inner), self.direct - 1)
        some = high > low
        np.maximum.at(far, low[some], high[some] - 1)
        far = np.maximum.accumulate(far)  # of a window all that lie in it reach as far
        return far - np.arange(self.n_inner) + 1.0

    @cached_property
    def work(self):
        """Rough number of operations of a factorisation."""
        met = np.maximum(self._windows[:, 1] - self._windows[:, 0], 0).sum(axis=0, dtype=float)
        own = ROWS_AT_ONCE * met**2 + WORK_OF_ROWS
        wide = float(self.n_border - self.n_inner)
        shared = 3 * np.sum((self._reach + wide) ** 2) + wide**3
        return float(np.sum(own) + shared) + self.n_band * (self.width + 1.0) ** 2

    @cached_property
    def numbers(self):
        """Rough number of numbers that are held."""
        wide = float(self.n_border - self.n_inner)
        shared = np.sum(self._reach + self.tiling.size.max(initial=0) + wide) + wide**2
        return float(shared) + 3.0 * self.n_band * (self.width + 1)

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
            for one in _along(entries, weights, reach, pairs, limit, ways):
                if best is None or (one.is_small, -one.work) > (best.is_small, -best.work):
                    best = one
            if best.is_small and best.work < LITTLE_WORK:
                break
        return None if best is None else best._looked_at(entries, weights, pairs)

    @property
    def is_small(self):
        """Whether it can be factorised."""
        return self.work <= MOST_WORK and self.numbers <= MOST_NUMBERS

    def fitting(self, entries, weights, pairs, positions):
        """The same for other entries."""
        limit, way = self.choice
        reach = Reach.of(entries, weights, positions())
        one = _along(entries, weights, reach, pairs, limit, (way,))[0]
        return one._looked_at(entries, weights, pairs)

    def _looked_at(self, entries, weights, pairs):
        """With the width of the blocks, and which tiles pixels see of what is shared."""
        n_tile, width = len(self.tiling), 0
        seen = np.zeros((n_tile, n_tile), dtype=bool)
        for pixels, index, value in entries:
            own = Pixels(index, value, weights[pixels])
            width = max(width, spread(own, self.ranks, self.tiling.tile, seen))
        if len(pairs[0]):
            one, two = np.sort(self.rank[np.stack(pairs)], axis=0)
            width = max(width, int(np.max((two - one)[two < self.n_band], initial=0)))
        return replace(self, width=width, seen=seen)


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


def _along(entries, weights, reach, pairs, limit, ways):
    """Structures with what is shared ordered along each of some ways."""
    shared = reach.part > limit
    orders = [_shared_places(reach, shared, limit, way) for way in ways]
    places, inner = np.array([o[0] for o in orders]), np.array([o[1] for o in orders])
    parent, met = np.arange(entries.n), np.empty((len(inner), 2, 2, entries.n), dtype=np.int64)
    met[:, :, 0], met[:, :, 1] = NOWHERE, -1
    for pixels, index, value in entries:
        connect(Pixels(index, value, weights[pixels]), places, inner, parent, met)
    own = np.flatnonzero(~shared)
    _connect_pairs(pairs, places, inner, parent, met)
    met[:, :, 1] += 1  # the one behind the last
    first, number = np.unique(roots(parent)[own], return_inverse=True)
    sets = Sets.of(len(first), number, reach.rows[:, own])
    along = int(np.argmin(reach.span[:, own].mean(axis=1))) if len(own) else 0
    middle = reach.middle[along][own]
    return [_structure(own, sets, middle, *order, all_met, (limit, way))
            for way, order, all_met in zip(ways, orders, met, strict=True)]  # fmt: skip


def _shared_places(reach, shared, limit, way):
    """Place of shared coefficients along a way, their border last, and the number before that."""
    wide = shared & (reach.span[way] > limit * reach.size[way])
    other = np.argmin(reach.span, axis=0)
    middle = np.where(wide, np.take_along_axis(reach.middle, other[None], 0)[0], reach.middle[way])
    order = np.flatnonzero(shared)
    order = order[np.lexsort((middle[order], wide[order]))]
    place = np.full(len(shared), -1)
    place[order] = np.arange(len(order))
    return place, int(np.count_nonzero(shared & ~wide))


def _connect_pairs(pairs, places, inner, parent, met):
    """The same for pairs of coefficients that priors connect."""
    for first, second in (pairs, pairs[::-1]):
        for place, n, own in zip(places, inner, met, strict=True):
            for part in range(2):
                known = (place[second] >= 0) & ((place[second] >= n) == part)
                np.minimum.at(own[part, 0], first[known], place[second[known]])
                np.maximum.at(own[part, 1], first[known], place[second[known]])
    both = (places[0, pairs[0]] < 0) & (places[0, pairs[1]] < 0)
    joined(parent, pairs[0][both], pairs[1][both])


def _structure(own, sets, middle, place, n_inner, met, choice):
    """One structure, but for what is found once it is chosen."""
    blocks, order = sets.blocks(met[0, :, own].T)
    ranked = own[np.lexsort((middle, order))]
    rank = np.empty(len(place), dtype=np.int64)
    rank[ranked] = np.arange(len(own))
    rank[place >= 0] = len(own) + place[place >= 0]
    direct = np.zeros(n_inner, dtype=np.int64)
    inner = (place >= 0) & (place < n_inner)
    direct[place[inner]] = met[0, 1, inner]
    return ArrowStructure(rank, len(own), n_inner, blocks, met[:, :, ranked], direct, choice)
