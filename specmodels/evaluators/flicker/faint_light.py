"""Light too faint to be detected around masked pixels, fitted in turn with the noise.

Noise follows the order of readout; light does not. What is left without the noise is smoothed,
taken off, and the noise is fitted again, so that wings are not taken for noise.
"""

import numpy as np
from scipy import ndimage

__all__ = ["FaintLight"]

# Standard deviations in pixels: of images, and of light dispersed across the stripes.
ROUND, ACROSS, ALONG = 3.0, 1.0, 30.0
REACH, CUT = 10, 2.5
# Smoothing with fewer of its pixels known is not trusted more than this.
LEAST_WEIGHT = 0.05


class FaintLight:
    """Smoothed images of what is left near masked pixels, with one mask.

    Parameters
    ----------
    use, hidden : ndarray of bool, shape (n_y, n_x)
        Pixels that count, and those that are left out since they see light.
    ramp : `~specmodels.ramp.Ramp`
        Tells along which axes stripes run and light is dispersed.
    """

    def __init__(self, use, hidden, ramp):
        self.use, self.sigma = use, _kernel(ramp)
        self.near = ndimage.maximum_filter(hidden, 2 * REACH + 1)
        self.weight = np.maximum(self._smooth(use.astype("f4")), np.float32(LEAST_WEIGHT))

    def _smooth(self, image):
        return ndimage.gaussian_filter(image, self.sigma, truncate=CUT)

    def __call__(self, left):
        """Smoothed mean of what is left, zero away from masked pixels; shape (n_y, n_x)."""
        known = np.where(self.use, left, 0).astype("f4", copy=False)
        return np.where(self.near, self._smooth(known) / self.weight, np.float32(0))


def _kernel(ramp):
    """Widths of the smoothing along the axes of the image.

    Where light is dispersed across the stripes, what many of them have in common is no noise.
    """
    along = ramp.dispersion_axis
    if along is None or along == ramp.readout.stripe_axis:
        return (ROUND, ROUND)
    return (ACROSS, ALONG) if along == -1 else (ALONG, ACROSS)
