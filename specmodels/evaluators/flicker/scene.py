"""What is known of a detector besides the noise of a frame: mask, background, faint light."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from ...models.noise.correlated import (
    CorrelatedNoise,
    cleaned_variance,
    leverage,
    line_covariance,
    simulated_error,
    variance_left,
)
from ...numerics.detection import robust_location, some_values
from .backgrounds import Background
from .lit_traces import beside_traces, lit_traces
from .scene_mask import SceneMask

__all__ = ["FlickerScene", "check_precision", "draft_rate"]

# Single precision: values keep seven digits, and their squares do not leave its range.
MOST_LEVEL, SMALLEST_SPREAD, LARGEST_SPREAD = 1e6, 1e-15, 1e15

# Lines from which the white noise is estimated.
LINES_OF_WHITE = 64


@dataclass(frozen=True, eq=False)
class FlickerScene:
    """What is known of a detector besides the noise of a frame: mask, background, faint light."""

    mask: SceneMask
    ramp: object
    model: object
    finder: Background
    rate: np.ndarray
    background: object = np.float32(0)
    wings: object = np.float32(0)
    plan: object = None
    lit: tuple = ()  # of LitLines
    near: object = None  # first guess of the noise

    def prepared(self):
        """The scene with background and plan for its mask."""
        mask = self.mask
        if self.finder.lit is not None:
            mask = mask.without(self.finder.lit, "light that may change")
        found = self.finder(self.rate, mask.use, self.ramp)
        mask = mask.without(~np.isfinite(found), "no background")
        return replace(self, mask=mask, background=found).planned()

    def planned(self):
        """The scene with a plan for its mask and background."""
        return replace(self, plan=self.make_plan(self.signal))

    @property
    def use(self):
        """Pixels without light."""
        return self.mask.use

    def with_lit_traces(self):
        """The scene with the light of traces along the stripes, whose pixels tell of the noise."""
        lit = lit_traces(self)
        if not lit:
            return self
        order = self.ramp.readout
        light = order.frames(np.broadcast_to(self.wings, self.use.shape)).copy()
        for one in lit:
            near = beside_traces(np.isfinite(one.ratio))
            light[:, one.lines][near] = one.light[near]
        return replace(self, wings=order.image(light), lit=lit, plan=self.plan.with_light(lit))

    @property
    def seen(self):
        """Pixels that tell of the noise: those without light, and those whose light is modelled."""
        return self.plan.use if self.lit else self.use

    @property
    def level(self):
        """Mean background."""
        return float(np.nanmean(self.background))

    @cached_property
    def signal(self):
        """The rate without background and modelled light, zero where it tells of no noise."""
        signal = self.rate - self.background
        signal = (signal - self.wings).astype("f4", copy=False)
        np.copyto(signal, np.float32(0), where=~self.seen)
        return signal

    def make_plan(self, sample):
        """Plan of the noise of frames with noise like that of the sample."""
        white = _white_variance(self.ramp.readout, sample, self.use)
        variance = _known_variance(self.ramp) if getattr(self.model, "weighs", True) else None
        plan = self.model.plan(
            self.ramp.readout, self.use, white=white, sample=sample, variance=variance
        )
        return plan.with_light(self.lit) if self.lit else plan

    def frame_plan(self, sample):
        """Plan of the noise of single frames, made once for what the function `sample` gives."""
        if "_frame_plan" not in self.__dict__:
            self.__dict__["_sample"] = sample()
            self.__dict__["_frame_plan"] = self.make_plan(self._sample)
        return self.__dict__["_frame_plan"]

    @property
    def noise(self):
        """Noise of the rate."""
        return self._found[0]

    @property
    def next_guess(self):
        """First guess of the noise for a scene that hardly differs."""
        return self._found[1]

    @cached_property
    def _found(self):
        return self.plan.found(self.signal, near=self.near)

    @property
    def variance(self):
        """Variance of what is left of the noise of a frame, or of the background in its place."""
        return self._variance_of_noise + self._variance_of_background

    @cached_property
    def _variance_of_background(self):
        own = self.finder.variance(self.rate, self.use, self.ramp)
        if self.finder.noise_share > 0:
            # Noise of the background is taken for noise of the frame, as far as that is found.
            missed = np.maximum(self._correlated.power - self._variance_of_noise, 0)
            own = own + self.finder.noise_share * missed
        return own

    def cleaned_variance(self, variance):
        """Variance of cleaned pixels of which the white noise has a variance, (..., n_y, n_x)."""
        if self._error is None:
            return variance + np.nan_to_num(self.variance)
        plan, left = self._last_plan, self._variance_of_noise
        own = leverage(plan, self._error)
        known, white = _known_variance(self.ramp), self._correlated.system.white
        ratio = plan.ratio(known) if plan.weighs and known is not None else 1.0
        own = cleaned_variance(variance, left, own, white, ratio)
        return own + self._variance_of_background

    def line_covariance(self, line):
        """Covariance of what is left of the noise in one line, None where it is not known."""
        if self._error is None:
            return None
        variance = self._variance_of_noise
        return line_covariance(self._error, variance, self._correlated, line)

    @cached_property
    def _variance_of_noise(self):
        plan = self._last_plan
        if self._error is None:
            return plan.variance
        return variance_left(plan, self._correlated, self._error)

    @property
    def shared_error(self):
        """What is left of the noise in one simulation, None where it is not known."""
        return None if self._error is None else self._error.error

    @property
    def _last_plan(self):
        return self.__dict__.get("_frame_plan", self.plan)

    @cached_property
    def _correlated(self):
        """Plan that knows the spectra: the own one, or one made for the purpose."""
        plan = self._last_plan
        if hasattr(plan, "system"):
            return plan
        # Faint light is a smoothed image: without it, neighbouring pixels keep their own noise.
        rate = np.where(self.use, self.rate - self.background, 0).astype("f4")
        sample = self.__dict__.get("_sample", rate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            return CorrelatedNoise().plan(self.ramp.readout, self.use, sample=sample)

    @cached_property
    def _error(self):
        """Error of the noise in one simulation, None where no correlated noise is known of."""
        return simulated_error(self._last_plan, self._correlated)

    @property
    def left(self):
        """What is left of the rate without background, faint light and noise, f4."""
        left = self.rate - self.background
        left -= self.wings
        left -= self.noise
        return left


def check_precision(rate, use):
    """Raise a ValueError where single precision cannot hold the noise of a rate, where used."""
    level, spread = robust_location(some_values(rate, use & np.isfinite(rate)))
    if not spread > 0:
        return
    if not SMALLEST_SPREAD < spread < LARGEST_SPREAD:
        raise ValueError(
            f"data: expected a spread between {SMALLEST_SPREAD:g} and {LARGEST_SPREAD:g}, got "
            f"{spread:.3g}; use another unit"
        )
    if abs(level) > MOST_LEVEL * spread:
        raise ValueError(
            f"data: the spread {spread:.3g} about a level of {level:.3g} is lost in single "
            "precision; subtract a constant first"
        )


def draft_rate(ramp, i):
    """Image, mean of images, or slope of the groups; of one integration or the mean of all."""
    chosen = range(ramp.n_integrations) if i is None else [i]
    if len(chosen) == 1:
        return ramp.rate(chosen[0])
    total, number = 0, 0
    for k in chosen:
        rate = ramp.rate(k)
        good = np.isfinite(rate)
        total, number = total + np.where(good, rate, 0), number + good
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _white_variance(readout, sample, use):
    """Variance of what differs from pixel to pixel, robustly, from some lines."""
    lines, used = readout.lines(sample), readout.lines(use)
    step = max(1, len(lines) // LINES_OF_WHITE)
    change = np.diff(lines[::step], axis=1)[used[::step, 1:] & used[::step, :-1]]
    return float(0.5 * robust_location(change)[1] ** 2)


def _known_variance(ramp):
    """Variance of pixels, infinite where it is missing or not positive; None without any."""
    variance = ramp.pixel_variance
    if variance is None:
        return None
    return np.where(np.isfinite(variance) & (variance > 0), variance, np.inf)
