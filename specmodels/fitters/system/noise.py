"""A term of correlated noise on the pixels of all images: their order of readout, and its spectra.

The noise has no coefficients: it is part of the covariance of the data. What that does to the
equations is told in `correlated_equations`; how spectra are learnt, in `noise_strengths`.
"""

from dataclasses import dataclass, replace

import numpy as np
from astropy.modeling import CompoundModel

from ...models.noise.correlated import PARTS, CorrelatedNoise
from ...numerics.exponentials import decays, power_law_amplitudes
from ...numerics.noise_spectrum import fit_power_laws, lag_variogram
from ...numerics.semiseparable import Semiseparable

__all__ = ["Noise", "noise_of"]

# Pixel times between images, in units of the longest: nothing is remembered.
FAR = 4000
# Where nothing is found of a part, learning starts here, in units of the white noise. An
# alternating part below the second number is left out.
LEAST_START, LEAST_ALTERNATING = 1e-3, 1e-2
MOST_LAG = 2**14
SLOPE_STEP = 1e-3


def noise_of(forms, images):
    """The `Noise` of a model on images, None where it has no such term.

    Parameters
    ----------
    forms : list of `~specmodels.models.linear_form.LinearForm`
        The model bound to each image.
    images : list of `~specmodels.SpectralImage`

    Raises
    ------
    ValueError
        If there are several such terms, one is no plain term of a sum, it says what white noise
        there is, or an image has no variance, no readout, or stripes across the lines.
    """
    leaves = [[leaf for leaf, _ in form.leaves() if isinstance(leaf, CorrelatedNoise)]
              for form in forms]  # fmt: skip
    if not leaves[0]:
        return None
    if len(leaves[0]) > 1:
        raise ValueError("model: expected one CorrelatedNoise, got several: their sum is one")
    leaves = [own[0] for own in leaves]
    name = leaves[0].name or "CorrelatedNoise"
    if not any(isinstance(term, CorrelatedNoise) for term in _terms(forms[0].model)):
        raise ValueError(f"{name}: expected a term of a sum; factors and pipes are for other terms")
    if leaves[0].white is not None:
        raise ValueError(
            f"white: expected None for {name} in a fit, where the white noise is that of the "
            f"images' variances, got {leaves[0].white!r}"
        )
    for image in images:
        if image.variance is None:
            raise ValueError(f"{name}: expected an image with variances, {image.name!r} has none")
        if getattr(image.readout, "stripes", "fast") != "fast":
            raise ValueError(
                f"{name}: expected stripes along lines, {image.name!r} has them across"
            )
    return Noise.on(leaves, images, name)


def _terms(model):
    """What a model is the sum of."""
    if isinstance(model, CompoundModel) and model.op in ("+", "-"):
        yield from _terms(model.left)
        yield from _terms(model.right)
    else:
        yield model


@dataclass(frozen=True, eq=False)
class Noise:
    """Correlated noise of the pixels of all images.

    Attributes
    ----------
    name : str
    leaves : list of `~specmodels.models.CorrelatedNoise`
        That of each image.
    order : ndarray of int, shape (n_pixel,)
        Pixels in the order of time.
    time : ndarray of int, shape (n_pixel,)
        In that order.
    output, sign : ndarray, shape (n_pixel,)
        Output of each pixel, and whether it is read after an even number of others; in that order.
    span : float
        Pixel times of the longest frame.
    n_output : int
    laws : dict of str to (float, float)
        Amplitude and exponent of each part.
    """

    name: str
    leaves: list
    order: np.ndarray
    time: np.ndarray
    output: np.ndarray
    sign: np.ndarray
    span: float
    n_output: int
    laws: dict

    @classmethod
    def on(cls, leaves, images, name):
        """Noise of these images; laws are those that are given."""
        clocks = [_whole(image, "clock") for image in images]
        clocks = [clock - clock.min() for clock in clocks]
        span = int(max(clock.max() for clock in clocks)) + 1
        time = np.concatenate([clock + FAR * span * n for n, clock in enumerate(clocks)])
        output, within = (np.concatenate([_whole(image, key) for image in images])
                          for key in ("output", "time"))  # fmt: skip
        _, output = np.unique(output, return_inverse=True)
        order = np.lexsort((output, time))
        sign = 1.0 - 2.0 * (within % 2)
        return cls(name, leaves, order, time[order], output[order], sign[order], float(span),
                   int(output.max()) + 1, leaves[0].given_laws)  # fmt: skip

    @property
    def learnt(self):
        """Numbers to be learnt: pairs of a part and "amplitude" or "exponent"."""
        given = self.leaves[0].given_laws
        own = [part for part in self.laws if part not in given]
        # The alternating part has the exponent of the separate one, unless it is alone.
        steep = [part for part in own if part != "alternating" or "separate" not in self.laws]
        return [(p, "amplitude") for p in own] + [(p, "exponent") for p in steep]

    @property
    def wanted(self):
        """Parts that are to be found."""
        given = set(self.leaves[0].given_laws)
        if self.n_output == 1:  # with which it shares nothing: either of the two will do
            given |= {"common", "separate"} if "common" in given else {"common"}
        return [part for part in PARTS if part not in given]

    def of_image(self, number, pixels):
        """The noise of one image alone, whose pixels are a slice of all."""
        own = (self.order >= pixels.start) & (self.order < pixels.stop)
        parts = {key: getattr(self, key)[own] for key in ("time", "output", "sign")}
        return replace(self, leaves=[self.leaves[number]], order=self.order[own] - pixels.start,
                       **parts)  # fmt: skip

    @property
    def is_started(self):
        """Whether all that is to be found has values to start from."""
        return not self.wanted or bool(self.learnt)

    def started(self, residual, weights):
        """With first guesses of what is not given, from residuals of pixels and their weights."""
        wanted = self.wanted
        if not wanted:
            return self
        white = 1 / np.median(weights[weights > 0])
        found = self._guess(residual, weights)
        laws = dict(self.laws)
        for part in wanted:
            amplitude, exponent = found[part]
            if part == "alternating" and amplitude < LEAST_ALTERNATING * white:
                continue
            laws[part] = (max(amplitude, LEAST_START * white), exponent)
        if "alternating" in laws and "separate" in laws and "alternating" in wanted:
            laws["alternating"] = (laws["alternating"][0], laws["separate"][1])
        return replace(self, laws={part: laws[part] for part in PARTS if part in laws})

    def _guess(self, residual, weights):
        """Amplitude and exponent of each part from how much residuals differ at each lag."""
        first = self.time <= self.span
        pixels = self.order[first]
        size = 2 * (int(self.span) // 2 + 1)
        series, use = np.zeros((self.n_output, size), "f4"), np.zeros((self.n_output, size), bool)
        place = self.output[first], self.time[first]
        use[place] = weights[pixels] > 0
        series[place] = np.where(weights[pixels] > 0, residual[pixels], 0.0)
        variograms = lag_variogram(series, use, max(min(MOST_LAG, size // 4), 1))
        found = fit_power_laws(*variograms, np.fft.rfftfreq(size))
        return {part: getattr(found, part) for part in PARTS}

    def with_laws(self, numbers):
        """With other values of what is learnt: logarithms of amplitudes, exponents."""
        laws = dict(self.laws)
        for (part, what), number in zip(self.learnt, numbers, strict=True):
            amplitude, exponent = laws[part]
            laws[part] = ((float(np.exp(number)), exponent) if what == "amplitude" else
                          (amplitude, float(number)))  # fmt: skip
        if self._follows:
            laws["alternating"] = (laws["alternating"][0], laws["separate"][1])
        return replace(self, laws=laws)

    @property
    def _follows(self):
        """Whether the alternating part has the exponent of the separate one."""
        both = "alternating" in self.laws and "separate" in self.laws
        return both and "alternating" not in self.leaves[0].given_laws

    @property
    def numbers(self):
        """What is learnt: logarithms of amplitudes, exponents; shape (n_learnt,)."""
        return np.array([np.log(self.laws[part][0]) if what == "amplitude" else self.laws[part][1]
                         for part, what in self.learnt])  # fmt: skip

    @property
    def strengths(self):
        """Amplitudes and exponents by the names of the term and the part."""
        return {f"{self.name} {part} {what}": value for part, law in self.laws.items()
                for what, value in zip(("amplitude", "exponent"), law, strict=True)}  # fmt: skip

    @property
    def phi(self):
        """Decays of the exponentials."""
        return decays(self.span)

    def _blocks(self, part):
        """How many blocks of components a part has: one, or one for each output."""
        return 1 if part == "common" else self.n_output

    def amplitudes(self):
        """Of the components, shape (n_block, n_decay)."""
        return self._stacked({part: amplitude * self._unit(exponent)
                              for part, (amplitude, exponent) in self.laws.items()})  # fmt: skip

    def slopes(self):
        """Derivatives of the amplitudes by what is learnt, a list."""
        out = []
        for part, what in self.learnt:
            parts = [part]
            if what == "exponent" and part == "separate" and self._follows:
                parts.append("alternating")
            found = {}
            for own in parts:
                amplitude, exponent = self.laws[own]
                ends = (self._unit(exponent + step) for step in (SLOPE_STEP, -SLOPE_STEP))
                steep = np.subtract(*ends) / (2 * SLOPE_STEP)
                found[own] = amplitude * (self._unit(exponent) if what == "amplitude" else steep)
            out.append(self._stacked(found))
        return out

    def _unit(self, exponent):
        return power_law_amplitudes(self.phi, self.span, exponent)

    def _stacked(self, amplitudes):
        none = np.zeros(len(self.phi))
        return np.concatenate([np.tile(amplitudes.get(part, none), (self._blocks(part), 1))
                               for part in self.laws])  # fmt: skip

    def covariance(self, weights):
        """Factorised covariance of the data with these inverse variances."""
        block, gain, start = [], [], 0
        for part in self.laws:
            own = 0 if part == "common" else self.output
            block.append(np.broadcast_to(start + own, self.time.shape))
            gain.append(self.sign if part == "alternating" else np.ones(self.time.shape))
            start += self._blocks(part)
        weights = weights[self.order]
        variance = np.divide(1.0, weights, where=weights > 0, out=np.full(weights.shape, np.inf))
        block, gain = np.stack(block, axis=1).astype(np.int32), np.stack(gain, axis=1)
        return Semiseparable(
            self.time, block, gain, self.phi, self.amplitudes(), variance, self.order
        )


def _whole(image, name):
    """A coordinate of all pixels in whole numbers, shape (n_pixel,)."""
    values = np.broadcast_to(image.coordinate(name), image.shape).ravel()
    return np.rint(values).astype(np.int64)
