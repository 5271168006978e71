"""`CoarseNoise`: the conditional mean of flicker noise, averaged over some pixels of each line.

Cheap, as the series are many times shorter than those of `~specmodels.models.CorrelatedNoise`: good
enough to find light in what is left, and as a first guess of the noise itself.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.correlated import CorrelatedSystem
from ...numerics.line_bins import line_bins, stripe_groups
from ...numerics.noise_spectrum import fit_power_laws, lag_variogram
from .plan import NoisePlan

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
    weighs = False

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `~specmodels.models.noise.lines.NoisePlan`."""
        return _CoarsePlan(self.size, readout, use, white, sample)


class _CoarsePlan(NoisePlan):
    """Conditional means of bins, with one mask."""

    def __init__(self, size, readout, use, white, sample):
        super().__init__(readout, use, white)
        self.bins, self.grid, self.full = line_bins(readout, use.shape, size)
        self.number = self.bins.sums(use, use)[1]
        self.stripes = None
        if readout.stripes != "fast":
            self.stripes = stripe_groups(readout, use.shape)
        self.system = self._system(sample)

    def _system(self, sample):
        """The linear system, None where there is no correlated noise."""
        if sample is None or not self.use.any():
            return None
        series = self._means(sample - self._stripes(sample))
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
        return CorrelatedSystem(common, separate, laws.white, len(series), self.grid.size)

    def _means(self, frame):
        """Means over the used pixels of bins less that of all, as series; zero without pixels."""
        total = self.bins.sums(frame, self.use)[0]
        total -= np.float32(total.sum(dtype=float) / max(self.number.sum(dtype=float), 1))
        return np.where(self.number > 0, total / np.maximum(self.number, 1), np.float32(0))

    def _stripes(self, frame):
        """What all lines have in common, where the detector has such stripes; else zero."""
        if self.stripes is None:
            return np.float32(0)
        total, number = self.stripes.sums(frame, self.use)
        return self.stripes.spread(total / np.maximum(number, 1))

    def _mean(self, frame):
        """Conditional mean of bins."""
        if self.system is None:
            return np.zeros_like(self.number)
        missing = self.full / np.maximum(self.number, 1e-9) - 1
        extra = np.where(self.number > 0, np.maximum(missing, 0) * self.system.white, np.inf)
        return self.system.conditional_mean(
            self._means(frame), extra.astype("f4"), tolerance=TOLERANCE
        )[0]

    def __call__(self, frame, bad=None, near=None):
        if not self.use.any():
            return np.zeros(self.use.shape, "f4")
        if self.stripes is None:
            mean = self._mean(frame)
            level = np.sum(self.number * mean, dtype=float) / self.number.sum(dtype=float)
            return self.bins.spread(mean - np.float32(level))
        noise = np.float32(0)
        for _ in range(STRIPE_PASSES):
            stripes = self._stripes(frame - noise)
            noise = self.bins.spread(self._mean(frame - stripes))
        noise += stripes
        return noise - np.float32(np.mean(noise, where=self.use, dtype=float))
