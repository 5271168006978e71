"""Pixels of a scene, which is a sparse matrix from terms to pixels: those lit, windows, variances.

What is solved with it is in `blocks`.
"""

import numpy as np
from scipy import sparse

from .blocks import Blocks, Sparse
from .compiled import compiled

__all__ = ["chi2_by_block", "lit_pixels", "pixel_variance", "window_image"]


@compiled
def _number_pixels(indices, n_pixels):
    """Pixels in the order in which they come up, and the number of each entry's pixel."""
    place = np.zeros(n_pixels, np.int32)
    pixels, rows = np.empty(indices.size, np.int32), np.empty(indices.size, np.int32)
    n_lit = 0
    for e in range(indices.size):
        pixel = indices[e]
        if place[pixel] == 0:
            pixels[n_lit] = pixel
            n_lit += 1
            place[pixel] = n_lit
        rows[e] = place[pixel] - 1
    return pixels[:n_lit].copy(), rows


def lit_pixels(columns):
    """Pixels that any column reaches, and the columns of these alone.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_pixel, n_term)

    Returns
    -------
    pixels : ndarray of int, shape (n_lit,)
        In the order in which they come up, so that those of a source are near to each other.
    `~scipy.sparse.csc_array`, shape (n_lit, n_term)
        Shares its values with the other.
    """
    pixels, rows = _number_pixels(columns.indices, columns.shape[0])
    short = sparse.csc_array((columns.data, rows, columns.indptr),
                             shape=(len(pixels), columns.shape[1]))  # fmt: skip
    return pixels, short


@compiled
def _pixel_variance(rows, chosen, covariance, first, stop, out):
    """Variance of the sum of the terms that are not from `first` to `stop`, in chosen rows."""
    pointer, indices, data = rows
    for k in range(chosen.size):
        r, total = chosen[k], 0.0
        if r < 0:
            continue
        for a in range(pointer[r], pointer[r + 1]):
            i = indices[a]
            if first <= i < stop:
                continue
            total += data[a] * data[a] * covariance[i, i]
            for b in range(a + 1, pointer[r + 1]):
                j = indices[b]
                if not first <= j < stop:
                    total += 2 * data[a] * data[b] * covariance[i, j]
        out[k] = total


@compiled
def _within_blocks(rows, chosen, blocks, block, first, stop, out):
    """The same, with covariance within blocks only; `block` is that of each term."""
    pointer, indices, data = rows
    for k in range(chosen.size):
        r, total = chosen[k], 0.0
        if r < 0:
            continue
        for a in range(pointer[r], pointer[r + 1]):
            i = indices[a]
            if first <= i < stop:
                continue
            b = block[i]
            begin, end = blocks.start[b], blocks.start[b + 1]
            at = blocks.offset[b] + (i - begin) * (end - begin) - begin
            total += data[a] * data[a] * blocks.values[at + i]
            for c in range(a + 1, pointer[r + 1]):
                j = indices[c]
                if j >= end:
                    break
                if not first <= j < stop:
                    total += 2 * data[a] * data[c] * blocks.values[at + j]
        out[k] = total


def pixel_variance(rows, chosen, covariance, skip):
    """Variance of the sum of all terms but some, in chosen pixels.

    Parameters
    ----------
    rows : `~scipy.sparse.csr_array`, shape (n_pixel, n_term)
        Indices sorted in each row.
    chosen : ndarray of int, shape (n_chosen,)
        The rows; a negative one stands for a pixel without light.
    covariance : ndarray, shape (n_term, n_term), or Blocks
        Of the values; blocks hold all covariance within a source and none between sources.
    skip : slice
        Terms to leave out.
    """
    out = np.zeros(len(chosen))
    if isinstance(covariance, Blocks):
        block = np.repeat(np.arange(len(covariance.start) - 1), np.diff(covariance.start))
        _within_blocks(Sparse.of(rows), chosen, covariance.table, block, skip.start, skip.stop, out)
    else:
        _pixel_variance(Sparse.of(rows), chosen, covariance, skip.start, skip.stop, out)
    return np.maximum(out, 0.0)


@compiled
def _chi2_by_block(pointer, indices, start, weights, residual, n_pixels, chi2):
    """Pixels with weight that each block reaches, each once."""
    seen = np.full(weights.size, -1, np.int32)
    for b in range(start.size - 1):
        for e in range(pointer[start[b]], pointer[start[b + 1]]):
            r = indices[e]
            if seen[r] != b and weights[r] > 0:
                seen[r] = b
                n_pixels[b] += 1
                chi2[b] += weights[r] * residual[r] ** 2


def chi2_by_block(columns, start, weights, residual):
    """Number of pixels with weight that each block reaches, and chi-square of the residual there.

    Returns
    -------
    n_pixels : ndarray of int, shape (n_block,)
    chi2 : ndarray, shape (n_block,)
    """
    n_pixels, chi2 = np.zeros(len(start) - 1, np.int64), np.zeros(len(start) - 1)
    _chi2_by_block(columns.indptr, columns.indices, start, weights, residual, n_pixels, chi2)
    return n_pixels, chi2


@compiled
def _window_image(columns, values, first, n_x, top, left, out):
    pointer, indices, data = columns
    for j in range(values.size):
        row, begin = 0, 0
        for e in range(pointer[first + j], pointer[first + j + 1]):
            pixel = indices[e]
            # Most entries are in the row of the one before: dividing each takes longer.
            if not begin <= pixel < begin + n_x:
                row = pixel // n_x
                begin = row * n_x
            y, x = row - top, pixel - begin - left
            if 0 <= y < out.shape[0] and 0 <= x < out.shape[1]:
                out[y, x] += values[j] * data[e]


def window_image(columns, values, first, n_x, window):
    """Sum of consecutive columns of a flattened image times values, in a window of it.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_y * n_x, n_term)
    values : ndarray, shape (n_values,)
    first : int
        Column of the first value.
    n_x : int
        Columns of the image.
    window : tuple of slice
        Rows and columns, with start and stop.

    Returns
    -------
    ndarray, shape of the window
    """
    rows, across = window
    out = np.zeros((rows.stop - rows.start, across.stop - across.start))
    _window_image(Sparse.of(columns), np.asarray(values, dtype=float), first, n_x, rows.start,
                  across.start, out)  # fmt: skip
    return out
