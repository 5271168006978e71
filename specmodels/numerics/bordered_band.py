r"""Symmetric positive matrices that are banded but for a border: factors, solutions, inverses.

.. math::
    N = \begin{pmatrix} H & C \\ C^T & B \end{pmatrix}

with a band :math:`H` and a dense border. The band is factorised by LAPACK, the border by its Schur
complement :math:`S = B - C^T H^{-1} C`; the band of the inverse follows from the recurrences of
Takahashi, Fagan and Chin (1973). What the matrix does not determine is found and named, not divided
by.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, qr

from .band_factors import (
    MANY,
    backward_rows,
    band_factor,
    band_solve,
    forward_rows,
    inverse_in_band,
    scaled_band,
)
from .dense_factors import dense_factor, dense_solve, few_products, forward_solve, gram

__all__ = ["LEAST_EIGENVALUE", "SUSPECT", "BorderedBand", "Factored"]

# Pivots of the unit-diagonal matrix below the first number are looked at. A direction is not
# determined where the matrix is below the second; a coefficient, where its part in such directions
# is above the third.
SUSPECT, LEAST_EIGENVALUE, LEAST_PART = 1e-7, 1e-12, 1e-6
COLUMNS_AT_ONCE, ROWS_AT_ONCE = 256, 256


class Factored:
    """What follows from the factors of a matrix scaled to a unit diagonal, whatever they are.

    A subclass has the attributes ``scale``, ``out`` and ``null`` of a `BorderedBand`, and the
    methods ``_solve`` and ``_product`` for vectors of shape (n, n_vector), scaled.
    """

    def solve(self, vectors):
        """Solution for vectors, (n,) or (n, n_vector): the smallest one where there are many."""
        wide = vectors.reshape(len(vectors), -1)
        solved = self._solve(np.where(self.out[:, None], 0.0, wide * self.scale[:, None]))
        if self.null.shape[1]:
            solved -= self.null @ (self.null.T @ solved)
        return (solved * self.scale[:, None]).reshape(vectors.shape)

    @cached_property
    def determined(self):
        """Whether the matrix determines each coefficient, shape (n,)."""
        known = self.scale > 0
        if self.null.shape[1]:
            known &= np.einsum("kn,kn->k", self.null, self.null) < LEAST_PART**2
        return known

    def determines(self, rows):
        """Whether it determines weighted sums of coefficients, rows of shape (n_sum, n)."""
        scaled = rows * self.scale
        size = np.sqrt(np.einsum("sk,sk->s", scaled, scaled))
        part = np.sqrt(np.sum((scaled @ self.null) ** 2, axis=1))
        unseen = (rows != 0) & (self.scale == 0)
        return (part <= LEAST_PART * size) & ~unseen.any(axis=1)

    def _undetermined(self, which):
        """Orthonormal directions that the matrix does not determine, for suspects taken out.

        With the suspects held at zero the rest is well determined; how the rest follows each of
        them gives directions, among which those are looked for along which the matrix vanishes.
        """
        parts = []
        for start in range(0, len(which), COLUMNS_AT_ONCE):
            some = which[start : start + COLUMNS_AT_ONCE]
            unit = np.zeros((len(self.scale), len(some)))
            unit[some, np.arange(len(some))] = 1.0
            column = self._product(unit)
            column[self.out] = 0.0
            direction = -self._solve(column)
            direction[some, np.arange(len(some))] = 1.0
            parts.append(direction)
        basis = qr(np.concatenate(parts, axis=1), mode="economic")[0]
        values, vectors = eigh(basis.T @ self._product(basis))
        return basis @ vectors[:, values < LEAST_EIGENVALUE]

    @staticmethod
    def _pins(null):
        """Coefficients which, held at zero, settle all directions."""
        return qr(null.T, mode="r", pivoting=True)[1][: null.shape[1]]


@dataclass(frozen=True, eq=False)
class BorderedBand(Factored):
    """Factors of a symmetric positive semi-definite matrix with a band and a border.

    Attributes
    ----------
    scale : ndarray, shape (n,)
        Inverse root of the diagonal; zero for coefficients that nothing sees.
    out : ndarray of bool, shape (n,)
        Coefficients that are zero by decree: nothing sees them, they were taken out, or nothing
        determines them beside the others.
    factor : ndarray, shape (n_band, width + 1)
        Cholesky factor of the band: entry ``[j, d]`` belongs to row ``j + d``, column ``j``.
    reduced : ndarray, shape (n_band, n_border)
        Product of the inverse of the band and the coupling.
    schur : ndarray, shape (n_border, n_border)
        Lower Cholesky factor of the Schur complement.
    null : ndarray, shape (n, n_null)
        Orthonormal directions, scaled, which the matrix does not determine.
    matrix : tuple of ndarray, optional
        Band, coupling and border, scaled to a unit diagonal, while it is looked for what they do
        not determine.
    """

    scale: np.ndarray
    out: np.ndarray
    factor: np.ndarray
    reduced: np.ndarray
    schur: np.ndarray
    null: np.ndarray
    matrix: tuple | None = None

    @classmethod
    def of(cls, band, coupling, border, taken_out=None, *, again=None):
        """Factorise; arguments as from `~specmodels.numerics.sparse_rows.normal_equations`.

        Coefficients in the mask `taken_out`, shape (n,), have no part in it. Where a function
        `again` makes the three arrays once more, which is needed if they do not determine all, they
        are overwritten: the coupling is the largest array by far.
        """
        if again is None:
            given = band, coupling, border

            def again():
                return tuple(part.copy() for part in given)

            band, coupling, border = again()
        scale, matrix = _scaled(band, coupling, border)
        out = scale == 0
        if taken_out is not None:
            out |= taken_out
        first = cls._without(scale, matrix, out, SUSPECT)
        if np.array_equal(first.out, out):
            return first
        first = replace(first, matrix=_scaled(*again())[1])
        null = first._undetermined(np.flatnonzero(first.out & ~out))
        out = out.copy()
        out[cls._pins(null)] = True
        return replace(cls._without(scale, first.matrix, out, 0.0), null=null)

    @classmethod
    def _without(cls, scale, matrix, out, floor):
        """Factors without the coefficients of a mask, and without those of small pivots.

        Coupling and border are overwritten, by what they become.
        """
        band, coupling, border = matrix
        n = len(band)
        factor, left = band_factor(band, out[:n], floor)
        coupling[left] = 0.0
        coupling[:, out[n:]] = 0.0
        _eliminate(factor, coupling, border)
        schur, right = dense_factor(border, out[n:], floor)
        coupling[:, right] = 0.0
        out = np.concatenate([left, right])
        return cls(scale, out, factor, coupling, schur, np.zeros((len(scale), 0)))

    @property
    def n_band(self):
        """Number of coefficients of the band."""
        return len(self.factor)

    def _solve(self, scaled):
        out = np.empty(scaled.shape)
        n = self.n_band
        first = band_solve(self.factor, scaled[:n])
        few = scaled.shape[1] < MANY  # BLAS would sum these in as many parts as it has threads
        met = few_products(scaled[:n], self.reduced) if few else scaled[:n].T @ self.reduced
        rest = scaled[n:] - met.T
        out[n:] = dense_solve(self.schur, rest)
        out[:n] = first - self.reduced @ out[n:]
        out[self.out] = 0.0
        return out

    def _product(self, vectors):
        """The scaled matrix times vectors, shape (n, n_vector)."""
        band, coupling, border = self.matrix
        n, width = band.shape
        out = np.empty(vectors.shape)
        top, bottom = vectors[:n], vectors[n:]
        out[:n] = band[:, :1] * top + coupling @ bottom
        for d in range(1, min(width, n)):
            side = band[: n - d, d, None]
            out[d:n] += side * top[: n - d]
            out[: n - d] += side * top[d:]
        out[n:] = coupling.T @ top + border @ bottom
        return out

    @cached_property
    def inverse_band(self):
        """Band of the inverse, the border included: (n_band, width + 1), entries as of the band."""
        return self.inverse_within(self.factor.shape[1])

    def inverse_within(self, width):
        """As `inverse_band`, with so many diagonals or as many as the band has, if these are more.

        The recurrences hold for any number of diagonals from that of the factor on.
        """
        n, out = self.n_band, inverse_in_band(self.factor, width)
        width = out.shape[1]
        out[self.out[:n]] = 0.0
        step = max(ROWS_AT_ONCE, width)
        for start in range(0, n if self.schur.size else 0, step):
            rows = self.reduced[start : start + step + width]
            half = forward_solve(self.schur, rows.T)
            for d in range(min(width, len(rows))):
                last = min(step, len(rows) - d)
                own = np.einsum("kj,kj->j", half[:, :last], half[:, d : d + last])
                out[start : start + last, d] += own
        return scaled_band(out, self.scale[:n])

    def cross_inverse(self, columns):
        """Block of the inverse of the band with some of the border, a slice: (n_band, n_column)."""
        left, right = np.split(self.scale, [self.n_band])
        own = self.border_inverse[:, columns] / right[:, None].clip(1e-300)
        out = self.reduced @ own
        out *= -left[:, None]
        out[~np.isfinite(out)] = 0.0
        return out

    @cached_property
    def border_root(self):
        """Matrix that times its transpose is the border's block of the inverse."""
        half = forward_solve(self.schur, np.eye(len(self.schur)))
        half[:, self.out[self.n_band :]] = 0.0
        return (half * self.scale[self.n_band :]).T

    @cached_property
    def border_inverse(self):
        """The block of the inverse that belongs to the border, (n_border, n_border)."""
        return gram(np.ascontiguousarray(self.border_root.T))

    @cached_property
    def variances(self):
        """Diagonal of the inverse, shape (n,); infinite for what is not determined."""
        out = np.concatenate([self.inverse_band[:, 0], np.diagonal(self.border_inverse)])
        return np.where(self.determined, out, np.inf)


def _scaled(band, coupling, border):
    """Inverse root of the diagonal, and the three arrays with a unit one; the latter in place."""
    n = len(coupling)
    diagonal = np.concatenate([band[:, 0], np.diagonal(border)])
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros(len(diagonal)),
                      where=diagonal > np.finfo(float).tiny)  # fmt: skip
    for part, rows in ((coupling, scale[:n]), (border, scale[n:])):
        part *= rows[:, None]
        part *= scale[n:]
    return scale, (scaled_band(band, scale[:n]), coupling, border)


def _eliminate(factor, coupling, border):
    """Take the band out of the border: its Schur complement, and the reduced coupling; in place."""
    forward_rows(factor, 0, coupling, 0)
    border -= gram(coupling)
    backward_rows(factor, 0, coupling, len(coupling))
