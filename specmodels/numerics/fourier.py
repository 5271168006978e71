"""Fourier terms along detector lines fitted to all lines at once, with masks and a prior.

Each line has cosines and sines that its outputs share and an offset for each output. The normal
matrix of harmonics is made of sums over the mask at twice their number: matrix products with small
tables, made once for all frames with the same mask. No images are transposed or reversed: tables
are.
"""

import numpy as np

from .normal import NormalEquations

__all__ = ["FourierLines", "harmonics"]


def harmonics(position, n_harmonic, period):
    """Cosines, then sines, of harmonics from one, shape (..., 2 n_harmonic)."""
    k = np.arange(1, n_harmonic + 1)
    phase = 2 * np.pi / period * np.multiply.outer(np.asarray(position, dtype=float), k)
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)


class FourierLines:
    """Least squares fits of harmonics to lines, for one mask and any number of frames.

    Parameters
    ----------
    use : ndarray of bool, shape (n_line, n_output * width)
        Pixels that count; lines along the first axis (a view will do).
    positions : ndarray, shape (n_output, width)
        Time of each pixel within its line, in pixel times.
    columns : list of slice
        Pixels of a line that belong to each output.
    n_harmonic : int
        Number of frequencies.
    period : float
        Period of the lowest.
    prior : ndarray, shape (n_harmonic,)
        Inverse variance of the amplitudes, in units of that of a pixel's noise.
    """

    def __init__(self, use, positions, columns, n_harmonic, period, prior):
        self.columns = columns
        self.tables = [harmonics(t, n_harmonic, period).astype("f4") for t in positions]
        self.n_harmonic = n_harmonic
        matrix = self._matrix(use, positions, period)
        diagonal = np.arange(2 * n_harmonic) + len(columns)
        matrix[diagonal, diagonal] += np.tile(prior, 2)[:, None]
        number = np.count_nonzero(use, axis=1)
        self.empty = number == 0
        matrix[..., self.empty] = np.eye(len(matrix))[..., None]
        vector = np.zeros(matrix.shape[1:])
        solution = NormalEquations(matrix, vector, vector[0], number).solve()
        self.covariance = np.nan_to_num(solution.covariance)
        self.covariance[..., self.empty] = 0
        self._inverse = np.ascontiguousarray(np.moveaxis(self.covariance, -1, 0), dtype="f4")

    def _matrix(self, use, positions, period):
        """Normal matrices, shape (n_term, n_term, n_line)."""
        n, n_output = self.n_harmonic, len(self.columns)
        matrix = np.zeros((n_output + 2 * n, n_output + 2 * n, use.shape[0]))
        sums = 0
        for k, (part, t) in enumerate(zip(self.columns, positions, strict=True)):
            table = harmonics(t, 2 * n, period)
            table = np.column_stack([np.ones(len(t)), table]).astype("f4")
            own = (use[:, part].astype("f4") @ table).T.astype(float)
            matrix[k, k] = own[0]
            shared = np.concatenate([own[1 : n + 1], own[2 * n + 1 : 3 * n + 1]])
            matrix[k, n_output:] = matrix[n_output:, k] = shared
            sums = sums + own
        if n:
            matrix[n_output:, n_output:] = _products(sums, n)
        return matrix

    def coefficients(self, lines, level=0.0):
        """Fitted terms of each line, shape (n_line, n_term): offsets, cosines, sines.

        Parameters
        ----------
        lines : ndarray, shape (n_line, n_output * width)
            Data, zero where not used.
        level : float
            Taken off all offsets that the data determine.
        """
        n_output = len(self.columns)
        vector = np.zeros((lines.shape[0], n_output + 2 * self.n_harmonic), "f4")
        for k, (part, table) in enumerate(zip(self.columns, self.tables, strict=True)):
            vector[:, k] = lines[:, part].sum(axis=1)
            vector[:, n_output:] += lines[:, part] @ table
        out = np.matmul(self._inverse, vector[:, :, None])[:, :, 0]
        known = np.einsum("ljj->lj", self._inverse)[:, :n_output] > 0
        out[:, :n_output] -= np.float32(level) * known
        return out

    def evaluate(self, coefficients, out):
        """Write the fitted lines into `out`, shape (n_line, n_output * width)."""
        n_output = len(self.columns)
        for k, (part, table) in enumerate(zip(self.columns, self.tables, strict=True)):
            view = out[:, part]
            if n_output == 1:
                np.matmul(coefficients[:, 1:], table.T, out=view)
            else:
                view[...] = coefficients[:, n_output:] @ table.T
            view += coefficients[:, k, None]
        return out

    def variance(self, out):
        """Write the variance of the fitted lines, in units of a pixel's noise, into `out`."""
        n_output = len(self.columns)
        for k, (part, table) in enumerate(zip(self.columns, self.tables, strict=True)):
            rows = [k, *range(n_output, n_output + 2 * self.n_harmonic)]
            own = self._inverse[:, rows][:, :, rows]
            terms = np.column_stack([np.ones(len(table), "f4"), table])
            out[:, part] = np.einsum("lit,ti->lt", own @ terms.T, terms, optimize=True)
        return out


def _products(sums, n):
    """Weighted sums of products of harmonics from sums of harmonics up to twice their number."""
    cosine, sine = sums[: 2 * n + 1], np.concatenate([0 * sums[:1], sums[2 * n + 1 :]])
    i, j = np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij")
    plus, minus, sign = i + j, np.abs(i - j), np.sign(j - i)[..., None]
    out = np.empty((2 * n, 2 * n, sums.shape[1]))
    out[:n, :n] = 0.5 * (cosine[minus] + cosine[plus])
    out[n:, n:] = 0.5 * (cosine[minus] - cosine[plus])
    out[:n, n:] = 0.5 * (sine[plus] + sign * sine[minus])
    out[n:, :n] = np.moveaxis(out[:n, n:], 0, 1)
    return out
