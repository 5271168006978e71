"""Flicker noise as NSClean and the JWST pipeline fit it, for those who need its very numbers.

`~specmodels.models.FourierNoise` and `~specmodels.models.CorrelatedNoise` leave less noise behind.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.nsclean import ExponentialLines, ExponentialSections, outliers
from .plan import NoisePlan

__all__ = ["NSCleanNoise", "NSCleanSubarrayNoise"]


@dataclass(frozen=True)
class NSCleanNoise:
    r"""Complex exponentials of non-negative frequency, line by line, as NSClean fits full frames.

    Each line is weighted by the reciprocal density of its used pixels. The noise then is smoothed
    across lines.

    Parameters
    ----------
    cutoff, roll_off : float
        Half-power frequency of the low-pass filter and the range over which it falls, in cycles per
        pixel.
    buffer : float
        Standard deviation of the smoothing across lines; zero for none.
    density : float
        Standard deviation in pixels of the Gaussian that tells how densely used pixels lie.
    sigma : float
        Pixels of a line beyond this many standard deviations are replaced by its median.
    centred : bool
        False, as in NSClean, takes weights from the line before and puts the smoothed noise one
        line and one pixel too far; True mends this.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001), with the constants of the JWST pipeline (3.0). The first and
    the last four lines get no noise, nor do lines with fewer used pixels than frequencies. Where
    the line before has hardly a used pixel, NSClean's weights are rounding noise; here they are
    zero.
    """

    cutoff: float = 1 / 256
    roll_off: float = 1 / 1024
    buffer: float = 1.5
    density: float = 32.0
    sigma: float = 3.0
    centred: bool = False
    weighs = False

    def __post_init__(self):
        for name in ("cutoff", "roll_off", "density", "sigma"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)!r}")
        if not self.buffer >= 0:
            raise ValueError(f"buffer: expected no negative number, got {self.buffer!r}")

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `~specmodels.models.noise.lines.NoisePlan`."""
        return _ExponentialPlan(self, readout.along_stripes(), use, white)

    def usable(self, lines, use):
        """Used pixels of the lines of one frame: all, as outliers are replaced in the fit."""
        return use

    def prepared(self, use, readout):
        """Fit of lines with this mask."""
        return ExponentialLines(use, **vars(self))


@dataclass(frozen=True)
class NSCleanSubarrayNoise:
    """Complex exponentials in sections of the time series, as NSClean fits subarrays.

    Parameters
    ----------
    band : tuple of float
        Frequencies in Hz: below the first and above the last the noise is taken as it is, from the
        second to the third there is none, in between the gain is a half cosine.
    n_pixel : int
        Used pixels in a section.
    least : float
        Sections with a smaller fraction of used pixels get no noise, nor do those with fewer than
        the amplitudes and phases of all frequencies, as behind pauses far longer than lines.
    sigma : float or None
        Pixels beyond this many standard deviations are not used, nor are their neighbours.
    centred : bool
        Whether the smoothed density of used pixels is centred; it is one pixel off in NSClean.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001), with the constants of the JWST pipeline (3.0).
    """

    band: tuple = (1061.0, 1211.0, 49943.0, 49957.0)
    n_pixel: int = 512
    least: float = 0.05
    sigma: float | None = 4.0
    centred: bool = False
    weighs = False

    def __post_init__(self):
        object.__setattr__(self, "band", tuple(self.band))
        if len(self.band) != 4 or not np.all(np.diff(self.band) > 0) or not self.band[0] >= 0:
            raise ValueError(f"band: expected four rising frequencies, got {self.band!r}")
        if not self.n_pixel >= 1:
            raise ValueError(f"n_pixel: expected a positive number, got {self.n_pixel!r}")
        if not 0 <= self.least < 1:
            raise ValueError(f"least: expected a fraction, got {self.least!r}")
        if self.sigma is not None and not self.sigma > 0:
            raise ValueError(f"sigma: expected a positive number or None, got {self.sigma!r}")

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `~specmodels.models.noise.lines.NoisePlan`."""
        return _ExponentialPlan(self, readout.along_stripes(), use, white)

    def usable(self, lines, use):
        """Used pixels of the lines of one frame: without outliers and their neighbours."""
        return use if self.sigma is None else use & ~outliers(lines, use, self.sigma)

    def prepared(self, use, readout):
        """Fit of lines with this mask."""
        settings = {key: value for key, value in vars(self).items() if key != "sigma"}
        return ExponentialSections(use, overhead=readout.overhead, dwell=readout.dwell, **settings)


class _ExponentialPlan(NoisePlan):
    """Fits with one mask; frames with outliers or bad pixels of their own have one each."""

    def __init__(self, model, readout, use, white):
        super().__init__(readout, use, white)
        self.model = model
        self.lines_used = self._ordered(use)
        self.fit = model.prepared(self.lines_used, readout)

    def _ordered(self, image):
        """Lines of an image in the order of time, pixels in the order of their index."""
        return self.readout.lines(image)[:: self.readout.slow_direction]

    def __call__(self, frame, bad=None, near=None):
        used = self.lines_used if bad is None else self.lines_used & ~self._ordered(bad)
        lines = np.where(used, self._ordered(frame), np.float32(0)).astype("f4", copy=False)
        used = self.model.usable(lines, used)
        same = np.array_equal(used, self.lines_used)
        fit = self.fit if same else self.model.prepared(used, self.readout)
        out = np.empty(self.use.shape, "f4")
        self._ordered(out)[...] = fit(lines)
        return out
