"""Plans of `FourierNoise`: terms of single lines, and of sections of several."""

import numpy as np

from ...numerics.fourier import FourierLines
from .plan import NoisePlan

# The least power of 1/f noise, as a fraction of the one looked for.
LEAST_POWER = 1e-6


class HarmonicPlan(NoisePlan):
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


class FourierPlan(HarmonicPlan):
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


class SectionPlan(HarmonicPlan):
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
