"""The sky of a slit: a level, a polynomial in each column, or a spectrum of wavelength."""

import numpy as np
from astropy.modeling import FittableModel, Parameter

from ..numerics.positions import finite, legendre_terms
from .composition import Composable, Composition, on_pixels, repeated_over
from .linear import BasisModel
from .quantities import UnitRules, with_units

__all__ = ["ColumnPolynomial", "UniformSky", "breakpoints", "sky_of_wavelength"]


class UniformSky(Composable, UnitRules, FittableModel):
    """A level that is the same in all pixels: what a subtraction of the sky may have left.

    Its level is no linear parameter, so that fitters which solve those per column find one for all
    columns; where each column has its own sky, use `ColumnPolynomial`.

    Examples
    --------
    >>> import specmodels as sm
    >>> float(sm.UniformSky(3.0)(10.0, 20.0))
    3.0
    """

    n_inputs = 2
    n_outputs = 1
    linear = False
    coordinates = ("x", "y")
    over = ("exposure",)

    _separable = False
    data_parameters = ("level",)
    level = Parameter(default=0.0, description="light in each pixel")

    @with_units
    def evaluate(self, x, y, level):
        """Light in each pixel."""
        return level + 0.0 * finite(x) + 0.0 * finite(y)

    @staticmethod
    def fit_deriv(x, y, level):
        """Derivative by the level: one."""
        return [1.0 + 0.0 * finite(x) + 0.0 * finite(y)]


class ColumnPolynomial(BasisModel):
    r"""Sky of one column: :math:`\sum_j c_j P_j(t)`, with `limits` at :math:`t = \mp1`.

    Parameters
    ----------
    degree : int
        Degree of the polynomial in ``y``.
    limits : tuple of float
        First and last row.
    **parameters : float
        Coefficients ``c0``, ``c1``, …: ``c0`` is the mean level over the limits.

    Raises
    ------
    ValueError
        If the degree is negative or the limits are equal.

    Examples
    --------
    >>> import specmodels as sm
    >>> sky = sm.ColumnPolynomial(1, limits=(0, 40), c0=10.0, c1=2.0)
    >>> float(sky(7.0, 20.0)), float(sky(7.0, 40.0))  # of column and row
    (10.0, 12.0)
    """

    n_inputs = 2
    coordinates = ("x", "y")
    over = ("column", "exposure")

    def __init__(self, degree, *, limits=(0.0, 63.0), **parameters):
        if int(degree) != degree or degree < 0:
            raise ValueError(f"degree: expected a whole number from 0, got {degree!r}")
        low, high = (float(value) for value in limits)
        if not low != high:
            raise ValueError(f"limits: expected two different rows, got {limits!r}")
        self.degree, self.limits = int(degree), (low, high)
        super().__init__(int(degree) + 1, **parameters)

    def basis(self, x, y):
        """Legendre polynomials of the row, shape (..., degree + 1); the column plays no part."""
        return legendre_terms(y, self.limits, self.degree)


def sky_of_wavelength(spectrum, *, degree=0, limits=(0.0, 63.0), slit_function=None, name=None):
    r"""Sky :math:`S(\lambda(x, y))\,t(y)`: a spectrum times what the slit lets through in a row.

    Lines may be tilted and bowed: all pixels of a wavelength tell of it, whatever their column. The
    slit function has the mean one, so that it does not trade with the spectrum.

    Parameters
    ----------
    spectrum : `~astropy.modeling.Model`
        Of wavelength, such as `~specmodels.MasterBackgroundSpectrum`. Its breakpoints should be
        some two thirds of a pixel apart where the sky has lines.
    degree : int
        Degree of the slit function as a polynomial; zero for a sky that is the same along the slit.
    limits : tuple of float
        First and last row of the polynomial.
    slit_function : `~astropy.modeling.Model`, optional
        Instead: any model of the rows, such as `~specmodels.SlitFunction`.
    name : str, optional
        Name of the spectrum in results.

    Returns
    -------
    `~astropy.modeling.CompoundModel`
        Of column and row.

    Raises
    ------
    ValueError
        If both a degree and a slit function are given.

    Examples
    --------
    >>> import numpy as np
    >>> from specmodels import MasterBackgroundSpectrum, sky_of_wavelength
    >>> sky = sky_of_wavelength(MasterBackgroundSpectrum(np.linspace(1, 2, 200)), degree=2)
    >>> sky.n_inputs
    2
    """
    if degree and slit_function is not None:
        raise ValueError(f"slit_function: cannot be given together with degree={degree}")
    if name is not None and name != spectrum.name:
        spectrum = spectrum.copy()
        spectrum.name = name
    seen = on_pixels(spectrum)
    if slit_function is not None:
        return Composition("*", seen, on_pixels(slit_function))
    if not degree:
        return seen
    slit = repeated_over(ColumnPolynomial(degree, limits=limits, c0=1.0))
    slit.c0.fixed = True
    return Composition("*", seen, slit)


def breakpoints(wavelength, spacing):
    """Breakpoints so many pixels apart over the wavelengths of an image.

    Parameters
    ----------
    wavelength : array_like, shape (n_y, n_x) or (n_x,)
        Of each pixel.
    spacing : float
        In pixels along the dispersion.

    Returns
    -------
    ndarray, shape (n_break,)
    """
    wavelength = np.atleast_2d(np.asarray(wavelength, dtype=float))
    step = np.nanmedian(np.abs(np.diff(wavelength, axis=1))) * float(spacing)
    low, high = np.nanmin(wavelength), np.nanmax(wavelength)
    return np.linspace(low, high, max(int(np.ceil((high - low) / step)), 1) + 1)
