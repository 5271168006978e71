"""What is left of a fit for an optimiser: a function of the few non-linear parameters alone.

`Projection` eliminates the linear parameters, whatever the model is; `VarProFitter` is one way to
minimise it, any other optimiser is another.
"""

from dataclasses import dataclass

import numpy as np

from ..models.linear_form import LinearForm
from .columns.problem import Problem
from .free_parameters import FreeParameters
from .linear import linear_result
from .paths import by_columns, checked_model, images_of
from .system import SystemProblem
from .varpro import State, column_result, fitted_system

__all__ = ["ProjectedEquations", "Projection"]


@dataclass(frozen=True, eq=False)
class ProjectedEquations:
    """Normal equations of the non-linear parameters, the linear ones eliminated.

    Attributes
    ----------
    chi2 : float
    dof : int
        Pixels less linear parameters.
    gradient : ndarray, shape (n_free,)
        Half the negative derivative of chi-square.
    information : ndarray, shape (n_free, n_free)
    """

    chi2: float
    dof: int
    gradient: np.ndarray
    information: np.ndarray


class Projection:
    r"""Chi-square as a function of the non-linear parameters, the linear ones solved for.

    .. math::
        \chi^2(\theta) = \min_a |d - A(\theta) a|^2_W

    With its `result` a fitter with an optimiser of its own is a few lines.

    Parameters
    ----------
    model, image, batch, share
        As for a `Fitter`.

    Attributes
    ----------
    model : `~astropy.modeling.Model`
        As it is fitted, in plain numbers; a list where there is one for each image.
    names : tuple of str
        Names of the free non-linear parameters.
    initial, lower, upper : ndarray, shape (n_free,)
        Their initial values and bounds; infinite where there are none.

    Raises
    ------
    TypeError, ValueError
        If the model cannot be fitted, or has no free linear parameter.
    """

    def __init__(self, model, image, *, batch="columns", share=True):
        images = images_of(image)
        self.model = model = checked_model(model, images)
        if by_columns(model, images, batch, share):
            form = LinearForm(model)
            self._problem = Problem(form, images[0], batch=batch)
            self._parameters = FreeParameters(form, 1)
            self.names = tuple(form.names[k] for k in form.nonlinear)
        else:
            self._problem = SystemProblem(model, images, batch=batch, share=share)
            self._parameters = self._problem.parameters
            self.names = tuple(self._parameters.names)
        if not self._problem.form.linear:
            raise ValueError("model: expected a free linear parameter among "
                             f"{list(self._problem.form.names)}")  # fmt: skip
        self.initial, self.lower, self.upper = (
            np.array(getattr(self._parameters, key)[:, 0]) for key in ("initial", "lower", "upper")
        )

    def __repr__(self):
        return f"<Projection onto {', '.join(self.names) or 'no parameter'}>"

    def _column(self, theta):
        theta = np.asarray(theta, dtype=float)
        if theta.shape != self.initial.shape:
            raise ValueError(
                f"theta: expected {self.initial.size} values, of {list(self.names)}, got shape "
                f"{theta.shape}"
            )
        return theta.reshape(-1, 1)

    def chi2(self, theta):
        """Chi-square, priors included.

        Parameters
        ----------
        theta : array_like, shape (n_free,)

        Returns
        -------
        float
        """
        return float(np.sum(self.residuals(theta) ** 2))

    def residuals(self, theta):
        """Residuals over their errors, zero where a pixel has no weight, and those from the priors.

        Parameters
        ----------
        theta : array_like, shape (n_free,)

        Returns
        -------
        ndarray, shape (n_pixel + n_prior,)
            The sum of their squares is `chi2`.
        """
        column = self._column(theta)
        own = (column - self._parameters.prior_mean) * np.sqrt(self._parameters.prior_weight)
        return np.concatenate([self._of_pixels(column), own[:, 0]])

    def _of_pixels(self, column):
        if isinstance(self._problem, SystemProblem):
            equations, coefficients, _, residual = self._problem.solve(column)
            out = [residual * np.sqrt(equations.weights)]
            for penalty, strength in zip(equations.penalties.all, equations.strengths, strict=True):
                square = strength * penalty.square(coefficients)
                out.append([np.sqrt(max(square, 0.0))])
            return np.concatenate(out)
        values = self._parameters.values(column)
        fit = linear_result(self._problem, values)
        weights = fit.image.weights
        return np.where(weights > 0, fit.residual() * np.sqrt(weights), 0.0).ravel()

    def gradient(self, theta):
        """Derivative of `chi2`, shape (n_free,)."""
        column = self._column(theta)
        found = self._parameters.linearise(self._problem, column)
        gradient, _ = self._parameters.with_priors(column, found.gradient, found.information)
        return -2 * gradient[:, 0]

    def normal_equations(self, theta):
        """What other exposures need to know of this one to share parameters with it.

        Parameters
        ----------
        theta : array_like, shape (n_free,)

        Returns
        -------
        ProjectedEquations
            Without the priors of the non-linear parameters.
        """
        found = self._parameters.linearise(self._problem, self._column(theta))
        dof = int(np.sum(found.n_data)) - found.values.size
        return ProjectedEquations(float(np.sum(found.chi2)), dof, found.gradient[:, 0],
                                  found.information[..., 0])  # fmt: skip

    def result(
        self, theta, *, covariance=None, lost=None, success=True, message="", n_iterations=1
    ):
        """The fit at some values, with errors, covariances and all else that results know.

        Parameters
        ----------
        theta : array_like, shape (n_free,)
        covariance : array_like, shape (n_free, n_free, 1), optional
            Of these values, where it is known from elsewhere; default: from the information in the
            data.
        lost : array_like of bool, shape (n_free, 1), optional
            Which of these values nothing determines, of a `covariance` that is given: their errors
            are infinite. Default: those whose variance is.
        success : bool
            Whether the optimiser is content.
        message : str
            What it has to complain of.
        n_iterations : int

        Returns
        -------
        FitResult
        """
        column = self._column(theta)
        complaint = "" if success else message or "not converged"
        state = State(column, self._parameters.linearise(self._problem, column))
        known = None if covariance is None else _known(covariance, lost)
        if isinstance(self._problem, SystemProblem):
            return fitted_system(self._problem, state, complaint, n_iterations, known)
        return column_result(self._problem, self._parameters, state, complaint, n_iterations, known)


def _known(covariance, lost):
    """A covariance without infinite variances, and which parameters are not determined."""
    covariance = np.asarray(covariance, dtype=float)
    if lost is None:
        lost = np.isposinf(np.einsum("ppb->pb", covariance))
    return np.nan_to_num(covariance, nan=np.nan, posinf=0.0), np.asarray(lost, dtype=bool)
