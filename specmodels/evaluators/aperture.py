"""Aperture extraction: the plain sum along the trace, to compare an optimal extraction with."""

import numpy as np

__all__ = ["aperture_sum"]


def aperture_sum(image, source_image, others, trace, radius):
    """Sum of a source's light within a radius of its trace.

    Bad pixels are filled from the model of the source; pixels partly inside count by that part.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`
        Data; its mask holds rejected pixels too.
    source_image, others : ndarray, shape of the image
        Model of the source, and of all that is to be subtracted (sky and other sources).
    trace : ndarray, shape (n_dispersion,)
        Row of the source in each column.
    radius : float or ndarray, shape (n_dispersion,)
        Half the height of the aperture, in pixels.

    Returns
    -------
    flux, error : ndarray, shape (n_dispersion,)
        The sum and its standard error; NaN where no pixel of the aperture is good.
    enclosed : ndarray, shape (n_dispersion,)
        Sum of `source_image` within the aperture.
    """
    y = image.y[:, None]
    overlap = np.clip(
        np.minimum(y + 0.5, trace + radius) - np.maximum(y - 0.5, trace - radius), 0, 1
    )
    good = ~image.mask
    filled = np.where(good, image.data - others, source_image)
    flux = np.sum(overlap * filled, axis=0)
    used = np.any((overlap > 0) & good, axis=0)
    variance = 1.0 if image.variance is None else np.where(good, image.variance, 0.0)
    error = np.sqrt(np.sum(overlap**2 * np.where(good, variance, 0.0), axis=0))
    enclosed = np.sum(overlap * source_image, axis=0)
    return np.where(used, flux, np.nan), np.where(used, error, np.nan), enclosed
