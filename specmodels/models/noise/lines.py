"""Flicker noise of a detector along its lines: Fourier terms, means and medians per line.

Each model describes one line as a function of the time within it. A `plan` does what depends on the
mask alone, once, and then gives the noise of any number of frames. Noise correlated from line to
line is in ``correlated.py``.
"""

import numpy as np

from ...numerics.fourier import harmonics
from ...numerics.lines import LineMeans, LineMedians
from ...numerics.positions import finite
from ..linear import BasisModel
from .fourier_plans import FourierPlan, SectionPlan
from .plan import NoisePlan

# Where nothing is known; an estimate as near to it makes no difference.
CUTOFF, CUTOFF_MARGIN = 1 / 64, 1.25

__all__ = ["FourierNoise", "LineMedian", "LineOffset"]


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

    Examples
    --------
    >>> import specmodels as sm
    >>> noise = sm.FourierNoise(n_harmonics=3, period=2048.0, name="stripes")
    >>> noise.n_terms
    7
    """

    coordinates = ("time",)
    weighs = False
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
        kind = SectionPlan if self.section > 1 else FourierPlan
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

    Examples
    --------
    >>> import specmodels as sm
    >>> offset = sm.LineOffset(by_output=False, name="offset")
    >>> clean = sm.FlickerNoiseSubtraction(offset)
    """

    coordinates = ("time",)
    weighs = False
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

    Examples
    --------
    >>> import specmodels as sm
    >>> clean = sm.FlickerNoiseSubtraction(sm.LineMedian(by_output=False))
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
