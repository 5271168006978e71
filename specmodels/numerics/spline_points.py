"""Cubic B-splines at many points: their values, and sums over the points. Kernels only.

What they are for is said in `bsplines`. Points that follow one another are mostly neighbours, so
that the interval of each is searched from that of the one before.
"""

import numba
import numpy as np

__all__ = ["basis_at", "spline_at", "spline_sums", "table_at", "variance_at"]


@numba.njit(cache=True, nogil=True)
def _interval(x, edges, start, last):
    """Number of the interval of increasing `edges` that holds x, searched from `start`."""
    while start < last and x >= edges[start + 1]:
        start += 1
    while start > 0 and x < edges[start]:
        start -= 1
    return start


@numba.njit(cache=True, nogil=True)
def basis_at(x, knots):
    """Cox's and de Boor's recursion.

    Parameters
    ----------
    x : ndarray, shape (n_point,)
        Between the first and the last knot.
    knots : ndarray, shape (n_term + 4,)
        Outer knots four times.

    Returns
    -------
    first : ndarray of int, shape (n_point,)
        The first of the four B-splines that are not zero.
    values : ndarray, shape (4, n_point)
        Their values.
    """
    breaks = knots[3:-3]
    first, values = np.empty(x.size, dtype=np.int64), np.empty((4, x.size))
    own = np.empty(4)
    k = 0
    for p in range(x.size):
        k = _interval(x[p], breaks, k, breaks.size - 2)
        own[0] = 1.0
        for degree in range(1, 4):
            saved = 0.0
            for r in range(degree):
                right, left = knots[k + 4 + r], knots[k + 4 + r - degree]
                term = own[r] / (right - left)
                own[r] = saved + (right - x[p]) * term
                saved = (x[p] - left) * term
            own[degree] = saved
        first[p] = k
        values[0, p], values[1, p], values[2, p], values[3, p] = own[0], own[1], own[2], own[3]
    return first, values


@numba.njit(cache=True, nogil=True)
def spline_at(first, values, coefficients):
    """Value of a spline at each point, given what `basis_at` returns."""
    out = np.empty(first.size)
    for p in range(first.size):
        j = first[p]
        out[p] = (
            values[0, p] * coefficients[j] + values[1, p] * coefficients[j + 1]
            + values[2, p] * coefficients[j + 2] + values[3, p] * coefficients[j + 3]
        )  # fmt: skip
    return out


@numba.njit(cache=True, nogil=True)
def variance_at(first, values, band):
    """Variance of a spline at each point, from the band of the coefficients' covariance matrix."""
    out = np.zeros(first.size)
    for p in range(first.size):
        for j in range(4):
            place = first[p] + j
            out[p] += values[j, p] ** 2 * band[0, place]
            for k in range(1, 4 - j):
                out[p] += 2 * values[j, p] * values[j + k, p] * band[k, place]
    return out


@numba.njit(cache=True, nogil=True)
def spline_sums(first, values, data, weights, n_terms):
    """Band of the normal equations, their right-hand side, chi-square of zero, points with weight.

    Parameters
    ----------
    first, values
        From `basis_at`.
    data, weights : ndarray, shape (n_point,)
        Weights are inverse variances.
    n_terms : int
        Number of B-splines.
    """
    matrix, vector = np.zeros((4, n_terms)), np.zeros(n_terms)
    chi2, number = 0.0, 0
    for p in range(first.size):
        if weights[p] == 0:
            continue
        number += 1
        chi2 += weights[p] * data[p] ** 2
        for j in range(4):
            weighted = weights[p] * values[j, p]
            vector[first[p] + j] += weighted * data[p]
            for k in range(j, 4):
                matrix[k - j, first[p] + j] += weighted * values[k, p]
    return matrix, vector, chi2, number


@numba.njit(cache=True, nogil=True)
def table_at(x, breaks, table):
    """Linear interpolation in tables with evenly spaced entries between breakpoints.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_column)
        Points.
    breaks : ndarray, shape (n_break,)
        Increasing.
    table : ndarray, shape (n_table, n_step * (n_break - 1) + 1)
        Entries from the first breakpoint to the last.

    Returns
    -------
    ndarray, shape (n_table, n_row, n_column)
        NaN outside.
    """
    n_step = (table.shape[1] - 1) // (breaks.size - 1)
    out = np.empty((table.shape[0], *x.shape))
    for y in range(x.shape[0]):
        k = 0
        for p in range(x.shape[1]):
            if not breaks[0] <= x[y, p] <= breaks[-1]:
                for t in range(table.shape[0]):
                    out[t, y, p] = np.nan
                continue
            k = _interval(x[y, p], breaks, k, breaks.size - 2)
            place = (x[y, p] - breaks[k]) / (breaks[k + 1] - breaks[k]) * n_step
            entry = min(int(place), n_step - 1)
            share = place - entry
            entry += k * n_step
            for t in range(table.shape[0]):
                low = table[t, entry]
                out[t, y, p] = low + share * (table[t, entry + 1] - low)
    return out
