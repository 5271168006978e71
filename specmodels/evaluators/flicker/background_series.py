"""The background of a time series: its median image, which follows the light of each frame."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...numerics.detection import robust_location
from ...numerics.lines import line_medians, masked_median
from .backgrounds import Background

__all__ = ["MedianOverIntegrations"]

# The brightness is that of pixels with so much of the brightest one; stripes have light if they
# have a peak of so many standard deviations; their dark pixels are not further up.
BRIGHT, LEAST_PEAK, DARK, SMOOTH = 0.1, 10.0, 3.0, 1.5


@dataclass(frozen=True)
class MedianOverIntegrations(Background):
    """The median image of a time series, with all its sources: what changes is noise.

    The image follows the light of each frame, and its level that of the usable pixels. Pixels with
    more than a part of the brightest one in their stripe are left out, as light that changes by
    itself (the depth of a transit depends on the wavelength) would be taken for noise.

    Parameters
    ----------
    faint : float
        That part of the brightest pixel: about as much of a change is lost.

    Raises
    ------
    ValueError
        If there are less than three integrations, or `faint` is no fraction.
    """

    faint: float = 0.01

    def __post_init__(self):
        if not 0 < self.faint < 1:
            raise ValueError(f"faint: expected a fraction, got {self.faint!r}")

    def prepared(self, ramp):
        """The median image."""
        if ramp.n_integrations < 3:
            raise ValueError(
                "background: expected at least three integrations for a median over them, got "
                f"{ramp.n_integrations}"
            )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            image = np.nanmedian([ramp.rate(i) for i in range(ramp.n_integrations)], axis=0)
        share = np.pi / (2 * ramp.n_integrations + np.pi - 2)  # variance of a median
        lit = _bright(image, ramp, self.faint)
        return _Template(np.nan_to_num(image).astype("f4"), lit, share)

    def __call__(self, frame, use, ramp):
        return self.prepared(ramp)(frame, use, ramp)


@dataclass(frozen=True, eq=False)
class _Template(Background):
    """An image of which the level and the brightness of its sources are fitted."""

    image: np.ndarray
    lit: np.ndarray
    noise_share: float = 0.0
    in_threads = True

    def __call__(self, frame, use, ramp):
        level = masked_median(self.image, use)
        shape = self.image - np.float32(level)
        factor = np.float32(self._brightness(frame, use, shape))
        return factor * shape + np.float32(masked_median(frame - factor * shape, use))

    def _brightness(self, frame, use, shape):
        """Light of the sources in a frame over that in the image; one where there are none."""
        bright = self.lit & np.isfinite(frame)
        bright &= np.abs(shape) > BRIGHT * np.max(np.abs(shape[bright]), initial=0)
        if not bright.any() or not use.any():
            return 1.0
        dark = masked_median(frame, use)
        return float(np.median((frame[bright] - dark) / shape[bright]))


def _bright(image, ramp, faint):
    """Pixels with more than a part of the brightest pixel of their stripe, without its level."""
    order = ramp.readout.along_stripes()
    good = np.isfinite(image) & ~ramp.bad
    lines = order.lines(np.where(good, image, 0).astype("f4"))
    used = order.lines(good)
    middle, spread = robust_location(image[good])
    # The level of a stripe is that of its dark pixels, noise and all.
    dark = used & (lines < middle + DARK * spread)
    level, number = line_medians(lines, dark)
    left = np.where(used, lines - np.where(number > 0, level, middle)[:, None], 0)
    peak = ndimage.uniform_filter(left, (1, 3)).max(axis=1, keepdims=True)
    noise = robust_location(left[dark])[1]
    smooth = ndimage.gaussian_filter(left, SMOOTH)
    lit = (peak > LEAST_PEAK * noise) & ((left > faint * peak) | (smooth > faint * peak))
    lit &= smooth > noise / 2
    return order.lines(lit) & good
