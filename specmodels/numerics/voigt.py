"""Cumulative distribution of a Voigt profile, by the integral of Weideman's series.

Weideman (1994, SIAM J. Numer. Anal. 31, 1497, eq. 38) for the Faddeeva function, term by term.
"""

import numpy as np


def voigt_cumulative(z):
    """Fraction of a Voigt profile below a point, to 3e-10.

    Parameters
    ----------
    z : ndarray of complex
        ``(distance from the centre + i * Lorentz half width) / (sqrt(2) * standard deviation)``.

    Returns
    -------
    fraction : ndarray of float
        In the shape of `z`; NaN where that is.
    """
    below = WEIDEMAN_SCALE - 1j * z
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        ratio = (WEIDEMAN_SCALE + 1j * z) / below
    series = _horner(WEIDEMAN_INTEGRAL, ratio).imag
    return 0.5 - np.angle(below) / np.pi + series / (WEIDEMAN_SCALE * np.sqrt(np.pi))


def _weideman_coefficients(n_terms):
    """Scale ``L`` and coefficients ``a_1 ... a_N`` of the series: Weideman (1994), table 1."""
    n_points = 4 * n_terms
    scale = np.sqrt(n_terms / np.sqrt(2))
    t = scale * np.tan(np.pi * np.arange(1 - n_points // 2, n_points // 2) / n_points)
    values = np.append(0.0, np.exp(-(t**2)) * (scale**2 + t**2))
    return scale, np.fft.fft(np.fft.fftshift(values)).real[1 : n_terms + 1] / n_points


def _horner(coefficients, z):
    """Polynomial ``sum(coefficients[n] * z**n)``."""
    total = np.full(np.shape(z), coefficients[-1], dtype=complex)
    for coefficient in coefficients[-2::-1]:
        total *= z
        total += coefficient
    return total


WEIDEMAN_SCALE, _coefficients = _weideman_coefficients(20)
WEIDEMAN_INTEGRAL = np.append(0.0, _coefficients / np.arange(1, 21))
