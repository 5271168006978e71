"""`DetectedMask`: light is found at several scales, in what is left of background and stripes.

So are traces along the stripes, and light that was subtracted, as in nods.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, special

from ...numerics.box_sums import grown
from ...numerics.detection import detect_excess, is_difference, robust_location
from ...numerics.line_bins import line_groups
from .scene_mask import MaskStrategy, SceneMask

__all__ = ["DetectedMask"]

SQUARES = ((1, 1), (3, 3), (7, 7), (15, 15), (31, 31), (63, 63))
# Squares are used of which a frame holds so many: the scatter of few is not known well enough to
# tell light from noise. In frames too small for the usual ones, which a source may fill, all are,
# with thresholds of Student's distribution for a scatter that so few boxes tell.
LEAST_BOXES, USUAL = 200, (15, 15)
# Boxes for one degree of freedom of the scatter, which comes of the median of its lower half, and
# of boxes that share what is left of their lines.
BOXES_OF_DOF = 12
# Across and along the dispersion: traces and slices are long.
STRIPS = ((1, 1), (3, 3), (7, 7), (3, 31), (5, 101), (9, 301), (9, 601))
NARROW_STRIPS = ((1, 1), (3, 3), (3, 31), (5, 101), (5, 301))
NARROW = 64
# Pixels around light: on the sky and across traces that run along the stripes, where what is left
# out too little is taken for noise of the stripe; across other traces.
SKY_MARGIN, TRACE_MARGIN = 4, 1
# Stretches of lines beside traces along the stripes: pixels, the part of them that must be known,
# and how high they are, in standard deviations of all, as long as they are wings.
STRETCH, LEAST_OF_STRETCH, LEAST_WING, MOST_MEANS = 101, 0.2, 0.5, 200_000
# Where less of the pixels see light, medians of lines are right the first time.
MUCH_LIGHT = 0.2
# Offsets of lines, in standard deviations, beyond which they are light.
MOST_OFFSET = 4.0


@dataclass(frozen=True, eq=False)
class DetectedMask(MaskStrategy):
    """Light found at several scales, in what is left without background and line offsets.

    Parameters
    ----------
    sigma : float, optional
        Detection threshold; default: 4.5, or 4 where light is dispersed. A lower one takes away
        more of the noise's own peaks, and with them a part of its spectrum.
    boxes : sequence of (int, int), optional
        Boxes over which light is averaged; default: squares, of which the frame must hold 200 if
        it has room for 200 of 15 pixels, or strips along the dispersion.
    grow : float, optional
        Part of half a box by which detections grow; default: 1, or 0.8 where light is dispersed.
    background : `~specmodels.evaluators.flicker.backgrounds.Background`, optional
        Taken off before; default: that of the evaluator.
    regions : array_like of bool, or False, optional
        Known regions of light, left out. Default: the slices, slits and open shutters that the
        metadata tell of; False for none.
    rounds : int
        Passes before the noise is fitted, at most: more than one where much light is found.
    n_looks : int
        Passes after that, each with the noise fitted anew. In the first, light is looked for again
        in all pixels.
    wings : int
        Passes in which faint light around masked pixels is fitted in turn with the noise.
    margin : int, optional
        Pixels left out around light, in the end; default: four, or one across the dispersion, as
        light is too faint to be detected there, but not to be taken for noise. None for subarrays
        of less than 64 rows of a dispersed image. Single pixels get no margin.
    least : float
        If less than this fraction of the good pixels were left, the threshold is raised.
    least_refined : float
        The same for each pass after a fit of the noise, of the pixels used before.
    least_widened : float
        If less of the pixels used before were left, the margin is made smaller.
    """

    sigma: float | None = None
    boxes: tuple | None = None
    grow: float | None = None
    background: object = None
    regions: object = None
    rounds: int = 2
    n_looks: int = 1
    wings: int = 2
    margin: int | None = None
    least: float = 0.5
    least_refined: float = 0.9
    least_widened: float = 0.8

    def __post_init__(self):
        if self.sigma is not None and not self.sigma > 0:
            raise ValueError(f"sigma: expected a positive threshold, got {self.sigma!r}")
        if self.margin is not None and not self.margin >= 0:
            raise ValueError(f"margin: expected a number of pixels, got {self.margin!r}")

    def __call__(self, rate, ramp):
        mask = SceneMask.of(rate, ramp, self.regions)
        found = np.zeros(rate.shape, dtype=bool)
        rate = np.where(mask.use, rate, 0).astype("f4", copy=False)
        for look in range(self.rounds):
            use, left = mask.use & ~found, rate
            if self.background is not None:
                left = rate - self.background(rate, use, ramp)
                use = use & np.isfinite(left)
            flat = left - _line_offsets(left, use, ramp.readout)
            if look == 0 and is_difference(flat, use):
                mask = replace(mask, signs=(1, -1))
            found = self._found(flat, mask, ramp, self.least)
            if np.count_nonzero(found) < MUCH_LIGHT * np.count_nonzero(mask.use):
                break
        if ramp.dispersion_axis == ramp.readout.stripe_axis:
            found |= _wings(left, mask, found, ramp)
        if not self.n_looks:
            return self.widened(mask.without(found, "light detected"), ramp)
        return replace(mask.without(found, "light detected"), undetected=mask)

    def refined(self, mask, left, ramp):
        """The mask without what stands out once noise and background are gone."""
        least = self.least_refined * np.count_nonzero(mask.use)
        if mask.undetected is not None:  # what was found with line offsets alone is given back
            mask = mask.undetected
        found = self._found(left, mask, ramp, least / max(np.count_nonzero(mask.use), 1))
        return mask.without(found, "light detected")

    def widened(self, mask, ramp):
        """The mask with a margin around all light."""
        widths = _margin(ramp, self.margin)
        if max(widths) == 0 or min(ramp.shape) < 3:
            return mask
        blocks = ~grown(~mask.hidden, (1, 1))
        while True:
            near = grown(blocks, [w + 1 for w in widths])
            kept = np.count_nonzero(mask.use & ~near)
            if kept >= self.least_widened * np.count_nonzero(mask.use) or max(widths) == 0:
                return mask.without(near, "margin of light")
            widths = [max(w - 1, 0) for w in widths]

    def _found(self, left, mask, ramp, least):
        boxes, use = self.boxes or _boxes(ramp), mask.use
        # A threshold that was chosen for boxes of one's own is taken as it is.
        few = not self.boxes and _has_few_boxes(ramp)
        grow = self.grow
        if grow is None:
            grow = 1.0 if ramp.dispersion_axis is None else 0.8
        first = sigma = self.sigma or (4.5 if ramp.dispersion_axis is None else 4.0)
        while boxes:
            found = np.zeros(use.shape, dtype=bool)
            own = _thresholds(sigma, boxes, ramp.shape) if few else sigma
            for sign in mask.signs:
                good = use & ~found
                found |= detect_excess(sign * left, good, boxes, sigma=own, grow=grow)
            kept = np.count_nonzero(use & ~found)
            if kept >= least * np.count_nonzero(use):
                return found
            if sigma > 10 * first:  # few boxes do not know their own scatter
                boxes, sigma = boxes[:-1], first
            sigma *= 1.5
        return np.zeros(use.shape, dtype=bool)


def _wings(left, mask, found, ramp):
    """Pixels beside traces along the stripes whose stretches of lines fall off with the light.

    A fit would take them for noise: they are left out as long as they stand out from other lines.
    """
    size = [1, 1]
    size[ramp.dispersion_axis] = min(STRETCH, ramp.shape[ramp.dispersion_axis])
    good = mask.use & ~found
    number = ndimage.uniform_filter(good.astype("f4"), size)
    mean = ndimage.uniform_filter(np.where(good, left, np.float32(0)), size)
    mean = np.divide(mean, number, out=np.zeros_like(mean), where=number > LEAST_OF_STRETCH)
    middle, scale = robust_location(mean[good][:: max(1, good.size // MOST_MEANS)])
    across = np.zeros((3, 3), dtype=bool)
    across[(slice(None), 1) if ramp.dispersion_axis == -1 else 1] = True
    wings = np.zeros(found.shape, dtype=bool)
    for sign in mask.signs:
        high = good & (sign * (mean - middle) > LEAST_WING * scale)
        core = ndimage.binary_opening(found & (sign * left > 0), np.ones((3, 3)))
        wings |= ndimage.binary_propagation(core, across, mask=core | high)
    return wings & mask.use


def _boxes(ramp):
    """Boxes for images of the sky, or for traces along the dispersion."""
    axis = ramp.dispersion_axis
    if _takes_squares(ramp):
        few, n_pixels = _has_few_boxes(ramp), np.prod(ramp.shape)
        return tuple(box for box in SQUARES if few or LEAST_BOXES * np.prod(box) <= n_pixels)
    strips = STRIPS if ramp.shape[-3 - axis] > NARROW else NARROW_STRIPS
    return strips if axis == -1 else tuple(box[::-1] for box in strips)


def _takes_squares(ramp):
    """Whether light is looked for in squares: strips would take up the noise of stripes."""
    return ramp.dispersion_axis in (None, ramp.readout.stripe_axis)


def _has_few_boxes(ramp):
    """Whether the frame has no room for many of the usual squares."""
    return _takes_squares(ramp) and np.prod(ramp.shape) < LEAST_BOXES * np.prod(USUAL)


def _thresholds(sigma, boxes, shape):
    """Threshold of each box: as rare in noise as that of a scatter which is known."""
    number = np.prod(shape) / np.prod(boxes, axis=1)
    return -special.stdtrit(np.maximum(number / BOXES_OF_DOF, 1), special.ndtr(-np.asarray(sigma)))


def _margin(ramp, margin):
    """Pixels of margin along the axes of the image."""
    axis = ramp.dispersion_axis
    if axis in (None, ramp.readout.stripe_axis):
        margin = SKY_MARGIN if margin is None else margin
        return (margin, margin)
    if margin is None:
        margin = 0 if ramp.shape[-3 - axis] <= NARROW else TRACE_MARGIN
    return (margin, 0) if axis == -1 else (0, margin)


def _line_offsets(image, use, readout):
    """Medians of the stripes of each output, as far as they are noise, shape as the image.

    Light along the stripes stands out from the offsets of the other lines: it is not taken off.
    """
    groups = line_groups(readout.along_stripes(), image.shape)
    medians, number = groups.medians(image, use)
    middle, scale = robust_location(medians[number > 0])
    if scale > 0:
        limit = MOST_OFFSET * scale
        medians = np.clip(medians, middle - limit, middle + limit)
    return groups.spread(medians)
