"""Loops over sparse rows for matrices of independent blocks and what they share. Kernels only.

Coefficients are ranked: those below `n_band` belong to blocks, which never meet one another; the
others are shared, and counted from zero. The first `n_inner` of these are ordered along the frame,
the others reach over most of it. What a coefficient of a block meets of either is taken to be a
range. See `sparse_rows` for the entries of pixels, `tiled` for the matrix of what is shared.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .sparse_rows import ranked_row
from .tiling import add_element

__all__ = [
    "Couplings",
    "Pixels",
    "Ranks",
    "add_couplings",
    "connect",
    "fill_rows",
    "joined",
    "least_rank",
    "roots",
    "scale_couplings",
    "spread",
    "split_equations",
]


class Pixels(NamedTuple):
    """Entries of some pixels, (n_pixel, n_entry), and their weights, (n_pixel,)."""

    index: np.ndarray
    value: np.ndarray
    weights: np.ndarray


class Ranks(NamedTuple):
    """Rank of each coefficient, (n,), and how many belong to blocks, and are ordered beyond."""

    rank: np.ndarray
    n_band: int
    n_inner: int


class Couplings(NamedTuple):
    """What coefficients of blocks have with shared ones, each in two ranges of these.

    Attributes
    ----------
    first : int
        Rank of the first of the coefficients.
    low : ndarray of int, shape (2, n)
        First shared coefficient in each range.
    start : ndarray of int, shape (2, n + 1)
        Place of each range among all numbers; the end is the start of the next one.
    numbers : ndarray
    """

    first: int
    low: np.ndarray
    start: np.ndarray
    numbers: np.ndarray


@compiled
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@compiled
def joined(parent, first, second):
    """Join the sets of pairs of coefficients, in place of `parent`, shape (n,)."""
    for p in range(first.size):
        one, two = _root(parent, first[p]), _root(parent, second[p])
        parent[max(one, two)] = min(one, two)


@compiled
def roots(parent):
    """The first coefficient of the set of each."""
    out = np.empty(parent.size, np.int64)
    for k in range(parent.size):
        out[k] = _root(parent, k)
    return out


@compiled
def connect(pixels, places, inner, parent, met):
    """Join coefficients that pixels see together, and note which shared ones they meet.

    Parameters
    ----------
    pixels : Pixels
    places : ndarray of int, shape (n_way, n)
        Place of shared coefficients in each of some orders; -1 where they belong to blocks.
    inner : ndarray of int, shape (n_way,)
        Number of the places that come before those of the border.
    parent : ndarray of int, shape (n,)
        Sets; changed.
    met : ndarray of int, shape (n_way, 2, 2, n)
        First and last place met, of those before the border and in it; changed.
    """
    n_way = places.shape[0]
    ends = np.empty((n_way, 2, 2), np.int64)
    for p in range(pixels.index.shape[0]):
        if not pixels.weights[p] > 0:
            continue
        ends[:, :, 0], ends[:, :, 1] = places.shape[1], -1
        root, before = -1, -1
        for e in range(pixels.index.shape[1]):
            if pixels.value[p, e] == 0.0:
                continue
            k = pixels.index[p, e]
            if places[0, k] < 0:
                if parent[k] == before:
                    continue
                before = parent[k]
                own = _root(parent, k)
                if root >= 0 and own != root:
                    parent[max(own, root)] = min(own, root)
                    own = min(own, root)
                root = own
            else:
                for way in range(n_way):
                    place = places[way, k]
                    part = int(place >= inner[way])
                    ends[way, part, 0] = min(ends[way, part, 0], place)
                    ends[way, part, 1] = max(ends[way, part, 1], place)
        for e in range(pixels.index.shape[1]):
            if pixels.value[p, e] != 0.0:
                k = pixels.index[p, e]
                for way in range(n_way):
                    for part in range(2):
                        if ends[way, part, 1] >= 0:
                            low, high = met[way, part, 0, k], met[way, part, 1, k]
                            met[way, part, 0, k] = min(low, ends[way, part, 0])
                            met[way, part, 1, k] = max(high, ends[way, part, 1])


@compiled
def spread(pixels, ranks, tile, seen):
    """Largest distance of two coefficients of blocks that one pixel sees.

    In the mask `seen`, shape (n_tile, n_tile), the tiles are set in which shared ones meet.
    """
    width = 0
    found = np.empty(pixels.index.shape[1], np.int64)
    for p in range(pixels.index.shape[0]):
        if not pixels.weights[p] > 0:
            continue
        low, high, n = ranks.n_band, -1, 0
        for e in range(pixels.index.shape[1]):
            if pixels.value[p, e] == 0.0:
                continue
            k = ranks.rank[pixels.index[p, e]]
            if k < ranks.n_band:
                low, high = min(low, k), max(high, k)
            elif n == 0 or tile[k - ranks.n_band] != found[n - 1]:
                found[n] = tile[k - ranks.n_band]
                n += 1
        width = max(width, high - low)
        for a in range(n):
            for b in range(a + 1):
                seen[max(found[a], found[b]), min(found[a], found[b])] = True
    return width


@compiled
def split_equations(pixels, ranks, band, numbers, address):
    """Add the weighted normal matrix, but for what blocks have with shared coefficients.

    Parameters
    ----------
    pixels : Pixels
    ranks : Ranks
    band : ndarray, shape (n_band, width + 1)
        Of all blocks; changed.
    numbers : ndarray
        Of what is shared; changed.
    address : Address
        Where these are.
    """
    n_entry = pixels.index.shape[1]
    place, here = np.empty(n_entry, np.int64), np.empty(n_entry)
    for p in range(pixels.index.shape[0]):
        if not pixels.weights[p] > 0:
            continue
        n = ranked_row(pixels.index[p], pixels.value[p], ranks.rank, place, here)
        own = 0
        while own < n and place[own] < ranks.n_band:
            weighted = pixels.weights[p] * here[own]
            for b in range(own + 1):
                band[place[b], place[own] - place[b]] += weighted * here[b]
            own += 1
        for a in range(own, n):
            weighted = pixels.weights[p] * here[a]
            for b in range(own, a + 1):
                add_element(numbers, address, place[a] - ranks.n_band, place[b] - ranks.n_band,
                            weighted * here[b])  # fmt: skip


@compiled
def add_couplings(pixels, ranks, couplings):
    """Add what the coefficients of `couplings` have with shared ones."""
    end = couplings.first + couplings.low.shape[1]
    for p in range(pixels.index.shape[0]):
        if not pixels.weights[p] > 0:
            continue
        for a in range(pixels.index.shape[1]):
            i = ranks.rank[pixels.index[p, a]]
            if pixels.value[p, a] == 0.0 or i < couplings.first or i >= end:
                continue
            i -= couplings.first
            weighted = pixels.weights[p] * pixels.value[p, a]
            for b in range(pixels.index.shape[1]):
                j = ranks.rank[pixels.index[p, b]] - ranks.n_band
                if j >= 0 and pixels.value[p, b] != 0.0:
                    part = int(j >= ranks.n_inner)
                    at = couplings.start[part, i] + j - couplings.low[part, i]
                    couplings.numbers[at] += weighted * pixels.value[p, b]


@compiled
def scale_couplings(couplings, scale, n_band):
    """Multiply rows and columns by their scale, of shape (n,), in place."""
    for i in range(couplings.low.shape[1]):
        own = scale[couplings.first + i]
        for part in range(2):
            start, end = couplings.start[part, i], couplings.start[part, i + 1]
            shift = n_band + couplings.low[part, i] - start
            for k in range(start, end):
                couplings.numbers[k] *= own * scale[shift + k]


@compiled
def fill_rows(couplings, first, window, out):
    """Set rows of a matrix, from that of rank `first` on, whose columns are two ranges.

    `window` has the first column of each range and its end, shape (2, 2).
    """
    width = window[0, 1] - window[0, 0]
    for row in range(out.shape[0]):
        i = first + row - couplings.first
        for part in range(2):
            start, end = couplings.start[part, i], couplings.start[part, i + 1]
            shift = couplings.low[part, i] - window[part, 0] + (width if part else 0)
            for k in range(end - start):
                out[row, shift + k] = couplings.numbers[start + k]


@compiled
def least_rank(pixels, rank, first, end):
    """Least rank of a block, ``first … end - 1``, that each pixel sees, shape (n_pixel,).

    It is `end` where a pixel sees none, or has no weight.
    """
    out = np.full(pixels.index.shape[0], end)
    for p in range(out.size):
        if pixels.weights[p] > 0:
            for e in range(pixels.index.shape[1]):
                k = rank[pixels.index[p, e]]
                if pixels.value[p, e] != 0.0 and first <= k < out[p]:
                    out[p] = k
    return out
