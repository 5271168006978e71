"""`CoarseNoise`: the conditional mean of flicker noise, averaged over some pixels of each line.

Cheap, as the series are many times shorter than those of `~specmodels.models.CorrelatedNoise`: good
enough to find light in what is left, and as a first guess of the noise itself.
"""

from dataclasses import dataclass

import numpy as np

from ..numerics.correlated import CorrelatedSystem, TimeGrid
from ..numerics.noise_spectrum import fit_power_laws, lag_variogram
from .noise_plan import NoisePlan

__all__ = ["CoarseNoise"]

LINES_OF_LAGS, STRIPE_PASSES = 8, 2
# Bins with less of their pixels used do not tell of the spectrum, nor do values this far off.
LEAST_OF_BIN, MOST_SPREADS = 0.5, 5.0
TOLERANCE = 0.05


@dataclass(frozen=True)
class CoarseNoise:
    """Correlated noise of bins of neighbouring pixels of a line.

    Parameters
    ----------
    size : int
        Pixels of a bin, about.
    """

    size: int = 16

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `~specmodels.models.flicker.NoisePlan`."""
        return _CoarsePlan(self.size, readout, use, white, sample)


class _CoarsePlan(NoisePlan):
    """Conditional means of bins, with one mask."""

    def __init__(self, size, readout, use, white, sample):
        super().__init__(readout, use, white)
        n_output, n_line, width = readout.frame_shape(use.shape)
        line = width + readout.overhead
        n_bin = max(1, round(line / size))
        self.grid = TimeGrid(n_line, n_bin)
        # Bin of each pixel; the pauses have bins without pixels.
        self.bins = np.arange(width) * n_bin // line
        self.starts = np.flatnonzero(np.diff(self.bins, prepend=-1))
        self.frames_used = readout.frames(use)
        self.number = self._sums(self.frames_used.astype("f4"))
        self.full = line / n_bin
        self.system = self._system(sample, n_output)

    def _sums(self, frames):
        """Sums over the bins of frames, as series of time."""
        n_bin = self.grid.width
        sums = np.zeros((*frames.shape[:2], n_bin), "f4")
        sums[..., : len(self.starts)] = np.add.reduceat(frames, self.starts, axis=2)
        return self.grid.series(sums)

    def _means(self, frames):
        """Means over the used pixels of bins, as series of time; zero where there are none."""
        return self._sums(frames) / np.maximum(self.number, 1)

    def _system(self, sample, n_output):
        """The linear system, None where there is no correlated noise."""
        if sample is None or not self.use.any():
            return None
        series = self._means(self._without_stripes(self._frames(sample)))
        used = self.number > LEAST_OF_BIN * self.full
        if not used.any():
            return None
        middle, spread = np.median(series[used]), np.std(series[used])
        used &= np.abs(series - middle) <= MOST_SPREADS * spread
        series = np.where(used, series, np.float32(0))
        max_lag = min(LINES_OF_LAGS, max(self.grid.n_line // 4, 1)) * self.grid.line
        laws = fit_power_laws(*lag_variogram(series, used, max_lag), self.grid.frequency)
        if not laws.white > 0 or not max(laws.common[0], laws.separate[0]) > 0:
            return None
        common, separate = laws.spectra(self.grid.frequency)
        return CorrelatedSystem(common, separate, laws.white, n_output, self.grid.size)

    def _frames(self, frame):
        """A frame in the order of readout, with zero mean over used pixels, zero elsewhere."""
        frames = self.readout.frames(frame)
        mean = np.float32(np.mean(frames, where=self.frames_used, dtype=float))
        return np.where(self.frames_used, frames - mean, np.float32(0))

    def _stripes(self, frames):
        """What all lines have in common, where the detector has such stripes; else zero."""
        if self.readout.stripes == "fast":
            return np.float32(0)
        number = np.maximum(np.count_nonzero(self.frames_used, axis=1, keepdims=True), 1)
        return (frames.sum(axis=1, keepdims=True) / number).astype("f4")

    def _without_stripes(self, frames):
        return np.where(self.frames_used, frames - self._stripes(frames), np.float32(0))

    def _mean(self, frames):
        """Conditional mean of bins, as frames of their pixels."""
        if self.system is None:
            return np.float32(0)
        missing = self.full / np.maximum(self.number, 1e-9) - 1
        extra = np.where(self.number > 0, np.maximum(missing, 0) * self.system.white, np.inf)
        filled, *_ = self.system.fill(
            self._means(frames), extra.astype("f4"), overwrite=True, tolerance=TOLERANCE
        )
        return self.grid.frames(self.system.mean(filled))[..., self.bins]

    def __call__(self, frame, bad=None, near=None):
        if not self.use.any():
            return np.zeros(self.use.shape, "f4")
        frames = self._frames(frame)
        passes = 1 if self.readout.stripes == "fast" else STRIPE_PASSES
        mean = np.float32(0)
        for _ in range(passes):
            left = np.where(self.frames_used, frames - mean, np.float32(0))
            stripes = self._stripes(left)
            mean = self._mean(np.where(self.frames_used, frames - stripes, np.float32(0)))
        noise = np.broadcast_to(mean + stripes, frames.shape)
        noise = noise - np.float32(np.mean(noise, where=self.frames_used, dtype=float))
        return self.readout.image(noise)
