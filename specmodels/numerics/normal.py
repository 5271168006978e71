"""Weighted linear least squares by normal equations, for a whole batch of small systems at once.

The batch is the last axis everywhere: images are ``(n_pixel, n_batch)``, one column of pixels for
each system. Nothing here knows what the columns mean.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .batched_factors import factors, invert_lower

__all__ = ["NormalEquations", "Solution", "factorise", "invert_lower", "solve_factorised"]

# A pivot of the unit-diagonal matrix below this is taken for zero.
PIVOT_FLOOR = 1e-9


@dataclass(frozen=True, eq=False)
class Solution:
    """Solutions of a batch of normal equations.

    Attributes
    ----------
    values : ndarray, shape (n_term, n_batch)
        NaN where the data do not determine the term.
    covariance : ndarray, shape (n_term, n_term, n_batch)
        Inverse of the matrix; NaN in rows and columns of undetermined terms.
    determined : ndarray of bool, shape (n_term, n_batch)
        Whether the data determine the term.
    particular : ndarray, shape (n_term, n_batch)
        The same values, but finite where they are not determined: one of the many solutions.
    """

    values: np.ndarray
    covariance: np.ndarray
    determined: np.ndarray
    particular: np.ndarray

    @property
    def variances(self):
        """Variances of the values, shape (n_term, n_batch)."""
        return np.einsum("kkb->kb", self.covariance)


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Normal equations of a batch of weighted linear fits; their sum is the joint fit.

    Attributes
    ----------
    matrix : ndarray, shape (n_term, n_term, n_batch)
        ``A.T W A``.
    vector : ndarray, shape (n_term, n_batch)
        ``A.T W d``.
    data_chi2 : ndarray, shape (n_batch,)
        ``d.T W d``: chi-square of a model that is zero.
    n_data : ndarray of int, shape (n_batch,)
        Number of pixels with weight.
    """

    matrix: np.ndarray
    vector: np.ndarray
    data_chi2: np.ndarray
    n_data: np.ndarray

    @classmethod
    def from_columns(cls, columns, data, weights, *, weighted_data=None, sums=None):
        """Normal equations of ``data = sum(a[k] * columns[k])``.

        Parameters
        ----------
        columns : sequence of ndarray, each of shape (n_pixel, n_batch) or (n_pixel, 1)
            Basis images. Those that all systems share may have one column.
        data, weights : ndarray, shape (n_pixel, n_batch)
            Finite everywhere; weights are inverse variances, zero for pixels to leave out.
        weighted_data : ndarray, shape (n_pixel, n_batch), optional
            Their product, where it is known.
        sums : tuple of ndarray, each of shape (n_batch,), optional
            `data_chi2` and `n_data`, where they are known.
        """
        weighted_data = weights * data if weighted_data is None else weighted_data
        if sums is None:
            sums = np.einsum("yb,yb->b", weighted_data, data), np.count_nonzero(weights, axis=0)
        flat = np.array([k for k, column in enumerate(columns) if column.shape[1] == 1], dtype=int)
        full = [k for k, column in enumerate(columns) if column.shape[1] > 1]
        matrix = np.empty((len(columns), len(columns), data.shape[1]))
        vector = np.empty((len(columns), data.shape[1]))
        stacked = np.array([columns[k][:, 0] for k in flat]).reshape(len(flat), len(data))
        if flat.size:
            first, second = _pairs(len(flat))
            pairs = (stacked[first] * stacked[second]) @ weights
            matrix[flat[first], flat[second]] = matrix[flat[second], flat[first]] = pairs
            vector[flat] = stacked @ weighted_data
        for number, i in enumerate(full):
            weighted = weights * columns[i]
            vector[i] = np.einsum("yb,yb->b", columns[i], weighted_data)
            if flat.size:
                matrix[flat, i] = matrix[i, flat] = stacked @ weighted
            for j in full[number:]:
                matrix[i, j] = matrix[j, i] = np.einsum("yb,yb->b", columns[j], weighted)
        return cls(matrix, vector, *sums)

    def __add__(self, other):
        """Normal equations of both data sets fitted together."""
        if not isinstance(other, NormalEquations):
            return NotImplemented
        if self.vector.shape != other.vector.shape:
            raise ValueError(
                f"cannot add systems of {self.vector.shape} and {other.vector.shape} terms, batch"
            )
        return NormalEquations(
            self.matrix + other.matrix, self.vector + other.vector,
            self.data_chi2 + other.data_chi2, self.n_data + other.n_data,
        )  # fmt: skip

    def total(self):
        """Sum over the batch: one system, of batch size one."""
        return NormalEquations(
            self.matrix.sum(axis=-1, keepdims=True), self.vector.sum(axis=-1, keepdims=True),
            self.data_chi2.sum(keepdims=True), self.n_data.sum(keepdims=True),
        )  # fmt: skip

    def solve(self, *, ridge=0.0):
        """Solve all systems.

        Parameters
        ----------
        ridge : float
            Added to the diagonal, relative to it, so that the result does not depend on the scale
            of the data or of the basis.

        Returns
        -------
        Solution
        """
        factor, scale, bad = factorise(self.matrix, ridge)
        inverse = invert_lower(factor) * scale
        half = np.einsum("kib,ib->kb", inverse, self.vector)
        values = np.einsum("kib,kb->ib", inverse, half)
        covariance = np.einsum("kib,kjb->ijb", inverse, inverse)
        if not bad.any():
            return Solution(values, covariance, np.ones(values.shape, dtype=bool), values)
        return self._with_singular(bad, ridge, values, covariance)

    def _with_singular(self, bad, ridge, values, covariance):
        """Solve the systems marked `bad` by their eigenvectors; undetermined terms become NaN."""
        matrix = np.moveaxis(self.matrix[..., bad], -1, 0)
        scale = _inverse_root_diagonal(self.matrix[..., bad]).T
        scaled = matrix * scale[:, :, None] * scale[:, None, :]
        scaled += ridge * np.eye(scaled.shape[-1]) * (scale > 0)[:, None, :]
        eigenvalues, vectors = np.linalg.eigh(scaled)
        good = eigenvalues > PIVOT_FLOOR
        inverse = np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=good)
        pseudo = np.einsum("bik,bk,bjk->bij", vectors, inverse, vectors)
        pseudo *= scale[:, :, None] * scale[:, None, :]
        null = np.einsum("bik,bk->bi", vectors**2, (~good).astype(float))
        known = (null < 1e-6) & (scale > 0)
        values[:, bad] = np.einsum("bij,jb->ib", pseudo, self.vector[:, bad])
        pseudo[~(known[:, :, None] & known[:, None, :])] = np.nan
        covariance[..., bad] = np.moveaxis(pseudo, 0, -1)
        determined = np.ones(values.shape, dtype=bool)
        determined[:, bad] = known.T
        return Solution(np.where(determined, values, np.nan), covariance, determined, values)

    def chi2(self, values):
        """Chi-square of the solution, given its `particular` values; shape (n_batch,)."""
        return np.maximum(self.data_chi2 - np.einsum("kb,kb->b", values, self.vector), 0)


def factorise(matrix, ridge=0.0):
    """Cholesky factors of a batch of matrices, scaled to a unit diagonal.

    LAPACK's batched factorisation gives up on the whole batch when one matrix is singular, and
    costs a call per matrix; this one is vectorised over the batch and marks the bad ones.

    Parameters
    ----------
    matrix : ndarray, shape (n_term, n_term, n_batch)
        Symmetric, positive semi-definite.
    ridge : float
        Added to the unit diagonal; a term without data stays undetermined.

    Returns
    -------
    factor : ndarray, shape (n_term, n_term, n_batch)
        Lower triangular; the unit matrix where the matrix is bad.
    scale : ndarray, shape (n_term, n_batch)
        ``factor @ factor.T`` is ``scale * matrix * scale``.
    bad : ndarray of bool, shape (n_batch,)
        Whether the matrix is singular to rounding.
    """
    return factors(np.ascontiguousarray(matrix, dtype=float), float(ridge), PIVOT_FLOOR)


@lru_cache(maxsize=64)
def _pairs(n_term):
    """Indices of the upper triangle."""
    return np.triu_indices(n_term)


def _inverse_root_diagonal(matrix):
    diagonal = np.einsum("kkb->kb", matrix)
    return np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros(diagonal.shape),
                     where=diagonal > 0)  # fmt: skip


def solve_factorised(factor, vector):
    """Solve ``factor @ factor.T @ x = vector`` for a batch, factors as from `factorise`."""
    out = np.array(vector)
    n_term = len(out)
    for j in range(n_term):
        out[j] = (out[j] - np.einsum("kb,kb->b", factor[j, :j], out[:j])) / factor[j, j]
    for j in reversed(range(n_term)):
        rest = np.einsum("kb,kb->b", factor[j + 1 :, j], out[j + 1 :])
        out[j] = (out[j] - rest) / factor[j, j]
    return out
