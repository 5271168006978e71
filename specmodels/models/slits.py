"""What a slit does to the light of the sky: shadows of bars, throughput along and across it."""

import numpy as np
from astropy import units as u
from astropy.modeling import FittableModel, Parameter
from scipy.special import erf

from ..numerics.bsplines import DEGREE
from ..numerics.positions import legendre_terms, nearer, spline_terms
from .composition import Composable
from .linear import BasisModel, LinearParameter
from .parameters import repeated
from .quantities import UnitRules, with_units

__all__ = ["BarShadow", "SlitFunction", "SlitThroughput"]


class BarShadow(Composable, UnitRules, FittableModel):
    r"""Open shutters as the sky is seen through them: top-hats convolved with the PSF.

    .. math::
        B(y) = A \sum_{i=0}^{n-1} \tfrac{1}{2}\left[
            \mathrm{erf}\frac{y - y_i + h/2}{\sqrt{2}\,\sigma} -
            \mathrm{erf}\frac{y - y_i - h/2}{\sqrt{2}\,\sigma}\right],
        \qquad y_i = y_0 + p\,(i - (n - 1)/2)

    with the height :math:`h` of the openings, their distance :math:`p`, and a Gaussian PSF of
    standard deviation :math:`\sigma` along the slit. All lengths are in the unit of the position:
    with shutters, 1 is the distance of two.

    Parameters
    ----------
    n_shutters : int
        Number of neighbouring open shutters; with one, a plain slit.
    transmission, center, height, pitch, sigma : float
        :math:`A, y_0, h, p, \sigma`.
    name : str, optional
        Name of the model.

    Raises
    ------
    ValueError
        If `n_shutters` is not a positive whole number.

    Examples
    --------
    >>> import specmodels as sm
    >>> shutters = sm.BarShadow(3, height=5.0, pitch=6.0, sigma=0.3)
    >>> round(float(shutters(0.0)), 3), round(float(shutters(3.0)), 3)  # in the middle, on a bar
    (1.0, 0.096)
    """

    n_inputs = n_outputs = 1
    col_fit_deriv = True
    coordinates = ("spatial",)
    _separable = True
    position_unit = None
    position_parameters = ("center", "height", "pitch", "sigma")
    data_parameters = ("transmission",)

    transmission = LinearParameter(default=1.0, description="transmission of an opening")
    center = Parameter(default=0.0, description="middle of the row of shutters")
    height = Parameter(default=0.86, bounds=(1e-3, None), description="height of an opening")
    pitch = Parameter(default=1.0, bounds=(1e-3, None), description="distance of two shutters")
    sigma = Parameter(default=0.1, bounds=(1e-4, None), description="width of the PSF")

    def __init__(
        self, n_shutters=3, transmission=transmission.default, center=center.default,
        height=height.default, pitch=pitch.default, sigma=sigma.default, **settings,
    ):  # fmt: skip
        if int(n_shutters) != n_shutters or n_shutters < 1:
            raise ValueError(f"n_shutters: expected a positive whole number, got {n_shutters!r}")
        self.n_shutters = int(n_shutters)
        super().__init__(transmission, center, height, pitch, sigma, **settings)

    def _ends(self, y, center, height, pitch, sigma):
        """Distances from the ends of each opening in units of the PSF, with signs and numbers."""
        y = nearer(y)
        for i in range(self.n_shutters):
            place = i - (self.n_shutters - 1) / 2
            for side in (1.0, -1.0):
                yield side, place, (y - center - pitch * place + side * height / 2) / sigma

    @with_units
    def evaluate(self, y, transmission, center, height, pitch, sigma):
        """Fraction of the sky's light at the positions `y`."""
        ends = self._ends(y, center, height, pitch, sigma)
        return transmission * sum(0.5 * side * erf(z / np.sqrt(2)) for side, _, z in ends)

    def fit_deriv(self, y, transmission, center, height, pitch, sigma):
        """Derivatives by the parameters, as a list of arrays."""
        total, by_center, by_height, by_pitch, by_sigma = (0.0 * nearer(y) for _ in range(5))
        for side, place, z in self._ends(y, center, height, pitch, sigma):
            slope = side * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
            total = total + 0.5 * side * erf(z / np.sqrt(2))
            by_center = by_center - slope / sigma
            by_pitch = by_pitch - slope * place / sigma
            by_height = by_height + slope * side / (2 * sigma)
            by_sigma = by_sigma - slope * z / sigma
        return [total, *(transmission * d for d in (by_center, by_height, by_pitch, by_sigma))]


class SlitThroughput(BasisModel):
    r"""Throughput of a slit, a polynomial of the wavelength: :math:`\sum_k c_k P_k(t)`.

    Legendre polynomials of :math:`t`, which runs from -1 to 1 between the limits; by default one.

    Parameters
    ----------
    degree : int
        Degree; with zero the throughput is grey.
    limits : (float, float)
        Wavelengths at which :math:`t` is -1 and 1.
    name : str, optional
        Name of the model.
    **parameters : float
        ``c0`` (default 1), ``c1``, ….

    Raises
    ------
    ValueError
        If the limits do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> throughput = sm.SlitThroughput(1, limits=(1.0, 2.0), c1=-0.2)
    >>> float(throughput(1.0)), float(throughput(2.0))
    (1.2, 0.8)
    """

    coordinates = ("wavelength",)
    position_unit = u.dimensionless_unscaled

    def __init__(self, degree=0, *, limits=(0.0, 1.0), name=None, **parameters):
        low, high = (float(value) for value in limits)
        if not low < high:
            raise ValueError(f"limits: expected increasing numbers, got {limits}")
        self.degree, self.limits = degree, (low, high)
        parameters.setdefault("c0", repeated(1.0, parameters))
        super().__init__(degree + 1, name=name, **parameters)

    def basis(self, wavelength):
        """Legendre polynomials, shape (..., degree + 1)."""
        return legendre_terms(wavelength, self.limits, int(self.degree))


class SlitFunction(BasisModel):
    r"""Throughput along a slit, a cubic B-spline:
    :math:`c_0 + \sum_k c_k (B_k(y) - B_m(y)\,\bar B_k / \bar B_m)`.

    The mean over the rows is :math:`c_0`, by default one and held, so that it does not trade with
    the spectrum that is seen through the slit. Smooth departures from it are found by the data;
    that in the middle, :math:`m`, is what the mean leaves: all others are seen by few rows.

    Parameters
    ----------
    breaks : array_like, shape (n_break,)
        Increasing breakpoints, in rows; beyond the ends the throughput is that of the ends.
    name : str, optional
        Name of the model.
    **parameters : float
        ``c0`` (default 1), ``c1``, ….

    Raises
    ------
    ValueError
        If there are fewer than two breakpoints, or they do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> slit = sm.SlitFunction(np.linspace(0, 40, 5))
    >>> float(slit(10.0))  # one everywhere, until it is fitted
    1.0
    """

    coordinates = ("y",)

    def __init__(self, breaks, *, name=None, **parameters):
        breaks = np.array(breaks, dtype=float)
        if breaks.ndim != 1 or breaks.size < 2 or not np.all(np.diff(breaks) > 0):
            raise ValueError(f"breaks: expected two or more increasing numbers, got {breaks}")
        self.breaks = breaks
        parameters.setdefault("c0", repeated(1.0, parameters))
        super().__init__(breaks.size + DEGREE - 1, name=name, **parameters)
        self.c0.fixed = True

    def basis(self, y):
        """One, and the B-splines but for that in the middle, shape (..., n_terms)."""
        rows = np.arange(np.ceil(self.breaks[0]), np.floor(self.breaks[-1]) + 1)
        mean = spline_terms(rows, self.breaks, DEGREE).mean(axis=0)
        splines, middle = spline_terms(y, self.breaks, DEGREE), len(mean) // 2
        less = splines - splines[..., [middle]] * (mean / mean[middle])
        rest = np.delete(less, middle, axis=-1)
        return np.concatenate([np.ones((*np.shape(y), 1)), rest], axis=-1)
