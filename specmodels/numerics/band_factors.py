"""Cholesky factors of banded matrices, solutions, and the band of the inverse.

Entry ``[j, d]`` of a band, shape (n_band, width + 1), belongs to row ``j + d`` and column ``j``.
"""

import numpy as np
from scipy.linalg import lapack

from .compiled import compiled
from .dense_factors import forward_solve

__all__ = [
    "MANY",
    "backward_rows",
    "band_factor",
    "band_solve",
    "forward_rows",
    "inverse_in_band",
    "scaled_band",
]

WIDE = 48  # diagonals of a band that is better inverted in dense blocks
MANY = 8  # vectors that are better solved for all at once; LAPACK takes one after another


def scaled_band(band, scale):
    """Rows and columns of a band times a scale."""
    out = band * scale[:, None]
    n = len(band)
    for d in range(band.shape[1]):
        out[: max(n - d, 0), d] *= scale[d:]
        out[max(n - d, 0) :, d] = 0.0
    return out


def band_factor(band, out, floor):
    """Cholesky factor of a band of unit diagonal, and the coefficients that have no part in it."""
    if not len(band):
        return band, out
    known = _without(band, out) if out.any() else band
    factor, info = lapack.dpbtrf(known.T, lower=1)
    if info == 0 and np.min(factor[0]) ** 2 > floor:
        return np.ascontiguousarray(factor.T), out
    return _guarded_band_factor(band, out, floor)


def _without(band, out):
    """A band in which some coefficients meet none but themselves."""
    band = band.copy()
    band[out] = 0.0
    band[out, 0] = 1.0
    rows = np.flatnonzero(out)
    for d in range(1, band.shape[1]):
        some = rows[rows >= d]
        band[some - d, d] = 0.0
    return band


@compiled
def _guarded_band_factor(band, out, floor):
    """As LAPACK's, without some coefficients, and without those whose pivot is below the floor."""
    n, width = band.shape
    factor, left = band.copy(), out.copy()
    for j in range(n):
        last = min(width, n - j)
        if left[j] or not factor[j, 0] > floor:
            left[j] = True
            factor[j, 0] = 1.0
            for d in range(1, last):
                factor[j, d] = 0.0
            for d in range(1, min(width, j + 1)):
                factor[j - d, d] = 0.0
            continue
        pivot = np.sqrt(factor[j, 0])
        factor[j, 0] = pivot
        for d in range(1, last):
            factor[j, d] /= pivot
        for d in range(1, last):
            for e in range(d, last):
                factor[j + d, e - d] -= factor[j, d] * factor[j, e]
    return factor, left


def band_solve(factor, vectors):
    """Solution for the Cholesky factor of a band; vectors of shape (n_band, n_vector)."""
    if vectors.shape[1] < MANY:
        if not vectors.size:
            return np.zeros(vectors.shape)
        return lapack.dpbtrs(factor.T, vectors, lower=1)[0]
    out = np.array(vectors, order="C", dtype=float)
    forward_rows(factor, 0, out, 0)
    backward_rows(factor, 0, out, len(out))
    return out


def inverse_in_band(factor, width=0):
    """Band of the inverse of a matrix with this Cholesky factor.

    It has `width` diagonals, or as many as the factor if that has more.
    """
    n, filled = factor.shape
    if filled > WIDE and n > 0 and width <= filled:
        return _inverse_of_wide_band(factor)
    return _inverse_of_band(factor, max(width, filled))


def _inverse_of_wide_band(factor):
    """As for a narrow band, by dense blocks as large as the band is wide: the last first."""
    n, width = factor.shape
    out, size = np.zeros(factor.shape), width - 1
    starts = range(0, n, size)
    after, end = np.zeros((0, 0)), n
    for start in reversed(starts):
        own = _dense_of_band(factor, start, end, min(end + size, n))
        half = forward_solve(own[: end - start], np.eye(end - start))
        follow = own[end - start :] @ half
        beyond = -after[: len(follow), : len(follow)] @ follow
        inverse = half.T @ half - follow.T @ beyond
        _set_band(out, start, np.concatenate([inverse, beyond]))
        after, end = inverse, start
    return out


@compiled
def _dense_of_band(band, start, end, stop):
    """Columns ``start … end - 1`` of a lower triangle, rows ``start … stop - 1``, as a matrix."""
    out = np.zeros((stop - start, end - start))
    for j in range(start, end):
        for d in range(min(band.shape[1], stop - j)):
            out[j - start + d, j - start] = band[j, d]
    return out


@compiled
def _set_band(band, start, columns):
    """The reverse of it, in place of a band."""
    for j in range(columns.shape[1]):
        for d in range(min(band.shape[1], columns.shape[0] - j)):
            band[start + j, d] = columns[j + d, j]


@compiled
def _inverse_of_band(factor, width):
    """As `inverse_in_band`, from the last row up: the recurrences hold for any greater width."""
    n, filled = factor.shape
    out = np.zeros((n, width))
    for j in range(n - 1, -1, -1):
        last = min(width, n - j)
        for i in range(last - 1, -1, -1):
            total = 1 / factor[j, 0] if i == 0 else 0.0
            for k in range(1, min(last, filled)):
                low, far = min(i, k), abs(i - k)
                total -= factor[j, k] * out[j + low, far]
            out[j, i] = total / factor[j, 0]
    return out


@compiled
def forward_rows(factor, first, rows, n_before):
    """Divide by the Cholesky factor of a band, in place of rows, the first of rank `first`.

    The `n_before` rows before that are known.
    """
    width = factor.shape[1]
    for r in range(n_before, rows.shape[0]):
        j = first + r - n_before
        own = rows[r]
        for d in range(1, min(width, r + 1)):
            part = factor[j - d, d] if j >= d else 0.0
            if part != 0.0:
                own -= part * rows[r - d]
        own /= factor[j, 0]


@compiled
def backward_rows(factor, first, rows, n):
    """The same for the transposed factor, in place of the first `n` rows; the others are known."""
    width = factor.shape[1]
    for r in range(n - 1, -1, -1):
        own = rows[r]
        for d in range(1, min(width, rows.shape[0] - r)):
            part = factor[first + r, d]
            if part != 0.0:
                own -= part * rows[r + d]
        own /= factor[first + r, 0]
