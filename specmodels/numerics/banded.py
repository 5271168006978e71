"""Symmetric systems with three diagonals beside the main one. Kernels only; see `bsplines`.

Matrices are stored as SciPy's banded solvers want them, lower diagonals as rows: entry ``[k, j]``
belongs to row ``j + k`` and column ``j``. SciPy's functions give the same numbers in ten times the
time, and have none for the band of the inverse.
"""

import numpy as np

from .compiled import compiled

__all__ = ["band_product", "factorised", "inverse_band", "quadratic_forms", "solved"]


@compiled
def factorised(band):
    """Cholesky factor of a band, shape (4, n); its first pivot is NaN if that is not positive."""
    n = band.shape[1]
    out = band.copy()
    for j in range(n):
        if not out[0, j] > 0:
            out[0, 0] = np.nan
            return out
        pivot = np.sqrt(out[0, j])
        out[0, j] = pivot
        last = min(4, n - j)
        for k in range(1, last):
            out[k, j] /= pivot
        for k in range(1, last):
            for i in range(k, last):
                out[i - k, j + k] -= out[i, j] * out[k, j]
    return out


@compiled
def solved(factor, vector):
    """Solution for a factor from `factorised` and a vector, shape (n,)."""
    n = vector.size
    out = vector.copy()
    for j in range(n):
        out[j] /= factor[0, j]
        for k in range(1, min(4, n - j)):
            out[j + k] -= factor[k, j] * out[j]
    for j in range(n - 1, -1, -1):
        for k in range(1, min(4, n - j)):
            out[j] -= factor[k, j] * out[j + k]
        out[j] /= factor[0, j]
    return out


@compiled
def inverse_band(factor):
    """Band of the inverse, shape (4, n), by Takahashi's recursion from its last row up."""
    n = factor.shape[1]
    out = np.zeros(factor.shape)
    for j in range(n - 1, -1, -1):
        last = min(4, n - j)
        for i in range(last - 1, -1, -1):
            total = 1 / factor[0, j] if i == 0 else 0.0
            for k in range(1, last):
                total -= factor[k, j] * out[abs(k - i), j + min(k, i)]
            out[i, j] = total / factor[0, j]
    return out


@compiled
def band_product(band, vector):
    """Matrix times vector, shape (n,)."""
    n = vector.size
    out = band[0] * vector
    for k in range(1, 4):
        for j in range(n - k):
            out[j + k] += band[k, j] * vector[j]
            out[j] += band[k, j] * vector[j + k]
    return out


@compiled
def quadratic_forms(bands, vector):
    """Vector times matrix times vector, shape (n,), for bands of shape (n_matrix, 4, n)."""
    n = vector.size
    out = np.zeros(bands.shape[0])
    for m in range(bands.shape[0]):
        for j in range(n):
            out[m] += bands[m, 0, j] * vector[j] ** 2
        for k in range(1, 4):
            for j in range(n - k):
                out[m] += 2 * bands[m, k, j] * vector[j] * vector[j + k]
    return out
