"""Flicker noise: what is left of dark pixels shows the noise, which is fitted and subtracted.

Images, integrations and ramps alike; groups are cleaned by their differences. What depends on the
mask only (normal matrices, spectra, variances) is made once for all frames.
"""

from copy import copy
from dataclasses import replace

import numpy as np

from ...io.exposure_frames import FLICKER
from ...io.ramps import read_ramp
from ...models.noise.coarse import CoarseNoise
from ...models.noise.correlated import CorrelatedNoise
from ...models.noise.line_models import as_noise_model
from ...numerics.cores import in_order
from ..base import Evaluator
from .backgrounds import Background, SmoothBackground
from .detected_mask import DetectedMask
from .faint_light import FaintLight
from .result import FlickerResult
from .scene import FlickerScene, check_precision, draft_rate
from .scene_mask import GivenMask, MaskStrategy

__all__ = ["FlickerNoiseSubtraction"]

# Frames from which the typical one is chosen, and the part of the pixels it must have.
N_SAMPLES, LEAST_OF_FRAME = 5, 0.5
# Beyond this numbers are fillers: squares of what is left are to stay in single precision.
LARGEST_VALUE = 1e18


class FlickerNoiseSubtraction(Evaluator):
    """Fit and subtract flicker (1/f) noise of images, integrations or ramps.

    Parameters
    ----------
    noise_model : object, optional
        `~specmodels.models.CorrelatedNoise` (default), `~specmodels.models.FourierNoise`,
        `~specmodels.models.LineMedian` or `~specmodels.models.LineOffset`; a
        `~specmodels.BasisModel` of the time, which is fitted to each line; or whatever has a method
        ``plan``, which returns a `~specmodels.NoisePlan`.
    background : `~specmodels.evaluators.flicker.backgrounds.Background`, optional
        Fitted first and restored afterwards; default: `SmoothBackground`.
    mask : MaskStrategy or array_like of bool, optional
        How the pixels without light are found; default: `DetectedMask`. An array marks sources by
        True.
    flat : array_like, shape (n_y, n_x), optional
        Divided out before the fit, and restored; its holes are filled with its median.
    per_integration : bool
        Whether each integration of a ramp or cube has a mask of its own.
    n_jobs : int, optional
        Cores for the integrations, or the groups of a single one, -1 for all; see `Evaluator`.

    Raises
    ------
    TypeError
        If a setting is of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> import specmodels as sm
    >>> rng = np.random.default_rng(1)
    >>> image = rng.normal(5, 1, (64, 256)) + rng.normal(0, 1, (64, 1))
    >>> result = sm.FlickerNoiseSubtraction(sm.LineMedian(by_output=False))(image)
    >>> bool(result.cleaned.mean(axis=1).std() < 0.3)
    True
    """

    product = "cleaned"
    step = FLICKER

    def __init__(
        self, noise_model=None, *, background=None, mask=None, flat=None, per_integration=False,
        n_jobs=None,
    ):  # fmt: skip
        super().__init__(n_jobs=n_jobs)
        self.noise_model = as_noise_model(CorrelatedNoise() if noise_model is None else noise_model)
        self.background = SmoothBackground() if background is None else background
        if mask is None:
            mask = DetectedMask(background=self.background)
        self.mask = mask if isinstance(mask, MaskStrategy) else GivenMask(_mask_array(mask))
        self.flat = None if flat is None else _filled(flat)
        self.per_integration = bool(per_integration)
        if not isinstance(self.background, Background):
            raise TypeError(f"background: expected a Background, got {self.background!r}")

    def __call__(self, data):
        """Clean anything that `~specmodels.io.ramps.read_ramp` understands.

        Raises
        ------
        TypeError, ValueError
            If it cannot be used, or no pixel of it shows the noise alone.
        """
        ramp = read_ramp(data)
        if self.flat is not None and self.flat.shape != ramp.shape:
            raise ValueError(f"flat: expected shape {ramp.shape}, got {self.flat.shape}")
        return self.evaluate(None, ramp)

    def integrations(self, data):
        """Clean one integration after the other, so that none but one is in memory.

        Yields
        ------
        FlickerResult
            Of each integration, as an image or as a ramp with one integration.
        """
        ramp = read_ramp(data)
        ready = self._ready(ramp)
        scene = None if self.per_integration else ready.scene(ramp)
        shape = ramp.shape if ramp.kind == "image" else ramp.data.shape[1:]
        for i in range(ramp.n_integrations):
            own = ready.scene(ramp, i) if scene is None else scene
            cleaned = np.empty(shape, _float_type(ramp.data))
            ready._clean(ramp, i, own, cleaned)
            yield FlickerResult(ramp, cleaned, (own,), integration=i, flat=self.flat)

    def evaluate(self, fit, exposure):
        """Clean a `~specmodels.ramp.Ramp`."""
        with np.errstate(invalid="ignore", over="ignore"):  # of infinite values, which stay
            return self._evaluate(exposure)

    def _evaluate(self, exposure):
        ramp, ready = exposure, self._ready(exposure)
        out = np.empty(ramp.data.shape, _float_type(ramp.data))
        every = range(ramp.n_integrations)
        each = every if self.per_integration else [None]
        scenes = [ready.scene(ramp, i) for i in each]
        if not self.per_integration:
            ready._frame_plan(ramp, 0, scenes[0])  # before several threads ask for it

        def clean(i):
            own = out if out.ndim == 2 else out[i]
            return ready._clean(ramp, i, scenes[i if self.per_integration else 0], own)

        levels = list(in_order(clean, every, self._n_threads, threads=True))
        _check_use(scenes)
        return FlickerResult(ramp, out, tuple(scenes), levels=np.array(levels), flat=self.flat)

    def _ready(self, ramp):
        """The evaluator with its background prepared for the frames of a ramp."""
        background = self.background.prepared(ramp)
        if background is self.background:
            return self
        ready = copy(self)
        ready.background = background
        if getattr(self.mask, "background", None) is self.background:
            ready.mask = replace(self.mask, background=background)
        return ready

    def scene(self, ramp, i=None):
        """Mask, background and plan from the draft rate of one integration, or of all."""
        rate = self._flattened(draft_rate(ramp, i))
        rate = np.where(np.abs(rate) < LARGEST_VALUE, rate, np.nan)
        check_precision(rate, ~ramp.bad)
        strategy = self.mask.at(i)
        mask = strategy(rate, ramp)
        rate = np.asarray(rate, dtype="f4")
        scene = FlickerScene(mask, ramp, self.noise_model, self.background, rate)
        if not mask.use.any():
            if i is None:
                _check_use([scene])
            return scene.prepared()
        if strategy.n_looks or strategy.wings:
            # Light is found as well with a cheap model of the noise, which tells where to start.
            draft = _looked_again(replace(scene, model=CoarseNoise()).prepared(), strategy)
            scene = replace(draft, model=self.noise_model, near=draft.next_guess)
            # The spectrum is that of the noise with the faint light, of which a part is noise.
            scene = _with_wings(scene.planned(), strategy.wings)
        else:
            scene = scene.prepared()
        return scene.with_lit_traces()

    @property
    def _n_threads(self):
        """As `n_jobs`: one where the background of each frame is asked for by itself."""
        alone = self.background.per_frame and not self.background.in_threads
        return 1 if alone else self.n_jobs

    def _flattened(self, frame):
        return frame if self.flat is None else frame / self.flat

    def _clean(self, ramp, i, scene, out):
        """Write the cleaned integration into `out`; return the background's level in each frame."""
        frames = ramp.integration(i)
        plan = self._frame_plan(ramp, i, scene)
        if plan is None:
            np.subtract(frames, self._restored(scene.noise), out=out)
            return [scene.level]
        if ramp.kind == "integrations":
            noise, level = self._frame_noise(frames, scene, plan, _frame_bad(ramp, i))
            np.subtract(frames, noise, out=out)
            return [level]
        bad = ramp.differences_bad(i)
        total, levels = 0, []
        out[0] = frames[0]

        def found(g):
            difference = np.subtract(frames[g], frames[g - 1], dtype=out.dtype)
            own = None if bad is None else bad[g - 1]
            return self._frame_noise(difference, scene, plan, own)

        groups = range(1, len(frames))
        each = in_order(found, groups, self._n_threads, threads=True)
        for g, (noise, level) in zip(groups, each, strict=True):
            total = total + noise
            np.subtract(frames[g], total, out=out[g])
            levels.append(level)
        return levels

    def _frame_plan(self, ramp, i, scene):
        """Plan of the noise of single frames; None where the rate is the only frame."""
        if ramp.kind == "image" or (ramp.kind == "integrations" and ramp.n_integrations == 1):
            return None
        return scene.frame_plan(lambda: self._typical_frame(ramp, i, scene))

    def _frame_noise(self, frame, scene, plan, bad):
        """Noise of one frame with the mask of a scene, and the level of its background.

        Where no pixel can be used nothing is known: the noise is zero, the level NaN.
        """
        signal, bad, background = self._signal(frame, scene, bad)
        if signal is None:
            return np.float32(0), np.nan
        return self._restored(plan(signal, bad)), float(np.nanmean(background))

    def _signal(self, frame, scene, bad):
        """Noise and white noise of a frame, zero where not used; what is bad in it; background."""
        frame = self._flattened(frame)
        missing = ~(np.abs(frame) < LARGEST_VALUE)
        missing &= scene.seen
        if missing.any():
            bad = missing if bad is None else bad | missing
        use = scene.use if bad is None else scene.use & ~bad
        if not use.any():
            return None, bad, np.float32(0)
        background = scene.background
        if self.background.per_frame:
            known = frame if bad is None else np.where(bad, np.nan, frame)
            background = self.background(known, use, scene.ramp)
        left = frame - background - scene.wings
        seen = scene.seen if bad is None else scene.seen & ~bad
        unknown = seen & ~(np.abs(left) < LARGEST_VALUE)
        if unknown.any():  # to the background, in this frame
            bad = unknown if bad is None else bad | unknown
            seen = seen & ~unknown
        return np.where(seen, left, 0), bad, background

    def _typical_frame(self, ramp, i, scene):
        """Signal of the frame whose spread is the median of some: the first may be an odd one."""
        found, last, bad = [], None, None
        for k, g in self._sampled(ramp, i):
            frames = ramp.integration(k)
            if k != last:
                bad = _frame_bad(ramp, k) if g is None else ramp.differences_bad(k)
                last = k
            own = bad
            if g is not None:
                own = None if bad is None else bad[g]
                frames = np.subtract(frames[g + 1], frames[g], dtype=_float_type(ramp.data))
            signal, own, _ = self._signal(frames, scene, own)
            use = scene.use if own is None else scene.use & ~own
            if np.count_nonzero(use) > LEAST_OF_FRAME * np.count_nonzero(scene.use):
                found.append((float(np.var(signal[use])), len(found), signal))
        if not found:
            return np.zeros(ramp.shape, "f4")
        return sorted(found)[len(found) // 2][-1]

    def _sampled(self, ramp, i):
        """Some integrations, and differences of groups (None for images)."""
        own = self.per_integration
        every = [i] if own else range(ramp.n_integrations)
        pairs = [(k, None) for k in every]
        if ramp.kind == "ramp":
            n_difference = ramp.data.shape[1] - 1
            every = [i] if own or n_difference >= N_SAMPLES else every
            pairs = [(k, g) for k in every for g in range(n_difference)]
        step = max(1, -(-len(pairs) // N_SAMPLES))
        return pairs[step // 2 :: step]

    def _restored(self, noise):
        return noise if self.flat is None else noise * self.flat


def _looked_again(scene, strategy):
    """The scene with its mask refined as often as the strategy says, and widened in the end."""
    for look in range(strategy.n_looks):
        refined = strategy.refined(scene.mask, scene.left, scene.ramp)
        last = look == strategy.n_looks - 1 or np.array_equal(refined.use, scene.use)
        if last:
            refined = strategy.widened(refined, scene.ramp)
        scene = replace(scene, mask=refined, near=scene.next_guess).prepared()
        if last:
            break
    return scene


def _with_wings(scene, passes):
    """The scene with faint light around masked pixels, fitted in turn with the noise."""
    if passes:
        faint = FaintLight(scene.use, scene.mask.hidden, scene.ramp)
    for _ in range(passes):
        scene = replace(scene, wings=scene.wings + faint(scene.left), near=scene.next_guess)
    return scene


def _check_use(scenes):
    """Raise a ValueError if no scene has a pixel that shows the noise alone."""
    if not any(scene.use.any() for scene in scenes):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in scenes[0].mask.reasons.items())
        raise ValueError(f"mask: expected pixels that show the noise alone, got none ({reasons})")


def _mask_array(mask):
    if isinstance(mask, type | str):
        raise TypeError(f"mask: expected a mask strategy or an array, got {mask!r}")
    return np.asarray(mask)


def _frame_bad(ramp, i):
    """Pixels that are bad in one integration of images, or None."""
    return None if ramp.frame_mask is None else np.asarray(ramp.frame_mask[i])


def _float_type(array):
    return np.dtype("f8") if array.dtype.itemsize > 4 else np.dtype("f4")


def _filled(flat):
    try:
        flat = np.array(flat, dtype="f4")
    except (TypeError, ValueError) as error:
        raise TypeError(f"flat: expected an array, got {type(flat).__name__}") from error
    good = np.isfinite(flat) & (flat > 0)
    flat[~good] = np.median(flat[good]) if good.any() else 1
    return flat
