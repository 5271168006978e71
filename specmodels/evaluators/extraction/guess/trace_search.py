"""The trace of a source too faint to be followed: that along which most light adds up.

Where the parts of a spectrum show nothing by themselves, slope and bow are still told by all of
them together.
"""

import numpy as np
from numpy.polynomial import legendre
from scipy import ndimage

__all__ = ["BOW", "SLOPE", "brightest_trace"]

# What instruments do to a trace, in pixels: standard deviations of the Legendre coefficients of the
# slope and of the bow.
SLOPE, BOW = 1.5, 1.0
# Steps of the search and the largest coefficients, in pixels.
STEP, LARGEST_SLOPE, LARGEST_BOW = 0.5, 5.0, 3.0
# Light is looked for in so many rows, and compared with that of so many around.
NARROW, WIDE = 1.0, 6.0
# Positions are rounded to a part of a pixel.
PER_PIXEL = 2
MARGIN = int(np.ceil(LARGEST_SLOPE + LARGEST_BOW)) * PER_PIXEL
# Where a trace leaves the slit, or pixels are bad, so much has to be seen of it.
LEAST_SEEN = 0.3
# A trace that is not straight has to gain so much in the square of its significance: of some twenty
# traces that differ, noise lets the best gain that.
LEAST_GAIN = 6.0


def brightest_trace(columns, mean, weight, n_column):
    """Trace along which the light has the greatest significance, given what instruments do.

    Parameters
    ----------
    columns : ndarray, shape (n_bin,)
        Mean column of each bin of columns.
    mean, weight : ndarray, shape (n_row, n_bin)
        Its mean light, and the inverse variance of that.
    n_column : int

    Returns
    -------
    ndarray, shape (n_column,)
        Row of the trace in each column less its mean: a parabola, or zero.
    """
    t = 2 * columns / max(n_column - 1, 1) - 1
    light, variance = _matched(mean, weight)
    slopes, bows = (np.arange(-m, m + STEP / 2, STEP) for m in (LARGEST_SLOPE, LARGEST_BOW))
    best, greatest = np.zeros(3), _significance(light, variance, 0 * t) + LEAST_GAIN
    for slope in slopes:
        for bow in bows:
            trial = np.array([0.0, slope, bow])
            gained = _significance(light, variance, legendre.legval(t, trial))
            gained -= (slope / SLOPE) ** 2 + (bow / BOW) ** 2
            if gained > greatest:
                best, greatest = trial, gained
    values = legendre.legval(np.linspace(-1, 1, n_column), best)
    return values - values.mean()


def _matched(mean, weight):
    """Light of a source at each position, less that around it; and its variance.

    Positions are parts of pixels, and reach beyond the rows by the largest shift.
    """
    narrow, wide = (ndimage.gaussian_filter1d(mean * weight, s, axis=0, mode="constant")
                    for s in (NARROW, WIDE))  # fmt: skip
    # The square of a Gaussian is one of a width smaller by the root of two.
    variance = ndimage.gaussian_filter1d(weight, NARROW / np.sqrt(2), axis=0, mode="constant")
    variance = variance / (2 * np.sqrt(np.pi) * NARROW)
    fine = np.arange(0, len(mean) - 1 + 1e-9, 1 / PER_PIXEL)
    places = np.meshgrid(fine, np.arange(mean.shape[1]), indexing="ij")
    return [
        np.pad(ndimage.map_coordinates(a, places, order=1), ((MARGIN, MARGIN), (0, 0)))
        for a in (narrow - wide, variance)
    ]


def _significance(light, variance, shift):
    """Square of the greatest significance of the sum along a trace."""
    rows = np.arange(MARGIN, len(light) - MARGIN, PER_PIXEL)[:, None]
    rows = rows + np.round(PER_PIXEL * shift).astype(int)
    bins = np.arange(light.shape[1])
    total, noise = light[rows, bins].sum(axis=1), variance[rows, bins].sum(axis=1)
    seen = noise > LEAST_SEEN * np.median(noise)
    return float(np.max(total[seen] ** 2 / noise[seen], initial=0.0))
