"""Images finer than their pixels: what a pixel holds is kept, how it lies within is interpolated.

Pixels are averages, so the interpolating B-spline is the one whose averages over pixels are the
data (Unser 1999, "Splines: a perfect fit for signal and image processing": the average of a spline
of degree n over unit steps is one of degree n + 1, whose prefilter is the usual one).
"""

from functools import cache
from itertools import pairwise

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline

__all__ = ["subpixel_means"]

DEGREE = 4
# Parts of pixels are made from so many pixels to each side, for tiles of so many: what lies beyond
# takes part with less than 1e-5 of its difference from the pixel.
REACH, TILE, TILES_AT_ONCE = 14, 16, 512


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
    weights = _matrix(n)
    n_y, n_x = image.shape
    n_across = -(-n_x // TILE)
    tiles, tile = np.unique(rows // TILE * n_across + columns // TILE, return_inverse=True)
    order = np.argsort(tile, kind="stable")
    ends = np.searchsorted(tile[order], np.arange(0, len(tiles) + TILES_AT_ONCE, TILES_AT_ONCE))
    near, parts = np.arange(-REACH, TILE + REACH), np.arange(n)
    out = np.empty((len(rows), n, n))
    for k, (first, stop) in enumerate(pairwise(ends)):
        top, left = np.divmod(tiles[k * TILES_AT_ONCE : (k + 1) * TILES_AT_ONCE], n_across)
        at_y = _mirrored(top[:, None] * TILE + near, n_y)
        at_x = _mirrored(left[:, None] * TILE + near, n_x)
        fine = weights @ image[at_y[:, :, None], at_x[:, None, :]] @ weights.T
        own = order[first:stop]
        y = (rows[own] % TILE * n)[:, None, None] + parts[:, None]
        x = (columns[own] % TILE * n)[:, None, None] + parts
        out[own] = fine[(tile[own] - k * TILES_AT_ONCE)[:, None, None], y, x]
    return out


@cache
def _matrix(n):
    """Parts of the pixels of a row of a tile from the row with what is near, (n TILE, n_near)."""
    impulse = np.zeros(8 * REACH + 1)
    impulse[4 * REACH] = 1.0
    spline = ndimage.spline_filter1d(impulse, order=DEGREE + 1, mode="mirror")
    taps, weights = _weights(n)
    lags = np.arange(-REACH, REACH + 1)
    own = np.einsum("it,lt->il", weights, spline[4 * REACH + taps - lags[:, None]])
    out = np.zeros((TILE, n, TILE + 2 * REACH))
    for pixel in range(TILE):
        out[pixel, :, pixel : pixel + 2 * REACH + 1] = own
    return out.reshape(n * TILE, -1)


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
    index = np.abs(index) % (2 * n - 2)
    return np.minimum(index, 2 * n - 2 - index)
