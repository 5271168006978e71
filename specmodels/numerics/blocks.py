"""Sparse least squares of many sources that overlap: blocks of the normal matrix, and solvers.

Columns come in blocks, one for each source. The diagonal blocks are small and dense, so that a
source is fitted exactly with its neighbours held, and they precondition the fit of all at once.
Compiled, since the columns of a source share pixels in no regular way.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .precision import Precision, as_precision

__all__ = ["Blocks", "conjugate_gradients", "normal_matrix", "sweep"]

PIVOT_FLOOR = 1e-9


class Sparse(NamedTuple):
    """Arrays of a sparse matrix, for compiled loops: of columns, or of rows."""

    pointer: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @classmethod
    def of(cls, matrix):
        """Those of a `~scipy.sparse.csc_array` or `~scipy.sparse.csr_array`."""
        return cls(matrix.indptr, matrix.indices, matrix.data)


class Inverses(NamedTuple):
    """Arrays of `Blocks`, for compiled loops."""

    start: np.ndarray
    offset: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Blocks:
    """Diagonal blocks of ``A.T W A + P`` and their inverses.

    Attributes
    ----------
    start : ndarray of int, shape (n_block + 1,)
        Block b has the columns ``start[b]`` to ``start[b + 1]``.
    offset : ndarray of int, shape (n_block + 1,)
        Where its matrix begins in the flat arrays.
    matrices, inverses : ndarray, shape (offset[-1],)
        Rows of each block one after the other; the inverse of a singular block is zero.
    singular, empty : ndarray of bool, shape (n_block,)
        Which have no inverse, and which of them no pixel with weight.
    """

    start: np.ndarray
    offset: np.ndarray
    matrices: np.ndarray
    inverses: np.ndarray
    singular: np.ndarray
    empty: np.ndarray

    @classmethod
    def of(cls, columns, weights, start, precision):
        """Blocks of a sparse matrix.

        Parameters
        ----------
        columns : `~scipy.sparse.csc_array`, shape (n_pixel, n_term)
        weights : ndarray, shape (n_pixel,)
        start : ndarray of int, shape (n_block + 1,)
        precision : Precision or ndarray, shape (n_term,)
            P of the priors, or its diagonal: one over their variances.
        """
        precision = as_precision(precision, start)
        size = np.diff(start)
        offset = np.concatenate([[0], np.cumsum(size**2)])
        flat = np.zeros(offset[-1])
        _block_normals(Sparse.of(columns), weights, start, offset, flat)
        inverses = np.zeros_like(flat)
        singular, empty = np.zeros(len(size), dtype=bool), np.ones(len(size), dtype=bool)
        for n in np.unique(size[size > 0]):
            chosen = np.flatnonzero(size == n)
            where = offset[chosen][:, None] + np.arange(n * n)
            prior = precision.matrices(start[chosen][:, None] + np.arange(n))
            full = flat[where].reshape(-1, n, n)
            empty[chosen] = ~np.any(np.einsum("bii->bi", full), axis=1)
            full += prior
            flat[where] = full.reshape(-1, n * n)
            inverse, bad = _inverted(full)
            inverses[where] = inverse.reshape(-1, n * n)
            singular[chosen] = bad
        return cls(start, offset, flat, inverses, singular, empty)

    def without(self, held):
        """Copy in which the inverses of some blocks, shape (n_block,), are zero."""
        inverses = np.where(np.repeat(held, np.diff(self.offset)), 0.0, self.inverses)
        return replace(self, inverses=inverses)

    def apply(self, vector):
        """Product of the inverses and a vector, shape (n_term,)."""
        out = np.zeros_like(vector)
        size = np.diff(self.start)
        for n in np.unique(size[size > 0]):
            chosen = np.flatnonzero(size == n)
            at = self.start[chosen][:, None] + np.arange(n)
            inverse = self.inverses[self.offset[chosen][:, None] + np.arange(n * n)]
            out[at] = np.einsum("bij,bj->bi", inverse.reshape(-1, n, n), vector[at])
        return out

    @property
    def table(self):
        """The inverses as compiled loops take them."""
        return Inverses(self.start, self.offset, self.inverses)

    @property
    def variances(self):
        """Diagonal of the inverses, shape (n_term,): with all other blocks held."""
        size = np.diff(self.start)
        block = np.repeat(np.arange(len(size)), size)
        within = np.arange(self.start[-1]) - self.start[block]
        return self.inverses[self.offset[block] + within * (size[block] + 1)]


def _inverted(matrices):
    """Inverses of symmetric matrices, zero where singular, and which those are."""
    diagonal = np.einsum("bii->bi", matrices)
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal),
                      where=diagonal > 0)  # fmt: skip
    scaled = matrices * scale[:, :, None] * scale[:, None, :]
    lowest = np.linalg.eigvalsh(scaled)[:, 0]
    bad = ~(lowest > PIVOT_FLOOR)
    inverse = np.zeros_like(matrices)
    inverse[~bad] = np.linalg.inv(scaled[~bad])
    return inverse * scale[:, :, None] * scale[:, None, :], bad


@compiled
def _block_normals(columns, weights, start, offset, out):
    """``A.T W A`` of each block."""
    pointer, indices, data = columns
    weighted = np.zeros(weights.size)
    for b in range(start.size - 1):
        n = start[b + 1] - start[b]
        for i in range(n):
            first, last = pointer[start[b] + i], pointer[start[b] + i + 1]
            for e in range(first, last):
                weighted[indices[e]] = data[e] * weights[indices[e]]
            for j in range(i, n):
                total = 0.0
                for e in range(pointer[start[b] + j], pointer[start[b] + j + 1]):
                    total += data[e] * weighted[indices[e]]
                out[offset[b] + i * n + j] = total
                out[offset[b] + j * n + i] = total
            for e in range(first, last):
                weighted[indices[e]] = 0.0


@compiled
def _product(columns, k, weights, residual):
    """Weighted product of one column and the residual."""
    total = 0.0
    for e in range(columns.pointer[k], columns.pointer[k + 1]):
        pixel = columns.indices[e]
        total += columns.data[e] * weights[pixel] * residual[pixel]
    return total


@compiled
def _subtract(columns, k, step, residual):
    for e in range(columns.pointer[k], columns.pointer[k + 1]):
        residual[columns.indices[e]] -= step * columns.data[e]


@compiled
def _sweep(columns, weights, blocks, precision, mean, order, values, residual):
    """Move the values of one block after the other to their minimum; the largest step."""
    largest = 0.0
    diagonal, freed, _ = precision
    for b in order:
        first, n = blocks.start[b], blocks.start[b + 1] - blocks.start[b]
        gradient = np.empty(n)
        scale = 0.0
        for k in range(first, first + n):
            scale += freed[k] * (mean[k] - values[k])
        for i in range(n):
            k = first + i
            gradient[i] = diagonal[k] * (mean[k] - values[k]) - freed[k] * scale
            gradient[i] += _product(columns, k, weights, residual)
        for i in range(n):
            at = blocks.offset[b] + i * n
            step = 0.0
            for j in range(n):
                step += blocks.values[at + j] * gradient[j]
            values[first + i] += step
            largest = max(largest, abs(step))
            if step != 0:
                _subtract(columns, first + i, step, residual)
    return largest


def sweep(columns, data, weights, blocks, precision, mean, order, n_sweeps):
    """Fit block after block with all others held, several times over, starting from the mean.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_pixel, n_term)
    data, weights : ndarray, shape (n_pixel,)
        Finite.
    blocks : Blocks
    precision : Precision or ndarray, shape (n_term,)
    mean : ndarray, shape (n_term,)
        Of the priors.
    order : ndarray of int
        The blocks to fit, in order.
    n_sweeps : int

    Returns
    -------
    values : ndarray, shape (n_term,)
    residual : ndarray, shape (n_pixel,)
        Data minus model.
    change : float
        Largest change of a value in the last sweep.
    """
    values, precision = np.array(mean), as_precision(precision, blocks.start)
    residual = data - columns @ values
    change = 0.0
    for _ in range(n_sweeps):
        change = _sweep(Sparse.of(columns), weights, blocks.table, precision, mean, order, values,
                        residual)  # fmt: skip
    return values, residual, change


def conjugate_gradients(columns, data, weights, blocks, precision, mean, *, held=None, tol=1e-8,
                        n_iterations=500, first=None):  # fmt: skip
    """Fit of all blocks at once, by conjugate gradients preconditioned with the blocks.

    Parameters
    ----------
    columns, data, weights, blocks, precision, mean
        As of `sweep`.
    held : ndarray of bool, shape (n_term,), optional
        Terms that keep their mean.
    tol : float
        Of the gradient, relative to that at the start.
    n_iterations : int
        At most.
    first : ndarray, shape (n_term,), optional
        Where to start, instead of the mean.

    Returns
    -------
    values : ndarray, shape (n_term,)
    n_iterations : int
    converged : bool
    """
    free = 1.0 if held is None else (~held).astype(float)
    transposed, precision = columns.T, as_precision(precision, blocks.start)
    values = np.array(mean if first is None else np.where(free > 0, first, mean))
    start = free * (transposed @ (weights * (data - columns @ mean)))
    goal = tol**2 * (start @ blocks.apply(start))
    residual = free * (transposed @ (weights * (data - columns @ values))
                       - precision.apply(values - mean))  # fmt: skip
    towards = blocks.apply(residual)
    direction, size = towards, residual @ towards
    for k in range(n_iterations):
        if size <= goal:
            return values, k, True
        image = transposed @ (weights * (columns @ direction)) + precision.apply(direction)
        image = free * image
        step = size / (direction @ image)
        values += step * direction
        residual -= step * image
        towards = blocks.apply(residual)
        new = residual @ towards
        direction, size = towards + new / size * direction, new
    return values, n_iterations, bool(size <= goal)


@compiled
def _normal_rows(rows, weights, out):
    """Add the weighted products of all terms of each row to the upper triangle."""
    pointer, indices, data = rows
    for r in range(pointer.size - 1):
        if weights[r] == 0:
            continue
        for a in range(pointer[r], pointer[r + 1]):
            value = data[a] * weights[r]
            for b in range(a, pointer[r + 1]):
                out[indices[a], indices[b]] += value * data[b]


def normal_matrix(columns, weights, precision):
    """``A.T W A + P`` as a dense matrix, shape (n_term, n_term)."""
    rows = columns.tocsr()
    rows.sort_indices()
    out = np.zeros((columns.shape[1], columns.shape[1]))
    _normal_rows(Sparse.of(rows), weights, out)
    out += np.triu(out, 1).T
    if not isinstance(precision, Precision):
        out[np.diag_indices_from(out)] += precision
        return out
    for terms in np.split(np.arange(len(out)), np.flatnonzero(np.diff(precision.block)) + 1):
        out[np.ix_(terms, terms)] += precision.matrices(terms[None])[0]
    return out
