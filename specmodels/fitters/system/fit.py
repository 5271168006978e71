"""From a pass over the pixels to a result, and what is wrong with it."""

import numpy as np
from astropy.modeling import CompoundModel

from .result import SystemFitResult

__all__ = ["not_determined", "system_result", "tell_noise", "values_of", "with_infinite_variances"]

MOST_NAMED = 6


def system_result(problem, theta, *, information=None, message="", n_iterations=1):
    """`SystemFitResult` of a problem at values of its non-linear parameters.

    Parameters
    ----------
    problem : SystemProblem
    theta : ndarray, shape (n_free, 1)
    information : tuple, optional
        Covariance of the free non-linear parameters, shape (n_free, n_free, 1), with those that are
        not determined, (n_free, 1), and the response of the coefficients, (n_coefficient, n_free).
        Where none is given the non-linear parameters are held.
    message : str
        What the search has to complain of.
    n_iterations : int
    """
    equations, coefficients, offset, residual = problem.solve(theta)
    if information is None:
        covariance, response = np.zeros((0, 0, 1)), np.zeros((equations.n, 0))
    else:
        (covariance, lost), response = information
        covariance = with_infinite_variances(covariance, lost)
    templates = _templates(problem, theta)
    reasons = [message] if message else []
    if not (equations.weights > 0).any():
        reasons.append("no pixel can be used")
    reasons += _undetermined(problem, equations, covariance[..., 0])
    chi2 = np.array([np.sum(residual[part] * equations.weighted(residual[part], part))
                     for part in problem.slices])  # fmt: skip
    noise = equations.noise_image(residual)
    tell_noise(problem, noise)
    return SystemFitResult(
        template=templates[0], image=problem.images[0],
        values=values_of(problem, theta, np.where(equations.seen, coefficients, np.nan)),
        shared_covariance=covariance, chi2=chi2, dof=_freedom(problem, equations),
        batch="system", success=not reasons, message="; ".join(reasons),
        n_iterations=n_iterations, form=problem.form, theta=theta,
        coefficients=coefficients, offset=offset, noise=noise, equations=equations.unbounded,
        held=equations.held, response=response, fitted=problem, templates=templates,
    )  # fmt: skip


def values_of(problem, theta, coefficients):
    """Values of all parameters, one for each; see `~specmodels.fitters.FitResult`."""
    base = list(problem.form.values)
    for k, value in problem.parameters.collected(theta).items():
        base[k] = value
    return tuple(problem.layout.values(coefficients, base))


def tell_noise(problem, noise):
    """Give the terms of correlated noise the values of their pixels, so that they evaluate."""
    if problem.noise is None:
        return
    parts = zip(problem.noise.leaves, problem.images, problem.slices, strict=True)
    for leaf, image, part in parts:
        leaf.table = image.x, image.y, noise[part].reshape(image.shape)


def _templates(problem, theta):
    """The model of each image with the fitted values of what is one number for all of its pixels.

    Its parts are copies where a value is new, and else those of the model: thousands of
    coefficients take longer to copy than to fit.
    """
    found = problem.parameters.collected(theta)
    each = [{k: value if np.ndim(value) == 0 else value[number] for k, value in found.items()}
            for number in range(len(problem.images))]  # fmt: skip
    each = [{k: value for k, value in own.items() if value != form.values[k]}
            for own, form in zip(each, problem.forms, strict=True)]  # fmt: skip
    return [_with_values(model, values, 0)[0]
            for model, values in zip(problem.models, each, strict=True)]  # fmt: skip


def _with_values(model, values, first):
    """Model with values by position, and the position of the first parameter behind it."""
    if isinstance(model, CompoundModel):
        left, first = _with_values(model.left, values, first)
        right = model.right
        if model.op != "fix_inputs":
            right, first = _with_values(model.right, values, first)
        if left is model.left and right is model.right:
            return model, first
        return type(model)(model.op, left, right, name=model.name), first
    names = model.param_names
    own = {n: values[first + j] for j, n in enumerate(names) if first + j in values}
    if own:
        model = model.copy()
        for name, value in own.items():
            setattr(model, name, value)
    return model, first + len(names)


def _freedom(problem, equations):
    """Degrees of freedom of each image: pixels less what the coefficients take of them."""
    counts = [np.count_nonzero(equations.weights[part] > 0) for part in problem.slices]
    if len(counts) > 1:
        return np.array(counts) - equations.taken(problem.slices)
    free = np.count_nonzero(~equations.factor.out)
    for penalty, strength in zip(problem.penalties.all, equations.strengths, strict=True):
        free -= strength * penalty.trace(equations.covariance)
    return np.array([counts[0] - free])


def _undetermined(problem, equations, covariance):
    """Reasons for which a fit is no success: what data and priors do not determine, by name."""
    seen = equations.seen
    lost = np.flatnonzero(seen & ~equations.determined)
    names = [problem.layout.name(number) for number in lost[:MOST_NAMED]]
    free = zip(problem.parameters.names, np.diagonal(covariance), strict=False)
    names += [name for name, variance in free if not np.isfinite(variance)]
    if not names:
        return []
    more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
    return [not_determined(names, more)]


def with_infinite_variances(covariance, lost):
    """Covariance (n, n, n_system) in which parameters that are lost, (n, n_system), say so."""
    out, index = np.array(covariance), np.arange(len(lost))
    out[index, index] = np.where(lost, np.inf, out[index, index])
    return out


def not_determined(names, more=""):
    """What to say of parameters that neither data nor priors determine."""
    return (f"not determined by the data, fix or tie some or give them a prior: {', '.join(names)}"
            f"{more}")  # fmt: skip
