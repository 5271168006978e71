"""First sky of a slit with tilted lines: a robust spline of wavelength from rows without sources.

It tells where sources are, and starts the fit of all that follows; no error is made of it.
"""

import numpy as np

from ....numerics.bsplines import DEGREE, LocalBasis
from ....numerics.robust import MAD_TO_SIGMA, column_median

__all__ = ["bright_rows", "enough_are_dark", "first_sky"]

# Rows brighter than the sky by so many standard errors of their median hold sources.
LIGHT = 4.0
# Residuals, in standard deviations, from which pixels count for less than half; the part of the sky
# by which it may differ from row to row, as the slit is not known yet; passes over the pixels.
HALF_WEIGHT, SLIT_ERROR, PASSES = 3.0, 0.03, 6
# Part of the rows, and number, that must stay.
LEAST_PART, LEAST_ROWS = 5, 3


def first_sky(image, breaks):
    """Sky of wavelength from the rows without much light of sources.

    Least squares with weights by Cauchy's distribution, made again at each pass, so that hits count
    for nothing wherever they are.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With the wavelength of each pixel.
    breaks : ndarray, shape (n_break,)
        Breakpoints of the spectrum.

    Returns
    -------
    ndarray
        Shape of the image; zero where nothing is known.
    """
    known = np.isfinite(image.wavelength)
    basis = LocalBasis.at(np.where(known, image.wavelength, breaks[0]).ravel(), breaks)
    data, weights = image.columns(slice(None))
    weights = np.where(known, weights, 0.0)
    root, weight = np.sqrt(weights), weights
    for _ in range(PASSES):
        fit = basis.equations(data.ravel(), weight.ravel(), len(breaks) + DEGREE - 1).solve()
        sky = np.where(known, basis(fit.values).reshape(data.shape), 0.0)
        bright = bright_rows(image, sky)
        if not enough_are_dark(bright):
            break
        off = (data - sky) * root / np.hypot(1.0, SLIT_ERROR * sky * root)
        weight = np.where(bright[:, None], 0.0, weights / (1 + (off / HALF_WEIGHT) ** 2))
    return sky


def bright_rows(image, sky):
    """Rows whose median above a sky is higher than that of most, shape (n_row,)."""
    excess = (image.data - sky) * np.sqrt(image.weights)
    rows = column_median(excess.T, ~image.mask.T) * np.sqrt(excess.shape[1])
    center = np.nanmedian(rows)
    scale = max(MAD_TO_SIGMA * np.nanmedian(np.abs(rows - center)), 1.0)
    return np.nan_to_num(rows - center) > LIGHT * scale


def enough_are_dark(bright):
    """Whether rows that are not bright, of a mask of shape (n_row,), can tell the sky."""
    return np.count_nonzero(~bright) >= max(LEAST_ROWS, len(bright) // LEAST_PART)
