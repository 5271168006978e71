"""Flicker noise: what is left of dark pixels shows the noise, which is fitted and subtracted.

Images, integrations and ramps alike; groups are cleaned by their differences. What depends on the
mask only (normal matrices, spectra, variances) is made once for all frames.
"""

import warnings
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from scipy import ndimage

from ..io.ramps import read_ramp
from ..models.correlated import (
    CorrelatedNoise,
    line_covariance,
    simulated_error,
    variance_left,
)
from ..numerics.detection import robust_location
from .backgrounds import Background, SmoothBackground
from .base import Evaluator
from .flicker_result import FlickerResult
from .scene_mask import DetectedMask, GivenMask, MaskStrategy, SceneMask

__all__ = ["FlickerNoiseSubtraction"]

WING_SIGMA, WING_REACH = 3.0, 10


class FlickerNoiseSubtraction(Evaluator):
    """Fit and subtract flicker (1/f) noise of images, integrations or ramps.

    Parameters
    ----------
    noise_model : object, optional
        `~specmodels.models.CorrelatedNoise` (default), `~specmodels.models.FourierNoise`,
        `~specmodels.models.LineMedian` or `~specmodels.models.LineOffset`, or whatever has a method
        ``plan`` as they do.
    background : `~specmodels.evaluators.backgrounds.Background`, optional
        Fitted first and restored afterwards; default: `SmoothBackground`.
    mask : MaskStrategy or array_like of bool, optional
        How the pixels without light are found; default: `DetectedMask`. An array marks sources by
        True.
    flat : array_like, shape (n_y, n_x), optional
        Divided out before the fit, and restored; its holes are filled with its median.
    per_integration : bool
        Whether each integration of a ramp or cube has a mask of its own.

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

    def __init__(
        self, noise_model=None, *, background=None, mask=None, flat=None, per_integration=False
    ):
        super().__init__()
        self.noise_model = CorrelatedNoise() if noise_model is None else noise_model
        self.background = SmoothBackground() if background is None else background
        if mask is None:
            mask = DetectedMask(background=self.background)
        self.mask = mask if isinstance(mask, MaskStrategy) else GivenMask(np.asarray(mask))
        self.flat = None if flat is None else _filled(flat)
        self.per_integration = bool(per_integration)
        if not hasattr(noise_model, "plan") and noise_model is not None:
            raise TypeError(f"noise_model: expected a noise model with a plan, got {noise_model!r}")
        if not isinstance(self.background, Background):
            raise TypeError(f"background: expected a Background, got {self.background!r}")

    def __call__(self, data):
        """Clean anything that `~specmodels.io.ramps.read_ramp` understands."""
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
            yield FlickerResult(ramp, cleaned, (own,), integration=i)

    def evaluate(self, fit, exposure):
        """Clean a `~specmodels.ramp.Ramp`."""
        ramp, ready = exposure, self._ready(exposure)
        out = np.empty(ramp.data.shape, _float_type(ramp.data))
        scenes, levels = [], []
        for i in range(ramp.n_integrations):
            if self.per_integration or not scenes:
                scenes.append(ready.scene(ramp, i if self.per_integration else None))
            own = out if out.ndim == 2 else out[i]
            levels.append(ready._clean(ramp, i, scenes[-1], own))
        return FlickerResult(ramp, out, tuple(scenes), levels=np.array(levels))

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
        rate = self._flattened(_draft_rate(ramp, i))
        mask = self.mask(rate, ramp)
        rate = np.asarray(rate, dtype="f4")
        scene = _Scene(mask, ramp, self.noise_model, self.background, rate).prepared()
        for _ in range(self.mask.looks(ramp) if mask.use.any() else 0):
            left = np.where(scene.use, scene.left, 0)
            refined = self.mask.refined(scene.mask, left, ramp)
            if np.array_equal(refined.use, scene.use):
                break
            scene = replace(scene, mask=refined, near=scene.noise).prepared()
        for _ in range(self.mask.wings if mask.use.any() else 0):
            scene = replace(scene, wings=scene.faint_light(), near=scene.noise)
        return scene

    def _flattened(self, frame):
        return frame if self.flat is None else frame / self.flat

    def _clean(self, ramp, i, scene, out):
        """Write the cleaned integration into `out`; return the background's level in each frame."""
        frames = ramp.integration(i)
        if ramp.kind == "image" or (ramp.kind == "integrations" and ramp.n_integrations == 1):
            np.subtract(frames, self._restored(scene.noise), out=out)
            return [scene.level]
        if ramp.kind == "integrations":
            bad = None if ramp.frame_mask is None else np.asarray(ramp.frame_mask[i])
            noise, level = self._frame_noise(frames, scene, bad)
            np.subtract(frames, noise, out=out)
            return [level]
        bad = ramp.differences_bad(i)
        total, levels = 0, []
        out[0] = frames[0]
        for g in range(1, len(frames)):
            difference = np.subtract(frames[g], frames[g - 1], dtype=out.dtype)
            noise, level = self._frame_noise(difference, scene, None if bad is None else bad[g - 1])
            total = total + noise
            np.subtract(frames[g], total, out=out[g])
            levels.append(level)
        return levels

    def _frame_noise(self, frame, scene, bad):
        """Noise of one frame with the mask of a scene, and the level of its background."""
        frame = self._flattened(frame)
        missing = ~np.isfinite(frame)
        missing &= scene.mask.use
        if missing.any():
            bad = missing if bad is None else bad | missing
        use = scene.mask.use if bad is None else scene.mask.use & ~bad
        background = scene.background
        if self.background.per_frame:
            background = self.background(np.where(use, frame, 0), use, scene.ramp)
        left = np.where(use, frame - background - scene.wings, 0)
        return self._restored(scene.frame_plan(left)(left, bad)), float(np.mean(background))

    def _restored(self, noise):
        return noise if self.flat is None else noise * self.flat


def _float_type(array):
    return np.dtype("f8") if array.dtype.itemsize > 4 else np.dtype("f4")


def _filled(flat):
    flat = np.array(flat, dtype="f4")
    good = np.isfinite(flat) & (flat > 0)
    flat[~good] = np.median(flat[good]) if good.any() else 1
    return flat
