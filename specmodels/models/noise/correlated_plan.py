"""`CorrelatedPlan`: conditional means of correlated noise for the frames that share a mask."""

import warnings
from copy import copy
from typing import NamedTuple

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from ...numerics.correlated import CorrelatedSystem, TimeGrid
from ...numerics.detection import robust_location, some_values
from .correlated_error import variance_left
from .lit_lines import LitFit
from .plan import NoisePlan

__all__ = ["CorrelatedPlan"]

STRIPE_PASSES = 3
# Pixels with a variance up to this quantile count alike, and so do those up to a factor above it.
QUIET, SIMILAR = 0.3, 1.3
# A stripe with less of its pixels used tells more of what else is there.
LEAST_OF_STRIPE = 0.1
SAMPLES_OF_SPREAD = 200_000
MOST_SPREADS = 5.0


class _Series(NamedTuple):
    """Noise at all times, those of pauses as well, in series of shape (n_output, size)."""

    noise: np.ndarray


class CorrelatedPlan(NoisePlan):
    """Conditional means for one mask."""

    weighs = True

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
        self.lit = ()
        self.iterations = []

    def with_light(self, lit):
        """The plan that also uses pixels whose light is fitted together with the noise.

        Parameters
        ----------
        lit : sequence of `~specmodels.models.noise.lit_lines.LitLines`
            Frames are to be without their light, as far as it is known.

        Returns
        -------
        CorrelatedPlan
        """
        if self.system is None or not lit:
            return self
        plan, ratio = copy(self), np.full(self.grid.frames(self.used).shape, np.inf, "f4")
        for one in lit:
            ratio[:, one.lines] = np.minimum(ratio[:, one.lines], one.ratio)
        seen = self.grid.frames(self.used) | np.isfinite(ratio)
        extra = np.where(np.isfinite(ratio), ratio - 1, 0) * np.float32(self.system.white)
        plan.use = self.readout.image(seen)
        plan.used = self.grid.series(seen, False)
        plan.extra = self.extra + self.grid.series(extra)
        plan.lit = tuple(LitFit(self, one) for one in lit)
        return plan

    def _without_light(self, frame, bad):
        """The frame without the light that is fitted together with the noise."""
        if not self.lit:
            return frame
        frames = self.readout.frames(frame).astype("f4")
        good = None if bad is None else ~self.readout.frames(bad)
        for fit in self.lit:
            frames[:, fit.lit.lines] -= fit(frames, good)
        return self.readout.image(frames)

    @property
    def n_empty(self):
        return int(np.count_nonzero(~self.grid.frames(self.used).any(axis=(0, 2))))

    def _system(self, white):
        """The linear system, None where there is no correlated noise."""
        common, separate = self.laws.spectra(self.grid.frequency)
        power = max(self.laws.common[0], self.laws.separate[0], self.laws.alternating[0])
        if not self.used.any():
            return None
        if not self.laws.white > 0 or not power > 0:
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
        excess = np.where(self.use, self.ratio(variance) - 1, 0).astype("f4")
        if not excess.any():
            return np.float32(0), 1.0
        used = excess[self.use]
        share = 1 / (1 + used[np.isfinite(used)].mean(dtype=float))
        return self.grid.series(self.readout.frames(excess)), share

    @property
    def excess(self):
        """Variance of noisy pixels over that of quiet ones, less one, (n_y, n_x); or zero."""
        if np.ndim(self.extra) == 0 or self.system is None:
            return np.float32(0)
        return self.readout.image(self.grid.frames(self.extra)) / np.float32(self.system.white)

    def ratio(self, variance):
        """Variance over that of quiet used pixels; one where it is similar, or nothing is known."""
        known = some_values(variance, self.use & np.isfinite(variance))
        quiet = np.quantile(known, QUIET) if known.size else np.nan
        if not quiet > 0:
            return np.ones(variance.shape)
        ratio = variance / quiet
        return np.where(ratio > SIMILAR, ratio, 1.0)

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
        mean, n = self.system.conditional_mean(
            series, np.where(used, self.extra, np.float32(np.inf)), start=start,
            tolerance=self.model.tolerance,
        )  # fmt: skip
        self.iterations.append(n)
        return mean

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
        return self.readout.image(self.grid.frames(self._found(frame, bad, near)))

    def found(self, frame, near=None):
        series = self._found(frame, None, near)
        return self.readout.image(self.grid.frames(series)), _Series(series)

    def _found(self, frame, bad, near):
        """Series of the noise, without its mean over the used pixels."""
        used = self.used
        if bad is not None and (bad & self.use).any():
            used = used & ~self.grid.series(self.readout.frames(bad), False)
        frame = self._without_light(frame, bad)
        start = None if near is None else self._start(near)
        noise = self._noise(self._series(frame, used), used, start)
        if used.any():
            frames = self.grid.frames(noise)
            noise -= np.mean(frames, where=self.grid.frames(used), dtype=float).astype("f4")
        return noise

    def _start(self, noise):
        """Series of noise known before; in pauses of images, that of the pixel before."""
        if isinstance(noise, _Series):
            return noise.noise
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
    some = some[:: max(1, some.size // SAMPLES_OF_SPREAD)]
    middle, spread = robust_location(some)
    if not spread > 0 or np.max(np.abs(some - middle), initial=0) <= MOST_SPREADS * spread:
        return used
    kept = used & (np.abs(series - np.float32(middle)) <= np.float32(MOST_SPREADS * spread))
    np.copyto(series, np.float32(0), where=~kept)
    return kept
