"""Pixels that disagree with a fit of a system: each is judged by the fit without it."""

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter

from ...numerics.clipping import local_scale, relative_misfit
from ...numerics.robust import median_of_columns
from .answers import prediction_variances

__all__ = ["solution_outliers", "system_outliers"]

# A pixel with this leverage, or more, has no others that could contradict it.
MOST_LEVERAGE = 0.999
# Rows and columns about a pixel in which hits can draw the fit.
DRAWN = (9, 5)
# Solutions with more and more pixels left out.
MOST_ROUNDS = 8


def system_outliers(result, images, sigma, profile_error):
    r"""Pixels of images that disagree with a fit.

    With the precision :math:`P` of the data when coefficients, and noise that is correlated, are
    free, the residual of a pixel from the fit without it, in its standard deviations, is
    :math:`(P d)_i / \sqrt{P_{ii}}`. A hit draws the fit, so that pixels about it look bad as well:
    of each residual the most that all others about it can have done together is taken off, by the
    bound of Cauchy and Schwarz for the leverage that two pixels have in common; of those that are
    not beyond the threshold without this, the largest of its surroundings is rejected alone. All
    linear parameters are solved for without these pixels, and the others judged anew, until none is
    left; in the end those that agree with what was fitted without them are taken back. What the
    model misses is part of the noise all the while, so that of all pixels a hit stands out.

    Parameters
    ----------
    result : SystemFitResult
        Of the images with what was rejected before masked.
    images : list of `~specmodels.SpectralImage`
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
    equations = result.equations
    if result.held is not None:
        equations = equations.holding(result.held)
    solution = equations, result.coefficients, result.offset
    return solution_outliers(result.fitted, solution, images, sigma, profile_error)


def solution_outliers(problem, solution, images, sigma, profile_error):
    """As `system_outliers`, of a problem and its equations, coefficients and offset."""
    equations, coefficients, offset = solution[:3]
    given = np.concatenate([image.weights.ravel() for image in images])
    data = np.concatenate([image.filled.ravel() for image in images]) - offset
    unseen = ~equations.seen
    model = np.where(equations.entries.see(unseen), np.nan, offset + equations.image(coefficients))
    # What the model is not known of was masked by the fit, not left out as a hit.
    known = ((equations.weights > 0) | (problem.weights == 0)) & np.isfinite(data)
    known &= np.isfinite(model)
    given, data = np.where(known, given, 0.0), np.where(known, data, 0.0)
    rejected = (given > 0) & (equations.weights == 0)
    student, _ = _judged(equations, data, coefficients)
    weights = given / _misfit(problem, images, model, student, profile_error) ** 2
    for _ in range(MOST_ROUNDS):
        equations = equations.reweighted(np.where(rejected, 0.0, weights))
        coefficients = equations.solved(data, coefficients)
        student, leverage = _judged(equations, data, coefficients)
        pull = np.sqrt(leverage / (1 - leverage))
        new = np.concatenate([
            _standing_out(*(one[part].reshape(image.shape) for one in (student, pull)), sigma)
            for part, image in zip(problem.slices, images, strict=True)
        ], axis=None)  # fmt: skip
        if not new.any():
            break
        rejected |= new
    rejected[rejected] = ~_agree(equations, data, coefficients, weights, rejected, sigma)
    return [rejected[part].reshape(image.shape)
            for part, image in zip(problem.slices, images, strict=True)]  # fmt: skip


def _judged(equations, data, coefficients):
    """Residuals from the fit without each pixel, in their standard deviations, and leverages.

    Zero of pixels that were left out, and of those that no other contradicts.
    """
    left = _left(equations, data, coefficients)
    leverage = equations.leverages()
    seen = leverage < MOST_LEVERAGE
    leverage = np.where(seen, leverage, 0.0)
    return np.where(seen, left * np.sqrt(equations.weights / (1 - leverage)), 0.0), leverage


def _left(equations, data, coefficients):
    """Data less the fitted model and what is known of correlated noise."""
    left = data - equations.image(coefficients)
    return left - equations.noise_image(np.where(equations.weights > 0, left, 0.0))


def _misfit(problem, images, model, student, profile_error):
    """Standard deviation of the residuals by noise and by what the model misses, in their own."""
    out = np.empty(len(student))
    for part, image in zip(problem.slices, images, strict=True):
        own, light = (np.nan_to_num(one[part].reshape(image.shape)) for one in (student, model))
        use = own != 0
        signal = np.abs(light - median_of_columns(light)) * np.sqrt(image.weights)
        error = max(profile_error, relative_misfit(own, signal, use))
        scale = np.maximum(local_scale(own, use), 1.0)
        out[part] = np.hypot(scale, error * signal).ravel()
    return out


def _standing_out(student, pull, sigma):
    """Pixels of an image that disagree, but for those that others may have made to."""
    excess = np.abs(student)
    able = np.where(excess > sigma, excess * pull, 0.0)
    drawn = pull * (np.prod(DRAWN) * uniform_filter(able, DRAWN, mode="constant") - able)
    return (excess > sigma) & (
        (excess - drawn > sigma) | (excess == maximum_filter(excess, size=DRAWN))
    )


def _agree(equations, data, coefficients, weights, left_out, sigma):
    """Which of the pixels that were left out agree with what is fitted to the others."""
    number = np.flatnonzero(left_out)
    left = _left(equations, data, coefficients)
    variance = 1 / weights[number] + prediction_variances(equations, number)
    return left[number] ** 2 <= sigma**2 * variance
