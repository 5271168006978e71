"""Compiled Cholesky factors of batches of small matrices; the batch is the last axis."""

import numpy as np

from .compiled import compiled

__all__ = ["factors", "invert_lower"]


@compiled
def factors(matrix, ridge, least):
    """Factors of matrices scaled to a unit diagonal; see `~specmodels.numerics.normal.factorise`.

    Parameters
    ----------
    matrix : ndarray, shape (n_term, n_term, n_batch)
    ridge : float
        Added to the unit diagonal.
    least : float
        A pivot that is not above this makes a matrix a bad one.

    Returns
    -------
    factor : ndarray, shape (n_term, n_term, n_batch)
    scale : ndarray, shape (n_term, n_batch)
    bad : ndarray of bool, shape (n_batch,)
    """
    n_term, _, n_batch = matrix.shape
    factor, scale = np.zeros(matrix.shape), np.zeros((n_term, n_batch))
    bad = np.zeros(n_batch, dtype=np.bool_)
    part = np.empty(n_batch)
    for k in range(n_term):
        for b in range(n_batch):
            if matrix[k, k, b] > 0:
                scale[k, b] = 1 / np.sqrt(matrix[k, k, b])
    for j in range(n_term):
        for i in range(j, n_term):
            for b in range(n_batch):
                part[b] = matrix[i, j, b] * scale[i, b] * scale[j, b]
                bad[b] |= not np.isfinite(part[b])
            if i == j:
                for b in range(n_batch):
                    part[b] += ridge if scale[i, b] > 0 else 0.0
            for m in range(j):
                for b in range(n_batch):
                    part[b] -= factor[i, m, b] * factor[j, m, b]
            if i == j:
                for b in range(n_batch):
                    bad[b] |= not part[b] > least
                    factor[j, j, b] = np.sqrt(part[b]) if part[b] > least else 1.0
            else:
                for b in range(n_batch):
                    factor[i, j, b] = part[b] / factor[j, j, b]
    for b in range(n_batch):
        if bad[b]:
            for i in range(n_term):
                for j in range(i + 1):
                    factor[i, j, b] = 1.0 if i == j else 0.0
    return factor, scale, bad


@compiled
def invert_lower(factor):
    """Inverses of lower triangular matrices, shape (n_term, n_term, n_batch)."""
    n_term, _, n_batch = factor.shape
    inverse, part = np.zeros(factor.shape), np.empty(n_batch)
    for j in range(n_term):
        for b in range(n_batch):
            inverse[j, j, b] = 1 / factor[j, j, b]
        for i in range(j + 1, n_term):
            part[:] = 0.0
            for m in range(j, i):
                for b in range(n_batch):
                    part[b] += factor[i, m, b] * inverse[m, j, b]
            for b in range(n_batch):
                inverse[i, j, b] = -part[b] * (1 / factor[i, i, b])
    return inverse
