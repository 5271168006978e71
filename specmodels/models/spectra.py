"""Spectra of sources: Fittable models of wavelength, linear in their coefficients.

Values are relative to the direct image: one everywhere is a spectrum that is flat in the units of
that image. What disperses them, and to which pixels, is in `grism`.
"""

import numpy as np
from astropy import units as u

from ..numerics.bsplines import local_design, padded_knots
from ..numerics.positions import legendre_terms, spline_terms
from .linear import BasisModel
from .parameters import repeated

__all__ = ["BSplineSpectrum", "LegendreSpectrum", "SourceSpectrum", "TabulatedSpectrum"]


class SourceSpectrum(BasisModel):
    r"""Base of spectra :math:`f(\lambda) = \sum_j c_j B_j(\lambda)`, by default flat and one.

    A subclass must define `basis` and the property ``flat``. It need not define how wavelengths
    are scaled: `scaled` maps the limits to -1 and 1.

    Parameters
    ----------
    n_terms : int
        Number of coefficients.
    limits : tuple of float, optional
        First and last wavelength. None: those of the order that is dispersed.
    name : str, optional
    **parameters : float
        ``c0``, ``c1``, …

    Raises
    ------
    ValueError
        If the limits are not finite and increasing.
    """

    coordinates = ("wavelength",)
    position_unit = u.dimensionless_unscaled

    def __init__(self, n_terms, *, limits=None, name=None, **parameters):
        if limits is not None:
            limits = tuple(float(value) for value in limits)
            if len(limits) != 2 or not np.all(np.isfinite(limits)) or limits[0] >= limits[1]:
                raise ValueError(f"limits: expected two increasing wavelengths, got {limits}")
        self.limits = limits
        flat = {f"c{j}": repeated(value, parameters)
                for j, value in enumerate(self.flat_terms(n_terms))}  # fmt: skip
        super().__init__(n_terms, name=name, **(flat | parameters))

    @staticmethod
    def flat_terms(n_terms):
        """Coefficients of the spectrum that is one everywhere, shape (n_terms,)."""
        return np.ones(n_terms)

    def scaled(self, wavelength):
        """Wavelength with the limits at -1 and 1."""
        low, high = (-1.0, 1.0) if self.limits is None else self.limits
        return (2 * np.asarray(wavelength, dtype=float) - low - high) / (high - low)

    def within(self, limits):
        """Copy for these limits, unless it has limits of its own."""
        if self.limits is not None:
            return self
        new = self.copy()
        new.limits = tuple(float(value) for value in limits)
        return new


class LegendreSpectrum(SourceSpectrum):
    r"""Legendre series :math:`\sum_j c_j P_j(t)`, with t from -1 to 1 over the limits.

    Parameters
    ----------
    degree : int
        Highest power of wavelength; zero for a constant.
    limits, name, **parameters
        As of `SourceSpectrum`.

    Raises
    ------
    ValueError
        If the degree is negative or no integer.

    Examples
    --------
    >>> from specmodels import LegendreSpectrum
    >>> spectrum = LegendreSpectrum(1, limits=(1.0, 2.0), c1=0.5)
    >>> float(spectrum(2.0))
    1.5
    """

    def __init__(self, degree=3, *, limits=None, name=None, **parameters):
        if isinstance(degree, bool) or degree != int(degree) or degree < 0:
            raise ValueError(f"degree: expected an integer of at least zero, got {degree!r}")
        self.degree = int(degree)
        super().__init__(self.degree + 1, limits=limits, name=name, **parameters)

    @staticmethod
    def flat_terms(n_terms):
        """One for the constant, zero for the rest."""
        return np.eye(n_terms)[0]

    def basis(self, wavelength):
        """Legendre polynomials, shape (..., n_terms)."""
        return legendre_terms(self.scaled(wavelength), (-1, 1), self.degree)


class BSplineSpectrum(SourceSpectrum):
    r"""Cubic B-spline :math:`\sum_j c_j B_j(t)` with equally spaced knots, which can follow lines.

    All coefficients one is the flat spectrum. Beyond the limits it keeps the value at the end.

    Parameters
    ----------
    n_terms : int
        Number of coefficients, at least four. About one for each three pixels of the trace follows
        all that a source of ordinary size lets through.
    limits, name, **parameters
        As of `SourceSpectrum`.

    Raises
    ------
    ValueError
        If there are fewer than four terms.

    Examples
    --------
    >>> import specmodels as sm
    >>> spectrum = sm.BSplineSpectrum(12, limits=(1.0, 2.0))
    >>> spectrum.n_terms, float(spectrum(1.3))
    (12, 1.0)
    """

    def __init__(self, n_terms=40, *, limits=None, name=None, **parameters):
        if isinstance(n_terms, bool) or n_terms != int(n_terms) or n_terms < 4:
            raise ValueError(f"n_terms: expected an integer of at least four, got {n_terms!r}")
        self._breaks = np.linspace(-1, 1, int(n_terms) - 2)
        super().__init__(int(n_terms), limits=limits, name=name, **parameters)

    def basis(self, wavelength):
        """B-splines, shape (..., n_terms)."""
        return spline_terms(self.scaled(wavelength), self._breaks, 3)

    def local_basis(self, wavelength):
        """Numbers and values of the four B-splines at each wavelength, shape (..., 4)."""
        return local_design(np.clip(self.scaled(wavelength), -1, 1), padded_knots(self._breaks))


class TabulatedSpectrum(SourceSpectrum):
    """A known spectrum times ``c0``: a template, a catalogue's photometry.

    Parameters
    ----------
    wavelength, flux : array_like, shape (n,)
        The table, relative to the direct image; linear between its entries, zero outside.
    limits, name, **parameters
        As of `SourceSpectrum`.

    Raises
    ------
    ValueError
        If the arrays do not match, or the wavelengths do not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> template = sm.TabulatedSpectrum([1.0, 1.5, 2.0], [1.0, 2.0, 1.0], c0=3.0)
    >>> float(template(1.25))
    4.5
    """

    def __init__(self, wavelength, flux, *, limits=None, name=None, **parameters):
        self.wavelength = np.array(wavelength, dtype=float)
        self.flux = np.array(flux, dtype=float)
        if self.wavelength.ndim != 1 or self.wavelength.shape != self.flux.shape:
            raise ValueError(
                "flux: expected one value for each wavelength, got shapes "
                f"{self.wavelength.shape} and {self.flux.shape}"
            )
        if self.wavelength.size < 2 or not np.all(np.diff(self.wavelength) > 0):
            raise ValueError("wavelength: expected two or more increasing values")
        super().__init__(1, limits=limits, name=name, **parameters)

    vanishes_far_away = True

    def basis(self, wavelength):
        """The tabulated spectrum, shape (..., 1)."""
        return np.interp(wavelength, self.wavelength, self.flux, left=0.0, right=0.0)[..., None]
