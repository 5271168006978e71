"""Spectra of the sky that all slits share: a B-spline, and a polynomial of the log flux."""

import numpy as np
from astropy import units as u
from astropy.modeling import FittableModel, Parameter
from scipy.interpolate import BSpline

from ..numerics.bsplines import DEGREE, local_design, padded_knots, spline_value
from ..numerics.positions import legendre_terms, spline_terms
from .composition import Composable
from .linear import BasisModel, one_number_each
from .parameters import declare, repeated
from .quantities import UnitRules, with_units

__all__ = ["LogPolynomialSpectrum", "MasterBackgroundSpectrum"]


class MasterBackgroundSpectrum(BasisModel):
    r"""Cubic B-spline in wavelength, :math:`S(\lambda) = \sum_j c_j B_j(\lambda)`.

    The flux that a pixel centred on the wavelength sees: the line spread function and the
    integration over the pixel are part of the spectrum. Zero outside of the breakpoints.

    Parameters
    ----------
    breaks : array_like, shape (n_break,), optional
        Increasing breakpoints, at least two.
    n_knots, limits : int, (float, float), optional
        Instead: number of evenly spaced breakpoints, and the first and the last of them. Without
        limits they are placed when the model is fitted, by the sampling of the data.
    name : str, optional
        Name of the model.
    **parameters : float
        ``c0``, ``c1``, …, by default zero.

    Raises
    ------
    ValueError
        If the breakpoints do not increase, or none or too many of the settings are given.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> sky = sm.MasterBackgroundSpectrum(np.linspace(1.0, 2.0, 21), name="sky")
    >>> sky.n_terms
    23
    """

    coordinates = ("wavelength",)
    vanishes_far_away = True
    position_unit = u.dimensionless_unscaled

    def __init__(self, breaks=None, *, n_knots=None, limits=None, name=None, **parameters):
        if (breaks is None) == (n_knots is None) or (breaks is not None and limits is not None):
            raise ValueError("expected either breaks or n_knots (with limits or without)")
        if n_knots is not None and (int(n_knots) != n_knots or n_knots < 2):
            raise ValueError(f"n_knots: expected a whole number from 2, got {n_knots!r}")
        self.n_knots, self.limits = n_knots, limits
        if breaks is None:
            low, high = (0.0, 1.0) if limits is None else limits
            breaks = np.linspace(float(low), float(high), int(n_knots))
            self.breaks = None
        else:
            breaks = np.array(breaks, dtype=float)
            self.breaks = breaks
        if breaks.ndim != 1 or breaks.size < 2 or not np.all(np.diff(breaks) > 0):
            raise ValueError(f"breaks: expected two or more increasing numbers, got {breaks}")
        self._breaks = breaks
        super().__init__(breaks.size + DEGREE - 1, name=name, **parameters)

    @property
    def placed(self):
        """Whether the breakpoints are known, and not only their number."""
        return self.breaks is not None or self.limits is not None

    @property
    def breakpoints(self):
        """The breakpoints, shape (n_break,)."""
        return self._breaks

    def basis(self, wavelength):
        """Values of the B-splines, shape (..., n_terms)."""
        wavelength = np.asarray(wavelength, dtype=float)
        outside = (wavelength < self._breaks[0]) | (wavelength > self._breaks[-1])
        return spline_terms(wavelength, self._breaks, DEGREE) * ~outside[..., None]

    def local_basis(self, wavelength):
        """Numbers and values of the four B-splines at each wavelength, shape (..., 4)."""
        return local_design(wavelength, padded_knots(self._breaks))

    @with_units
    def evaluate(self, wavelength, *coefficients):
        """Value of the spline."""
        known = one_number_each(coefficients)
        if known is None:
            return self._of_arrays(wavelength, coefficients)
        return spline_value(wavelength, padded_knots(self._breaks), known)

    def _of_arrays(self, wavelength, coefficients):
        """Value where coefficients are arrays: a spectrum for each pixel, or each of a set."""
        coefficients = np.stack(np.broadcast_arrays(*coefficients))
        index, value = self.local_basis(wavelength)
        shape = np.broadcast_shapes(index.shape[:-1], coefficients.shape[1:])
        missing = len(shape) - (coefficients.ndim - 1)
        coefficients = coefficients.reshape(len(coefficients), *(1,) * missing,
                                            *coefficients.shape[1:])  # fmt: skip
        index, value = (np.broadcast_to(np.moveaxis(one, -1, 0), (one.shape[-1], *shape))
                        for one in (index, value))  # fmt: skip
        all_ = np.broadcast_to(coefficients, (len(coefficients), *shape))
        own = np.take_along_axis(all_, index.astype(np.intp), axis=0)
        return np.where(value == 0, 0.0, value * own).sum(axis=0)

    def integrals(self, wavelength):
        """Integral of each B-spline from the first breakpoint, shape (n_wavelength, n_terms)."""
        knots = padded_knots(self._breaks)
        spline = BSpline(knots, np.eye(self.n_terms), DEGREE).antiderivative()
        return spline(np.asarray(wavelength, dtype=float))


class LogPolynomialSpectrum(Composable, UnitRules, FittableModel):
    r"""Exponential of a polynomial, :math:`S(\lambda) = \exp \sum_k c_k P_k(t)`.

    Legendre polynomials of :math:`t`, which runs from -1 to 1 between the limits. Always positive,
    and smooth: for a sky without lines.

    Parameters
    ----------
    degree : int
        Degree of the polynomial.
    limits : (float, float)
        Wavelengths at which :math:`t` is -1 and 1.
    name : str, optional
        Name of the model.
    **parameters : float
        ``c0``, ``c1``, …, by default zero.

    Raises
    ------
    ValueError
        If the degree is negative or the limits do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> sky = sm.LogPolynomialSpectrum(1, limits=(1.0, 2.0), c0=0.0, c1=1.0)
    >>> float(sky(1.5))
    1.0
    """

    _param_names = ()
    n_inputs = n_outputs = 1
    linear = False
    _separable = True
    position_unit = u.dimensionless_unscaled
    col_fit_deriv = True
    coordinates = ("wavelength",)

    def __init__(self, degree=1, *, limits=(0.0, 1.0), name=None, **parameters):
        if int(degree) != degree or degree < 0:
            raise ValueError(f"degree: expected a whole number from 0, got {degree!r}")
        low, high = (float(value) for value in limits)
        if not low < high:
            raise ValueError(f"limits: expected increasing numbers, got {limits}")
        self.degree, self.limits = int(degree), (low, high)
        default = repeated(0.0, parameters)
        declare(self, [Parameter(f"c{k}", default=default) for k in range(self.degree + 1)])
        super().__init__(name=name, **parameters)

    @property
    def param_names(self):
        """Names of the coefficients."""
        return self._param_names

    def terms(self, wavelength):
        """Legendre polynomials, shape (..., degree + 1)."""
        return legendre_terms(wavelength, self.limits, self.degree)

    @with_units
    def evaluate(self, wavelength, *coefficients):
        """Flux at the wavelengths."""
        terms = np.moveaxis(self.terms(wavelength), -1, 0)
        return np.exp(sum(c * term for c, term in zip(coefficients, terms, strict=True)))

    def fit_deriv(self, wavelength, *coefficients):
        """Derivatives by the coefficients, as a list of arrays."""
        value = self.evaluate(wavelength, *coefficients)
        return [value * term for term in np.moveaxis(self.terms(wavelength), -1, 0)]
