"""Symmetric systems with three diagonals beside the main one; see `bsplines`.

Matrices are stored as SciPy's banded solvers want them, lower diagonals as rows: entry ``[k, j]``
belongs to row ``j + k`` and column ``j``. LAPACK has no band of the inverse, which is a loop.
"""

import numpy as np
from scipy.linalg.lapack import dpbtrf, dpbtrs

from .compiled import compiled

__all__ = ["band_product", "factorised", "inverse_band", "quadratic_forms", "solved"]


def factorised(band):
    """Cholesky factor of a band, shape (4, n); its first pivot is NaN if that is not positive."""
    factor, info = dpbtrf(band, lower=1)
    factor = np.ascontiguousarray(factor)
    if info:
        factor[0, 0] = np.nan
    return factor


def solved(factor, vector):
    """Solution for a factor from `factorised` and a vector, shape (n,)."""
    return dpbtrs(factor, vector, lower=1)[0]


def inverse_band(factor):
    """Band of the inverse, shape (4, n), by Takahashi's recursion from its last row up."""
    out = np.zeros(factor.shape)
    _fill_inverse(factor, out)
    return out


@compiled
def _fill_inverse(factor, out):
    n = factor.shape[1]
    for j in range(n - 1, -1, -1):
        last = min(4, n - j)
        for i in range(last - 1, -1, -1):
            total = 1 / factor[0, j] if i == 0 else 0.0
            for k in range(1, last):
                total -= factor[k, j] * out[abs(k - i), j + min(k, i)]
            out[i, j] = total / factor[0, j]


def band_product(band, vector):
    """Matrix times vector, shape (n,)."""
    out = band[0] * vector
    for k in range(1, 4):
        out[k:] += band[k, :-k] * vector[:-k]
        out[:-k] += band[k, :-k] * vector[k:]
    return out


def quadratic_forms(bands, vector):
    """Vector times matrix times vector, shape (n,), for bands of shape (n_matrix, 4, n)."""
    out = bands[:, 0] @ vector**2
    for k in range(1, 4):
        out += 2 * (bands[:, k, :-k] @ (vector[k:] * vector[:-k]))
    return out
