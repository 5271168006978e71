"""Sparse rows: each pixel is a short list of coefficient numbers and values. Kernels only.

A model that is linear in many coefficients, of which each pixel sees a few, is an array of numbers
and one of values, both of shape ``(n_pixel, n_entry)``. All that a fit needs of it is here: its
image, the transpose, and its normal equations, which are banded but for a border. Coefficients
``0 … n_band - 1`` form the band, the others the border. Sums are in the order of the pixels.
"""

import numpy as np

from .compiled import compiled

__all__ = [
    "all_transposed",
    "append_entries",
    "band_width",
    "border_leverages",
    "image_of",
    "leverages",
    "normal_equations",
    "ranked_row",
    "supports",
    "transposed",
]


@compiled
def append_entries(index, value, filled, window, terms, entries, keys, numbers):
    """Append the entries of one model to those of the pixels of an image, zeros apart.

    Parameters
    ----------
    index, value : ndarray, shape (n_y, n_x, n_entry)
        Coefficient numbers and values; filled in.
    filled : ndarray of int, shape (n_y, n_x)
        Number of entries that each pixel has; raised.
    window : tuple of int
        First row and column of the pixels, and their numbers.
    terms : ndarray of int, shape (n_y or 1, n_x or 1, n_own)
        Terms of the entries in the window.
    entries : ndarray, shape (n_y or 1, n_x or 1, n_own)
        Their values.
    keys : ndarray of int, shape (n_y or 1, n_x or 1)
        Numbers of the repetitions; a negative one is that of no repetition.
    numbers : tuple of ndarray, each of shape (n_term,)
        Coefficient of a term in the first repetition, its step with repetitions, and a factor.
    """
    first, stride, factor = numbers
    y0, x0, n_y, n_x = window
    # Steps of zero where an array has one row or column for all.
    steps = (
        int(terms.shape[0] > 1), int(terms.shape[1] > 1), int(entries.shape[0] > 1),
        int(entries.shape[1] > 1), int(keys.shape[0] > 1), int(keys.shape[1] > 1),
    )  # fmt: skip
    for y in range(n_y):
        term_row, entry_row = terms[y * steps[0]], entries[y * steps[2]]
        key_row = keys[y * steps[4]]
        for x in range(n_x):
            key = key_row[x * steps[5]]
            if key < 0:
                continue
            own, number = entry_row[x * steps[3]], term_row[x * steps[1]]
            n = filled[y0 + y, x0 + x]
            for e in range(own.size):
                if own[e] != 0.0:
                    term = number[e]
                    index[y0 + y, x0 + x, n] = first[term] + key * stride[term]
                    value[y0 + y, x0 + x, n] = own[e] * factor[term]
                    n += 1
            filled[y0 + y, x0 + x] = n


@compiled
def image_of(index, value, coefficients):
    """Sum of the entries of each pixel times their coefficients, shape (n_pixel,)."""
    out = np.zeros(index.shape[0])
    for p in range(index.shape[0]):
        total = 0.0
        for e in range(index.shape[1]):
            total += value[p, e] * coefficients[index[p, e]]
        out[p] = total
    return out


@compiled
def transposed(index, value, pixels, n_coefficient):
    """Sum over pixels of their values times their entries, shape (n_coefficient,)."""
    out = np.zeros(n_coefficient)
    for p in range(index.shape[0]):
        if pixels[p] != 0.0:
            for e in range(index.shape[1]):
                out[index[p, e]] += value[p, e] * pixels[p]
    return out


@compiled(fastmath={"contract"})
def all_transposed(index, value, images, n_coefficient):
    """As `transposed` for many images, (n_image, n_pixel): shape (n_coefficient, n_image)."""
    n_image = images.shape[0]
    out = np.zeros((n_coefficient, n_image))
    here = np.empty(n_image)
    for p in range(index.shape[0]):
        for k in range(n_image):
            here[k] = images[k, p]
        for e in range(index.shape[1]):
            factor, row = value[p, e], out[index[p, e]]
            if factor != 0.0:
                for k in range(n_image):
                    row[k] += factor * here[k]
    return out


@compiled
def supports(index, value, weights, position, n_coefficient):
    """First and last position of the pixels that see each coefficient, each (n_coefficient,).

    The first is above the last where none does.
    """
    first, last = np.full(n_coefficient, np.inf), np.full(n_coefficient, -np.inf)
    for p in range(index.shape[0]):
        if weights[p] > 0:
            for e in range(index.shape[1]):
                if value[p, e] != 0.0:
                    k = index[p, e]
                    first[k] = min(first[k], position[p])
                    last[k] = max(last[k], position[p])
    return first, last


@compiled
def band_width(index, value, weights, rank, n_band):
    """Largest distance of the ranks below `n_band` of two coefficients that one pixel sees."""
    width = 0
    for p in range(index.shape[0]):
        if weights[p] > 0:
            low, high = n_band, -1
            for e in range(index.shape[1]):
                if value[p, e] != 0.0:
                    k = rank[index[p, e]]
                    if k < n_band:
                        low, high = min(low, k), max(high, k)
            width = max(width, high - low)
    return width


@compiled
def ranked_row(index, value, rank, place, here):
    """Ranks of the entries of one pixel, increasing, and their values, and how many there are.

    Zeros are left out, and a coefficient that is there twice has the sum. Both are set in `place`
    and `here`, of shape (n_entry,).
    """
    n = 0
    for e in range(index.size):
        if value[e] == 0.0:
            continue
        k, at = rank[index[e]], n
        while at > 0 and place[at - 1] > k:
            at -= 1
        if at > 0 and place[at - 1] == k:
            here[at - 1] += value[e]
            continue
        for b in range(n, at, -1):
            place[b], here[b] = place[b - 1], here[b - 1]
        place[at], here[at] = k, value[e]
        n += 1
    return n


@compiled
def normal_equations(index, value, weights, rank, n_band, width, n_border):
    """Weighted normal matrix: band (n_band, width + 1), coupling and border.

    Entry ``[j, d]`` of the band belongs to row ``j + d`` and column ``j``; the coupling has the
    shape (n_band, n_border).
    """
    band = np.zeros((n_band, width + 1))
    coupling = np.zeros((n_band, n_border))
    border = np.zeros((n_border, n_border))
    n_entry = index.shape[1]
    place, here = np.empty(n_entry, np.int64), np.empty(n_entry)
    for p in range(index.shape[0]):
        if not weights[p] > 0:
            continue
        n, own = ranked_row(index[p], value[p], rank, place, here), 0
        while own < n and place[own] < n_band:
            i, weighted = place[own], weights[p] * here[own]
            for b in range(own + 1):
                band[place[b], i - place[b]] += weighted * here[b]
            own += 1
        for a in range(own, n):
            i, weighted = place[a] - n_band, weights[p] * here[a]
            for b in range(own):
                coupling[place[b], i] += weighted * here[b]
            for b in range(own, a + 1):
                j, product = place[b] - n_band, weighted * here[b]
                border[i, j] += product
                if i != j:
                    border[j, i] += product
    return band, coupling, border


@compiled
def leverages(index, value, rank, n_band, inverse):
    """Quadratic form of each pixel's entries in the band of an inverse, shape (n_pixel,).

    Entries of the border are left out, and so are pairs beyond the band: those never meet.
    """
    out = np.zeros(index.shape[0])
    width = inverse.shape[1]
    for p in range(index.shape[0]):
        total = 0.0
        for a in range(index.shape[1]):
            i = rank[index[p, a]]
            if i >= n_band or value[p, a] == 0.0:
                continue
            for b in range(a + 1):
                j = rank[index[p, b]]
                if j < n_band and abs(i - j) < width:
                    term = value[p, a] * value[p, b] * inverse[min(i, j), abs(i - j)]
                    total += term if a == b else 2 * term
        out[p] = total
    return out


@compiled
def border_leverages(index, value, rank, cross, inverse, first):
    """What some columns of the border add to the quadratic form of each pixel, shape (n_pixel,).

    Parameters
    ----------
    index, value : ndarray, shape (n_pixel, n_entry)
    rank : ndarray of int, shape (n_coefficient,)
    cross : ndarray, shape (n_band, n_column)
        Block of the inverse of the band with these columns.
    inverse : ndarray, shape (n_border, n_column)
        That of the border with them.
    first : int
        The first of the columns.
    """
    out = np.zeros(index.shape[0])
    n_band, n_column = cross.shape
    for p in range(index.shape[0]):
        for a in range(index.shape[1]):
            column = rank[index[p, a]] - n_band - first
            if value[p, a] == 0.0 or column < 0 or column >= n_column:
                continue
            total = 0.0
            for b in range(index.shape[1]):
                i = rank[index[p, b]]
                if i < n_band:
                    total += 2 * value[p, b] * cross[i, column]
                else:
                    total += value[p, b] * inverse[i - n_band, column]
            out[p] += value[p, a] * total
    return out
