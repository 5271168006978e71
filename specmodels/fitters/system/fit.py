"""From a pass over the pixels to a result, and what is wrong with it."""

import numpy as np

from .result import SystemFitResult

__all__ = ["not_determined", "system_result"]

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
    equations, coefficients, _, residual = problem.solve(theta)
    layout = problem.layout
    if information is None:
        covariance, response = np.zeros((0, 0, 1)), np.zeros((equations.n, 0))
    else:
        (covariance, lost), response = information
        index = np.arange(len(lost))
        covariance[index, index] = np.where(lost, np.inf, covariance[index, index])
    base = list(problem.form.values)
    for k, value in problem.parameters.collected(theta).items():
        base[k] = value
    template = _template(problem, theta)
    seen = equations.factor.scale[equations.structure.rank] > 0
    values = layout.values(np.where(seen, coefficients, np.nan), base)
    reasons = [message] if message else []
    reasons += _undetermined(problem, equations, covariance[..., 0])
    chi2 = np.array([np.sum(equations.weights[part] * residual[part] ** 2)
                     for part in problem.slices])  # fmt: skip
    return SystemFitResult(
        template=template, image=problem.images[0], values=tuple(values), covariance=None,
        shared_covariance=covariance, chi2=chi2, dof=_freedom(problem, equations),
        batch=problem.batch, success=not reasons, message="; ".join(reasons),
        n_iterations=n_iterations, form=problem.form, images=problem.images, theta=theta,
        coefficients=coefficients, equations=equations, response=response, fitted=problem,
    )  # fmt: skip


def _template(problem, theta):
    """The model with the fitted values of what is one number for all."""
    template = problem.model.copy()
    for k, value in problem.parameters.collected(theta).items():
        if np.ndim(value) == 0:
            setattr(template, problem.form.names[k], value)
    return template


def _freedom(problem, equations):
    """Degrees of freedom of each image: pixels less what the coefficients take of them."""
    counts = [np.count_nonzero(equations.weights[part] > 0) for part in problem.slices]
    if len(counts) > 1:
        taken = equations.leverages()
        return np.array([n - taken[part].sum()
                         for n, part in zip(counts, problem.slices, strict=True)])  # fmt: skip
    free = np.count_nonzero(~equations.factor.out)
    for penalty, strength in zip(problem.penalties.all, equations.strengths, strict=True):
        free -= strength * penalty.trace(equations.covariance)
    return np.array([counts[0] - free])


def _undetermined(problem, equations, covariance):
    """Reasons for which a fit is no success: what data and priors do not determine, by name."""
    seen = equations.factor.scale[equations.structure.rank] > 0
    lost = np.flatnonzero(seen & ~equations.determined)
    names = [problem.layout.name(number) for number in lost[:MOST_NAMED]]
    free = zip(problem.parameters.names, np.diagonal(covariance), strict=False)
    names += [name for name, variance in free if not np.isfinite(variance)]
    if not names:
        return []
    more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
    return [not_determined(names, more)]


def not_determined(names, more=""):
    """What to say of parameters that neither data nor priors determine."""
    return (f"not determined by the data, fix or tie some or give them a prior: {', '.join(names)}"
            f"{more}")  # fmt: skip
