"""Cubic B-splines of one coordinate: the four that are not zero at a point, and banded fits.

The fit of a spline to any number of points is a banded system of normal equations; those of two
data sets add up. Arrays only.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve_banded

from .banded import band_product, factorised, inverse_band, quadratic_forms, solved
from .spline_points import (
    basis_at,
    spline_at,
    spline_sums,
    terms_at,
    value_at,
    variance_at,
)

__all__ = [
    "BandedEquations",
    "BandedSolution",
    "EquationStack",
    "LocalBasis",
    "local_design",
    "padded_knots",
    "spline_value",
]

DEGREE = 3
WIDTH = DEGREE + 1
# Added to the diagonal, relative to its largest entry: splines without data get zero.
RIDGE = 1e-11


def padded_knots(breaks):
    """Knot vector of a cubic spline, shape (n_breaks + 6,): the outer breakpoints four times."""
    return np.pad(np.asarray(breaks, dtype=float), DEGREE, mode="edge")


def local_design(x, knots):
    """The B-splines that are not zero at points of any shape.

    Parameters
    ----------
    x : array_like, shape (...)
        Points; those beyond the ends of the knots see none, at NaN values are NaN.
    knots : ndarray
        Padded knots of a cubic spline.

    Returns
    -------
    index : ndarray of int, shape (..., 4)
        Numbers of the B-splines.
    values : ndarray, shape (..., 4)
    """
    x = np.asarray(x, dtype=float)
    index, values = terms_at(x.ravel(), knots)
    return index.reshape(*x.shape, WIDTH), values.reshape(*x.shape, WIDTH)


def spline_value(x, knots, coefficients):
    """Value of a spline at points of any shape: zero beyond the ends of the knots, NaN at NaN."""
    x = np.asarray(x, dtype=float)
    return value_at(x.ravel(), knots, np.asarray(coefficients, dtype=float)).reshape(x.shape)


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
        return cls(*basis_at(np.asarray(x, dtype=float), padded_knots(breaks)))

    def __call__(self, coefficients):
        """Value of the spline at each point, shape (n_point,)."""
        return spline_at(self.first, self.values, coefficients)

    def equations(self, data, weights, n_terms):
        """Normal equations of data, shape (n_point,), with weights 1/variance."""
        return BandedEquations(
            *spline_sums(self.first, self.values, np.asarray(data, dtype=float),
                         np.asarray(weights, dtype=float), n_terms)
        )  # fmt: skip


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
        return band_product(self.matrix, np.asarray(coefficients, dtype=float))

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
        factor = factorised(band)
        if np.isnan(factor[0, 0]):
            # Rounding where hardly any data are: more of the same.
            band[0] += 1e4 * RIDGE * peak
            factor = factorised(band)
        return BandedSolution(solved(factor, self.vector), factor)


class EquationStack:
    """Normal equations of several data sets, each of which is a factor times one spline.

    Parameters
    ----------
    equations : sequence of BandedEquations
        For a factor of one.
    """

    def __init__(self, equations):
        self.matrix = np.array([one.matrix for one in equations])
        self.vector = np.array([one.vector for one in equations])
        self.data_chi2 = sum(one.data_chi2 for one in equations)
        self.n_data = sum(one.n_data for one in equations)

    def total(self, factors):
        """Joint normal equations of the spline for these factors, shape (n_set,)."""
        matrix = (factors**2 @ self.matrix.reshape(len(factors), -1)).reshape(WIDTH, -1)
        return BandedEquations(matrix, factors @ self.vector, self.data_chi2, self.n_data)

    def factors(self, coefficients):
        """Factors of a known spline, their mean being one, and errors, each of shape (n_set,)."""
        norm = quadratic_forms(self.matrix, coefficients)
        known = norm > 0
        safe = np.where(known, norm, 1.0)
        found = np.where(known, self.vector @ coefficients / safe, 1.0)
        unit = found.mean() if found.mean() > 0 else 1.0
        return found / unit, np.where(known, 1 / np.sqrt(safe), np.inf) / unit


@dataclass(frozen=True, eq=False)
class BandedSolution:
    """Coefficients of a fitted spline, and the banded Cholesky factor of its equations."""

    values: np.ndarray
    factor: np.ndarray

    def solved(self, vector):
        """Covariance of the coefficients times a vector, shape (n_term,)."""
        return solved(self.factor, vector)

    def covariance_times(self, matrix):
        """Covariance of the coefficients times a matrix, shape (n_term, n)."""
        return cho_solve_banded((self.factor, True), matrix)

    @cached_property
    def covariance_band(self):
        """Covariances of each coefficient with itself and the next three, shape (4, n_term)."""
        return inverse_band(self.factor)

    def variance_at(self, basis):
        """Variance of the spline at the points of a `LocalBasis`, shape (n_point,)."""
        return variance_at(basis.first, basis.values, self.covariance_band)
