"""A system fit from what is kept of it: its normal equations are made again from the pixels."""

import numpy as np

from .fit import tell_noise, values_of
from .problem import SystemProblem
from .result import SystemFitResult

__all__ = ["FOUND", "kept_of_system", "restored_system"]

# What a fit found; the rest follows from models and pixels, but for what it says of itself.
FOUND = ("theta", "coefficients", "response", "shared_covariance", "chi2", "dof", "held", "noise")


def kept_of_system(fit):
    """What `restored_system` makes a fit of again, by name.

    Parameters
    ----------
    fit : SystemFitResult
        Of all its images.

    Returns
    -------
    dict
        ``images``, ``models`` (with the fitted values of what is not linear), options, strengths of
        priors, spectra of correlated noise, and arrays by the names in `FOUND`.
    """
    problem = fit.fitted
    share = problem.parameters.share
    found = {key: getattr(fit, key) for key in FOUND}
    return {
        "images": list(fit.images),
        "models": list(fit.templates),
        "batch": problem.batch,
        "share": bool(share) if isinstance(share, bool | np.bool_) else dict(share),
        "ridge": float(problem.ridge),
        "strengths": np.asarray(fit.equations.strengths, dtype=float),
        "laws": None if problem.noise is None else dict(problem.noise.laws),
        **found,
    }


def restored_system(images, models, *, options, equations, found):
    """The fit of which this was kept.

    Parameters
    ----------
    images : list of `~specmodels.SpectralImage`
    models : list of `~astropy.modeling.Model`
        One for each image.
    options : dict
        ``batch``, ``share`` and ``ridge``.
    equations : dict
        ``strengths`` of the priors, ``laws`` of correlated noise.
    found : dict
        Attributes of `SystemFitResult`.

    Raises
    ------
    ValueError
        If arrays do not have the sizes that models and pixels ask for.
    """
    theta = found["theta"]
    problem = SystemProblem(list(models), images, hold=not theta.size, **options)
    _check(theta, (len(problem.parameters.entries), 1), "theta")
    made, offset = problem.known_equations(theta, **equations)
    n, n_free = made.n, len(theta)
    sizes = {"coefficients": (n,), "response": (n, n_free), "noise": offset.shape,
             "shared_covariance": (n_free, n_free, 1), "chi2": (len(images),),
             "dof": (len(images),)}  # fmt: skip
    for name, shape in sizes.items():
        _check(found[name], shape, name)
    _check(made.strengths, (len(problem.penalties.all),), "strengths")
    if found["held"] is not None:
        _check(found["held"], (n,), "held")
    made.forget_matrix()
    tell_noise(problem, found["noise"])
    values = np.where(made.seen, found["coefficients"], np.nan)
    return SystemFitResult(
        template=models[0], image=images[0], values=values_of(problem, theta, values),
        batch="system", form=problem.form, offset=offset, equations=made, fitted=problem,
        templates=list(models), **found,
    )  # fmt: skip


def _check(array, shape, name):
    if np.shape(array) != shape:
        raise ValueError(f"{name}: expected the shape {shape}, got {np.shape(array)}")
