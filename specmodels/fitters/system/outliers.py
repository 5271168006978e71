"""Pixels that disagree with a fit of a system: each is judged by the fit without it."""

import numpy as np
from scipy.ndimage import maximum_filter

from ...numerics.clipping import local_scale, relative_misfit

__all__ = ["solution_outliers", "system_outliers"]

# A pixel with this leverage, or more, has no others that could contradict it.
MOST_LEVERAGE = 0.999
NEIGHBOURS = np.ones((3, 3), dtype=bool)
NEIGHBOURS[1, 1] = False


def system_outliers(result, images, sigma, profile_error):
    """Pixels of images that disagree with a fit.

    A residual is divided by its standard deviation in the fit without the pixel, with the
    leverage of the pixel. Pixels that were left out are judged by their prediction. A hit draws
    the fit, so that its neighbours look bad as well: of each residual the most that a neighbour
    can have done to it is taken off, by the bound of Cauchy and Schwarz for the leverage that two
    pixels have in common. What was left out draws nothing.

    Parameters
    ----------
    result : SystemFitResult
        Of the images with what was rejected before masked.
    images : list of `~specmodels.exposure.SpectralImage`
        Before any rejection.
    sigma : float
        Threshold.
    profile_error : float
        Least relative error of the model.

    Returns
    -------
    list of ndarray of bool
        One for each image.
    """
    solution = result.equations, result.coefficients, result.offset
    return solution_outliers(result.fitted, solution, images, sigma, profile_error)


def solution_outliers(problem, solution, images, sigma, profile_error):
    """As `system_outliers`, of a problem and its equations, coefficients and offset."""
    equations, coefficients, offset = solution[:3]
    leverage = equations.leverages()
    unseen = equations.factor.scale[equations.structure.rank] == 0
    total = np.where(equations.entries.see(unseen), np.nan, offset + equations.image(coefficients))
    out = []
    for part, image, fitted in zip(problem.slices, images, problem.images, strict=True):
        model = total[part].reshape(image.shape)
        own = np.where(fitted.mask, 0.0, leverage[part].reshape(image.shape))
        use = ~image.mask & np.isfinite(model) & (own < MOST_LEVERAGE)
        root = np.sqrt(image.weights)
        student = np.where(use, image.data - np.nan_to_num(model), 0.0) * root
        student /= np.sqrt(1 - np.where(use, own, 0.0))
        light = np.nan_to_num(model)
        signal = np.abs(light - np.median(light, axis=0)) * root
        error = max(profile_error, relative_misfit(student, signal, use & ~fitted.mask))
        scale = np.maximum(local_scale(student, use & ~fitted.mask), 1.0)
        excess = np.abs(student) / np.hypot(scale, error * signal)
        pull = np.sqrt(own / (1 - np.where(use, own, 0.0)))
        drawn = pull * maximum_filter(np.abs(student) * pull, footprint=NEIGHBOURS)
        out.append(use & (excess > sigma) & (excess - drawn > sigma))
    return out
