"""Stationary noise in readout time on top of white noise: its mean and variance given the data.

The covariance is known by its power spectra: one part common to all outputs, one separate for each.
Pixels without data are filled so that the filled series is the most probable one; the conditional
mean then is one Wiener filter. The system for the fill-in values is as well conditioned as gaps are
short, so that a few conjugate-gradient steps suffice, each a Fourier transform there and back.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

__all__ = ["CorrelatedSystem", "TimeGrid"]


@dataclass(frozen=True)
class TimeGrid:
    """Pixels of a frame on an even grid of time: lines, each with a pause, and a last long pause.

    Parameters
    ----------
    n_line, width : int
        Lines, and pixels of one line that an output reads.
    overhead : int
        Pixel times between lines.
    """

    n_line: int
    width: int
    overhead: int = 0
    pause: int = 4

    @property
    def line(self):
        """Times from the start of one line to that of the next."""
        return self.width + self.overhead

    @property
    def size(self):
        """Number of times, a length for which Fourier transforms are fast."""
        least = (self.n_line + self.pause) * self.line
        return 2 * fft.next_fast_len((least + 1) // 2, real=True)

    @property
    def frequency(self):
        """Frequencies of the transform in cycles per pixel time, f4, shape (size // 2 + 1,)."""
        return fft.rfftfreq(self.size).astype("f4")

    def series(self, frames, fill=0):
        """Time series, shape (n_output, size), of frames (n_output, n_line, width)."""
        out = np.full((frames.shape[0], self.size), fill, frames.dtype)
        self._pixels(out)[...] = frames
        return out

    def frames(self, series):
        """Pixels of time series: the inverse of `series`, as a view."""
        return self._pixels(series)

    def _pixels(self, series):
        used = series[:, : self.n_line * self.line]
        return used.reshape(-1, self.n_line, self.line)[:, :, : self.width]


class CorrelatedSystem:
    r"""The linear system of correlated noise in several simultaneous time series.

    With the spectrum :math:`C` of what is common to the :math:`n` outputs, :math:`S` of what is
    separate for each, and white noise :math:`N`, the inverse covariance at each frequency is

    .. math::
        Q = \frac{1}{S+N}\left(1 - \frac{C}{S+N+nC}\,11^T\right)

    Parameters
    ----------
    common, separate : ndarray, shape (n_frequency,)
        Power spectra, in units in which white noise has its variance as power at all frequencies.
    white : float
        Variance of the white noise.
    n_output, size : int
        Number of series and of times.
    """

    def __init__(self, common, separate, white, n_output, size):
        self.white, self.n_output, self.size = float(white), n_output, size
        if n_output == 1:  # with which it shares nothing
            common, separate = np.float32(0), separate + common
        self.common = np.asarray(common, "f4")
        tiny = np.finfo("f4").tiny  # so that the inverse is a number
        self.own = (1 / np.clip(separate + white, tiny, 1 / tiny)).astype("f4")
        self.shared = np.float32(0)
        if n_output > 1:
            self.shared = self.common * self.own / (1 / self.own + n_output * self.common)
        self.diagonal = float(_mean_over_modes(self.own - self.shared, size))

    @property
    def separate(self):
        """Power spectrum of what is separate for each output."""
        return np.maximum(1 / self.own - np.float32(self.white), 0)

    @property
    def variance(self):
        """Variance of the correlated noise of one series, its mean apart."""
        power = self.common + self.separate if self.n_output > 1 else self.separate
        power = np.array(power)
        power[0] = 0
        return float(_mean_over_modes(power, self.size))

    @property
    def full_variance(self):
        """Variance of the conditional mean's error if no pixel were masked."""
        return self.white * (1 - self.white * self.diagonal)

    def precision(self, series, *, overwrite=False):
        """Product of the inverse covariance and series, (n_output, size), in their place or not."""
        out = series if overwrite else np.empty(series.shape, "f4")
        spectra = [fft.rfft(one) for one in series]
        together = sum(spectra) * self.shared if self.n_output > 1 else np.float32(0)
        for one, spectrum in zip(out, spectra, strict=True):
            spectrum *= self.own
            spectrum -= together
            one[...] = fft.irfft(spectrum, self.size, overwrite_x=True)
        return out

    def mean(self, filled):
        """Conditional mean of the correlated noise given filled series, (n_output, size)."""
        out = self.precision(filled)
        out *= -np.float32(self.white)
        out += filled
        return out

    def conditional_mean(self, series, extra, *, start=None, tolerance=0.02, max_iterations=60):
        """Conditional mean of the correlated noise given series of which not all is known.

        It is `mean` of the series filled with their most probable values, and follows these from
        step to step, so that no more than two series are in memory.

        Parameters
        ----------
        series : ndarray of float32, shape (n_output, size)
            Data, written to; their values where `extra` is infinite do not matter.
        extra : ndarray of float32, shape (n_output, size)
            Variance of each datum beyond the white noise: zero for good pixels, infinite for
            masked ones and for pauses.
        start : ndarray, optional
            First guess of the filled series.
        tolerance : float
            Iterations stop when the filled values change by less than this fraction of the white
            noise's standard deviation (rms).
        max_iterations : int
            Most iterations.

        Returns
        -------
        mean : ndarray of float32, shape (n_output, size)
        n_iterations : int
        """
        where = np.flatnonzero(extra)
        inverse = 1 / extra.ravel()[where]
        del extra  # a frame of memory, where nobody else holds it
        flat, white = series.reshape(-1), np.float32(self.white)
        known = np.where(inverse > 0, flat[where], 0)
        flat[where] = known if start is None else start.reshape(-1)[where]
        product = self.precision(series).reshape(-1)
        residual = inverse * (known - flat[where]) - product[where]
        mean = product
        mean *= -white
        mean += flat
        work = series
        scale = 1 / (self.diagonal + inverse)
        goal = tolerance * np.sqrt(self.white)
        direction = scale * residual
        power, n = np.dot(residual, direction), 0
        while power > 0 and n < max_iterations:
            work[...] = 0
            work.reshape(-1)[where] = direction
            self.precision(work, overwrite=True)
            change = work.reshape(-1)[where] + inverse * direction
            step = power / np.dot(direction, change)
            work *= -white * step
            mean += work.reshape(-1)
            mean[where] += step * direction
            residual -= step * change
            n += 1
            if abs(step) * np.sqrt(np.mean(direction**2)) < goal:
                break
            power, last = np.dot(residual, scale * residual), power
            direction = scale * residual + (power / last) * direction
        return mean.reshape(series.shape), n

    def draw(self, rng):
        """Correlated noise with these spectra, shape (n_output, size).

        Only phases are random: mean squares then hardly differ from one draw to the next.
        """
        common = self._draw(self.common, rng) if self.n_output > 1 else np.float32(0)
        return np.stack([common + self._draw(self.separate, rng) for _ in range(self.n_output)])

    def _draw(self, spectrum, rng):
        phases = rng.random(spectrum.size, dtype="f4") * np.float32(2 * np.pi)
        modes = np.empty(spectrum.size, "c8")
        np.cos(phases, out=modes.real)
        np.sin(phases, out=modes.imag)
        modes *= np.sqrt(spectrum * self.size).astype("f4")
        modes[0] = 0
        return fft.irfft(modes, self.size, overwrite_x=True)


def _mean_over_modes(spectrum, size):
    """Mean over all frequencies, of either sign, of an even spectrum."""
    total = 2 * spectrum.sum(dtype=float) - spectrum[0] - (spectrum[-1] if size % 2 == 0 else 0)
    return total / size
