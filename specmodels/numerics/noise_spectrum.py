"""Power spectra of noise with gaps: covariances at each lag from the pixels there are, and fits.

Covariances are sums over pairs of used pixels, by Fourier transforms of the data and of the mask;
spectra are power laws whose amplitudes follow by non-negative least squares. Arrays only.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.optimize import nnls

__all__ = ["PowerLaws", "fit_power_laws", "lag_covariance", "line_spectrum", "power_law"]

EXPONENTS = np.arange(0.8, 1.81, 0.1)
# Where data hardly tell, noise is taken for 1/f; covariances are not trusted to better than this.
EXPONENT, EXPONENT_SPREAD, LEAST_ERROR = 1.0, 0.2, 0.1


def power_law(frequency, amplitude, exponent):
    """Power ``amplitude * (2 frequency)**-exponent``, shape as the frequencies.

    Parameters
    ----------
    frequency : ndarray
        Cycles per pixel time, from 0 to 0.5. At zero the power of the lowest other one is taken,
        or that at 0.5 where there is no other.
    amplitude : float
        Power at the highest frequency, in units in which white noise has its variance as power.
    exponent : float
        1 for flicker noise.
    """
    frequency = np.asarray(frequency)
    lowest = np.min(frequency, where=frequency > 0, initial=0.5)
    positive = np.where(frequency > 0, frequency, lowest)
    return amplitude * (2 * positive) ** -exponent


@dataclass(frozen=True)
class PowerLaws:
    """Spectra of the parts of the noise: amplitudes (at the Nyquist frequency) and exponents.

    Attributes
    ----------
    common, separate, alternating : tuple of float
        Amplitude and exponent of what all outputs share, of what each has for itself, and of what
        changes its sign from pixel to pixel.
    white : float
        Variance of the white noise.
    """

    common: tuple = (0.0, 1.0)
    separate: tuple = (0.0, 1.0)
    alternating: tuple = (0.0, 1.0)
    white: float = 0.0

    def spectra(self, frequency):
        """Spectra of the common and of the separate part (the alternating one included)."""
        mirrored = power_law(frequency, *self.alternating)[::-1]
        return (power_law(frequency, *self.common),
                power_law(frequency, *self.separate) + mirrored)  # fmt: skip


def lag_covariance(series, use, max_lag):
    """Covariance at lags from zero, of series with gaps.

    Parameters
    ----------
    series : ndarray of float32, shape (n_output, size)
        Data with zero mean; zero where not used.
    use : ndarray of bool, same shape
        Pixels that count.
    max_lag : int
        Largest lag.

    Returns
    -------
    own, cross : ndarray, shape (max_lag + 1,)
        Mean product of two pixels of the same output, and of different outputs; NaN where there is
        no pair.
    own_pairs, cross_pairs : ndarray, shape (max_lag + 1,)
        Numbers of pairs.
    """
    size = series.shape[1]
    own, cross = _powers(series, size, max_lag)
    own_pairs, cross_pairs = (np.round(p) for p in _powers(use.astype("f4"), size, max_lag))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (np.where(own_pairs > 0, own / own_pairs, np.nan),
                np.where(cross_pairs > 0, cross / cross_pairs, np.nan),
                own_pairs, cross_pairs)  # fmt: skip


def line_spectrum(frames, use, overhead=0, n_line=8):
    """Power spectrum of frames with gaps, averaged over stretches of some lines.

    Parameters
    ----------
    frames : ndarray, shape (n_output, n_line, width)
        Zero where not used.
    use : ndarray of bool, same shape
        Pixels that count.
    overhead : int
        Pixel times between lines.
    n_line : int
        Lines in a stretch.

    Returns
    -------
    frequency, power : ndarray, shape (n_frequency,)
        In cycles per pixel time, and in units in which white noise has its variance as power.
    """
    n_output, total, width = frames.shape
    n_line = min(n_line, total)
    cut = total // n_line * n_line
    shape = (n_output * cut // n_line, n_line, width)
    padded = np.zeros((shape[0], n_line, width + overhead), "f4")
    padded[..., :width] = frames[:, :cut].reshape(shape)
    spectra = fft.rfft(padded.reshape(shape[0], -1), axis=-1)
    number = np.count_nonzero(use[:, :cut])
    power = np.sum(spectra.real**2 + spectra.imag**2, axis=0) / max(number, 1)
    return fft.rfftfreq(n_line * (width + overhead)), power


def _powers(series, size, max_lag):
    """Sums of products within and between series, at lags up to `max_lag`."""
    total, power = 0, 0
    for one in series:
        spectrum = fft.rfft(one)
        total = total + spectrum
        power = power + (spectrum.real.astype(float) ** 2 + spectrum.imag.astype(float) ** 2)
    both = total.real.astype(float) ** 2 + total.imag.astype(float) ** 2
    cut = slice(0, max_lag + 1)
    return fft.irfft(power, size)[cut], fft.irfft(both - power, size)[cut]


def fit_power_laws(own, cross, own_pairs, cross_pairs, frequency):
    """Fit power laws to covariances at each lag; see `lag_covariance`.

    A constant is fitted along, so that an unknown mean does no harm. The alternating part is given
    the exponent of the separate one.

    Parameters
    ----------
    own, cross, own_pairs, cross_pairs : ndarray, shape (n_lag,)
        As `lag_covariance` returns them; `cross_pairs` zero where there is one output only.
    frequency : ndarray, shape (n_frequency,)
        Of the grid of time, in cycles per pixel time.

    Returns
    -------
    PowerLaws
    """
    common = (0.0, 1.0)
    rest, pairs = own, own_pairs
    if cross_pairs.any():
        (amplitude, *_), exponent = _best_fit(cross, cross_pairs, frequency, ["plain"])
        common = (float(amplitude), float(exponent))
        rest = own - np.where(cross_pairs > 0, cross, 0)
    terms = ["plain", "alternating", "white"]
    amplitudes, exponent = _best_fit(rest, pairs, frequency, terms)
    separate, alternating, white = (float(a) for a in amplitudes[:3])
    exponent = float(exponent)
    return PowerLaws(common, (separate, exponent), (alternating, exponent), white)


def _best_fit(covariance, pairs, frequency, terms):
    """Amplitudes (and the constant last) and the exponent that fit best."""
    lags, groups = _lag_groups(covariance, pairs)
    if lags.size <= len(terms) + 1:
        return np.zeros(len(terms) + 1), 1.0
    target = _grouped(covariance, pairs, lags, groups)
    weight = 1 / _errors(covariance, target, pairs, lags, groups)
    best = None
    for exponent in EXPONENTS:
        columns = _columns(frequency, exponent, terms, covariance.size)
        design = np.stack([_grouped(c, pairs, lags, groups) for c in columns], axis=1)
        design = np.column_stack([design, -np.ones(len(design)), np.ones(len(design))])
        values, misfit = nnls(design * weight[:, None], target * weight)
        misfit = misfit**2 + ((exponent - EXPONENT) / EXPONENT_SPREAD) ** 2
        if best is None or misfit < best[0]:
            best = misfit, [*values[:-2], values[-1] - values[-2]], exponent
    return best[1], best[2]


def _errors(covariance, target, pairs, lags, groups):
    """Errors of grouped covariances: from white noise, and a part of their change with the lag.

    The error of the slowest noise is the same at all lags and goes into the constant.
    """
    total = np.bincount(groups, pairs[lags])
    white = covariance[0] if np.isfinite(covariance[0]) else np.abs(target).max()
    change = np.abs(target - np.median(target[1:4]))
    change[0] = 0  # with the white noise
    change = np.maximum.accumulate(change) + LEAST_ERROR * np.median(np.abs(target))
    error = np.hypot(white / np.sqrt(total), LEAST_ERROR * change)
    return np.maximum(error, np.finfo(float).tiny)


def _columns(frequency, exponent, terms, n_lag):
    """Covariances of each term; frequencies so low that they only add a constant are left out."""
    size = min(2 * (frequency.size - 1), 2 * fft.next_fast_len(16 * n_lag, real=True))
    plain = fft.irfft(power_law(fft.rfftfreq(size), 1.0, exponent), size)[:n_lag]
    sign = 1 - 2 * (np.arange(n_lag) % 2)
    known = {"plain": plain, "alternating": sign * plain, "white": (np.arange(n_lag) == 0) * 1.0}
    return [known[term] for term in terms]


def _lag_groups(covariance, pairs):
    """Lags with pairs, and the number of the group each is averaged in: finer at short lags."""
    lags = np.flatnonzero((pairs > 0) & np.isfinite(covariance))
    level = np.where(lags < 16, lags, 16 + 4 * np.log2(np.maximum(lags, 1) / 16))
    key = 2 * np.floor(level).astype(int) + lags % 2
    return lags, np.unique(key, return_inverse=True)[1]


def _grouped(values, pairs, lags, groups):
    total = np.bincount(groups, pairs[lags])
    return np.bincount(groups, pairs[lags] * values[lags]) / total
