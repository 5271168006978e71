"""Traces: the row of the light as a function of the column. Models of a width have the same form.

Any one-dimensional astropy model serves as a trace; those here are linear in their coefficients.
"""

import numpy as np

from ..numerics.positions import finite, legendre_terms, spline_terms
from .linear import BasisModel
from .quantities import with_units

__all__ = ["DistortedTrace", "PolynomialTrace", "SplineTrace", "TabulatedTrace"]


class PolynomialTrace(BasisModel):
    r"""Legendre series :math:`y(x) = \sum_j c_j P_j(t)`, where `limits` become :math:`t = \mp 1`.

    Parameters
    ----------
    degree : int
        Degree of the polynomial.
    limits : tuple of float
        First and last column; the series may be evaluated beyond them.
    **parameters : float
        Coefficients ``c0``, ``c1``, …: with the default limits ``c0`` is the mean position.

    Raises
    ------
    ValueError
        If the degree is negative or the limits are equal.

    Examples
    --------
    >>> import specmodels as sm
    >>> trace = sm.PolynomialTrace(1, limits=(0, 400), c0=20.0, c1=2.0)
    >>> float(trace(0.0)), float(trace(400.0))
    (18.0, 22.0)
    """

    def __init__(self, degree, *, limits=(0.0, 2047.0), **parameters):
        if int(degree) != degree or degree < 0:
            raise ValueError(f"degree: expected a whole number from 0, got {degree!r}")
        low, high = (float(value) for value in limits)
        if not low != high:
            raise ValueError(f"limits: expected two different columns, got {limits!r}")
        self.degree, self.limits = int(degree), (low, high)
        super().__init__(int(degree) + 1, **parameters)

    def basis(self, x):
        """Legendre polynomials, shape (..., degree + 1)."""
        return legendre_terms(x, self.limits, self.degree)


class SplineTrace(BasisModel):
    r"""B-spline :math:`y(x) = \sum_j c_j B_j(x)`, constant beyond its ends.

    Parameters
    ----------
    knots : array_like, shape (n_knots,)
        Increasing columns of the breakpoints, the two ends included.
    degree : int
        Degree of the pieces (3: cubic).
    **parameters : float
        Coefficients ``c0``, ``c1``, …; there are ``n_knots + degree - 1``.

    Raises
    ------
    ValueError
        If there are fewer than two knots or they do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> trace = sm.SplineTrace(np.linspace(0, 400, 5))
    >>> trace.n_terms
    7
    """

    def __init__(self, knots, *, degree=3, **parameters):
        knots = np.array(knots, dtype=float)
        if knots.ndim != 1 or knots.size < 2 or np.any(np.diff(knots) <= 0):
            raise ValueError(f"knots: expected two or more increasing columns, got {knots}")
        self.knots, self.degree = knots, int(degree)
        super().__init__(knots.size + self.degree - 1, **parameters)

    def basis(self, x):
        """B-splines, shape (..., n_knots + degree - 1)."""
        return spline_terms(x, self.knots, self.degree)


class DistortedTrace(BasisModel):
    r"""A measured or predicted trace and its distortion, :math:`y_\mathrm{table}(x) + \sum_j c_j P_j(t)`.

    The table is linear between its points, and keeps its end values beyond them.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Columns (increasing) and rows.
    degree : int
        Degree of the Legendre series of the distortion, with the first and the last column at
        :math:`t = \mp 1`.
    **parameters : float
        Coefficients ``c0``, ``c1``, …, by default zero and free.

    Raises
    ------
    ValueError
        If the table is not made of two finite columns of one length, with increasing `x`, or the
        degree is negative.

    Examples
    --------
    >>> import specmodels as sm
    >>> trace = sm.DistortedTrace([0, 100, 200], [10, 12, 10], c0=0.5)
    >>> float(trace(100.0))
    12.5
    """  # noqa: E501

    def __init__(self, x, y, *, degree=1, **parameters):
        x, y = np.array(x, dtype=float), np.array(y, dtype=float)
        if x.ndim != 1 or x.shape != y.shape or x.size < 1:
            raise ValueError(f"x, y: expected two columns of one length, got {x.shape}, {y.shape}")
        if np.any(np.diff(x) <= 0) or not np.isfinite(y).all():
            raise ValueError("x, y: expected increasing columns x and finite rows y")
        if int(degree) != degree or degree < 0:
            raise ValueError(f"degree: expected a whole number from 0, got {degree!r}")
        self.table, self.degree = (x, y), int(degree)
        super().__init__(self.degree + 1, **parameters)

    data_parameters = ()

    @property
    def position_parameters(self):
        """Names of the parameters that are lengths: all."""
        return self.param_names

    @property
    def settings(self):
        """Arguments that make this trace again."""
        return dict(zip("xy", self.table, strict=True), degree=self.degree)

    def basis(self, x):
        """Legendre polynomials, shape (..., degree + 1)."""
        first, last = self.table[0][0], self.table[0][-1]
        return legendre_terms(x, (first, last if last > first else first + 1), self.degree)

    @with_units
    def evaluate(self, x, *coefficients):
        """Row of the trace."""
        return super().evaluate(x, *coefficients) + np.interp(finite(x), *self.table)

    def linear_columns(self, inputs, values, wanted):
        """Offset and basis images: the table is part of the offset."""
        offset, columns = super().linear_columns(inputs, values, wanted)
        return offset + np.interp(finite(inputs[0]), *self.table), columns

    def sum_of_implicit_terms(self, x):
        """The part without a parameter, for astropy's linear fitter."""
        return np.interp(x, *self.table)


class TabulatedTrace(DistortedTrace):
    r"""A measured trace, :math:`y(x) = c_0 + y_\mathrm{table}(x)`, linear between its points.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Columns (increasing) and rows. The trace keeps its end values beyond them.
    **parameters : float
        ``c0``: a shift of the whole trace, fixed unless `fixed` says otherwise.

    Raises
    ------
    ValueError
        If the table is not made of two finite columns of one length, with increasing `x`.

    Examples
    --------
    >>> import specmodels as sm
    >>> trace = sm.TabulatedTrace([0, 100, 200], [10, 12, 10], c0=0.5)
    >>> float(trace(50.0))
    11.5
    """

    def __init__(self, x, y, **parameters):
        parameters.setdefault("fixed", {"c0": True})
        super().__init__(x, y, degree=0, **parameters)

    @property
    def settings(self):
        """Arguments that make this trace again."""
        return dict(zip("xy", self.table, strict=True))
