r"""Power-law spectra as sums of exponentials, for noise that is read pixel by pixel.

A process with the covariance :math:`\sum_j a_j\,\phi_j^{|t|}` is a sum of processes each of which
knows of its last value only (Foreman-Mackey et al. 2017, AJ 154, 220): solving with it takes a time
proportional to the number of pixels. The :math:`\phi_j` are fixed; the amplitudes are those whose
spectrum is nearest to the power law.
"""

import numpy as np

from .noise_spectrum import power_law

__all__ = ["decays", "power_law_amplitudes", "spectrum"]

# Frequencies down to one over this many frames follow the power law, those below are as that one.
FRAMES = 4
# A sum of slow decays is flat at the highest frequency, where a power law is not: two of negative
# sign bend it. With this number the spectrum is right to 1 % (2 % in its highest fifth).
N_SLOW, NEGATIVE, FASTEST = 10, (-0.4, -0.8), 3.0
N_FREQUENCY, RIDGE = 300, 1e-10


def decays(span):
    """Factors by which exponentials decay from one pixel time to the next.

    Parameters
    ----------
    span : float
        Pixel times of the longest frame.

    Returns
    -------
    ndarray, shape (n_decay,)
    """
    slowest = np.pi / (FRAMES * max(float(span), 4.0))
    return np.concatenate([np.exp(-np.geomspace(slowest, FASTEST, N_SLOW)), NEGATIVE])


def spectrum(phi, amplitudes, frequency):
    """Power spectrum of a sum of exponentials sampled at whole times.

    Parameters
    ----------
    phi, amplitudes : ndarray, shape (n_decay,)
    frequency : ndarray, shape (n_frequency,)
        Cycles per pixel time.

    Returns
    -------
    ndarray, shape (n_frequency,)
        In units in which white noise has its variance as power.
    """
    return _columns(phi, frequency) @ amplitudes


def power_law_amplitudes(phi, span, exponent):
    """Amplitudes of the exponentials of a power law whose power at the highest frequency is one.

    Parameters
    ----------
    phi : ndarray, shape (n_decay,)
        Of `decays`.
    span : float
        As for `decays`.
    exponent : float
        See `~specmodels.numerics.noise_spectrum.power_law`.

    Returns
    -------
    ndarray, shape (n_decay,)
        Some may be negative; the spectrum is positive.
    """
    frequency = np.geomspace(1 / (FRAMES * max(float(span), 4.0)), 0.5, N_FREQUENCY)
    frequency = np.concatenate([frequency, np.linspace(0.2, 0.5, N_FREQUENCY // 5)])
    columns = _columns(phi, frequency) / power_law(frequency, 1.0, exponent)[:, None]
    scale = np.linalg.norm(columns, axis=0)
    columns = np.concatenate([columns / scale, np.sqrt(RIDGE) * np.eye(len(phi))])
    goal = np.concatenate([np.ones(len(frequency)), np.zeros(len(phi))])
    return np.linalg.lstsq(columns, goal, rcond=None)[0] / scale


def _columns(phi, frequency):
    cosine = np.cos(2 * np.pi * np.asarray(frequency, dtype=float))[:, None]
    return (1 - phi**2) / (1 - 2 * phi * cosine + phi**2)
