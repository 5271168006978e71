"""Errors of fluxes by a sky that is smooth along the slit, and has more terms than were fitted.

A slope or a parabola that is not seen for certain is no part of a model, but it may be there: what
the rows without sources say of it is an error of all columns at once.
"""

import numpy as np
from numpy.polynomial import legendre

from .coherent_light import row_means

__all__ = ["unseen_sky"]

# Degree to which a sky is expected to have terms; of a sky that has these, the next.
DEGREE = 2
# Rows that tell of it are dark in such a part of the columns; there are so many for each term.
LEAST_PART, ROWS_PER_TERM = 0.5, 4


def unseen_sky(image, zones, light, n_terms):
    """Skies that a fit may lack, each as it would be in all columns.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    zones : ndarray of bool, shape (n_row, n_column)
        Pixels to which sources reach.
    light : `~specmodels.evaluators.extraction.fluxes.coherent_light.CoherentLight`
        What the fit leaves.
    n_terms : int
        Terms that the sky of the fit has in a column.

    Returns
    -------
    ndarray, shape (n_sky, n_row)
        Their sum of squares is what is expected; of no sky where rows do not tell.
    """
    dark = ~image.mask & ~zones & ~light.found
    number = np.count_nonzero(dark, axis=1)
    rows = number > LEAST_PART * image.shape[1]
    degree = max(DEGREE, n_terms)
    if np.count_nonzero(rows) < ROWS_PER_TERM * (degree + 1):
        return np.zeros((0, image.shape[0]))
    terms = legendre.legvander(np.linspace(-1, 1, image.shape[0]), degree)
    left, noise = (a[rows] for a in row_means(dark, light.residual, image.variance))
    root = np.sqrt(noise)
    inverse = np.linalg.pinv(terms[rows] / root[:, None])
    height = (inverse @ (left / root))[n_terms:]
    covariance = (inverse @ inverse.T)[n_terms:, n_terms:]
    size, axes = np.linalg.eigh(covariance + np.outer(height, height))
    return np.sqrt(np.maximum(size, 0.0))[:, None] * axes.T @ terms[:, n_terms:].T
