"""Cholesky factors of dense matrices that may leave coefficients undetermined, and solutions."""

import numpy as np
from scipy.linalg import blas, lapack

from .compiled import compiled

__all__ = ["EVEN", "dense_factor", "dense_solve", "few_products", "forward_solve", "gram"]

ONE_THREAD = 64  # rows of a matrix for which LAPACK takes one thread
# Products of matrices with a multiple of so many rows and columns have the same bits for any number
# of threads.
EVEN = 16


def dense_factor(matrix, out, floor):
    """Lower Cholesky factor of a matrix, and the coefficients that have no part in it."""
    n = len(matrix)
    if not n:
        return matrix, out
    if out.any():
        matrix = np.where(out[:, None] | out, np.eye(n), matrix)
    factor = _cholesky(matrix)
    if factor is not None and np.min(np.diagonal(factor)) ** 2 > floor:
        return factor, out
    # By size of the pivots, so that those left to the end are the undetermined ones.
    factor, order, rank, _ = lapack.dpstrf(matrix, lower=1, tol=floor)
    small = np.arange(n) >= rank
    small[:rank] |= np.diagonal(factor)[:rank] ** 2 <= floor  # LAPACK does not look at the first
    out = out.copy()
    out[order[small] - 1] = True
    return dense_factor(matrix, out, 0.0)


def _cholesky(matrix):
    """Lower Cholesky factor, or None where there is none.

    In blocks so small that LAPACK takes one thread for each: its own blocks are others for each
    number of threads, and so are the last digits.
    """
    n = len(matrix)
    out = np.eye(n + -n % EVEN)
    out[:n, :n] = matrix
    for a in range(0, len(out), ONE_THREAD):
        b = a + ONE_THREAD
        out[a:b, a:b], info = lapack.dpotrf(out[a:b, a:b], lower=1, clean=1)
        if info:
            return None
        if b < len(out):
            below = lapack.dtrtrs(out[a:b, a:b], out[b:, a:b].T, lower=1)[0]
            out[b:, a:b] = below.T
            out[b:, b:] -= blas.dgemm(1.0, below, below, trans_a=1)
        out[a:b, b:] = 0.0
    return out[:n, :n]


def dense_solve(factor, vectors):
    """Solution for a lower Cholesky factor."""
    if not vectors.size:
        return np.zeros(vectors.shape)
    return lapack.dpotrs(factor, vectors, lower=1)[0]


def forward_solve(factor, vectors):
    """Solution for a lower triangular matrix alone."""
    if not vectors.size:
        return np.zeros(vectors.shape)
    return lapack.dtrtrs(factor, vectors, lower=1)[0]


def gram(matrix):
    """Transpose of a matrix (n, m) times itself, (m, m), the same bits for any number of threads.

    The last columns, which BLAS would treat another way in each thread, are summed here.
    """
    m = matrix.shape[1]
    first = m // EVEN * EVEN
    if first == m:
        return matrix.T @ matrix
    out, own = np.empty((m, m)), matrix[:, :first]
    out[:first, :first] = own.T @ own
    out[first:] = few_products(matrix[:, first:], matrix)
    out[:first, first:] = out[first:, :first].T
    return out


@compiled
def few_products(few, many):
    """Transpose of few columns, (n, n_few), times a matrix, (n, m): one sum after another."""
    out = np.zeros((few.shape[1], many.shape[1]))
    for r in range(len(few)):
        for i in range(few.shape[1]):
            factor = few[r, i]
            for j in range(many.shape[1]):
                out[i, j] += factor * many[r, j]
    return out
