"""Empirical profiles whose shape changes along the dispersion, by more than their width."""

import numpy as np
from astropy.modeling import Parameter

from ..numerics.positions import legendre_terms
from .empirical import BSplineProfile, _Tabulated
from .parameters import declare, repeated
from .profiles import _steps
from .quantities import with_units

__all__ = ["DriftingBSplineProfile"]


class DriftingBSplineProfile(BSplineProfile):
    r"""Cubic B-spline density whose coefficients are polynomials of the column.

    .. math::
        p(t, x) = \frac{\sum_j c_j(x)\,B_j(t)}{\sum_j c_j(x) \int B_j}, \qquad
        c_j(x) = \sum_k c_{jk}\,P_k(u)

    with Legendre polynomials :math:`P_k`, and :math:`u` from -1 to 1 between the `limits`.

    Parameters
    ----------
    knots : array_like, shape (n_knots,), optional
        As in `BSplineProfile`.
    limits : tuple of float
        First and last column.
    drift_degree : int
        Degree of the polynomials.
    falling : bool
        As in `BSplineProfile`; kept at the middle of the limits, and by the priors elsewhere.
    name : str, optional
        Name of the model.
    **parameters : float
        ``center``, ``scale``, ``c0``, ``c1``, … (:math:`c_{j0}`), and ``c0_x1``, … (:math:`c_{jk}`,
        zero by default).

    Raises
    ------
    ValueError
        If the limits are equal, the degree is less than one, or the knots cannot be used.

    Examples
    --------
    >>> import specmodels as sm
    >>> profile = sm.DriftingBSplineProfile(limits=(0, 399))
    >>> bool(profile(10.0, 0.0) == profile(390.0, 0.0))  # without a drift
    True
    """

    n_inputs = 2
    uses_dispersion = True

    def __init__(
        self, knots=None, *, limits=(0.0, 2047.0), drift_degree=1, falling=False, name=None,
        **parameters,
    ):  # fmt: skip
        low, high = (float(value) for value in limits)
        if not low != high:
            raise ValueError(f"limits: expected two different columns, got {limits!r}")
        if int(drift_degree) != drift_degree or drift_degree < 1:
            raise ValueError(f"drift_degree: expected 1 or more, got {drift_degree!r}")
        self.limits, self.drift_degree = (low, high), int(drift_degree)
        super().__init__(knots, falling=falling, name=name, **parameters)

    def _declare_parameters(self, settings):
        super()._declare_parameters(settings)
        base, zero = self._param_names[2:], repeated(0.0, settings)
        declare(self, [Parameter(f"{n}_x{k}", default=zero)
                       for k in range(1, self.drift_degree + 1) for n in base])  # fmt: skip

    @classmethod
    def from_profile(cls, profile, limits, *, drift_degree=1):
        """Drifting spline that is the same everywhere as a `BSplineProfile`, to start a fit."""
        new = cls(profile.knots, limits=limits, drift_degree=drift_degree, falling=profile.falling)
        for name in profile.param_names:
            setattr(new, name, getattr(profile, name).value)
            getattr(new, name).prior = getattr(profile, name).prior
        return new

    @with_units
    def evaluate(self, x, y, *values):
        """Fraction of the light in the pixel centred on `y` in column `x`."""
        y, is_column = self._edges(y)
        if is_column:
            return _steps(self.cumulative(x, y, *values))
        half = 0.5 * self.pixel_size
        return self.cumulative(x, y + half, *values) - self.cumulative(x, y - half, *values)

    def fit_deriv(self, x, y, *values):
        """Derivatives of `evaluate` by each parameter, as a list of arrays."""
        y, is_column = self._edges(y)
        if is_column:
            own = [_steps(d) for d in self._shape_derivatives(x, y, *values)]
        else:
            half = 0.5 * self.pixel_size
            above = self._shape_derivatives(x, y + half, *values)
            below = self._shape_derivatives(x, y - half, *values)
            own = [a - b for a, b in zip(above, below, strict=True)]
        powers = self._polynomials(x)
        return [*own, *(power * d for power in powers[1:] for d in own[2:])]

    def value_and_derivatives(self, x, y, *values):
        """What `evaluate` and `fit_deriv` give."""
        return self.evaluate(x, y, *values), self.fit_deriv(x, y, *values)

    def cumulative(self, x, y, center, scale, *coefficients):
        """Fraction of the light below `y` in column `x`."""
        position = self._table.position((y - center) / scale)
        total, norm = 0.0, 0.0
        for power, part in zip(self._polynomials(x), self._by_degree(coefficients), strict=True):
            integral, area = self._integral(part, position)
            total = total + power * integral
            norm = norm + power * area
        return total / norm

    def _integral(self, coefficients, position):
        """Integral of the spline of these coefficients at a position, and over the whole range."""
        table = self._table
        if all(np.size(c) == 1 for c in coefficients):
            spline = table.spline(coefficients)
            return spline.integral.at(position), spline.norm
        terms = list(zip(coefficients, table.integrals.T, table.areas, strict=True))
        integral = sum(c * _Tabulated(own).at(position) for c, own, _ in terms)
        return integral, sum(c * area for c, _, area in terms)

    def _shape_derivatives(self, x, y, center, scale, *coefficients):
        """Derivatives of `cumulative` by centre, scale and the coefficients of degree zero."""
        table, parts = self._table, self._by_degree(coefficients)
        powers = self._polynomials(x)
        t = (y - center) / scale
        position = table.position(t)
        splines = [table.spline(c) for c in parts]
        norm = sum(p * spline.norm for p, spline in zip(powers, splines, strict=True))
        density = sum(p * spline.density.at(position)
                      for p, spline in zip(powers, splines, strict=True)) / norm  # fmt: skip
        cumulative = self.cumulative(x, y, center, scale, *coefficients)
        by_center = density * (-1 / scale)
        shares = (
            (_Tabulated(integral).at(position) - cumulative * area) / norm
            for integral, area in zip(table.integrals.T, table.areas, strict=True)
        )
        return [by_center, t * by_center, *shares]

    def _polynomials(self, x):
        return list(np.moveaxis(legendre_terms(x, self.limits, self.drift_degree), -1, 0))

    def _by_degree(self, coefficients):
        n = len(coefficients) // (self.drift_degree + 1)
        return [coefficients[k * n : (k + 1) * n] for k in range(self.drift_degree + 1)]

    def fwhm(self, scale, *coefficients):
        """Full width at half maximum of the density in the middle of the limits."""
        return super().fwhm(scale, *self._by_degree(coefficients)[0])
