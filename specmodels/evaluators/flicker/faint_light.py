"""Light too faint to be detected around masked pixels, fitted in turn with the noise.

Noise follows the order of readout; light does not. What is left without the noise is smoothed,
taken off, and the noise is fitted again, so that wings are not taken for noise.
"""

import numpy as np
from scipy import ndimage

from ...numerics.box_sums import box_sums, grown

__all__ = ["FaintLight"]

# Standard deviations in pixels: of images, and of light dispersed across the stripes.
ROUND, ACROSS, ALONG = 3.0, 1.0, 30.0
REACH, CUT = 10, 2.5
# Smoothing with fewer of its pixels known is not trusted more than this.
LEAST_WEIGHT = 0.05
# Cells in a standard deviation, at least.
CELLS = 1.5


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
        # Means over cells are smoothed: much fewer than pixels, and smaller than the kernel.
        self.cell = tuple(max(1, int(sigma / CELLS)) for sigma in self.sigma)
        self.near = grown(hidden, (REACH, REACH))
        number = box_sums(use, use, self.cell, self.cell)[1]
        least = LEAST_WEIGHT * self.cell[0] * self.cell[1]
        self.weight = np.maximum(self._smooth(number), np.float32(least))

    def _smooth(self, cells):
        sigma = [s / c for s, c in zip(self.sigma, self.cell, strict=True)]
        return ndimage.gaussian_filter(cells, sigma, truncate=CUT)

    def __call__(self, left):
        """Smoothed mean of what is left, zero away from masked pixels; shape (n_y, n_x)."""
        mean = self._smooth(box_sums(left, self.use, self.cell, self.cell)[0]) / self.weight
        for axis, size in enumerate(self.cell):
            mean = np.repeat(mean, size, axis=axis) if size > 1 else mean
        return np.where(self.near, mean[: self.use.shape[0], : self.use.shape[1]], np.float32(0))


def _kernel(ramp):
    """Widths of the smoothing along the axes of the image.

    Where light is dispersed across the stripes, what many of them have in common is no noise.
    """
    along = ramp.dispersion_axis
    if along is None or along == ramp.readout.stripe_axis:
        return (ROUND, ROUND)
    return (ACROSS, ALONG) if along == -1 else (ALONG, ACROSS)
