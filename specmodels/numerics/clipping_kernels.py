"""Compiled rejection of outliers, one by one, in each column of small linear fits."""

import numpy as np

from .compiled import compiled
from .normal import PIVOT_FLOOR

__all__ = ["rejected_in_columns"]

# Below this fraction of its variance left to the residual, a pixel has no fit to be compared with.
LEAST_FREEDOM = 0.02
# A pixel darker than light and sky is as rare as so many hits.
DARK = 1.5


@compiled
def rejected_in_columns(basis, data, weights, threshold, most):
    """Pixels rejected, in two ways; see `~specmodels.numerics.clipping.reject_by_column`.

    Parameters
    ----------
    basis : ndarray, shape (n_term, n_pixel, n_batch)
    data, weights, threshold : ndarray, shape (n_pixel, n_batch)
    most : int
        Number of pixels of a column that may be rejected.

    Returns
    -------
    worst_first, bright_first : ndarray of bool, shape (n_pixel, n_batch)
        Rejected where the worst go first, and where those above the fit do.
    better : ndarray of bool, shape (n_batch,)
        Whether the second way needs fewer outliers; else it is not followed.
    """
    n_term, n_pixel, n_batch = basis.shape
    worst_first = np.zeros((n_pixel, n_batch), dtype=np.bool_)
    bright_first = np.zeros((n_pixel, n_batch), dtype=np.bool_)
    better = np.zeros(n_batch, dtype=np.bool_)
    own, value = np.empty((n_pixel, n_term)), np.empty(n_pixel)
    given, limit = np.empty(n_pixel), np.empty(n_pixel)
    first, second = np.zeros(n_pixel, dtype=np.bool_), np.zeros(n_pixel, dtype=np.bool_)
    work = _workspace(n_pixel, n_term)
    for b in range(n_batch):
        for i in range(n_pixel):
            value[i], given[i], limit[i] = data[i, b], weights[i, b], threshold[i, b]
            for k in range(n_term):
                own[i, k] = basis[k, i, b]
        cost, n_dark = _rejected(own, value, given, limit, most, False, first, work)
        if n_dark > 0:
            other, n_left = _rejected(own, value, given, limit, most, True, second, work)
            better[b] = n_left < n_dark and other < cost
        for i in range(n_pixel):
            worst_first[i, b] = first[i]
            bright_first[i, b] = second[i] and better[b]
    return worst_first, bright_first, better


@compiled
def _workspace(n_pixel, n_term):
    """Arrays that a fit of a column writes to: weights, residual and spread are read of it."""
    return (
        np.empty(n_pixel), np.empty(n_pixel), np.empty(n_pixel), np.empty((n_term, n_term)),
        np.empty(n_term), np.empty(n_term), np.empty(n_term),
    )  # fmt: skip


@compiled
def _rejected(basis, data, given, limit, most, bright_first, out, work):
    """Write which pixels of a column are rejected; return what that costs, and how many are dark.

    Hits add light. Where two of them lie on a profile, the pixels between and beside them stand
    out as much, and are darker than what the hits were taken for. The cost is chi-square, with the
    square of its threshold for each pixel rejected, and that of `DARK` pixels for a dark one.
    """
    kept, residual, spread = work[0], work[1], work[2]
    count, sign = 0, 1 if bright_first else 0
    for i in range(len(data)):
        kept[i], out[i] = given[i], False
    while True:
        _fit(basis, data, work)
        worst = _worst(residual, spread, kept, limit, sign) if count < most else -1
        if worst < 0 and sign > 0:
            sign = 0
            worst = _worst(residual, spread, kept, limit, sign) if count < most else -1
        if worst < 0:
            break
        kept[worst] = 0.0
        out[worst] = True
        count += 1
    cost, n_dark = 0.0, 0
    for i in range(len(data)):
        if out[i]:  # unless it agrees with the fit made without it
            error = np.sqrt((1 + given[i] * spread[i]) / given[i])
            out[i] = abs(residual[i]) > limit[i] * error
        dark = out[i] and residual[i] < 0
        n_dark += dark
        if out[i]:
            cost += limit[i] ** 2 * (DARK if dark else 1.0)
        elif given[i] > 0:
            cost += given[i] * residual[i] ** 2
    return cost, n_dark


@compiled
def _worst(residual, spread, weights, limit, sign):
    """Pixel whose studentised residual exceeds its threshold most; -1 where none does.

    Of those above the fit only where `sign` is positive, of all where it is zero.
    """
    worst, most = -1, 1.0
    for i in range(len(residual)):
        freedom = 1 - weights[i] * spread[i]
        if weights[i] > 0 and freedom > LEAST_FREEDOM and not residual[i] * sign < 0:
            excess = abs(residual[i]) * np.sqrt(weights[i] / freedom) / limit[i]
            if excess > most:
                worst, most = i, excess
    return worst


@compiled
def _fit(basis, data, workspace):
    """Write the residual of a fit and the variance of its prediction in each pixel."""
    weights, residual, spread, factor, scale, solution, work = workspace
    n_pixel, n_term = basis.shape
    factor[:], solution[:] = 0.0, 0.0
    for i in range(n_pixel):
        if weights[i] > 0:
            for k in range(n_term):
                part = weights[i] * basis[i, k]
                solution[k] += part * data[i]
                for j in range(k + 1):
                    factor[k, j] += part * basis[i, j]
    for k in range(n_term):
        scale[k] = 1 / np.sqrt(factor[k, k]) if factor[k, k] > 0 else 0.0
    _factorise(factor, scale)
    for k in range(n_term):
        solution[k] *= scale[k]
    _solve_lower(factor, solution)
    for i in range(n_pixel):
        for k in range(n_term):
            work[k] = scale[k] * basis[i, k]
        _solve_lower(factor, work)
        fitted, variance = 0.0, 0.0
        for k in range(n_term):
            fitted += work[k] * solution[k]
            variance += work[k] ** 2
        residual[i], spread[i] = data[i] - fitted, variance


@compiled
def _factorise(matrix, scale):
    """Cholesky factor of the matrix scaled to a unit diagonal, in place; no pivot: infinite."""
    for k in range(len(scale)):
        for j in range(k):
            total = matrix[k, j] * scale[k] * scale[j]
            for m in range(j):
                total -= matrix[k, m] * matrix[j, m]
            matrix[k, j] = total / matrix[j, j]
        pivot = matrix[k, k] * scale[k] ** 2
        for m in range(k):
            pivot -= matrix[k, m] ** 2
        matrix[k, k] = np.sqrt(pivot) if pivot > PIVOT_FLOOR else np.inf


@compiled
def _solve_lower(factor, vector):
    """Solve with a lower triangular matrix, in place; zero where a pivot is infinite."""
    for k in range(len(vector)):
        for m in range(k):
            vector[k] -= factor[k, m] * vector[m]
        vector[k] /= factor[k, k]
