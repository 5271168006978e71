"""Variable projection: non-linear parameters by Levenberg-Marquardt, linear ones solved inside."""

from dataclasses import replace

import numpy as np

from ..models.linear_form import LinearForm
from ..numerics.normal import factorise, invert_lower
from .base import Fitter
from .columns.problem import Problem
from .columns.result import ColumnFitResult
from .free_parameters import FreeParameters, consistent_values
from .levenberg import LEAST_INFORMATION, damped_step, next_damping
from .linear import linear_result
from .paths import by_columns, checked_model, images_of
from .system import SystemProblem
from .system.fit import not_determined, system_result, with_infinite_variances

__all__ = ["State", "VarProFitter", "column_result", "fitted_system"]

FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e9
# Fits, each with the spectra of correlated noise as the one before leaves it.
NOISE_ROUNDS = 10
# A step near the minimum is the last where another would lower chi-square, per degree of freedom,
# by less than this: a third of a standard error.
MOST_LEFT = 0.1
# So many more are made with the curvature of the first before chi-square is minimised anew.
MOST_STEPS, STEP_DAMPING = 3, 1e-9
# Part of what a step would bring that is left at most behind it, if more such steps are to follow.
MOST_AGAIN = 0.5
# Part of a parameter in directions without information (squared) above which it is lost with them.
LEAST_PART = 1e-4


class VarProFitter(Fitter):
    r"""Fit non-linear parameters with the linear ones eliminated.

    For given non-linear parameters :math:`\theta` the linear ones are
    :math:`a(\theta) = (A^T W A)^{-1} A^T W d`; the fit minimises
    :math:`\chi^2(\theta) = |d - A(\theta) a(\theta)|^2_W` (Golub and Pereyra 1973).

    Parameters
    ----------
    shared : bool
        Whether the columns share the non-linear parameters (a trace, a width) or each has its own
        (one profile per column).
    max_iterations : int
        Largest number of passes.
    tolerance : float
        The fit ends when the step promises to lower chi-square by less than this, in units of
        chi-square per degree of freedom: 0.05 is less than a quarter of a standard error. That step
        is still taken, along the tangent, so that what is left is of second order in it.

    Notes
    -----
    Bounds are kept by projection; fixed and tied parameters and Gaussian priors are honoured.
    Errors are absolute, from the weights; those of linear parameters include those of the others.
    """

    def __init__(self, *, shared=True, max_iterations=50, tolerance=0.05):
        if max_iterations < 1:
            raise ValueError(f"max_iterations: expected 1 or more, got {max_iterations!r}")
        if not tolerance > 0:
            raise ValueError(f"tolerance: expected a positive number, got {tolerance!r}")
        self.shared, self.max_iterations, self.tolerance = shared, max_iterations, tolerance

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`."""
        images = images_of(image)
        model = checked_model(model, images)
        if not by_columns(model, images, batch, share):
            return self._fit_system(SystemProblem(model, images, batch=batch, share=share))
        form, shared = LinearForm(model), self.shared or batch is None
        problem = Problem(form, images[0], batch=batch, shared=shared)
        if not form.nonlinear:
            return linear_result(problem, consistent_values(form))
        parameters = FreeParameters(form, 1 if shared else problem.n_batch)
        if not form.linear:
            raise ValueError(f"model: expected a free linear parameter among {list(form.names)}")
        state, success, count = self._minimise(problem, parameters)
        return column_result(problem, parameters, state, _complaint(success, count), count)

    def _fit_system(self, problem):
        """Fit of any composition as one system."""
        if not self.shared:
            raise ValueError(
                "shared: expected True for a model whose columns are not independent of one another"
            )
        if not problem.form.linear:
            names = list(problem.form.names)
            raise ValueError(f"model: expected a free linear parameter among {names}")
        parameters = problem.parameters
        if not len(parameters.initial):
            return system_result(problem, parameters.initial)
        problem.noise_is_held, count = True, 0
        for _ in range(NOISE_ROUNDS):
            state, success, passes = self._minimise(problem, parameters)
            count += passes
            if not problem.learns_noise(state.theta):
                break
            parameters.initial = state.theta
        return fitted_system(problem, state, _complaint(success, count), count)

    def stepped(self, problem):
        """Fit of a system from values near the minimum: one step, and more where that fell short.

        How much is left is told by the slope of chi-square where a step ended, and its curvature
        where the first one began, by which the others are made as well.

        Parameters
        ----------
        problem : `~specmodels.fitters.system.SystemProblem`

        Returns
        -------
        FitResult
        """
        parameters, scale, before = problem.parameters, 1.0, np.inf
        theta = parameters.initial.copy()
        state = State(theta, parameters.linearise(problem, theta))
        for _ in range(1 + MOST_STEPS):
            step, promise = damped_step(parameters, state, np.full(1, STEP_DAMPING))
            if promise[0] <= MOST_LEFT * scale:
                return fitted_system(problem, state)
            if promise[0] > MOST_AGAIN * before:  # too far from the minimum for this curvature
                break
            if before == np.inf:
                left = state.chi2(shared=True) - promise
                scale = max(1.0, float(left[0] / state.dof(shared=True)[0]))
            parameters.initial, before = state.theta, promise[0]
            theta = parameters.clip(state.theta + step)
            state = State(theta, replace(state.solved, gradient=problem.gradient(theta)))
        return self._fit_system(problem)

    def minimised(self, problem):
        """`State` of a system at the minimum, noise held; whether it converged; passes it took."""
        return self._minimise(problem, problem.parameters)

    def _minimise(self, problem, parameters):
        """Levenberg-Marquardt over all systems; those that have converged take no further part."""
        theta = parameters.initial.copy()
        best = State(theta, parameters.linearise(problem, theta))
        own, index = best, np.arange(theta.shape[1])
        damping, growth = np.full((2, theta.shape[1]), [[FIRST_DAMPING], [2.0]])
        count, converged = 1, False
        while True:
            step, promise = damped_step(parameters, own, damping)
            scale = np.maximum(own.chi2(problem.shared) / own.dof(problem.shared), 1e-300)
            going = (promise > self.tolerance * scale) & (damping < LARGEST_DAMPING)
            if not going.all():
                own.finish(step, ~going, parameters, problem.shared)
                if own is not best:
                    best.put(index[~going], own, ~going)
                converged = not going.any()
                if converged:
                    break
                keep = np.flatnonzero(going)
                own, problem, index = own.take(keep), problem.take(keep), index[keep]
                step, promise = step[:, keep], promise[keep]
                damping, growth = damping[keep], growth[keep]
            if count == self.max_iterations:
                break
            count += 1
            trial = parameters.clip(own.theta + step)
            trial = State(trial, parameters.linearise(problem, trial))
            gain = own.accept(trial, problem.shared, parameters)
            damping, growth = next_damping(damping, growth, gain / promise)
        if own is not best:
            best.put(index, own)
        return best, converged, count


class State:
    """Non-linear values, shape (n_free, n_system), and the pass made there."""

    def __init__(self, theta, solved):
        self.theta, self.solved = theta, solved

    def chi2(self, shared):
        return self.solved.chi2.sum(keepdims=True) if shared else self.solved.chi2

    def dof(self, shared):
        dof = self.solved.n_data - len(self.solved.values)
        return np.maximum(dof.sum(keepdims=True) if shared else dof, 1)

    def take(self, systems):
        return State(self.theta[:, systems], self.solved.take(systems))

    def put(self, systems, other, where=slice(None)):
        self.theta[:, systems] = other.theta[:, where]
        self.solved.put(systems, other.solved, where)

    def finish(self, step, done, parameters, shared):
        """Take the last step of some systems along the tangent, without another pass."""
        solved, theta = self.solved, self.theta
        step = parameters.clip(theta + step) - theta
        step[:, ~done] = 0.0
        gradient, information = parameters.with_priors(theta, solved.gradient, solved.information)
        gain = 2 * np.sum(step * gradient, axis=0)
        gain -= np.einsum("pb,pqb,qb->b", step, information, step)
        theta += step
        moved = np.einsum("kpb,pb->kb", solved.response, step)
        chi2 = solved.chi2 - (gain / len(solved.chi2) if shared else gain)
        self.solved = replace(
            solved, values=solved.values - moved, particular=solved.particular - moved,
            chi2=np.maximum(chi2, 0.0),
        )  # fmt: skip

    def accept(self, trial, shared, parameters):
        """Take over what is better in `trial`; return by how much, shape (n_system,)."""
        gain = parameters.prior_chi2(self.theta) - parameters.prior_chi2(trial.theta)
        gain = gain + self.chi2(shared) - trial.chi2(shared)
        better = gain > 0
        if better.all():
            self.theta, self.solved = trial.theta, trial.solved
        elif better.any():
            self.put(better, trial, better)
        return gain


def _complaint(success, count):
    return "" if success else f"not converged after {count} passes"


def fitted_system(problem, state, message="", count=1, known=None):
    """`FitResult` of a system at a pass over its pixels, with the errors that follow from it.

    Or with what is known from elsewhere of the non-linear parameters, as `covariance_of` gives it.
    """
    if not state.theta.size:
        return system_result(problem, state.theta, message=message, n_iterations=count)
    solved, parameters = state.solved, problem.parameters
    if problem.is_limited:
        solved = problem.linearise(state.theta, bounded=False)
    _, information = parameters.with_priors(state.theta, solved.gradient, solved.information)
    found = covariance_of(information) if known is None else known
    return system_result(
        problem, state.theta, information=(found, solved.response[..., 0]),
        message=message, n_iterations=count,
    )  # fmt: skip


def column_result(problem, parameters, state, message="", count=1, known=None):
    """`FitResult` of columns at a pass over their pixels, with the errors that follow from it.

    Or with what is known from elsewhere of the non-linear parameters, as `covariance_of` gives it.
    """
    form, solved = problem.form, state.solved
    values = parameters.values(state.theta)
    for k, value in zip(form.linear, solved.values, strict=True):
        values[k] = value if problem.batch == "columns" else value[0]
    template = form.model
    if problem.shared:
        template = template.copy()
        for k in (*form.nonlinear, *form.tied):
            setattr(template, form.names[k], values[k])
    _, information = parameters.with_priors(state.theta, solved.gradient, solved.information)
    shared_covariance, lost = covariance_of(information) if known is None else known
    common = common_errors(solved.response, shared_covariance) if problem.shared else None
    if problem.shared:
        extra = np.einsum("kqb,lqb->klb", common, common)
    else:
        moved = np.einsum("kpb,pqb->kqb", solved.response, shared_covariance)
        extra = np.einsum("kqb,lqb->klb", moved, solved.response)
    shared_covariance = with_infinite_variances(shared_covariance, lost)
    if problem.shared and lost.any():
        names = [form.names[k] for k, gone in zip(form.nonlinear, lost[:, 0], strict=True) if gone]
        told = not_determined(names)
        message = message if told in message else "; ".join(filter(None, [message, told]))
    return ColumnFitResult(
        template=template, image=problem.image, values=tuple(values),
        covariance=solved.covariance + extra, shared_covariance=shared_covariance,
        chi2=solved.chi2, dof=solved.n_data - len(form.linear), batch=problem.batch,
        success=not message, n_iterations=count, message=message,
        common=common,
    )  # fmt: skip


def common_errors(response, covariance):
    """Errors of linear parameters by independent ones of the shared: `ColumnFitResult.common`."""
    eigenvalues, vectors = np.linalg.eigh(covariance[..., 0])
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    return root.T @ response


def covariance_of(information):
    """Covariance of each system, and what it does not determine.

    Returns
    -------
    covariance : ndarray, shape (n_free, n_free, n_system)
        Pseudo-inverse of the information: directions without any get no variance.
    lost : ndarray of bool, shape (n_free, n_system)
        Parameters that have a part in such directions.
    """
    factor, scale, bad = factorise(information)
    bad |= np.any(np.einsum("ppb->pb", information) <= LEAST_INFORMATION, axis=0)
    inverse = invert_lower(factor) * scale
    inverse = np.einsum("kib,kjb->ijb", inverse, inverse)
    lost = np.zeros(information.shape[1:], dtype=bool)
    if bad.any():
        inverse[..., bad], lost[:, bad] = _pseudo_inverse(information[..., bad])
    return inverse, lost


def _pseudo_inverse(information):
    matrix = np.moveaxis(information, -1, 0)
    diagonal = np.einsum("bpp->bp", matrix)
    known = diagonal > LEAST_INFORMATION
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal), where=known)
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    eigenvalues, vectors = np.linalg.eigh(scaled)
    good = eigenvalues > 1e-9 * np.max(np.abs(eigenvalues), axis=-1, keepdims=True)
    inverse = np.divide(1.0, eigenvalues, out=np.zeros_like(eigenvalues), where=good)
    inverse = np.einsum("bik,bk,bjk->bij", vectors, inverse, vectors)
    lost = ~known | (np.einsum("bik,bk->bi", vectors**2, (~good).astype(float)) > LEAST_PART)
    inverse = inverse * scale[:, :, None] * scale[:, None, :]
    return np.moveaxis(inverse, 0, -1), lost.T
