"""Flicker noise of a detector along its lines: Fourier terms, means and medians per line.

Each model describes one line as a function of the time within it. A `plan` does what depends on the
mask alone, once, and then gives the noise of any number of frames. Noise correlated from line to
line is in ``correlated.py``.
"""

import numpy as np

from ..numerics.fourier import FourierLines, harmonics
from ..numerics.lines import LineMeans, LineMedians
from ..numerics.positions import finite
from .linear import BasisModel

# Where nothing is known; an estimate as near to it makes no difference; the least, of the same.
CUTOFF, CUTOFF_MARGIN, LEAST_POWER = 1 / 64, 1.25, 1e-6

__all__ = ["FourierNoise", "LineMedian", "LineOffset", "NoisePlan"]


class NoisePlan:
    """What is known of the noise of frames with one mask: ``plan(frame)`` gives its noise.

    A noise model makes it by its method ``plan(readout, use, *, white, sample, variance)``, whose
    last two are a frame of noise, zero where not used, and the variances of pixels, or None where
    they are not known. A subclass defines ``__call__(frame, bad=None, near=None)``, which returns
    the noise in the shape of the frame, zero in the mean of the used pixels, for the background
    has that; and it may define `variance`. Pixels may be bad in that frame only; noise found
    before, of a frame that hardly differs, may serve as a first guess.

    Parameters
    ----------
    readout : `~specmodels.numerics.readout.Readout`
        Order of the lines.
    use : ndarray of bool, shape (n_y, n_x)
        Pixels that tell of the noise.
    white : float
        Variance of a pixel's white noise; NaN where unknown.
    """

    # Whether pixels with a larger variance count less.
    weighs = False

    def __init__(self, readout, use, white=np.nan):
        self.readout, self.use, self.white = readout, use, white

    @property
    def n_empty(self):
        """Number of lines without a usable pixel: their noise is not known, and zero is given."""
        return int(np.count_nonzero(~self.readout.lines(self.use).any(axis=1)))

    @property
    def variance(self):
        """Variance of the noise that is given, shape (n_y, n_x); NaN where unknown."""
        return np.full(self.use.shape, np.nan, "f4")

    def _masked(self, frame, bad):
        """Lines of the frame, zero where not used, and where they are used."""
        use = self.use if bad is None else self.use & ~bad
        values = np.where(use, frame, np.float32(0)).astype("f4", copy=False)
        return self.readout.lines(values), self.readout.lines(use)

    @staticmethod
    def _level(lines, use):
        """Mean of the used pixels: no noise model can tell it from the background."""
        return np.float32(lines.sum(dtype=float) / max(np.count_nonzero(use), 1))


class FourierNoise(BasisModel):
    r"""Flicker noise along a line: an offset for each output, and cosines and sines they share.

    .. math::
        f(t) = c_0 + \sum_{k=1}^n c_k \cos(2\pi k t / P) + c_{n+k} \sin(2\pi k t / P)

    In a fit the amplitudes have the prior of 1/f noise whose power equals that of the white noise
    of one output at the frequency `cutoff`: high frequencies fade out instead of being cut off.

    Parameters
    ----------
    cutoff : float, optional
        In cycles per pixel time; default: estimated from the data, 1/64 where there are none.
    n_harmonics : int
        Number of frequencies.
    period : float, optional
        Period :math:`P` of the lowest, in pixel times. Default: the length of a line.
    section : int
        Lines that are fitted together as one time series (for the short lines of a subarray);
        sections overlap by half.
    name : str, optional
        Name of the model in compounds.
    **parameters : float
        Values of ``c0``, ``c1``, …

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Rauscher (2024, PASP 136, 015001) fits complex exponentials of non-negative frequency to lines;
    cosines and sines are a real least-squares fit whatever the mask.
    """

    coordinates = ("time",)
    over = ("line", "exposure")

    def __init__(self, cutoff=None, *, n_harmonics=4, period=None, section=1, name=None,
                 **parameters):  # fmt: skip
        if cutoff is not None and not cutoff > 0:
            raise ValueError(f"cutoff: expected a positive frequency, got {cutoff!r}")
        if period is not None and not period > 0:
            raise ValueError(f"period: expected a positive number of pixels, got {period!r}")
        for key, value, least in (("n_harmonics", n_harmonics, 0), ("section", section, 1)):
            if int(value) != value or value < least:
                raise ValueError(f"{key}: expected a whole number from {least}, got {value!r}")
        self.cutoff = None if cutoff is None else float(cutoff)
        self.n_harmonics = int(n_harmonics)
        self.period = None if period is None else float(period)
        self.section = int(section)
        super().__init__(1 + 2 * self.n_harmonics, name=name, **parameters)

    @property
    def settings(self):
        """Arguments of the constructor, without parameters."""
        names = ("cutoff", "n_harmonics", "period", "section")
        return {name: getattr(self, name) for name in names}

    def basis(self, t):
        """A constant, cosines and sines at times `t` within the line (pixel times)."""
        if self.period is None and self.n_harmonics:
            raise ValueError("period: expected a number to evaluate the model, got None")
        terms = harmonics(finite(t), self.n_harmonics, self.period or 1.0)
        return np.concatenate([np.ones((*np.shape(t), 1)), terms], axis=-1)

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `NoisePlan`."""
        order = readout.along_stripes()
        kind = _SectionPlan if self.section > 1 else _FourierPlan
        plan = kind(self, order, use, white, self.cutoff or CUTOFF)
        if self.cutoff is not None or sample is None or not self.n_harmonics or not white > 0:
            return plan
        cutoff = plan.estimated_cutoff(sample)
        similar = 1 / CUTOFF_MARGIN < cutoff / CUTOFF < CUTOFF_MARGIN
        return plan if similar else kind(self, order, use, white, cutoff)

    def prior(self, period, n_pixel, cutoff):
        """Inverse variance of each frequency's amplitudes, in units of that of a pixel's noise."""
        k = np.arange(1, self.n_harmonics + 1)
        return 0.5 * n_pixel * k / period / cutoff


class _HarmonicPlan(NoisePlan):
    """Fourier terms of lines or sections: a subclass defines ``terms``, and calls ``_prepare``."""

    def __init__(self, model, readout, use, white, cutoff):
        super().__init__(readout, use, white)
        self.model, self.cutoff = model, cutoff

    def _prepare(self, used, positions, parts, period, n_pixel):
        self.prior = self.model.prior(period, n_pixel, self.cutoff)
        harmonics = self.model.n_harmonics
        self.fourier = FourierLines(used, positions, parts, harmonics, period, self.prior)

    def estimated_cutoff(self, sample):
        """Frequency at which the power of 1/f noise in a sample frame equals the white noise's.

        Fitted amplitudes spread as their prior and their noise let them; what remains without the
        noise tells how wide the prior should be.
        """
        n = self.fourier.n_harmonic
        amplitudes = self.terms(sample)[~self.fourier.empty, -2 * n :]
        if not len(amplitudes):
            return self.cutoff
        variance = np.einsum("jjl->lj", self.fourier.covariance)[~self.fourier.empty, -2 * n :]
        prior = np.tile(self.prior, 2)
        kept = 1 - variance * prior  # of the true amplitudes, on average
        power = amplitudes**2 / self.white - kept * variance
        return self.cutoff * max(float(power.sum() / (kept**2 / prior).sum()), LEAST_POWER)


class _FourierPlan(_HarmonicPlan):
    """Fourier terms of single lines."""

    def __init__(self, model, readout, use, white, cutoff):
        super().__init__(model, readout, use, white, cutoff)
        lines = readout.lines(use)
        parts, positions = readout.parts(lines.shape[1])
        period = model.period or positions.shape[1]
        self._prepare(lines, positions, parts, period, lines.shape[1] / len(parts))

    def terms(self, frame):
        """Fitted terms of each line of a frame, zero where not used."""
        return self.fourier.coefficients(self.readout.lines(frame))

    def __call__(self, frame, bad=None, near=None):
        lines, used = self._masked(frame, bad)
        out = np.empty(self.use.shape, "f4")
        view = self.readout.lines(out)
        level = self._level(lines, used)
        self.fourier.evaluate(self.fourier.coefficients(lines, level), view)
        if bad is None:
            return out
        # Pixels bad in this frame only are filled with the first fit; what they weigh is small.
        extra = self.readout.lines(self.use) & ~used
        if extra.any():
            filled = np.where(extra, view + level, lines)
            self.fourier.evaluate(self.fourier.coefficients(filled, level), view)
        return out

    @property
    def variance(self):
        out = np.empty(self.use.shape, "f4")
        self.fourier.variance(self.readout.lines(out))
        return out * np.float32(self.white)


class _SectionPlan(_HarmonicPlan):
    """Fourier terms of sections of several lines, half overlapping and blended."""

    def __init__(self, model, readout, use, white, cutoff):
        super().__init__(model, readout, use, white, cutoff)
        self.n_output, self.n_line, self.width = readout.frame_shape(use.shape)
        self.height = min(model.section, self.n_line)
        step = max(1, self.height // 2)
        self.starts = np.unique(
            np.append(np.arange(0, self.n_line - self.height, step), self.n_line - self.height)
        )
        line = self.width + readout.overhead
        times = np.add.outer(np.arange(self.height) * line, np.arange(self.width)).ravel()
        period = model.period or self.height * line
        parts = [slice(k * times.size, (k + 1) * times.size) for k in range(self.n_output)]
        sections = self._sections(readout.frames(use))
        positions = np.broadcast_to(times, (self.n_output, times.size))
        self._prepare(sections, positions, parts, period, times.size)
        ramp = np.minimum(np.arange(1, self.height + 1), np.arange(self.height, 0, -1))
        self.blend = ramp / self.height

    def terms(self, frame):
        """Fitted terms of each section of a frame, zero where not used."""
        return self.fourier.coefficients(self._sections(self.readout.frames(frame)))

    def _sections(self, frames):
        """Sections of frames, shape (n_section, n_output * height * width)."""
        rows = self.starts[:, None] + np.arange(self.height)
        return np.moveaxis(frames[:, rows], 0, 1).reshape(len(self.starts), -1)

    def _blended(self, sections, weights):
        """Frames from overlapping sections."""
        shape = (len(self.starts), self.n_output, self.height, self.width)
        sections = sections.reshape(shape)
        rows = self.starts[:, None] + np.arange(self.height)
        scaled = np.moveaxis(sections * weights[:, None].astype("f4"), 0, 1)
        total = np.zeros((self.n_output, self.n_line, self.width), "f4")
        norm = np.bincount(rows.ravel(), np.tile(weights, len(rows)))
        # Sections of the same parity do not share lines, except the last.
        for chosen in (slice(0, -1, 2), slice(1, -1, 2), slice(-1, None)):
            total[:, rows[chosen]] += scaled[:, chosen]
        return self.readout.image(total / norm[:, None].astype("f4"))

    def __call__(self, frame, bad=None, near=None):
        use = self.use if bad is None else self.use & ~bad
        values = np.where(use, frame, np.float32(0)).astype("f4", copy=False)
        lines = self._sections(self.readout.frames(values))
        coefficients = self.fourier.coefficients(lines, self._level(values, use))
        fit = self.fourier.evaluate(coefficients, np.empty_like(lines))
        return self._blended(fit, self.blend)

    @property
    def variance(self):
        out = np.empty((len(self.starts), self.n_output * self.height * self.width), "f4")
        return self._blended(self.fourier.variance(out), self.blend) * np.float32(self.white)


class LineOffset(BasisModel):
    """An offset for each line of a detector: the mean of its usable pixels.

    Parameters
    ----------
    by_output : bool
        Whether each output of a line has an offset of its own.
    name : str, optional
        Name of the model in compounds.
    **parameters : float
        The value of ``c0``.
    """

    coordinates = ("time",)
    # Variance of the offset over that of a mean.
    inefficiency = 1.0

    def __init__(self, by_output=True, *, name=None, **parameters):
        self.by_output = bool(by_output)
        self.over = ("line", "output", "exposure") if self.by_output else ("line", "exposure")
        super().__init__(1, name=name, **parameters)

    @property
    def settings(self):
        """Arguments of the constructor, without parameters."""
        return {"by_output": self.by_output}

    def basis(self, t):
        """One, everywhere."""
        return np.ones((*np.shape(t), 1))

    @staticmethod
    def prepared(use):
        """Function for the offsets of lines, (n_line, width), with this mask."""
        return LineMeans(use)

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `NoisePlan`."""
        return _OffsetPlan(self, readout.along_stripes(), use, white)


class LineMedian(LineOffset):
    """An offset for each line of a detector: the median of its usable pixels.

    Parameters
    ----------
    by_output, name, **parameters
        As for `LineOffset`.
    """

    inefficiency = np.pi / 2

    @staticmethod
    def prepared(use):
        """Function for the offsets of lines, (n_line, width), with this mask."""
        return LineMedians(use)


class _OffsetPlan(NoisePlan):
    """One offset for each line, or for each output of it."""

    def __init__(self, model, readout, use, white):
        super().__init__(readout, use, white)
        self.model = model
        lines = readout.lines(use)
        self.parts = readout.parts(lines.shape[1])[0] if model.by_output else [slice(None)]
        self.statistics = [model.prepared(lines[:, part]) for part in self.parts]

    def __call__(self, frame, bad=None, near=None):
        lines, used = self._masked(frame, bad)
        out = np.empty(self.use.shape, "f4")
        view, level = self.readout.lines(out), self._level(lines, used)
        for part, statistic in zip(self.parts, self.statistics, strict=True):
            if bad is not None:
                statistic = self.model.prepared(used[:, part])
            offset = statistic(lines[:, part])
            view[:, part] = np.where(statistic.number > 0, offset - level, 0)[:, None]
        return out

    @property
    def variance(self):
        out = np.empty(self.use.shape, "f4")
        view, use = self.readout.lines(out), self.readout.lines(self.use)
        for part in self.parts:
            number = np.maximum(np.count_nonzero(use[:, part], axis=1), 1)
            view[:, part] = (self.model.inefficiency * self.white / number)[:, None]
        return out
