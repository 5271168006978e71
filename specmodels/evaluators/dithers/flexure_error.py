"""What errors of the shifts of exposures do to all coefficients of their joint fit.

The shifts are found from the lines of the skies before the fit, and held in it: their errors move
all of a spectrum at once, most where it is steep.
"""

import numpy as np

from ...models.linear_form import LinearForm

__all__ = ["flexure_response"]

# Step of the derivative, in columns.
STEP = 0.02
# All shifts are against the first exposure, whose noise is half of that of each of them.
IN_COMMON = 0.5


def flexure_response(fit, errors):
    """Errors of coefficients by independent ones of the shifts of the exposures.

    The derivative of the fitted images by a shift is projected on what is fitted, linear and
    non-linear parameters alike: by the equations of Gauss and Newton, as an error of the data is.

    Parameters
    ----------
    fit : `~specmodels.fitters.system.SystemFitResult`
        Of all exposures.
    errors : sequence of float
        Standard error of the shift of each, in columns; zero where it was not moved.

    Returns
    -------
    ndarray, shape (n_coefficient, n_moved)
        Products of its rows are the part of the covariance that shifts bring.
    """
    errors = np.asarray(errors, dtype=float)
    moved = np.flatnonzero(errors > 0)
    if not len(moved):
        return np.zeros((len(fit.coefficients), 0))
    responses = np.stack([_response(fit, number) for number in moved], axis=1)
    correlation = np.where(np.eye(len(moved), dtype=bool), 1.0, IN_COMMON)
    covariance = correlation * np.multiply.outer(errors[moved], errors[moved])
    return responses @ np.linalg.cholesky(covariance)


def _response(fit, number):
    """Derivative of all coefficients by the shift of one exposure."""
    problem, equations = fit.fitted, fit.equations
    part, slope = problem.slices[number], _slope(fit, number)
    weighted = np.zeros(len(equations.weights))
    weighted[part] = equations.weighted(slope, part)
    mixed = equations.transposed(weighted)
    linear = equations.solve(mixed)
    if not len(fit.theta):
        return -linear
    place = problem.parameters.places[number]
    gradient = -fit.response.T @ mixed
    gradient[place] += problem.slopes(number, fit.theta, fit.coefficients) @ weighted[part]
    return -linear + fit.response @ (fit.known_covariance @ gradient)


def _slope(fit, number):
    """Derivative of the image of an exposure by the shift of its wavelengths, (n_pixel,)."""
    problem, image = fit.fitted, fit.images[number]
    step = STEP * np.abs(np.gradient(np.asarray(image.wavelength, dtype=float), axis=-1))
    base = problem.parameters.of(number, fit.theta)[0]
    values = problem.layout.local(fit.coefficients, base, number)
    ends = []
    for sign in (1, -1):
        there = image.replace(wavelength=image.wavelength + sign * step)
        form = LinearForm(problem.models[number], follow_ties=True, image=there)
        ends.append(np.broadcast_to(form.value(values, problem.inputs[number]), image.shape))
    return np.nan_to_num((ends[0] - ends[1]) / (2 * STEP)).ravel()
