"""Flicker noise as what it is, a stationary process in readout time: its conditional mean.

Neighbouring pixels, neighbouring lines and the outputs read at the same moment all know of each
other. The spectrum is given, or estimated from the pixels that show the noise alone.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.modeling import Fittable1DModel, Parameter
from astropy.utils.exceptions import AstropyUserWarning

from ..numerics.correlated import CorrelatedSystem, TimeGrid
from ..numerics.detection import robust_location
from ..numerics.noise_spectrum import (
    PowerLaws,
    fit_power_laws,
    lag_covariance,
    lag_variogram,
    power_law,
)
from .flicker import NoisePlan
from .linear import LinearParameter

__all__ = [
    "CorrelatedNoise",
    "FlickerSpectrum",
    "line_covariance",
    "simulated_error",
    "variance_left",
]

LINES_OF_LAGS = 8
STRIPE_PASSES = 3
# Pixels with a variance up to this quantile count alike, and so do those up to a factor above it.
QUIET, SIMILAR = 0.3, 1.3
# A stripe with less of its pixels used tells more of what else is there.
LEAST_OF_STRIPE = 0.1
SAMPLES_OF_KEY = 200_000
MOST_SPREADS = 5.0


class FlickerSpectrum(Fittable1DModel):
    r"""Power spectrum of flicker noise, :math:`A\,(2\nu)^{-\alpha}`.

    Parameters
    ----------
    amplitude : float
        Power at the highest frequency, in units in which white noise has its variance as power.
    exponent : float
        1 for flicker noise.
    """

    linear = False
    amplitude = LinearParameter(default=1.0, bounds=(0, None), description="power at Nyquist")
    exponent = Parameter(default=1.0, bounds=(0, 3), description="slope of the spectrum")

    @staticmethod
    def evaluate(frequency, amplitude, exponent):
        """Power at a frequency in cycles per pixel time, from 0 to 0.5."""
        return power_law(frequency, amplitude, exponent)

    @staticmethod
    def fit_deriv(frequency, amplitude, exponent):
        """Derivatives by amplitude and exponent."""
        unit = power_law(frequency, 1.0, exponent)
        return [unit, -amplitude * unit * np.log(power_law(frequency, 1.0, -1.0))]


@dataclass(frozen=True)
class CorrelatedNoise:
    r"""The most probable correlated noise of all pixels given the unmasked ones.

    With the covariance :math:`K` of the noise in readout time and white noise :math:`N` (infinite
    for masked pixels and for the pauses between lines) it is :math:`K (K + N)^{-1} d`.

    Parameters
    ----------
    common, separate, alternating : `FlickerSpectrum`, optional
        Spectra of the noise that all outputs share, that each has for itself, and that changes its
        sign from pixel to pixel. Those not given are estimated from the data.
    white : float, optional
        Variance of the white noise of a pixel; default: estimated.
    tolerance : float
        Accuracy of the solution, in standard deviations of the white noise.
    seed : int
        Of the noise that is simulated to find the variance of what is left.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind or out of range.
    """

    common: object = None
    separate: object = None
    alternating: object = None
    white: float | None = None
    tolerance: float = 0.02
    seed: int = 1

    def __post_init__(self):
        for key in ("common", "separate", "alternating"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, FlickerSpectrum):
                raise TypeError(f"{key}: expected a FlickerSpectrum, got {type(value).__name__}")
        if self.white is not None and not self.white > 0:
            raise ValueError(f"white: expected a positive variance, got {self.white!r}")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance: expected a positive number, got {self.tolerance!r}")

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask and noise like that of `sample`; see `NoisePlan`.

        Pixels whose `variance`, (n_y, n_x), is above that of the quieter ones count less.
        """
        return _CorrelatedPlan(self, readout, use, white, sample, variance)

    def laws(self, series, use, grid, *, skip_lines=False):
        """Power laws: those given, and the others as the data have them.

        With `skip_lines`, pixels at the same place of different lines are not compared: what they
        have in common was subtracted.
        """
        given = {key: tuple(float(p) for p in getattr(self, key).parameters)
                 for key in ("common", "separate", "alternating")
                 if getattr(self, key) is not None}  # fmt: skip
        if self.white is not None:
            given["white"] = float(self.white)
        if len(given) == 4:
            return PowerLaws(**given)
        max_lag = min(LINES_OF_LAGS, max(grid.n_line // 4, 1)) * grid.line
        variograms = lag_variogram(series, use, max_lag)
        if skip_lines:
            for pairs in variograms[2:]:
                pairs[grid.line :: grid.line] = 0
        found = fit_power_laws(*variograms, grid.frequency)
        return PowerLaws(**(vars(found) | given))


class _CorrelatedPlan(NoisePlan):
    """Conditional means for one mask."""

    def __init__(self, model, readout, use, white, sample, variance):
        super().__init__(readout, use, white)
        if sample is None:
            sample = np.zeros(use.shape, "f4")
        self.model = model
        self.n_output, n_line, width = readout.frame_shape(use.shape)
        overhead = readout.overhead + (width + readout.overhead) % 2
        self.grid = TimeGrid(n_line, width, overhead)
        self.used = self.grid.series(readout.frames(use), False)
        series = self._series(sample)
        if readout.stripes != "fast":
            series = np.where(self.used, series - self._stripes(series), np.float32(0))
        skip_lines = readout.stripes != "fast"
        typical = _without_outliers(series, self.used)
        self.laws = model.laws(series, typical, self.grid, skip_lines=skip_lines)
        del series
        self.extra, share = (np.float32(0), 1.0) if variance is None else self._excess(variance)
        self.extra = self.extra * np.float32(share * self.laws.white)
        self.system = self._system(share * self.laws.white)
        self.iterations = []

    @property
    def n_empty(self):
        return int(np.count_nonzero(~self.grid.frames(self.used).any(axis=(0, 2))))

    def _system(self, white):
        """The linear system, None where there is no correlated noise."""
        common, separate = self.laws.spectra(self.grid.frequency)
        power = max(self.laws.common[0], self.laws.separate[0], self.laws.alternating[0])
        if not self.used.any() or not self.laws.white > 0 or not power > 0:
            warnings.warn(
                "CorrelatedNoise: no correlated noise can be told from the white noise of the "
                f"{np.count_nonzero(self.use)} usable pixels; none is subtracted",
                AstropyUserWarning, stacklevel=2,
            )  # fmt: skip
            return None
        return CorrelatedSystem(common, separate, white, self.n_output, self.grid.size)

    def _excess(self, variance):
        """Variance of noisy pixels over that of quiet ones, less one, as series.

        Also the variance of the quiet ones over the mean, which is that of the estimated spectrum.
        """
        known = variance[self.use & np.isfinite(variance)]
        quiet = np.quantile(known, QUIET) if known.size else np.nan
        if not quiet > 0:
            return np.float32(0), 1.0
        ratio = np.where(self.use, variance / quiet, 1).astype("f4")
        excess = np.where(ratio > SIMILAR, ratio - 1, np.float32(0))
        used = excess[self.use]
        share = 1 / (1 + used[np.isfinite(used)].mean(dtype=float))
        return self.grid.series(self.readout.frames(excess)), share

    def _series(self, frame, used=None):
        """Time series of a frame, with zero mean over used pixels, zero elsewhere."""
        used = self.used if used is None else used
        series = self.grid.series(self.readout.frames(frame.astype("f4", copy=False)))
        np.copyto(series, np.float32(0), where=~used)
        number = np.count_nonzero(used)
        if number:
            np.subtract(series, np.float32(series.sum(dtype=float) / number), series, where=used)
        return series

    def _stripes(self, series):
        """What all lines have in common, where the detector has such stripes; else zero."""
        if self.readout.stripes == "fast":
            return np.float32(0)
        used, frames = self.grid.frames(self.used), self.grid.frames(series)
        number = np.count_nonzero(used, axis=1, keepdims=True)
        total = np.where(used, frames, 0).sum(axis=1, keepdims=True)
        enough = number > LEAST_OF_STRIPE * used.shape[1]
        mean = np.divide(total, number, out=np.zeros_like(total), where=enough)
        return self.grid.series(np.broadcast_to(mean, frames.shape).astype("f4"))

    def _mean(self, series, used, start=None):
        """Conditional mean of series, written to, whose pixels are used or not."""
        if self.system is None:
            return np.zeros_like(series)
        filled, n, _ = self.system.fill(
            series, np.where(used, self.extra, np.float32(np.inf)), start=start, overwrite=True,
            tolerance=self.model.tolerance,
        )  # fmt: skip
        self.iterations.append(n)
        return self.system.mean(filled)

    def _noise(self, series, used, start=None):
        """Conditional mean, with what all lines share."""
        if self.readout.stripes == "fast":
            return self._mean(series, used, start)
        stripes = self._stripes(series)
        mean = self._mean(series - stripes, used, None if start is None else start - stripes)
        for _ in range(STRIPE_PASSES - 1):
            stripes = self._stripes(series - mean)
            mean = self._mean(series - stripes, used, mean)
        return mean + stripes

    def __call__(self, frame, bad=None, near=None):
        used = self.used
        if bad is not None and (bad & self.use).any():
            used = used & ~self.grid.series(self.readout.frames(bad), False)
        start = None if near is None else self._start(near)
        noise = self.grid.frames(self._noise(self._series(frame, used), used, start))
        if used.any():
            noise -= np.mean(noise, where=self.grid.frames(used), dtype=float).astype("f4")
        return self.readout.image(noise)

    def _start(self, noise):
        """Series of noise known before; in pauses, that of the pixel before."""
        series = self.grid.series(self.readout.frames(noise))
        lines = series[:, : self.grid.n_line * self.grid.line]
        lines = lines.reshape(self.n_output, self.grid.n_line, self.grid.line)
        lines[..., self.grid.width :] = lines[..., self.grid.width - 1, None]
        return series

    @property
    def power(self):
        """Variance of the correlated noise itself; zero where there is none."""
        return 0.0 if self.system is None else self.system.variance

    @property
    def variance(self):
        """Variance of what is left of the noise, see `variance_left`."""
        return variance_left(self, self)


def _without_outliers(series, used):
    """Where pixels are used whose values are no outliers: those few would hide the spectrum.

    The others are set to zero.
    """
    some = series[used]
    some = some[:: max(1, some.size // SAMPLES_OF_KEY)]
    middle, spread = robust_location(some)
    if not spread > 0 or np.max(np.abs(some - middle), initial=0) <= MOST_SPREADS * spread:
        return used
    kept = used & (np.abs(series - np.float32(middle)) <= np.float32(MOST_SPREADS * spread))
    np.copyto(series, np.float32(0), where=~kept)
    return kept


def simulated_error(plan, correlated):
    """What a plan leaves of correlated noise in one simulation with its mask, or None.

    Parameters
    ----------
    plan : `~specmodels.models.flicker.NoisePlan`
        Any plan.
    correlated : plan of a `CorrelatedNoise`
        For the same mask; it knows the spectra.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x), or None
        With zero mean over used pixels; None where no correlated noise is known of.
    """
    system, grid, readout = correlated.system, correlated.grid, correlated.readout
    if system is None:
        return None

    def draw():
        rng = np.random.default_rng(correlated.model.seed)
        return readout.image(grid.frames(system.draw(rng))), rng

    frame, rng = draw()
    white = rng.standard_normal(frame.shape, dtype="f4")
    white *= np.float32(system.white**0.5)
    frame += white
    del white
    frame[~plan.use] = 0
    error = plan(frame)
    del frame
    error -= draw()[0]  # once more, instead of a frame of memory all the while
    error -= error[plan.use].mean()
    return error


def variance_left(plan, correlated, error=None):
    """Variance of what a plan leaves of correlated noise, from one simulation with its mask.

    The squared error of the simulation is averaged over pixels with as much data nearby.

    Parameters
    ----------
    plan, correlated
        As for `simulated_error`.
    error : ndarray, shape (n_y, n_x), optional
        That error, where it is known.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x)
        NaN where no correlated noise is known of.
    """
    error = simulated_error(plan, correlated) if error is None else error
    if error is None:
        return np.full(plan.use.shape, np.nan, "f4")
    system, grid = correlated.system, correlated.grid
    nearby = grid.frames(system.mean(correlated.used.astype("f4")))
    return _averaged_by(correlated.readout.image(nearby), error)


def line_covariance(error, variance, correlated, line):
    """Covariance of what is left of the noise in the pixels of one line.

    Errors of pixels are taken to be correlated as in the whole frame, by the time between them and
    by whether they belong to the same output.

    Parameters
    ----------
    error, variance : ndarray, shape (n_y, n_x)
        Of `simulated_error` and of `variance_left`.
    correlated : plan of a `CorrelatedNoise`
        Which made them.
    line : int
        Index along the slow axis.

    Returns
    -------
    ndarray, shape (n_fast, n_fast)
        Pixels in the order of their index.
    """
    readout, grid = correlated.readout, correlated.grid
    scaled = error / np.sqrt(np.maximum(variance, np.finfo("f4").tiny))
    ones = grid.series(np.ones(readout.frame_shape(error.shape), dtype=bool), False)
    series = grid.series(readout.frames(scaled.astype("f4")))
    own, cross, own_pairs, cross_pairs = lag_covariance(series, ones, grid.width - 1)
    # Sums over as many pairs as there are at lag zero make a positive matrix.
    own = own * own_pairs / own_pairs[0]
    cross = np.nan_to_num(cross * cross_pairs / max(cross_pairs[0], 1))
    parts, positions = readout.parts(readout.lines(error).shape[1])
    time, output = np.empty((2, positions.size), dtype=int)
    for k, (part, position) in enumerate(zip(parts, positions, strict=True)):
        time[part], output[part] = position, k
    lag = np.abs(np.subtract.outer(time, time))
    correlation = np.where(np.equal.outer(output, output), own[lag], cross[lag]) / own[0]
    spread = np.sqrt(readout.lines(variance)[line].astype(float))
    return correlation * np.multiply.outer(spread, spread)


def _averaged_by(key, error, n_bin=40, n_chunk=64):
    """Squared errors replaced by their mean over all with a similar key, in the shape of the key.

    In chunks of rows, as frames may be large.
    """
    some = key.reshape(-1)[:: max(1, key.size // SAMPLES_OF_KEY)]
    edges = np.quantile(some, np.linspace(0, 1, min(n_bin, key.size) + 1)[1:-1])
    edges = np.unique(edges.astype("f4"))
    size = edges.size + 1
    sums = np.zeros((3, size))
    chunks = [slice(i, i + n_chunk) for i in range(0, len(key), n_chunk)]
    for rows in chunks:
        own = key[rows].ravel()
        number = np.searchsorted(edges, own)
        for total, weights in zip(sums, (None, own, error[rows].ravel() ** 2), strict=True):
            total += np.bincount(number, weights, minlength=size)
    centers, means = sums[1:, sums[0] > 0] / sums[0, sums[0] > 0]
    out = np.empty(key.shape, "f4")
    for rows in chunks:
        out[rows] = np.interp(key[rows], centers, means)
    return out
