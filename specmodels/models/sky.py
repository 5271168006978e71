"""The sky of a slit as a spectrum of wavelength times a function of the row."""

import numpy as np

from .composition import Composition, on_pixels, repeated_over
from .sources import ColumnPolynomial

__all__ = ["breakpoints", "sky_of_wavelength"]


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
