"""Which pixels of a detector show nothing but background and noise: masks as objects.

Called with a draft rate they return a `SceneMask`: the usable pixels, and why others are not.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning
from scipy import optimize

from ...io.flicker_files import read_background_mask
from ...numerics.detection import robust_location

__all__ = ["ClippedMask", "GivenMask", "MaskStrategy", "SceneMask"]


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
    undetected : SceneMask, optional
        The mask without light that was detected in a first look, which may be looked for again.
    """

    use: np.ndarray
    reasons: dict = field(default_factory=dict)
    missing: np.ndarray | None = None
    signs: tuple = (1,)
    undetected: "SceneMask | None" = None

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
    background and noise, ``n_looks``, how often that is done at most, ``widened(mask, ramp)``,
    which adds a margin after the last look, ``at(i)``, the strategy for one integration, and
    ``wings``: passes in which faint light around masked pixels is fitted in turn with the noise.
    """

    n_looks = wings = 0

    @abstractmethod
    def __call__(self, rate, ramp):
        """Return the `SceneMask` of the draft rate, (n_y, n_x), of a `~specmodels.ramp.Ramp`."""

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


def _gaussian_histogram(values, center, sigma):
    """Centre and width of a Gaussian fitted to the histogram of 4-sigma clipped values."""
    values = values[np.abs(values - center) <= 4 * sigma]
    if not sigma > 0:
        return center, sigma
    counts, edges = np.histogram(values, bins=min(2000, max(20, values.size // 50)))
    middle = 0.5 * (edges[1:] + edges[:-1])

    def gaussian(x, height, mean, width):
        return height * np.exp(-0.5 * ((x - mean) / width) ** 2)

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", optimize.OptimizeWarning)
            (_, mean, width), _ = optimize.curve_fit(
                gaussian, middle, counts, p0=(counts.max(), center, sigma)
            )
    except (RuntimeError, optimize.OptimizeWarning):
        return center, sigma
    if not (abs(mean - center) < sigma and sigma / 5 < abs(width) < 5 * sigma):
        return center, sigma  # of other things than the noise
    return float(mean), float(abs(width))
