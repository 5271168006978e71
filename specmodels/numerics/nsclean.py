"""Complex exponentials of non-negative frequency fitted to detector lines: the method of NSClean.

For comparison with results of others: weights, cutoffs and centring are those of Rauscher (2024,
PASP 136, 015001) as the JWST pipeline has them. ``fourier.py`` has the fit to prefer.
"""

import numpy as np
from scipy import fft, ndimage

from .lines import line_medians, median
from .robust import MAD_TO_SIGMA

__all__ = ["ExponentialLines", "ExponentialSections", "low_pass", "outliers"]

# Lines at either end that are never fitted: reference pixels of full frames.
BORDER = 4
# Below this density of used pixels its reciprocal is rounding noise.
LEAST_DENSITY = 1e-5


def low_pass(frequency, cutoff, width):
    """Filter that falls from 1 to 0 as half a cosine about the cutoff, shape of the frequencies."""
    phase = np.clip((frequency - cutoff) / width, -0.5, 0.5)
    return 0.5 - 0.5 * np.sin(np.pi * phase)


def _reciprocal_density(use, sigma, shift):
    """Weights of used pixels: reciprocal of how densely they lie, by a circular Gaussian.

    Parameters
    ----------
    use : ndarray of bool, shape (..., n)
    sigma : float
        Of the Gaussian along the last axis, in pixels.
    shift : int
        Pixels by which the density is displaced.
    """
    n = use.shape[-1]
    offset = np.arange(n) - n // 2 - shift
    kernel = np.exp(-0.5 * (offset / sigma) ** 2) / sigma / np.sqrt(2 * np.pi)
    spectrum = fft.rfft(use.astype(float), axis=-1) * fft.rfft(np.fft.ifftshift(kernel))
    density = fft.irfft(spectrum, n, axis=-1)
    return np.divide(1, density, out=np.zeros(use.shape), where=density > LEAST_DENSITY)


class ExponentialLines:
    """Fits of single lines, for one mask and any number of frames.

    Parameters
    ----------
    use : ndarray of bool, shape (n_line, width)
        Pixels that count; lines in the order of time.
    cutoff, roll_off : float
        Half-power frequency, and range over which the filter falls, in cycles per pixel.
    buffer : float
        Standard deviation of the smoothing across lines; zero for none.
    density : float
        Standard deviation of the Gaussian that tells how densely used pixels lie.
    sigma : float
        Outliers of a line beyond this many standard deviations become its median.
    centred : bool
        Whether weights and smoothing are centred; in NSClean they are taken from the line before,
        and the smoothed noise lands one line and one pixel further.
    """

    def __init__(self, use, *, cutoff, roll_off, buffer, density, sigma, centred):
        self.use, self.sigma, self.buffer, self.centred = use, sigma, buffer, centred
        n_line, self.width = use.shape
        gain = low_pass(fft.rfftfreq(self.width), cutoff, roll_off)
        self.gain = gain[: np.count_nonzero(gain > 0)]
        shift = 0 if centred else 1
        weight = _reciprocal_density(np.roll(use, shift, axis=0), density, shift)
        self.weight = (np.where(use, weight, 0) ** 2).astype("f4")
        inner = np.arange(n_line)
        inner = (inner >= BORDER) & (inner < n_line - BORDER) if n_line > 4 * BORDER else inner >= 0
        number = np.count_nonzero(self.weight, axis=1)
        self.fitted = np.flatnonzero(inner & (number > self.gain.size))
        self.inverse = self._inverse()

    def _inverse(self):
        """Inverse normal matrices of the fitted lines: Toeplitz, from sums of the weights."""
        n = self.gain.size
        weight = self.weight[self.fitted].astype(float)
        scale = weight.mean(axis=1)[:, None, None]
        sums = fft.fft(weight, axis=-1)
        k = np.subtract.outer(np.arange(n), np.arange(n))
        return np.linalg.inv(sums[:, k] / scale) / scale

    def __call__(self, lines):
        """Noise of lines, shape (n_line, width)."""
        data = self._without_outliers(lines[self.fitted])
        vector = fft.rfft(self.weight[self.fitted] * data, axis=-1)[:, : self.gain.size]
        spectrum = np.zeros((lines.shape[0], self.width // 2 + 1), "c8")
        values = np.matmul(self.inverse, vector[:, :, None])[:, :, 0]
        spectrum[self.fitted, : self.gain.size] = values * self.gain * self.width
        model = fft.irfft(spectrum, self.width, axis=-1).astype("f4")
        return self._smoothed(model) if self.buffer > 0 else model

    def _without_outliers(self, lines):
        use = self.use[self.fitted]
        middle = line_medians(lines, use)[0][:, None]
        distance = np.abs(lines - middle)
        limit = self.sigma * MAD_TO_SIGMA * line_medians(distance, use)[0][:, None]
        return np.where(distance <= limit, lines, middle)

    def _smoothed(self, model):
        radius = int(8 * self.buffer)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / self.buffer) ** 2)
        kernel /= self.buffer * np.sqrt(2 * np.pi)
        model = ndimage.convolve1d(model, kernel, axis=0, mode="wrap")
        return model if self.centred else np.roll(model, (1, 1), axis=(0, 1))


class ExponentialSections:
    """Fits of sections of lines as one time series, half overlapping, for one mask.

    Parameters
    ----------
    use : ndarray of bool, shape (n_line, width)
        Pixels that count; lines in the order of time.
    overhead : int
        Pixel times between lines.
    dwell : float
        Time per pixel in seconds.
    band : tuple of float
        Frequencies in Hz: the gain falls from 1 to 0 between the first two and rises to 1 again
        between the last two.
    n_pixel : int
        Used pixels in a section.
    least : float
        Sections with a smaller fraction of used pixels are not fitted, nor are those with fewer
        than unknowns: amplitudes and phases of all frequencies.
    centred : bool
        Whether the density of used pixels, smoothed, is centred; in NSClean it is one pixel off.
    """

    def __init__(self, use, *, overhead, dwell, band, n_pixel, least, centred):
        self.use, self.overhead, self.dwell, self.band = use, overhead, dwell, band
        self.shift = 0 if centred else 1
        self.density = 0.25 / (band[0] + band[1]) / dwell
        sections = np.array(list(_sections(use, n_pixel)), dtype=int).reshape(-1, 2)
        total = np.append(0, np.cumsum(np.count_nonzero(use, axis=1)))
        number = total[sections.sum(axis=1)] - total[sections[:, 0]]
        heights, place = np.unique(sections[:, 1], return_inverse=True)
        unknown = 2 * np.array([self._frequencies(n)[0].size for n in heights], dtype=int)[place]
        self.dense = (number > least * sections[:, 1] * use.shape[1]) & (number >= unknown)
        self.sections = sections
        self.groups = [self._group(height) for height in np.unique(sections[self.dense, 1])]

    def _frequencies(self, height):
        """Numbers of the frequencies of sections of one height that pass, and all gains."""
        n = height * (self.use.shape[1] + self.overhead)
        gain = _two_sided(fft.rfftfreq(n, self.dwell), self.band)
        return np.flatnonzero(gain > 0), gain

    def _group(self, height):
        """What all sections of one height need: rows, gain, exponentials and inverse matrices."""
        chosen = (self.sections[:, 1] == height) & self.dense
        rows = self.sections[chosen, 0, None] + np.arange(height)
        line = self.use.shape[1] + self.overhead
        times = np.add.outer(np.arange(height) * line, np.arange(self.use.shape[1])).ravel()
        n = height * line
        k, gain = self._frequencies(height)
        table = np.exp(-2j * np.pi / n * (np.outer(times, k) % n))
        padded = np.zeros((len(rows), height, line), dtype=bool)
        padded[..., : self.use.shape[1]] = self.use[rows]
        weight = _reciprocal_density(padded.reshape(len(rows), n), self.density, self.shift)
        weight = np.where(padded.reshape(len(rows), n), weight, 0) ** 2
        # Products of two exponentials are one of their difference: sums of the weights.
        matrix = fft.fft(weight, axis=-1)[:, np.subtract.outer(k, k) % n]
        inverse = np.linalg.pinv(matrix, rcond=1e-10, hermitian=True)
        weight = weight.reshape(padded.shape)[..., : self.use.shape[1]].reshape(len(rows), -1)
        # Of a real series the spectrum has each frequency twice, but for the first and the last.
        twice = np.where((k == 0) | (2 * k == n), 1, 2) * gain[k]
        return rows, table, weight, inverse, twice

    def __call__(self, lines):
        """Noise of lines, shape (n_line, width)."""
        total, norm = np.zeros(lines.shape), np.zeros(len(lines))
        for start, height in self.sections:
            norm[start : start + height] += _blend(height)
        for rows, table, weight, inverse, twice in self.groups:
            data = lines[rows].reshape(len(rows), -1) * weight
            values = np.matmul(inverse, (data @ table)[:, :, None])[:, :, 0] * twice
            model = (values @ table.conj().T).real.reshape(*rows.shape, -1)
            model *= _blend(rows.shape[1])[:, None]
            np.add.at(total, rows, model)
        return (total / np.maximum(norm, np.finfo(float).tiny)[:, None]).astype("f4")


def outliers(lines, use, sigma):
    """Used pixels far from the median of all, and their four neighbours, shape as the lines."""
    values = lines[use]
    if not values.size:
        return np.zeros(use.shape, dtype=bool)
    middle = median(values)
    scale = MAD_TO_SIGMA * median(np.abs(values - middle))
    return ndimage.binary_dilation(use & (np.abs(lines - middle) > sigma * scale))


def _two_sided(frequency, band):
    falling = np.clip((frequency - band[0]) / (band[1] - band[0]), 0, 1)
    rising = np.clip((frequency - band[2]) / (band[3] - band[2]), 0, 1)
    gain = 0.5 + 0.5 * np.cos(np.pi * falling) + 0.5 - 0.5 * np.cos(np.pi * rising)
    return np.where(gain > 1e-15, gain, 0)


def _blend(height):
    """Weights of the lines of a section: most in its middle."""
    return 1.001 - np.abs(np.linspace(-1, 1, height))


def _sections(use, n_pixel):
    """First line and height of sections with at least so many used pixels, half overlapping."""
    number = np.count_nonzero(use, axis=1)
    if not number.any():
        return
    total = np.append(0, np.cumsum(number))
    start, end = np.flatnonzero(number)[[0, -1]] + (0, 1)
    while True:
        stop = int(np.searchsorted(total, total[start] + n_pixel, side="right"))
        if total[-1] - total[start] <= 1.5 * n_pixel or stop > end:
            stop = end
        yield start, stop - start
        if stop >= end:
            return
        start += max(round((stop - start) / 2), 1)
