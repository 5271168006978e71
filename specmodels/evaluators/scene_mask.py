"""Which pixels of a detector show nothing but background and noise: masks as objects.

Called with a draft rate they return a `SceneMask`: the usable pixels, and why others are not.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from scipy import optimize

from ..io.flicker_files import read_background_mask
from ..numerics.detection import detect_excess, robust_location
from ..numerics.lines import line_medians

__all__ = ["ClippedMask", "DetectedMask", "GivenMask", "MaskStrategy", "SceneMask"]

SQUARES = ((1, 1), (3, 3), (7, 7), (15, 15), (31, 31), (63, 63))
# Across and along the dispersion: traces and slices are long.
STRIPS = ((1, 1), (3, 3), (7, 7), (3, 31), (5, 101), (9, 301), (9, 601))
NARROW_STRIPS = ((1, 1), (3, 3), (3, 31), (5, 101), (5, 301))
NARROW = 64


@dataclass(frozen=True)
class SceneMask:
    """Usable pixels of a frame.

    Attributes
    ----------
    use : ndarray of bool, shape (n_y, n_x)
        True for pixels that show background and noise only.
    reasons : dict of str to int
        Number of pixels left out, by reason; each is counted once.
    """

    use: np.ndarray
    reasons: dict = field(default_factory=dict)

    def without(self, bad, reason):
        """Return the mask with more pixels left out."""
        bad = bad & self.use
        number = int(np.count_nonzero(bad)) + self.reasons.get(reason, 0)
        reasons = self.reasons | ({reason: number} if number else {})
        return SceneMask(self.use & ~bad, reasons)

    @classmethod
    def of(cls, rate, ramp, regions=None):
        """Pixels with data, outside of known regions of light: those given, else the ramp's."""
        mask = cls(np.ones(rate.shape, dtype=bool)).without(ramp.bad, "flagged")
        mask = mask.without(~np.isfinite(rate) | (rate == 0), "missing data")
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
    background and noise, ``looks(ramp)``, how often that is done at most, and ``wings``: passes in
    which faint light around masked pixels is fitted together with the noise.
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


@dataclass(frozen=True, eq=False)
class GivenMask(MaskStrategy):
    """A mask made elsewhere.

    Parameters
    ----------
    sources : array_like of bool, shape (n_y, n_x)
        True for pixels with light of sources, which are left out.
    """

    sources: np.ndarray

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
        Boxes over which light is averaged; default: squares, or strips along the dispersion.
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
        Passes in which faint light around masked pixels is fitted together with the noise.
    least : float
        If less than this fraction of the good pixels were left, the threshold is raised.
    least_refined : float
        The same for each pass after a fit of the noise, of the pixels used before.
    """

    sigma: float | None = None
    boxes: tuple | None = None
    grow: float | None = None
    background: object = None
    regions: object = None
    rounds: int = 2
    n_looks: int | None = None
    wings: int = 2
    least: float = 0.5
    least_refined: float = 0.9

    def __call__(self, rate, ramp):
        mask = SceneMask.of(rate, ramp, self.regions)
        found = np.zeros(rate.shape, dtype=bool)
        for _ in range(self.rounds):
            use = mask.use & ~found
            left = np.where(mask.use, rate, 0).astype("f4")
            if self.background is not None:
                left = left - self.background(left, use, ramp)
            left = left - _line_offsets(left, use, ramp.readout)
            found = self._found(left, mask.use, ramp, self.least)
        return mask.without(found, "light detected")

    def looks(self, ramp):
        """How often the mask is refined at most."""
        if self.n_looks is not None:
            return self.n_looks
        return 2 if ramp.dispersion_axis is None else 1

    def refined(self, mask, left, ramp):
        """The mask without what stands out once noise and background are gone."""
        found = self._found(left, mask.use, ramp, self.least_refined)
        return mask.without(found, "light detected")

    def _found(self, left, use, ramp, least):
        boxes = self.boxes or _boxes(ramp)
        grow = self.grow
        if grow is None:
            grow = 1.0 if ramp.dispersion_axis is None else 0.8
        first = sigma = self.sigma or (4.5 if ramp.dispersion_axis is None else 4.0)
        while True:
            found = detect_excess(np.where(use, left, 0), use, boxes, sigma=sigma, grow=grow)
            kept = np.count_nonzero(use & ~found)
            if kept >= least * np.count_nonzero(use) or sigma > 10 * first:
                return found
            sigma *= 1.5


def _boxes(ramp):
    """Boxes for images of the sky, or for traces along the dispersion."""
    axis = ramp.dispersion_axis
    if axis is None:
        return SQUARES
    strips = STRIPS if ramp.shape[-3 - axis] > NARROW else NARROW_STRIPS
    return strips if axis == -1 else tuple(box[::-1] for box in strips)


def _line_offsets(image, use, readout):
    """Medians of the stripes of each output, shape as the image."""
    order = readout.along_stripes()
    frames, used = order.frames(image), order.frames(use)
    medians, _ = line_medians(frames, used)
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
