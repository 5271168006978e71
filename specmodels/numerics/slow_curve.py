"""A slow curve under flicker noise in a series: what either is likely to be tells them apart.

Both are sums of cosine modes. Noise has a power of ``a / k + b`` in the k-th one, estimated from
the fast modes of the series; the curve has the spectrum of a Gaussian process of given variance.
"""

import numpy as np
from scipy import fft, optimize

__all__ = ["slow_curve"]

# Correlation length of the curve, in units of the series; modes above the last have none of it.
LENGTH, N_MODE = 0.25, 8
LEAST_KNOWN, ROUNDS = 32, 8


def slow_curve(series, known, variance):
    """The most probable slow curve in a series with flicker noise.

    Parameters
    ----------
    series : ndarray, shape (n,)
        Values, such as the medians of detector lines.
    known : ndarray of bool, shape (n,)
        Where there is a value; others are interpolated.
    variance : float
        Of the curve about its mean, before the series is seen.

    Returns
    -------
    curve : ndarray, shape (n,)
        Zero on average.
    left : float
        Mean variance of its error.
    """
    n = series.size
    if np.count_nonzero(known) < LEAST_KNOWN or not variance > 0:
        return np.zeros(n), max(float(variance), 0.0)
    x = np.arange(n)
    modes = fft.dct(np.interp(x, x[known], series[known]), norm="ortho")
    k = np.arange(1, min(N_MODE, n - 1) + 1)
    prior = np.exp(-0.5 * (np.pi * k * LENGTH) ** 2)
    prior *= n * variance / prior.sum()
    noise = _noise_variance(modes)[k]
    share = prior / (prior + noise)
    slow = np.zeros(n)
    slow[k] = share * modes[k]
    return fft.idct(slow, norm="ortho"), float(np.sum(share * noise) / n)


def _noise_variance(modes):
    """Most likely variance ``a / k + b`` of the modes, from those without a slow curve."""
    k = np.maximum(np.arange(modes.size), 1)
    fast = slice(N_MODE + 1, None)
    design, power = np.stack([1 / k, np.ones(k.size)], axis=1), modes**2
    variance = np.full(k.size, power[fast].mean())
    for _ in range(ROUNDS):
        scale = 1 / np.maximum(variance[fast], np.finfo(float).tiny)
        amplitudes, _ = optimize.nnls(design[fast] * scale[:, None], power[fast] * scale)
        variance = design @ amplitudes
    return variance
