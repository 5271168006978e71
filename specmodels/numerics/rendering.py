"""Images finer than their pixels: what a pixel holds is kept, how it lies within is interpolated.

Pixels are averages, so the interpolating B-spline is the one whose averages over pixels are the
data (Unser 1999, "Splines: a perfect fit for signal and image processing": the average of a spline
of degree n over unit steps is one of degree n + 1, whose prefilter is the usual one).
"""

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline

__all__ = ["subpixel_centres", "subpixel_means"]

DEGREE = 4


def subpixel_centres(n):
    """Centres of n equal parts of a pixel, relative to its own, shape (n,)."""
    return (np.arange(n) + 0.5) / n - 0.5


def subpixel_means(image, rows, columns, n):
    """Averages over n x n parts of some pixels, which average to the pixel again.

    Parameters
    ----------
    image : ndarray, shape (n_y, n_x)
        Finite everywhere.
    rows, columns : ndarray of int, shape (n_pixel,)
        The pixels.
    n : int
        Parts of each along both axes.

    Returns
    -------
    ndarray, shape (n_pixel, n, n)
        By row and column within the pixel.
    """
    if n == 1:
        return image[rows, columns][:, None, None].astype(float)
    coefficients = ndimage.spline_filter(image, order=DEGREE + 1, mode="mirror")
    taps, weights = _weights(n)
    n_y, n_x = image.shape
    at_y = _mirrored(rows[:, None] + taps, n_y)
    at_x = _mirrored(columns[:, None] + taps, n_x)
    near = coefficients[at_y[:, :, None], at_x[:, None, :]]
    return np.einsum("ia,pab,jb->pij", weights, near, weights, optimize=True)


def _weights(n):
    """Neighbours that matter, and average of their B-splines over each part of a pixel."""
    spline = BSpline.basis_element(np.arange(DEGREE + 2) - (DEGREE + 1) / 2, extrapolate=False)
    total = spline.antiderivative()
    reach = (DEGREE + 1) / 2
    taps = np.arange(-int(np.ceil(reach)), int(np.ceil(reach)) + 1)
    edges = np.arange(n + 1) / n - 0.5

    def integral(offset):
        return total(np.clip(offset, -reach, reach))

    ends = integral(edges[:, None] - taps)
    weights = n * np.diff(ends, axis=0)
    used = np.any(weights != 0, axis=0)
    return taps[used], weights[:, used]


def _mirrored(index, n):
    """Indices beyond the ends reflected at the centre of the last pixel."""
    if n == 1:
        return np.zeros_like(index)
    index = np.abs(index)
    return np.where(index > n - 1, 2 * (n - 1) - index, index)
