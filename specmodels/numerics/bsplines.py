"""Cubic B-splines of one coordinate: the four that are not zero at a point, and banded fits.

The fit of a spline to any number of points is a banded system of normal equations; those of two
data sets add up. Arrays only.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded

__all__ = ["BandedEquations", "BandedSolution", "LocalBasis", "padded_knots"]

DEGREE = 3
WIDTH = DEGREE + 1
# Added to the diagonal, relative to its largest entry: splines without data get zero.
RIDGE = 1e-11
# Size of the blocks in which the inverse is found.
BLOCK = 24


def padded_knots(breaks):
    """Knot vector of a cubic spline, shape (n_breaks + 6,): the outer breakpoints four times."""
    return np.pad(np.asarray(breaks, dtype=float), DEGREE, mode="edge")


@dataclass(frozen=True, eq=False)
class LocalBasis:
    """The four B-splines that are not zero at each point.

    Attributes
    ----------
    first : ndarray of int, shape (n_point,)
        Number of the first of them.
    values : ndarray, shape (4, n_point)
        Their values.
    """

    first: np.ndarray
    values: np.ndarray

    @classmethod
    def at(cls, x, breaks):
        """B-splines on increasing `breaks` at the points `x`, which must lie between their ends."""
        knots = padded_knots(breaks)
        interval = _interval(x, knots)
        return cls(interval - DEGREE, _recursion(x, interval, knots))

    def __call__(self, coefficients):
        """Value of the spline at each point, shape (n_point,)."""
        out = self.values[0] * coefficients[self.first]
        for k in range(1, WIDTH):
            out += self.values[k] * coefficients[self.first + k]
        return out

    def equations(self, data, weights, n_terms):
        """Normal equations of data, shape (n_point,), with weights 1/variance."""
        matrix, vector = np.zeros((WIDTH, n_terms)), np.zeros(n_terms)
        for j in range(WIDTH):
            weighted = weights * self.values[j]
            total = np.bincount(self.first, weights=weighted * data, minlength=n_terms)
            vector[j:] += total[: n_terms - j]
            for k in range(j, WIDTH):
                total = np.bincount(self.first, weights=weighted * self.values[k],
                                    minlength=n_terms)  # fmt: skip
                matrix[k - j, j:] += total[: n_terms - j]
        chi2 = float(np.dot(weights, data * data))
        return BandedEquations(matrix, vector, chi2, int(np.count_nonzero(weights)))


@dataclass(frozen=True, eq=False)
class BandedEquations:
    """Normal equations of a cubic spline; their sum is the joint fit.

    Attributes
    ----------
    matrix : ndarray, shape (4, n_term)
        Diagonal and lower diagonals: entry ``[k, j]`` belongs to the terms ``j + k`` and ``j``.
    vector : ndarray, shape (n_term,)
        Right-hand side.
    data_chi2 : float
        Chi-square of a spline that is zero.
    n_data : int
        Number of points with weight.
    """

    matrix: np.ndarray
    vector: np.ndarray
    data_chi2: float
    n_data: int

    def __add__(self, other):
        """Normal equations of both data sets fitted together."""
        if not isinstance(other, BandedEquations):
            return NotImplemented
        if self.vector.shape != other.vector.shape:
            raise ValueError(
                f"cannot add systems of {self.vector.size} and {other.vector.size} terms"
            )
        return BandedEquations(
            self.matrix + other.matrix, self.vector + other.vector,
            self.data_chi2 + other.data_chi2, self.n_data + other.n_data,
        )  # fmt: skip

    def scaled(self, factor):
        """Normal equations of data that are `factor` times the spline."""
        return BandedEquations(factor**2 * self.matrix, factor * self.vector, self.data_chi2,
                               self.n_data)  # fmt: skip

    def penalised(self, band):
        """Normal equations with the precision matrix of a prior added, shape (4, n_term)."""
        return BandedEquations(self.matrix + band, self.vector, self.data_chi2, self.n_data)

    def product(self, coefficients):
        """Matrix times vector, shape (n_term,)."""
        out = self.matrix[0] * coefficients
        for k in range(1, WIDTH):
            band = self.matrix[k, :-k]
            out[k:] += band * coefficients[:-k]
            out[:-k] += band * coefficients[k:]
        return out

    def chi2(self, coefficients):
        """Chi-square of a spline with these coefficients."""
        gap = coefficients @ (self.product(coefficients) - 2 * self.vector)
        return max(self.data_chi2 + gap, 0.0)

    def solve(self):
        """Return the `BandedSolution`; terms without data are zero.

        Raises
        ------
        ValueError
            If no point has weight or the numbers are not finite.
        """
        peak = self.matrix[0].max(initial=0.0)
        if not (np.isfinite(self.matrix).all() and peak > 0):
            raise ValueError("no usable data for the spline")
        band = self.matrix.copy()
        band[0] += RIDGE * peak
        try:
            factor = cholesky_banded(band, lower=True)
        except LinAlgError:
            # Rounding where hardly any data are: more of the same.
            band[0] += 1e4 * RIDGE * peak
            factor = cholesky_banded(band, lower=True)
        return BandedSolution(cho_solve_banded((factor, True), self.vector), factor)


@dataclass(frozen=True, eq=False)
class BandedSolution:
    """Coefficients of a fitted spline, and the banded Cholesky factor of its equations."""

    values: np.ndarray
    factor: np.ndarray

    def covariance_times(self, matrix):
        """Covariance of the coefficients times a matrix, shape (n_term, n)."""
        return cho_solve_banded((self.factor, True), matrix)

    @cached_property
    def covariance_band(self):
        """Covariances of each coefficient with itself and the next three, shape (4, n_term).

        Exact, from the blocks of the Cholesky factor. Neighbouring blocks are linked by no more
        than three rows, so that all but a small matrix for each block is done at once.
        """
        n, n_block = self.values.size, -(-self.values.size // BLOCK)
        diagonal, below = _factor_blocks(self.factor, n_block)
        inverse = np.linalg.inv(diagonal)
        blocks = inverse.transpose(0, 2, 1) @ inverse
        link = inverse[:-1].transpose(0, 2, 1) @ below.transpose(0, 2, 1)
        corner, corners = blocks[-1, :DEGREE, :DEGREE], np.empty((n_block - 1, DEGREE, DEGREE))
        for i in reversed(range(n_block - 1)):
            corners[i] = corner
            top = link[i, :DEGREE]
            corner = blocks[i, :DEGREE, :DEGREE] + top @ corner @ top.T
        response = link @ corners
        blocks[:-1] += response @ link.transpose(0, 2, 1)
        out = np.zeros((WIDTH, n_block, BLOCK))
        for k in range(WIDTH):
            out[k, :, : BLOCK - k] = np.diagonal(blocks, k, axis1=1, axis2=2)
            for j in range(k):
                out[k, :-1, BLOCK - k + j] = -response[:, BLOCK - k + j, j]
        out = out.reshape(WIDTH, -1)[:, :n].copy()
        for k in range(1, WIDTH):
            out[k, n - k :] = 0.0
        return out

    def variance_at(self, basis):
        """Variance of the spline at the points of a `LocalBasis`, shape (n_point,)."""
        band, out = self.covariance_band, 0.0
        for j in range(WIDTH):
            for k in range(WIDTH - j):
                twice = 1.0 if k == 0 else 2.0
                out = out + twice * basis.values[j] * basis.values[j + k] * band[k, basis.first + j]
        return out


def _factor_blocks(factor, n_block):
    """Blocks on the diagonal of a banded factor, and the rows that link each to the next.

    Returns
    -------
    diagonal : ndarray, shape (n_block, b, b)
        Lower triangular; the last is filled up with ones on the diagonal.
    below : ndarray, shape (n_block - 1, 3, b)
        First three rows of the blocks below them.
    """
    n = factor.shape[1]
    padded = np.zeros((WIDTH, n_block * BLOCK))
    padded[0] = 1.0
    padded[:, :n] = factor
    for k in range(1, WIDTH):
        padded[k, n - k :] = 0.0
    bands = padded.reshape(WIDTH, n_block, BLOCK)
    diagonal = np.zeros((n_block, BLOCK, BLOCK))
    below = np.zeros((n_block - 1, DEGREE, BLOCK))
    rows = np.arange(BLOCK)
    for k in range(WIDTH):
        inside, last = rows[: BLOCK - k], rows[BLOCK - k :]
        diagonal[:, inside + k, inside] = bands[k][:, inside]
        below[:, last + k - BLOCK, last] = bands[k][:-1, last]
    return diagonal, below


def _interval(x, knots):
    """Number of the knot that opens the interval in which each point lies."""
    found = np.searchsorted(knots, x, side="right") - 1
    return np.clip(found, DEGREE, knots.size - WIDTH - 1)


def _recursion(x, interval, knots):
    """Cox's and de Boor's recursion: values of the four B-splines, shape (4, n_point)."""
    values = [np.ones(np.shape(x))]
    for degree in range(1, WIDTH):
        saved, new = 0.0, []
        for r in range(degree):
            right = knots[interval + r + 1]
            left = knots[interval + r + 1 - degree]
            term = values[r] / (right - left)
            new.append(saved + (right - x) * term)
            saved = (x - left) * term
        values = [*new, saved]
    return np.array(values)
