"""Sparse least squares of many sources that overlap: blocks of the normal matrix, and solvers.

Columns come in blocks, one for each source. The diagonal blocks are small and dense, so that a
source is fitted exactly with its neighbours held, and they precondition the fit of all at once.
Compiled, since the columns of a source share pixels in no regular way.
"""

from dataclasses import dataclass

import numba
import numpy as np

__all__ = ["Blocks", "chi2_by_block", "conjugate_gradients", "normal_matrix", "pixel_variance",
           "sweep", "window_image"]  # fmt: skip

PIVOT_FLOOR = 1e-9


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
    singular : ndarray of bool, shape (n_block,)
    """

    start: np.ndarray
    offset: np.ndarray
    matrices: np.ndarray
    inverses: np.ndarray
    singular: np.ndarray

    @classmethod
    def of(cls, columns, weights, start, precision):
        """Blocks of a sparse matrix.

        Parameters
        ----------
        columns : `~scipy.sparse.csc_array`, shape (n_pixel, n_term)
        weights : ndarray, shape (n_pixel,)
        start : ndarray of int, shape (n_block + 1,)
        precision : ndarray, shape (n_term,)
            Diagonal of P: one over the variance of the priors.
        """
        size = np.diff(start)
        offset = np.concatenate([[0], np.cumsum(size**2)])
        flat = np.zeros(offset[-1])
        _block_normals(columns.indptr, columns.indices, columns.data, weights, start, offset, flat)
        inverses, singular = np.zeros_like(flat), np.zeros(len(size), dtype=bool)
        for n in np.unique(size[size > 0]):
            chosen = np.flatnonzero(size == n)
            where = offset[chosen][:, None] + np.arange(n * n)
            diagonal = precision[start[chosen][:, None] + np.arange(n)]
            full = flat[where].reshape(-1, n, n)
            full[:, np.arange(n), np.arange(n)] += diagonal
            flat[where] = full.reshape(-1, n * n)
            inverse, bad = _inverted(full)
            inverses[where] = inverse.reshape(-1, n * n)
            singular[chosen] = bad
        return cls(start, offset, flat, inverses, singular)

    def without(self, held):
        """Copy in which the inverses of some blocks, shape (n_block,), are zero."""
        inverses = np.where(np.repeat(held, np.diff(self.offset)), 0.0, self.inverses)
        return Blocks(self.start, self.offset, self.matrices, inverses, self.singular)

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


@numba.njit(cache=True, nogil=True)
def _block_normals(pointer, indices, data, weights, start, offset, out):
    work = np.zeros(weights.size)
    for b in range(start.size - 1):
        n = start[b + 1] - start[b]
        for i in range(n):
            first, last = pointer[start[b] + i], pointer[start[b] + i + 1]
            for e in range(first, last):
                work[indices[e]] = data[e] * weights[indices[e]]
            for j in range(i, n):
                total = 0.0
                for e in range(pointer[start[b] + j], pointer[start[b] + j + 1]):
                    total += data[e] * work[indices[e]]
                out[offset[b] + i * n + j] = total
                out[offset[b] + j * n + i] = total
            for e in range(first, last):
                work[indices[e]] = 0.0


@numba.njit(cache=True, nogil=True)
def _sweep(pointer, indices, data, weights, start, offset, inverses, precision, mean, order,
           values, residual):  # fmt: skip
    largest = 0.0
    for b in order:
        n = start[b + 1] - start[b]
        gradient = np.empty(n)
        for i in range(n):
            column = start[b] + i
            total = precision[column] * (mean[column] - values[column])
            for e in range(pointer[column], pointer[column + 1]):
                total += data[e] * weights[indices[e]] * residual[indices[e]]
            gradient[i] = total
        for i in range(n):
            step = 0.0
            for j in range(n):
                step += inverses[offset[b] + i * n + j] * gradient[j]
            column = start[b] + i
            values[column] += step
            largest = max(largest, abs(step))
            if step != 0:
                for e in range(pointer[column], pointer[column + 1]):
                    residual[indices[e]] -= step * data[e]
    return largest


def sweep(columns, data, weights, blocks, precision, mean, order, n_sweeps):
    """Fit block after block with all others held, several times over, starting from the mean.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_pixel, n_term)
    data, weights : ndarray, shape (n_pixel,)
        Finite.
    blocks : Blocks
    precision, mean : ndarray, shape (n_term,)
        Of the priors.
    order : ndarray of int
        The blocks to fit, in order.
    n_sweeps : int

    Returns
    -------
    values : ndarray, shape (n_term,)
    change : float
        Largest change of a value in the last sweep.
    """
    values = np.array(mean)
    residual = data - columns @ values
    change = 0.0
    for _ in range(n_sweeps):
        change = _sweep(columns.indptr, columns.indices, columns.data, weights, blocks.start,
                        blocks.offset, blocks.inverses, precision, mean, order, values,
                        residual)  # fmt: skip
    return values, change


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
    transposed = columns.T
    values = np.array(mean if first is None else np.where(free > 0, first, mean))
    start = free * (transposed @ (weights * (data - columns @ mean)))
    goal = tol**2 * (start @ blocks.apply(start))
    residual = free * (transposed @ (weights * (data - columns @ values))
                       - precision * (values - mean))  # fmt: skip
    towards = blocks.apply(residual)
    direction, size = towards, residual @ towards
    for k in range(n_iterations):
        if size <= goal:
            return values, k, True
        image = free * (transposed @ (weights * (columns @ direction)) + precision * direction)
        step = size / (direction @ image)
        values += step * direction
        residual -= step * image
        towards = blocks.apply(residual)
        new = residual @ towards
        direction, size = towards + new / size * direction, new
    return values, n_iterations, bool(size <= goal)


@numba.njit(cache=True, nogil=True)
def _normal_rows(pointer, indices, data, weights, out):
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
    _normal_rows(rows.indptr, rows.indices, rows.data, weights, out)
    out += np.triu(out, 1).T
    out[np.diag_indices_from(out)] += precision
    return out


@numba.njit(cache=True, nogil=True)
def _pixel_variance(pointer, indices, data, covariance, skip_first, skip_stop, out):
    for r in range(pointer.size - 1):
        total = 0.0
        for a in range(pointer[r], pointer[r + 1]):
            i = indices[a]
            if skip_first <= i < skip_stop:
                continue
            total += data[a] * data[a] * covariance[i, i]
            for b in range(a + 1, pointer[r + 1]):
                j = indices[b]
                if not skip_first <= j < skip_stop:
                    total += 2 * data[a] * data[b] * covariance[i, j]
        out[r] = total


@numba.njit(cache=True, nogil=True)
def _pixel_variance_of_blocks(pointer, indices, data, start, offset, inverses, block, skip_first,
                              skip_stop, out):  # fmt: skip
    for r in range(pointer.size - 1):
        total = 0.0
        for a in range(pointer[r], pointer[r + 1]):
            i = indices[a]
            if skip_first <= i < skip_stop:
                continue
            b = block[i]
            n, at = start[b + 1] - start[b], offset[b] + (i - start[b]) * (start[b + 1] - start[b])
            total += data[a] * data[a] * inverses[at + i - start[b]]
            for c in range(a + 1, pointer[r + 1]):
                j = indices[c]
                if j >= start[b] + n:
                    break
                if not skip_first <= j < skip_stop:
                    total += 2 * data[a] * data[c] * inverses[at + j - start[b]]
        out[r] = total


def pixel_variance(rows, covariance, skip):
    """Variance of the sum of all terms but some, in each pixel.

    Parameters
    ----------
    rows : `~scipy.sparse.csr_array`, shape (n_pixel, n_term)
        Indices sorted in each row.
    covariance : ndarray, shape (n_term, n_term), or Blocks
        Of the values; blocks hold all covariance within a source and none between sources.
    skip : slice
        Terms to leave out.
    """
    out = np.zeros(rows.shape[0])
    if isinstance(covariance, Blocks):
        block = np.repeat(np.arange(len(covariance.start) - 1), np.diff(covariance.start))
        _pixel_variance_of_blocks(rows.indptr, rows.indices, rows.data, covariance.start,
                                  covariance.offset, covariance.inverses, block, skip.start,
                                  skip.stop, out)  # fmt: skip
    else:
        _pixel_variance(rows.indptr, rows.indices, rows.data, covariance, skip.start, skip.stop,
                        out)  # fmt: skip
    return np.maximum(out, 0.0)


@numba.njit(cache=True, nogil=True)
def _chi2_by_block(pointer, indices, start, weights, residual, n_pixels, chi2):
    seen = np.full(weights.size, -1, np.int32)
    for b in range(start.size - 1):
        for e in range(pointer[start[b]], pointer[start[b + 1]]):
            r = indices[e]
            if seen[r] != b and weights[r] > 0:
                seen[r] = b
                n_pixels[b] += 1
                chi2[b] += weights[r] * residual[r] ** 2


def chi2_by_block(columns, start, weights, residual):
    """Number of pixels with weight that each block reaches, and chi-square of the residual there.

    Returns
    -------
    n_pixels : ndarray of int, shape (n_block,)
    chi2 : ndarray, shape (n_block,)
    """
    n_pixels, chi2 = np.zeros(len(start) - 1, np.int64), np.zeros(len(start) - 1)
    _chi2_by_block(columns.indptr, columns.indices, start, weights, residual, n_pixels, chi2)
    return n_pixels, chi2


@numba.njit(cache=True, nogil=True)
def _window_image(pointer, indices, data, values, first, n_x, top, left, out):
    for j in range(values.size):
        for e in range(pointer[first + j], pointer[first + j + 1]):
            row = indices[e] // n_x
            column = indices[e] - row * n_x - left
            row -= top
            if 0 <= row < out.shape[0] and 0 <= column < out.shape[1]:
                out[row, column] += values[j] * data[e]


def window_image(columns, values, first, n_x, window):
    """Sum of consecutive columns of a flattened image times values, in a window of it.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_y * n_x, n_term)
    values : ndarray, shape (n_values,)
    first : int
        Column of the first value.
    n_x : int
        Columns of the image.
    window : tuple of slice
        Rows and columns, with start and stop.

    Returns
    -------
    ndarray, shape of the window
    """
    rows, across = window
    out = np.zeros((rows.stop - rows.start, across.stop - across.start))
    _window_image(columns.indptr, columns.indices, columns.data, np.asarray(values, dtype=float),
                  first, n_x, rows.start, across.start, out)  # fmt: skip
    return out
