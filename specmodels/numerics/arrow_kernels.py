"""Loops over sparse rows for matrices of independent blocks and what they share. Kernels only.

Coefficients are ranked: those below `n_band` belong to blocks, which never meet one another; the
others are shared. See `sparse_rows` for the entries of pixels, `block_band` for the shared part.
"""

import numba
import numpy as np

from .block_band import place_of

__all__ = [
    "connect",
    "couplings",
    "joined",
    "mark_shared",
    "roots",
    "solve_rows",
    "split_equations",
]


@numba.njit(cache=True, nogil=True)
def _root(parent, k):
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


@numba.njit(cache=True, nogil=True)
def joined(parent, first, second):
    """Join the sets of pairs of coefficients, in place of `parent`, shape (n,)."""
    for p in range(first.size):
        one, two = _root(parent, first[p]), _root(parent, second[p])
        parent[max(one, two)] = min(one, two)


@numba.njit(cache=True, nogil=True)
def roots(parent):
    """The first coefficient of the set of each."""
    out = np.empty(parent.size, np.int64)
    for k in range(parent.size):
        out[k] = _root(parent, k)
    return out


@numba.njit(cache=True, nogil=True)
def connect(index, value, weights, places, parent, low, high):
    """Join coefficients that pixels see together, and note which shared ones they meet.

    Parameters
    ----------
    index, value, weights
        Of the pixels.
    places : ndarray of int, shape (n_way, n)
        Place of shared coefficients in an order; -1 where they have none; -2 where they belong to
        blocks.
    parent, low, high : ndarray of int, shapes (n,), (n_way, n), (n_way, n)
        Sets, and the first and last place met; changed.
    """
    n_way = places.shape[0]
    first, last = np.empty(n_way, np.int64), np.empty(n_way, np.int64)
    for p in range(index.shape[0]):
        if not weights[p] > 0:
            continue
        first[:], last[:] = places.shape[1], -1
        root = -1
        for e in range(index.shape[1]):
            if value[p, e] == 0.0:
                continue
            k = index[p, e]
            if places[0, k] == -2:
                own = _root(parent, k)
                if root < 0:
                    root = own
                elif own != root:
                    parent[max(own, root)] = min(own, root)
                    root = min(own, root)
            else:
                for way in range(n_way):
                    if places[way, k] >= 0:
                        first[way] = min(first[way], places[way, k])
                        last[way] = max(last[way], places[way, k])
        for e in range(index.shape[1]):
            if value[p, e] != 0.0:
                k = index[p, e]
                for way in range(n_way):
                    low[way, k] = min(low[way, k], first[way])
                    high[way, k] = max(high[way, k], last[way])


@numba.njit(cache=True, nogil=True)
def split_equations(index, value, weights, rank, band, numbers, starts, block, tails, at, n_border):
    """Add the weighted normal matrix, couplings of blocks with what is shared apart.

    The band of all blocks is `band`, shape (n_band, width + 1), entries as in `sparse_rows`; the
    shared part are the numbers of a `~specmodels.numerics.block_band.BlockBand`.
    """
    n_band, n_entry = band.shape[0], index.shape[1]
    place, here = np.empty(n_entry, np.int64), np.empty(n_entry)
    for p in range(index.shape[0]):
        if not weights[p] > 0:
            continue
        n = 0
        for e in range(n_entry):
            if value[p, e] != 0.0:
                place[n], here[n] = rank[index[p, e]], value[p, e]
                n += 1
        for a in range(n):
            i, weighted = place[a], weights[p] * here[a]
            for b in range(a + 1):
                j, product = place[b], weighted * here[b]
                if i == j and a != b:
                    product *= 2
                low, high = min(i, j), max(i, j)
                if high < n_band:
                    band[low, high - low] += product
                elif low >= n_band:
                    one, two = place_of(low - n_band, high - n_band, starts, block, tails, at,
                                        n_border)  # fmt: skip
                    numbers[one] += product
                    if two != one:
                        numbers[two] += product


@numba.njit(cache=True, nogil=True)
def mark_shared(index, value, weights, rank, first, last, n_band, seen):
    """Mark which shared coefficients meet those of ranks ``first … last - 1``."""
    for p in range(index.shape[0]):
        if not weights[p] > 0:
            continue
        inside = False
        for e in range(index.shape[1]):
            if value[p, e] != 0.0 and first <= rank[index[p, e]] < last:
                inside = True
        if inside:
            for e in range(index.shape[1]):
                if value[p, e] != 0.0 and rank[index[p, e]] >= n_band:
                    seen[rank[index[p, e]] - n_band] = True


@numba.njit(cache=True, nogil=True)
def couplings(index, value, weights, rank, first, last, n_band, column, out):
    """Add the coupling of the ranks ``first … last - 1`` with shared coefficients.

    `column` is the column of each shared one in `out`, shape (last - first, n_column).
    """
    for p in range(index.shape[0]):
        if not weights[p] > 0:
            continue
        for a in range(index.shape[1]):
            i = rank[index[p, a]]
            if value[p, a] == 0.0 or i < first or i >= last:
                continue
            weighted = weights[p] * value[p, a]
            for b in range(index.shape[1]):
                j = rank[index[p, b]]
                if j >= n_band and value[p, b] != 0.0:
                    out[i - first, column[j - n_band]] += weighted * value[p, b]


@numba.njit(cache=True, nogil=True)
def solve_rows(factor, vectors):
    """Solve for the Cholesky factor of a band in place of vectors, shape (n, n_vector).

    As LAPACK's, but all vectors at once, row by row.
    """
    n, width = factor.shape
    for j in range(n):
        own = vectors[j]
        own /= factor[j, 0]
        for d in range(1, min(width, n - j)):
            if factor[j, d] != 0.0:
                vectors[j + d] -= factor[j, d] * own
    for j in range(n - 1, -1, -1):
        own = vectors[j]
        for d in range(1, min(width, n - j)):
            if factor[j, d] != 0.0:
                own -= factor[j, d] * vectors[j + d]
        own /= factor[j, 0]
