"""Exact linear least squares of any compound model, batched."""

import numpy as np

from ..models.linear_form import LinearForm
from .base import Fitter
from .columns.problem import Problem
from .columns.result import ColumnFitResult
from .free_parameters import consistent_values
from .paths import by_columns, checked_model, images_of
from .system import SystemFitResult, SystemProblem
from .system.fit import system_result

__all__ = ["LinearFitter"]


class LinearFitter(Fitter):
    """Solve for all linear parameters at once; all others keep their values.

    Parameters
    ----------
    ridge : float
        Ridge, relative to the diagonal of the normal equations, so that it does not depend on the
        scale of the data.

    Raises
    ------
    ValueError
        If the ridge is negative or, in a call, the model has no free linear parameter.
    """

    def __init__(self, *, ridge=0.0):
        if not ridge >= 0:
            raise ValueError(f"ridge: expected a number from 0, got {ridge!r}")
        self.ridge = ridge

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`."""
        images = images_of(image)
        model = checked_model(model, images)
        form = LinearForm(model[0] if isinstance(model, list) else model)
        if not form.linear:
            raise ValueError(f"model: expected a free linear parameter among {list(form.names)}")
        if not by_columns(model, images, batch, share):
            problem = SystemProblem(model, images, batch=batch, share=share, hold=True,
                                    ridge=self.ridge)  # fmt: skip
            return system_result(problem, problem.parameters.initial)
        problem = Problem(form, images[0], batch=batch)
        return linear_result(problem, consistent_values(form), self.ridge)

    def refit(self, result, images):
        """Fit again; see `Fitter`. What is known of the pixels is kept."""
        if isinstance(result, ColumnFitResult):
            (image,) = images_of(images)
            if all(map(np.array_equal, (image.x, image.y), (result.design.x, result.design.y))):
                problem = Problem(result.form, image, batch=result.batch)
                return linear_result(problem, result.values, self.ridge, result.design)
        if not isinstance(result, SystemFitResult) or result.fitted.noise is not None:
            return super().refit(result, images)
        problem = result.fitted.masked(images)
        return system_result(problem, problem.parameters.initial)


def linear_result(problem, values, ridge=0.0, design=None):
    """`FitResult` of a pass in which the non-linear parameters are held at `values`."""
    form, values = problem.form, list(values)
    design = problem.design(tuple(values)) if design is None else design
    solved = problem.solve(design, ridge=ridge)
    for k, value in zip(form.linear, solved.values, strict=True):
        values[k] = value if problem.batch == "columns" else value[0]
    none = np.zeros((len(form.nonlinear), len(form.nonlinear), 1))
    result = ColumnFitResult(
        template=form.model, image=problem.image, values=tuple(values), form=form,
        covariance=solved.covariance, shared_covariance=none, chi2=solved.chi2,
        dof=solved.n_data - len(form.linear), batch=problem.batch,
    )  # fmt: skip
    vars(result)["design"] = design
    return result
