"""Flicker noise of some lines in bins of pixels, whose covariance is a matrix that can be factored.

The lines around a trace along the stripes are few, and what is to be told apart from its light is
the slow noise from line to line. Bins of a part of a line each are enough for that.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import fft, linalg

__all__ = ["BinCovariance", "BinnedLines"]


@dataclass(frozen=True, eq=False)
class BinnedLines:
    """Weighted means of pixels over parts of lines.

    Parameters
    ----------
    weights : ndarray, shape (n_output, n_line, width)
        One over the variance of the white noise of each pixel; zero where it does not count.
    line : int
        Times from the start of one line to that of the next.
    n_bin : int
        Parts of a line.
    """

    weights: np.ndarray
    line: int
    n_bin: int

    @cached_property
    def starts(self):
        """First pixel of each part of a line, shape (n_bin,)."""
        width = self.weights.shape[-1]
        return np.linspace(0, width, self.n_bin, endpoint=False).astype(int)

    @cached_property
    def total(self):
        """Sum of the weights of each bin, shape (n_output, n_line, n_bin)."""
        return np.add.reduceat(self.weights, self.starts, axis=-1)

    @cached_property
    def known(self):
        """Bins with data, flat, shape (n_output * n_line * n_bin,)."""
        return self.total.ravel() > 0

    def mean(self, frames):
        """Means over the n known bins, (..., n), of frames (..., n_output, n_line, width)."""
        sums = np.add.reduceat(self.weights * frames, self.starts, axis=-1)
        sums = sums.reshape(*sums.shape[:-3], -1)[..., self.known]
        return sums / self.total.ravel()[self.known]

    @cached_property
    def white(self):
        """Variance of the white noise of the known bins, shape (n,)."""
        return 1 / self.total.ravel()[self.known]

    @cached_property
    def filled(self):
        """How much of their pixels the known bins have, by weight, shape (n,)."""
        most = np.maximum(self.weights.max(axis=-1, keepdims=True), np.finfo("f4").tiny)
        number = np.add.reduceat(self.weights / most, self.starts, axis=-1).ravel()[self.known]
        return np.clip(number * self.n_bin / self.weights.shape[-1], 0, 1)

    @cached_property
    def number(self):
        """Place of each known bin in a line, over all outputs, shape (n,)."""
        numbers = np.arange(len(self.weights))[:, None, None] * self.n_bin + np.arange(self.n_bin)
        return np.broadcast_to(numbers, self.total.shape).ravel()[self.known]

    @cached_property
    def output(self):
        """Output of each known bin, shape (n,)."""
        return self.number // self.n_bin

    @cached_property
    def every(self):
        """The same parts of lines with all of their pixels."""
        return BinnedLines(np.ones_like(self.weights), self.line, self.n_bin)

    def spread(self, values):
        """Values of all parts of lines, interpolated in time to those of pixels."""
        n_output, n_line, width = self.weights.shape
        times = np.arange(n_line)[:, None] * self.line + np.arange(width)
        by_output = (a.reshape(n_output, -1) for a in (self.every.time, values))
        return np.stack([np.interp(times, *own) for own in zip(*by_output, strict=True)])

    @cached_property
    def time(self):
        """Mean time of each known bin since the first line, shape (n,)."""
        n_line, width = self.weights.shape[1:]
        times = np.arange(n_line)[:, None] * self.line + np.arange(width)
        return self.mean(np.broadcast_to(times, self.weights.shape))


class BinCovariance:
    """Covariance of flicker noise averaged over bins, by the time between them.

    Parameters
    ----------
    common, separate : ndarray, shape (n_frequency,)
        Power spectra of what outputs share, and of what each has for itself.
    size : int
        Number of times they are of.
    width : float
        Pixels of a bin.
    """

    def __init__(self, common, separate, size, width):
        self.size, frequency = size, fft.rfftfreq(size)
        window = np.sinc(frequency * width) ** 2
        self.common, self.separate = (_lags(power * window, size) for power in (common, separate))
        self.power = self.common[0] + self.separate[0]
        self.within = _lags(common + separate, size)[0] - self.power

    def between(self, one, other):
        """Covariance matrix of the bins of two `BinnedLines`, shape (n_one, n_other)."""
        lag = np.abs(np.subtract.outer(one.time, other.time))
        lag = np.minimum(lag, np.abs(self.size - lag))  # the grid of times is periodic
        at = np.arange(len(self.common))
        matrix = np.interp(lag, at, self.common)
        same = np.equal.outer(one.output, other.output)
        matrix[same] += np.interp(lag[same], at, self.separate)
        return matrix

    def of(self, bins):
        """Covariance matrix of the data of bins: with white noise, and what half of a bin lacks."""
        matrix = self.between(bins, bins)
        matrix.flat[:: len(matrix) + 1] += bins.white + (1 - bins.filled) * self.within
        return matrix

    def factor(self, bins):
        """Cholesky factor of `of`."""
        return linalg.cholesky(self.of(bins), lower=True, check_finite=False)


def _lags(power, size):
    """Autocovariance at lags up to half of the size, its level taken off."""
    power = np.array(power, dtype=float)
    power[0] = 0
    return fft.irfft(power, size)[: size // 2 + 1]
