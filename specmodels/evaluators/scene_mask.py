"""Which pixels of a detector show nothing but background and noise: masks as objects.

Called with a draft rate they return a `SceneMask`: the usable pixels, and why others are not.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from scipy import ndimage, optimize

from ..io.flicker_files import read_background_mask
from ..numerics.detection import detect_excess, is_difference, robust_location
from ..numerics.lines import line_medians

__all__ = ["ClippedMask", "DetectedMask", "GivenMask", "MaskStrategy", "SceneMask"]

SQUARES = ((1, 1), (3, 3), (7, 7), (15, 15), (31, 31), (63, 63))
# Squares are used of which a frame holds so many: the scatter of few is not known well enough to
# tell light from noise. In frames too small for the usual ones, which a source may fill, all are.
LEAST_BOXES, USUAL = 200, (15, 15)
# Across and along the dispersion: traces and slices are long.
STRIPS = ((1, 1), (3, 3), (7, 7), (3, 31), (5, 101), (9, 301), (9, 601))
NARROW_STRIPS = ((1, 1), (3, 3), (3, 31), (5, 101), (5, 301))
NARROW = 64
# Pixels around light: on the sky and across traces that run along the stripes, where what is left
# out too little is taken for noise of the stripe; across other traces.
SKY_MARGIN, TRACE_MARGIN = 4, 1
# Stretches of lines beside traces along the stripes: pixels, the part of them that must be known, and
# how high they are, in standard deviations of all, as long as they are wings.
STRETCH, LEAST_OF_STRETCH, LEAST_WING, MOST_MEANS = 101, 0.2, 0.5, 200_000
# Offsets of lines, in standard deviations, beyond which they are light.
MOST_OFFSET = 4.0


@dataclass(frozen=True)
class SceneMask:
    """Usable pixels of a frame.

    Attributes
    ----------
    use : ndarray of bool, shape (n_y, n_x)
        True for pixels that show background and noise only.
    reasons : dict of str to int
        Number of pixels left out, by reason; each is counted once.
    missing : ndarray of bool, same shape, optional
        Pixels without data among those that are left out.
    signs : tuple of int
        (1,), or (1, -1) where light of other exposures was subtracted, as in nods.
    """

    use: np.ndarray
    reasons: dict = field(default_factory=dict)
    missing: np.ndarray | None = None
    signs: tuple = (1,)

    @property
    def hidden(self):
        """Pixels that are left out because they see light."""
        return ~self.use if self.missing is None else ~self.use & ~self.missing

    def without(self, bad, reason):
        """Return the mask with more pixels left out."""
        bad = bad & self.use
        number = int(np.count_nonzero(bad)) + self.reasons.get(reason, 0)
        reasons = self.reasons | ({reason: number} if number else {})
        return replace(self, use=self.use & ~bad, reasons=reasons)

    @classmethod
    def of(cls, rate, ramp, regions=None):
        """Pixels with data, outside of known regions of light: those given, else the ramp's."""
        mask = cls(np.ones(rate.shape, dtype=bool)).without(ramp.bad, "flagged")
        mask = mask.without(~np.isfinite(rate), "missing data")
        if np.any(rate, where=mask.use):  # else it is a dark of nothing, not one without data
            mask = mask.without(rate == 0, "missing data")
        variance = ramp.pixel_variance
        if variance is not None:
            mask = mask.without(~(variance > 0), "no variance")
        mask = replace(mask, missing=~mask.use)
        if regions is None:
            regions = ramp.lit
        if regions is None or regions is False:
            return mask
        regions = np.asarray(regions)
        if regions.shape != rate.shape:
            raise ValueError(f"regions: expected shape {rate.shape}, got {regions.shape}")
        return mask.without(regions.astype(bool), "science regions")


class MaskStrategy(ABC):
    """Base of masks: a subclass *must* define ``__call__(rate, ramp)``.

    It *may* define ``refined(mask, left, ramp)``, which looks again at what is left without
    background and noise, ``looks(ramp)``, how often that is done at most, ``widened(mask, ramp)``,
    which adds a margin after the last look, ``at(i)``, the strategy for one integration, and
    ``wings``: passes in which faint light around masked pixels is fitted in turn with the noise.
    """

    wings = 0

    @abstractmethod
    def __call__(self, rate, ramp):
        """Return the `SceneMask` of the draft rate, (n_y, n_x), of a `~specmodels.ramp.Ramp`."""

    def looks(self, ramp):
        """How often the mask is refined at most."""
        return 0

    def refined(self, mask, left, ramp):
        """The mask after another look; by default the same."""
        return mask

    def widened(self, mask, ramp):
        """The mask with a margin, after the last look; by default the same."""
        return mask

    def at(self, i):
        """The strategy for integration `i`, or for all of them (None); by default the same."""
        return self


@dataclass(frozen=True, eq=False)
class GivenMask(MaskStrategy):
    """A mask made elsewhere.

    Parameters
    ----------
    sources : array_like of bool, shape (n_y, n_x) or (n_int, n_y, n_x)
        True for pixels with light of sources, which are left out. With one mask for each
        integration, those cleaned together leave out what any of them does.
    """

    sources: np.ndarray

    def at(self, i):
        """The mask of integration `i`, or of all (None)."""
        sources = np.asarray(self.sources, dtype=bool)
        if sources.ndim != 3:
            return self
        if i is not None and i >= len(sources):
            raise ValueError(
                f"sources: expected a mask for each integration, got {len(sources)} masks"
            )
        return GivenMask(sources.any(axis=0) if i is None else sources[i])

    @classmethod
    def read(cls, path):
        """The mask that was written with a result, or an image that is not zero for background."""
        return cls(~read_background_mask(path))

    def __call__(self, rate, ramp):
        sources = np.asarray(self.sources)
        if sources.shape != rate.shape:
            raise ValueError(f"sources: expected shape {rate.shape}, got {sources.shape}")
        everything = SceneMask.of(rate, ramp, regions=False)
        mask = everything.without(sources.astype(bool), "given mask")
        good = np.count_nonzero(everything.use)
        if np.count_nonzero(mask.use) < 0.05 * good:
            warnings.warn(
                f"sources: {1 - np.count_nonzero(mask.use) / max(good, 1):.1%} of the good pixels "
                "are marked as sources; if True meant background, give the inverse",
                AstropyUserWarning, stacklevel=2,
            )  # fmt: skip
        return mask


@dataclass(frozen=True, eq=False)
class ClippedMask(MaskStrategy):
    """Pixels near the centre of the histogram of the draft rate.

    Parameters
    ----------
    n_sigma, n_sigma_low : float
        Limits above and below the centre, in standard deviations.
    center : callable
        ``np.median`` or ``np.mean``.
    fit_histogram : bool
        Whether a Gaussian fitted to the histogram of the clipped values gives centre and width.
    regions : array_like of bool, or False, optional
        Known regions of light, left out. Default: the slices, slits and open shutters that the
        metadata tell of; False for none.
    """

    n_sigma: float = 2.0
    n_sigma_low: float = 3.0
    center: object = np.median
    fit_histogram: bool = False
    regions: object = None

    def __post_init__(self):
        for name in ("n_sigma", "n_sigma_low"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)!r}")
        if not callable(self.center):
            raise TypeError(f"center: expected np.median or np.mean, got {self.center!r}")

    def __call__(self, rate, ramp):
        mask = SceneMask.of(rate, ramp, self.regions)
        values = rate[mask.use]
        if values.size == 0:
            return mask
        center, sigma = robust_location(values, center=self.center)
        if self.fit_histogram:
            center, sigma = _gaussian_histogram(values, center, sigma)
        with np.errstate(invalid="ignore"):
            mask = mask.without(rate > center + self.n_sigma * sigma, "signal")
            return mask.without(rate < center - self.n_sigma_low * sigma, "too low")


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
    background : `~specmodels.evaluators.backgrounds.Background`, optional
        Taken off before; default: that of the evaluator.
    regions : array_like of bool, or False, optional
        Known regions of light, left out. Default: the slices, slits and open shutters that the
        metadata tell of; False for none.
    rounds : int
        Passes before the noise is fitted.
    n_looks : int, optional
        Passes after that, each with the noise fitted anew; default: 2, or 1 where light is
        dispersed.
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
    n_looks: int | None = None
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
        for look in range(self.rounds):
            use = mask.use & ~found
            left = np.where(mask.use, rate, 0).astype("f4")
            if self.background is not None:
                left = np.nan_to_num(left - self.background(left, use, ramp), copy=False)
            flat = left - _line_offsets(left, use, ramp.readout)
            if look == 0 and is_difference(flat, use):
                mask = replace(mask, signs=(1, -1))
            found = self._found(flat, mask, ramp, self.least)
        if ramp.dispersion_axis == ramp.readout.stripe_axis:
            found |= _wings(left, mask, found, ramp)
        mask = mask.without(found, "light detected")
        return mask if self.looks(ramp) else self.widened(mask, ramp)

    def looks(self, ramp):
        """How often the mask is refined at most."""
        if self.n_looks is not None:
            return self.n_looks
        return 2 if ramp.dispersion_axis is None else 1

    def refined(self, mask, left, ramp):
        """The mask without what stands out once noise and background are gone."""
        found = self._found(left, mask, ramp, self.least_refined)
        return mask.without(found, "light detected")

    def widened(self, mask, ramp):
        """The mask with a margin around all light."""
        widths = _margin(ramp, self.margin)
        if max(widths) == 0 or min(ramp.shape) < 3:
            return mask
        blocks = ndimage.minimum_filter(mask.hidden, 3)
        while True:
            near = ndimage.maximum_filter(blocks, [2 * w + 3 for w in widths])
            kept = np.count_nonzero(mask.use & ~near)
            if kept >= self.least_widened * np.count_nonzero(mask.use) or max(widths) == 0:
                return mask.without(near, "margin of light")
            widths = [max(w - 1, 0) for w in widths]

    def _found(self, left, mask, ramp, least):
        boxes, use = self.boxes or _boxes(ramp), mask.use
        grow = self.grow
        if grow is None:
            grow = 1.0 if ramp.dispersion_axis is None else 0.8
        first = sigma = self.sigma or (4.5 if ramp.dispersion_axis is None else 4.0)
        left = np.where(use, left, 0)
        while True:
            found = np.zeros(use.shape, dtype=bool)
            for sign in mask.signs:
                good = use & ~found
                found |= detect_excess(sign * left, good, boxes, sigma=sigma, grow=grow)
            kept = np.count_nonzero(use & ~found)
            if kept >= least * np.count_nonzero(use) or sigma > 10 * first:
                return found
            sigma *= 1.5


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
    if axis in (None, ramp.readout.stripe_axis):  # strips would take up the noise of stripes
        n_pixels = ramp.shape[-1] * ramp.shape[-2]
        many = tuple(box for box in SQUARES if LEAST_BOXES * box[0] * box[1] <= n_pixels)
        return many if USUAL in many else SQUARES
    strips = STRIPS if ramp.shape[-3 - axis] > NARROW else NARROW_STRIPS
    return strips if axis == -1 else tuple(box[::-1] for box in strips)


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
    order = readout.along_stripes()
    frames, used = order.frames(image), order.frames(use)
    medians, number = line_medians(frames, used)
    middle, scale = robust_location(medians[number > 0])
    if scale > 0:
        limit = MOST_OFFSET * scale
        medians = np.clip(medians, middle - limit, middle + limit).astype("f4")
    return order.image(np.broadcast_to(medians[..., None], frames.shape))


def _gaussian_histogram(values, center, sigma):
    """Centre and width of a Gaussian fitted to the histogram of 4-sigma clipped values."""
    values = values[np.abs(values - center) <= 4 * sigma]
    counts, edges = np.histogram(values, bins=min(2000, max(20, values.size // 50)))
    middle = 0.5 * (edges[1:] + edges[:-1])

    def gaussian(x, height, mean, width):
        return height * np.exp(-0.5 * ((x - mean) / width) ** 2)

    try:
        (_, mean, width), _ = optimize.curve_fit(
            gaussian, middle, counts, p0=(counts.max(), center, sigma)
        )
    except RuntimeError:
        return center, sigma
    return float(mean), float(abs(width))
