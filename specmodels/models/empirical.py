"""Empirical profiles: B-splines whose coefficients are learnt from the data.

The spline is the density of light, integrated over pixels like every other profile, so that smaller
or shifted pixels are predicted by integration and not by interpolation.
"""

from functools import lru_cache

import numpy as np
from astropy.modeling import Parameter
from scipy.interpolate import BSpline
from scipy.optimize import nnls

from ..numerics.tabulated_splines import light_and_slopes, light_in_pixels
from .parameters import declare, repeated
from .profiles import Profile
from .quantities import with_units

__all__ = ["BSplineProfile", "graded_knots"]

DEGREE = 3
# Coefficients at each end that are zero, so that density and slope vanish there.
END_TERMS = 2
GRID = 8192
# Half the width of the core, in units of the scale, within which a falling profile is free.
CORE = 2.0
FWHM_OF_GAUSSIAN = np.sqrt(8 * np.log(2))


class BSplineProfile(Profile):
    r"""Cubic B-spline density :math:`p(t) = \sum_j c_j B_j(t) / \sum_j c_j \int B_j` with
    :math:`t = (y - c) / s`, zero outside the knots.

    The coefficients are parameters; their common factor has no effect. Value and slope of the
    density are zero at both ends.

    Parameters
    ----------
    knots : array_like, shape (n_knots,), optional
        Increasing breakpoints in units of the scale, at least six. Default: `graded_knots`.
    falling : bool
        Whether the density falls outwards beyond two units from the centre, and is nowhere
        negative, so that a profile has one lobe and its wings take no light of neighbours. The
        parameters are then not the coefficients but, from either end inwards, their increments,
        and in the core what they exceed the line between the wings by; none is negative.
    name : str, optional
        Name of the model.
    **parameters : float
        ``center``, ``scale``, ``c0``, ``c1``, …; by default the coefficients make a Gaussian of
        unit standard deviation.

    Raises
    ------
    ValueError
        If there are fewer than six knots, or they do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> profile = sm.BSplineProfile(scale=1.5)  # a Gaussian, until it is fitted
    >>> round(float(profile(np.arange(-20.0, 21)).sum()), 3)
    1.0
    """

    _param_names = ()
    width_parameter = "scale"

    def __init__(self, knots=None, *, falling=False, name=None, **parameters):
        knots = graded_knots() if knots is None else np.array(knots, dtype=float)
        if knots.ndim != 1 or knots.size < 6 or not np.all(np.diff(knots) > 0):
            raise ValueError(f"knots: expected six or more increasing numbers, got {knots}")
        self.knots, self.falling = knots, bool(falling)
        self._table = _tables(tuple(knots), self.falling)
        self._declare_parameters(parameters)
        super().__init__(name=name, **parameters)

    def _declare_parameters(self, settings):
        gaussian = self._table.project(lambda t: np.exp(-0.5 * t**2))
        least = 0.0 if self.falling else None
        declare(self, [
            Parameter("center", default=repeated(0.0, settings), description="centre, in pixels"),
            Parameter("scale", default=repeated(1.0, settings), bounds=(1e-3, None),
                      description="pixels per unit of the knots"),
            *(Parameter(f"c{j}", default=repeated(c, settings), bounds=(least, None))
              for j, c in enumerate(gaussian)),
        ])  # fmt: skip

    @classmethod
    def like(cls, profile, knots=None, *, falling=False):
        """Spline of the same shape as another profile.

        The unit of the knots is the standard deviation of a Gaussian of the same full width at half
        maximum.

        Parameters
        ----------
        profile : Profile
            A profile that has a width parameter.
        knots : array_like, optional
        falling : bool
            As in the constructor.
        """
        new = cls(knots, falling=falling)
        shape = {n: getattr(profile, n).value for n in profile.param_names if n != "center"}
        ordered = list(shape.values())
        unit = float(np.squeeze(profile.fwhm(*ordered))) / FWHM_OF_GAUSSIAN
        shape[profile.width_parameter] = shape[profile.width_parameter] / unit
        ordered = list(shape.values())
        step = 1e-3

        def density(t):
            up, down = (profile.cumulative(t + s, 0.0, *ordered) for s in (step, -step))
            return (up - down) / (2 * step)

        for j, value in enumerate(new._table.project(density)):
            setattr(new, f"c{j}", value)
        new.scale = unit
        return new

    @property
    def param_names(self):
        """Names of centre, scale and coefficients."""
        return self._param_names

    @property
    def areas(self):
        """Light that each coefficient brings, before it is normalised; shape (n_coefficient,)."""
        return self._table.areas

    def cumulative(self, y, center, scale, *coefficients):
        """Fraction of the light below `y`."""
        position = self._table.position((y - center) / scale)
        if any(np.size(c) > 1 for c in coefficients):
            return self._table.cumulative_by_term(coefficients, position)
        spline = self._table.spline(coefficients)
        return spline.integral.at(position) / spline.norm

    def cumulative_derivatives(self, y, center, scale, *coefficients):
        """Derivatives of `cumulative` by centre, scale and coefficients."""
        table, t = self._table, (y - center) / scale
        spline, position = table.spline(coefficients), table.position(t)
        cumulative = spline.integral.at(position) / spline.norm
        by_center = spline.density.at(position) * (-1 / (spline.norm * scale))
        terms = zip(table.integrals.T, table.areas, strict=True)
        own = [(_Tabulated(integral).at(position) - area * cumulative) / spline.norm
               for integral, area in terms]  # fmt: skip
        return [by_center, t * by_center, *own]

    def fit_deriv(self, y, *values):
        """Derivatives of `evaluate` by each parameter, as a list of arrays."""
        return self.value_and_derivatives(y, *values)[1]

    def value_and_derivatives(self, y, *values):
        """Value and derivatives, which share the places in the tables."""
        t = self._column_edges(y, values)
        if t is None:
            return self.evaluate(y, *values), super().fit_deriv(y, *values)
        table, spline = self._table, self._table.spline(values[2:])
        value, *derivatives = light_and_slopes(
            t, np.ravel(values[1]).astype(float), table.ends, spline.norm, spline.integral.values,
            spline.density.values, table.integrals,
        )  # fmt: skip
        return value, derivatives

    @with_units
    def evaluate(self, y, *values):
        """Fraction of the light in the pixel centred on `y`."""
        t = self._column_edges(y, values)
        if t is None:
            return super().evaluate(y, *values)
        spline = self._table.spline(values[2:])
        return light_in_pixels(t, self._table.ends, spline.norm, spline.integral.values)

    def _column_edges(self, y, values):
        """Edges of pixels in units of the scale, shape (n_pixel + 1, n_column).

        None where the pixels are not those of columns, or coefficients differ between these.
        """
        center, scale, *coefficients = values
        edges, is_column = self._edges(y)
        is_row = all(np.shape(v)[-1:] in ((), (np.size(v),)) for v in (center, scale))
        if not (is_column and is_row) or any(np.size(c) > 1 for c in coefficients):
            return None
        return np.ascontiguousarray((edges - center) / scale)

    def fwhm(self, scale, *coefficients):
        """Full width at half maximum of the density."""
        density = self._table.spline(coefficients).density.values
        above = np.flatnonzero(density >= 0.5 * density.max())
        return (above[-1] - above[0]) * self._table.step * scale


def graded_knots(half_width=14.0, *, core=1.0, growth=1.3):
    """Symmetric breakpoints, evenly spaced in the core and ever wider in the wings.

    Parameters
    ----------
    half_width : float
        The last breakpoint, in units of the scale.
    core : float
        Spacing in the core, to about two units from the centre.
    growth : float
        Ratio of neighbouring spacings outside the core.

    Returns
    -------
    ndarray
    """
    points, step = [0.0], core
    while points[-1] < half_width - 0.5 * step:
        points.append(points[-1] + step)
        if points[-1] >= 2.0:
            step *= growth
    half = np.array(points[1:])
    half[half > 2.0] = 2.0 + (half[half > 2.0] - 2.0) * (half_width - 2.0) / (half[-1] - 2.0)
    return np.concatenate([-half[::-1], [0.0], half])


class _Tables:
    """Integrals and values of the B-splines of one knot vector on a fine, even grid."""

    def __init__(self, knots, falling):
        self.knots, self.falling = tuple(knots), falling
        knots = np.asarray(knots)
        padded = np.pad(knots, DEGREE, mode="edge")
        self.low, self.high = knots[0], knots[-1]
        self.step = (self.high - self.low) / GRID
        self.ends = float(self.low), float(self.step)
        grid = np.linspace(self.low, self.high, GRID + 1)
        n_all = len(knots) + DEGREE - 1
        kept = slice(END_TERMS, n_all - END_TERMS)
        basis = BSpline(padded, np.eye(n_all)[:, kept], DEGREE)
        self.grid = grid
        values, integral = basis(grid), basis.antiderivative()
        integrals = integral(grid) - integral(self.low)
        if falling:
            places = np.array([padded[j + 1 : j + 1 + DEGREE].mean() for j in range(n_all)[kept]])
            increments = _increments(places)
            values, integrals = values @ increments, integrals @ increments
        self.values, self.integrals = map(np.ascontiguousarray, (values, integrals))
        self.areas = self.integrals[-1]

    def __reduce__(self):
        """Copies share the tables; files and other processes make them again."""
        return _tables, (self.knots, self.falling)

    def position(self, t):
        """Index of the grid point below `t`, and the fraction of a step beyond it."""
        scaled = np.clip((t - self.low) / self.step, 0.0, GRID - 1e-9)
        with np.errstate(invalid="ignore"):  # NaN stays in the fraction
            index = scaled.astype(np.intp)
        return index, scaled - index

    def spline(self, coefficients):
        """The spline of these coefficients; that of the last few is kept."""
        return _spline(self, tuple(float(np.squeeze(c)) for c in coefficients))

    def cumulative_by_term(self, coefficients, position):
        """Cumulative distribution where coefficients differ from one model of a set to the next."""
        terms = zip(coefficients, self.integrals.T, strict=True)
        norm = sum(c * area for c, area in zip(coefficients, self.areas, strict=True))
        return sum(c * _Tabulated(integral).at(position) for c, integral in terms) / norm

    def project(self, density):
        """Coefficients of the spline nearest to `density` in the least-squares sense."""
        values, wanted = self.values[::16], density(self.grid[::16])
        return nnls(values, wanted)[0] if self.falling else np.linalg.lstsq(values, wanted)[0]


def _increments(places):
    """Coefficients of a falling spline by its parameters: shape (n_term, n_term).

    In the wings a coefficient is the sum of the parameters from the end to its place; in the core
    it is its parameter and the line between the innermost coefficients of the wings.
    """
    left, right = np.flatnonzero(places < -CORE), np.flatnonzero(places > CORE)
    matrix = np.eye(len(places))
    matrix[np.ix_(left, left)] = np.tri(len(left))
    matrix[np.ix_(right, right)] = np.tri(len(right)).T
    if left.size and right.size:
        ends = left[-1], right[0]
        core = np.arange(ends[0] + 1, ends[1])
        share = (places[core] - places[ends[0]]) / (places[ends[1]] - places[ends[0]])
        matrix[core] += np.outer(1 - share, matrix[ends[0]]) + np.outer(share, matrix[ends[1]])
    return matrix


@lru_cache(maxsize=32)
def _tables(knots, falling):
    return _Tables(knots, falling)


class _Tabulated:
    """A function at all grid points, to be looked up between them."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)
        self._steps = np.diff(self.values, append=self.values[-1])

    def at(self, position):
        """Value at a position, linear between grid points."""
        index, fraction = position
        out = np.take(self._steps, index, mode="clip")
        out *= fraction
        out += np.take(self.values, index, mode="clip")
        return out


class _Spline:
    """The spline of some coefficients: its integral and itself."""

    def __init__(self, table, coefficients):
        total = table.integrals @ np.array(coefficients)
        self.integral, self.norm = _Tabulated(total), total[-1]
        self.density = _Tabulated(table.values @ np.array(coefficients))


@lru_cache(maxsize=4)
def _spline(table, coefficients):
    return _Spline(table, coefficients)
