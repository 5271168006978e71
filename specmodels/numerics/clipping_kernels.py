"""Compiled rejection of outliers, one by one, in each column of small linear fits."""

import numpy as np

from .compiled import compiled
from .normal import PIVOT_FLOOR

__all__ = ["rejected_in_columns"]

# Below this fraction of its variance left to the residual, a pixel has no fit to be compared with.
LEAST_FREEDOM = 0.02


@compiled
def rejected_in_columns(basis, data, weights, threshold, most):
    """Pixels rejected; see `~specmodels.numerics.clipping.reject_by_column`.

    Parameters
    ----------
    basis : ndarray, shape (n_term, n_pixel, n_batch)
    data, weights, threshold : ndarray, shape (n_pixel, n_batch)
    most : int
        Number of pixels of a column that may be rejected.

    Returns
    -------
    ndarray of bool, shape (n_pixel, n_batch)
    """
    n_term, n_pixel, n_batch = basis.shape
    out = np.zeros((n_pixel, n_batch), dtype=np.bool_)
    own, value = np.empty((n_pixel, n_term)), np.empty(n_pixel)
    given, kept, limit = np.empty(n_pixel), np.empty(n_pixel), np.empty(n_pixel)
    residual, spread = np.empty(n_pixel), np.empty(n_pixel)
    factor, scale = np.empty((n_term, n_term)), np.empty(n_term)
    solution, work = np.empty(n_term), np.empty(n_term)
    for b in range(n_batch):
        for i in range(n_pixel):
            value[i], given[i], limit[i] = data[i, b], weights[i, b], threshold[i, b]
            kept[i] = given[i]
            for k in range(n_term):
                own[i, k] = basis[k, i, b]
        count = 0
        while True:
            _fit(own, value, kept, factor, scale, solution, work, residual, spread)
            worst = _worst(residual, spread, kept, limit) if count < most else -1
            if worst < 0:
                break
            kept[worst] = 0.0
            out[worst, b] = True
            count += 1
        for i in range(n_pixel):
            if out[i, b]:  # unless it agrees with the fit made without it
                error = np.sqrt((1 + given[i] * spread[i]) / given[i])
                out[i, b] = abs(residual[i]) > limit[i] * error
    return out


@compiled
def _worst(residual, spread, weights, limit):
    """Pixel whose studentised residual exceeds its threshold most; -1 where none does."""
    worst, most = -1, 1.0
    for i in range(len(residual)):
        freedom = 1 - weights[i] * spread[i]
        if weights[i] > 0 and freedom > LEAST_FREEDOM:
            excess = abs(residual[i]) * np.sqrt(weights[i] / freedom) / limit[i]
            if excess > most:
                worst, most = i, excess
    return worst


@compiled
def _fit(basis, data, weights, factor, scale, solution, work, residual, spread):
    """Write the residual of a fit and the variance of its prediction in each pixel."""
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
