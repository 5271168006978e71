"""Power spectra of noise with gaps: power laws fitted to how much pixels differ at each lag.

Variograms and covariances are sums over pairs of used pixels, by Fourier transforms of the data and
of the mask; amplitudes follow by non-negative least squares. Arrays only.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.optimize import nnls

__all__ = [
    "PowerLaws",
    "fit_power_laws",
    "lag_covariance",
    "lag_variogram",
    "line_spectrum",
    "power_law",
]

EXPONENTS = np.arange(0.6, 2.01, 0.05)
# Where data hardly tell, noise is taken for 1/f; variograms are not trusted to better than this.
EXPONENT, EXPONENT_SPREAD, LEAST_ERROR = 1.0, 0.05, 0.05
LEAST_RELATIVE_ERROR = 1e-9
# Parts of series in which pairs are counted, in units of the largest lag; pairs of pixels in
# different parts are not.
PART = 16
# Of more parts, of all series, no more are counted: the spectrum is known well enough.
MOST_PARTS = 16


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
    power = 2 * np.where(frequency <= 0, lowest, frequency)
    if np.ndim(amplitude) or np.ndim(exponent):
        return amplitude * power**-exponent
    power **= -exponent  # in place: long series take memory
    power *= amplitude
    return power


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
        separate = power_law(frequency, *self.separate)
        separate += power_law(frequency, *self.alternating)[::-1]
        return power_law(frequency, *self.common), separate


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


def lag_variogram(series, use, max_lag):
    """Half the mean squared difference of two pixels at each lag, of series with gaps.

    What changes slowly cancels in it: the lowest frequencies, and what is left of the sky.

    Parameters
    ----------
    series : ndarray of float32, shape (n_output, size)
        Data; zero where not used.
    use : ndarray of bool, same shape
        Pixels that count.
    max_lag : int
        Largest lag.

    Returns
    -------
    own, apart : ndarray, shape (max_lag + 1,)
        Of each output, and of the difference of neighbouring outputs, over root two, in which what
        they share cancels; NaN where there is no pair.
    own_pairs, apart_pairs : ndarray, shape (max_lag + 1,)
        Numbers of pairs.
    """
    n, parts = len(series), _parts(*series.shape, max_lag)
    own = _variogram(((series[k, part], use[k, part]) for k, part in parts), max_lag)
    neighbours = parts if n > 2 else [one for one in parts if one[0] < n - 1]
    apart = _variogram((_apart(series, use, k, part) for k, part in neighbours), max_lag)
    return own[0], apart[0], own[1], apart[1]


def _parts(n, size, max_lag):
    """Series and parts of them in which pairs are counted: of many, evenly some of each."""
    length = fft.next_fast_len((PART + 1) * max_lag, real=True) - max_lag
    starts = range(0, size, length)
    step = max(1, n * len(starts) // MOST_PARTS)
    return [(k, slice(s, s + length)) for k in range(n) for s in starts[k % step :: step]]


def _apart(series, use, k, part):
    """Difference of neighbouring series over root two, and where both are used."""
    one, other = (k, part), ((k + 1) % len(series), part)
    both, change = use[one] & use[other], series[one] - series[other]
    return np.where(both, change * np.float32(np.sqrt(0.5)), np.float32(0)), both


def _variogram(pieces, max_lag):
    """Variogram and number of pairs at lags up to `max_lag` of data with masks, all together."""
    size = fft.next_fast_len((PART + 1) * max_lag, real=True)
    squares, pairs = np.zeros(size // 2 + 1), np.zeros(size // 2 + 1)
    for data, use in pieces:
        mask, own = fft.rfft(use.astype("f4"), size), fft.rfft(data, size)
        square = fft.rfft(data**2, size)
        squares += mask.real * square.real + mask.imag * square.imag
        squares -= own.real**2 + own.imag**2
        pairs += mask.real**2 + mask.imag**2
    cut = slice(0, max_lag + 1)
    pairs = np.round(fft.irfft(pairs, size)[cut])
    squares = fft.irfft(squares, size)[cut]
    return np.divide(squares, pairs, out=np.full(pairs.size, np.nan), where=pairs > 0), pairs


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


def fit_power_laws(own, apart, own_pairs, apart_pairs, frequency):
    """Fit power laws to variograms; see `lag_variogram`.

    The alternating part is given the exponent of the separate one.

    Parameters
    ----------
    own, apart, own_pairs, apart_pairs : ndarray, shape (n_lag,)
        As `lag_variogram` returns them; `apart_pairs` zero where there is one output only.
    frequency : ndarray, shape (n_frequency,)
        Of the grid of time, in cycles per pixel time.

    Returns
    -------
    PowerLaws
    """
    common = (0.0, EXPONENT)
    rest, pairs = own, own_pairs
    both = (own_pairs > 0) & (apart_pairs > 0)
    if both.any():
        shared = np.where(both, own - apart, np.nan)
        known = own[1:][own_pairs[1:] > 0]
        spread = np.median(known[:4]) if known.size else 0.0
        found, exponent = _best_fit(shared, np.minimum(own_pairs, apart_pairs), frequency,
                                    ["plain", "white"], spread)  # fmt: skip
        common = (float(found[0]), float(exponent))
        rest, pairs = apart, apart_pairs
    terms = ["plain", "alternating", "white"]
    amplitudes, exponent = _best_fit(rest, pairs, frequency, terms)
    separate, alternating, white = (float(a) for a in amplitudes)
    exponent = float(exponent)
    return PowerLaws(common, (separate, exponent), (alternating, exponent), white)


def _best_fit(variogram, pairs, frequency, terms, spread=None):
    """Amplitudes and the exponent that fit best, given the variance that makes the errors."""
    lags, groups = _lag_groups(variogram, pairs)
    if np.unique(groups).size <= len(terms) + 1:
        return np.zeros(len(terms)), EXPONENT
    target = _grouped(variogram, pairs, lags, groups)
    if not np.any(target > 0):
        return np.zeros(len(terms)), EXPONENT
    total = np.bincount(groups, pairs[lags])
    change = np.maximum.accumulate(np.abs(target - target[:2].mean()))
    spread = np.median(target[:4]) if spread is None else spread
    error = np.hypot(spread / np.sqrt(total), LEAST_ERROR * change)
    weight = 1 / np.maximum(error, LEAST_RELATIVE_ERROR * np.max(np.abs(target)))
    best = None
    for exponent in EXPONENTS:
        columns = _columns(frequency, exponent, terms, variogram.size)
        design = np.stack([_grouped(c, pairs, lags, groups) for c in columns], axis=1)
        values, misfit = nnls(design * weight[:, None], target * weight)
        misfit = misfit**2 + ((exponent - EXPONENT) / EXPONENT_SPREAD) ** 2
        if best is None or misfit < best[0]:
            best = misfit, values, exponent
    return best[1], best[2]


def _columns(frequency, exponent, terms, n_lag):
    """Variograms of each term; so low frequencies that they change nothing are left out."""
    size = min(2 * (frequency.size - 1), 2 * fft.next_fast_len(16 * n_lag, real=True))
    plain = _law_covariance(float(exponent), size, n_lag)
    sign = 1 - 2 * (np.arange(n_lag) % 2)
    known = {"plain": plain[0] - plain, "alternating": plain[0] - sign * plain,
             "white": np.ones(n_lag)}  # fmt: skip
    return [known[term] for term in terms]


@lru_cache(maxsize=4 * EXPONENTS.size)
def _law_covariance(exponent, size, n_lag):
    """Covariance at the first lags of noise with a power law."""
    return fft.irfft(power_law(fft.rfftfreq(size), 1.0, exponent), size)[:n_lag].copy()


def _lag_groups(variogram, pairs):
    """Lags with pairs, and the number of the group each is averaged in: finer at short lags."""
    lags = 1 + np.flatnonzero((pairs[1:] > 0) & np.isfinite(variogram[1:]))
    level = np.where(lags < 16, lags, 16 + 4 * np.log2(np.maximum(lags, 1) / 16))
    key = 2 * np.floor(level).astype(int) + lags % 2
    return lags, np.unique(key, return_inverse=True)[1]


def _grouped(values, pairs, lags, groups):
    total = np.bincount(groups, pairs[lags])
    return np.bincount(groups, pairs[lags] * values[lags]) / total
