"""Cubic B-splines at many points: their values, and sums over the points. Arrays only.

What they are for is said in `bsplines`. Points that follow one another are mostly neighbours, so
that the interval of each is searched from that of the one before.
"""

import numpy as np

from .compiled import compiled

__all__ = ["basis_at", "pieces_at", "spline_at", "spline_sums", "terms_at", "value_at",
           "variance_at"]  # fmt: skip


@compiled
def _interval(x, edges, start, last):
    """Number of the interval of increasing `edges` that holds x, searched from `start`."""
    while start < last and x >= edges[start + 1]:
        start += 1
    while start > 0 and x < edges[start]:
        start -= 1
    return start


@compiled
def _terms(x, k, knots, own):
    """The four terms at x in the interval k, by Cox's and de Boor's recursion, into `own`."""
    own[0] = 1.0
    for degree in range(1, 4):
        saved = 0.0
        for r in range(degree):
            right, left = knots[k + 4 + r], knots[k + 4 + r - degree]
            term = own[r] / (right - left)
            own[r] = saved + (right - x) * term
            saved = (x - left) * term
        own[degree] = saved


@compiled
def terms_at(x, knots):
    """As `basis_at` for any points: zero beyond the ends of the knots, NaN at NaN.

    Returns
    -------
    index : ndarray of int32, shape (n_point, 4)
        Numbers of the B-splines.
    values : ndarray, shape (n_point, 4)
    """
    breaks = knots[3:-3]
    index, values = np.empty((x.size, 4), dtype=np.int32), np.empty((x.size, 4))
    own = np.empty(4)
    k = 0
    for p in range(x.size):
        inside = breaks[0] <= x[p] <= breaks[-1]
        if inside:
            k = _interval(x[p], breaks, k, breaks.size - 2)
            _terms(x[p], k, knots, own)
        else:
            own[:] = np.nan if np.isnan(x[p]) else 0.0
        for r in range(4):
            index[p, r], values[p, r] = k + r, own[r]
    return index, values


def basis_at(x, knots):
    """The B-splines that are not zero at points.

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
    first, values = np.empty(x.size, dtype=np.int64), np.empty((4, x.size))
    _fill_basis(x, knots, knots[3:-3], np.empty(4), first, values)
    return first, values


@compiled
def _fill_basis(x, knots, breaks, own, first, values):
    k = 0
    for p in range(x.size):
        k = _interval(x[p], breaks, k, breaks.size - 2)
        _terms(x[p], k, knots, own)
        first[p] = k
        for r in range(4):
            values[r, p] = own[r]


@compiled
def value_at(x, knots, coefficients):
    """Value of a spline at any points, shape (n_point,); zero and NaN as in `terms_at`."""
    breaks = knots[3:-3]
    own, out = np.empty(4), np.empty(x.size)
    k = 0
    for p in range(x.size):
        if not breaks[0] <= x[p] <= breaks[-1]:
            out[p] = np.nan if np.isnan(x[p]) else 0.0
            continue
        k = _interval(x[p], breaks, k, breaks.size - 2)
        _terms(x[p], k, knots, own)
        total = 0.0
        for r in range(4):
            total += own[r] * coefficients[k + r]
        out[p] = total
    return out


def spline_at(first, values, coefficients):
    """Value of a spline at each point, given what `basis_at` returns."""
    out = np.empty(first.size)
    _fill_spline(first, values, coefficients, out)
    return out


@compiled
def _fill_spline(first, values, coefficients, out):
    for p in range(first.size):
        j = first[p]
        out[p] = (
            values[0, p] * coefficients[j] + values[1, p] * coefficients[j + 1]
            + values[2, p] * coefficients[j + 2] + values[3, p] * coefficients[j + 3]
        )  # fmt: skip


def variance_at(first, values, band):
    """Variance of a spline at each point, from the band of the coefficients' covariance matrix."""
    out = np.zeros(first.size)
    _add_variance(first, values, band, out)
    return out


@compiled
def _add_variance(first, values, band, out):
    for p in range(first.size):
        for j in range(4):
            place = first[p] + j
            out[p] += values[j, p] * values[j, p] * band[0, place]
            for k in range(1, 4 - j):
                out[p] += 2 * values[j, p] * values[j + k, p] * band[k, place]


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
    columns, vector = np.zeros((n_terms, 4)), np.zeros(n_terms)
    chi2, number = _add_sums(first, values, data, weights, columns, vector)
    return np.ascontiguousarray(columns.T), vector, chi2, number


@compiled
def _add_sums(first, values, data, weights, columns, vector):
    # Written out and by columns of the band: a third faster than loops over its rows.
    chi2, number = 0.0, 0
    for p in range(first.size):
        if weights[p] == 0:
            continue
        number += 1
        chi2 += weights[p] * data[p] * data[p]
        i = first[p]
        a, b, c, d = values[0, p], values[1, p], values[2, p], values[3, p]
        wa, wb, wc, wd = weights[p] * a, weights[p] * b, weights[p] * c, weights[p] * d
        vector[i] += wa * data[p]
        vector[i + 1] += wb * data[p]
        vector[i + 2] += wc * data[p]
        vector[i + 3] += wd * data[p]
        columns[i, 0] += wa * a
        columns[i, 1] += wa * b
        columns[i, 2] += wa * c
        columns[i, 3] += wa * d
        columns[i + 1, 0] += wb * b
        columns[i + 1, 1] += wb * c
        columns[i + 1, 2] += wb * d
        columns[i + 2, 0] += wc * c
        columns[i + 2, 1] += wc * d
        columns[i + 3, 0] += wd * d
    return chi2, number


def pieces_at(x, breaks, pieces):
    """A cubic spline and its variance, given as polynomials between breakpoints.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_column)
        Points.
    breaks : ndarray, shape (n_break,)
        Increasing.
    pieces : ndarray, shape (n_break - 1, 11)
        Coefficients, lowest power first, of the place in each interval from -1 to 1: four of the
        spline, then seven of its variance.

    Returns
    -------
    value, variance : ndarray, shape (n_row, n_column)
        NaN outside.
    """
    value, variance = np.empty(x.shape), np.empty(x.shape)
    _fill_pieces(x, breaks, 2 / np.diff(breaks), pieces, value, variance)
    return value, variance


@compiled
def _fill_pieces(x, breaks, inverse, pieces, value, variance):
    last = breaks.size - 2
    low, high = breaks[0], breaks[last + 1]
    for y in range(x.shape[0]):
        k = 0
        for p in range(x.shape[1]):
            point = x[y, p]
            if not low <= point <= high:
                value[y, p] = variance[y, p] = np.nan
                continue
            k = _interval(point, breaks, k, last)
            t, c = (point - breaks[k]) * inverse[k] - 1, pieces[k]
            value[y, p] = c[0] + t * (c[1] + t * (c[2] + t * c[3]))
            cubic = c[7] + t * (c[8] + t * (c[9] + t * c[10]))
            variance[y, p] = c[4] + t * (c[5] + t * (c[6] + t * cubic))
