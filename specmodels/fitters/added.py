"""Exposures that are fitted apart and share parameters: their normal equations, added up.

Nothing of an exposure is needed but a few sums, in which its linear parameters are eliminated.
Where these are made (in this process, on the workers of a cluster) is no business of this module.
"""

from dataclasses import dataclass

import numpy as np

from .columns.passes import Pass
from .system.shared_parameters import SharedParameters
from .varpro import VarProFitter, covariance_of

__all__ = ["AddedEquations", "SharedMinimum", "shared_minimum"]


@dataclass(frozen=True, eq=False)
class SharedMinimum:
    """Values of the non-linear parameters of all exposures at the minimum of their chi-square.

    Attributes
    ----------
    names : list of str
        Of the parameters, with the number of the exposure for those that are not shared.
    values : ndarray, shape (n_free,)
    covariance : ndarray, shape (n_free, n_free)
        Finite: directions of which the data tell nothing have no variance.
    lost : ndarray of bool, shape (n_free,)
        What the data do not determine.
    places : list of list of int
        For each exposure which of the parameters it has.
    shared : ndarray of bool, shape (n_free,)
        Which all exposures have.
    success : bool
    n_iterations : int
        Passes over the pixels.
    """

    names: list
    values: np.ndarray
    covariance: np.ndarray
    lost: np.ndarray
    places: list
    shared: np.ndarray
    success: bool
    n_iterations: int


class AddedEquations:
    """Normal equations of all exposures as the sum of those of each.

    Parameters
    ----------
    forms : list of `~specmodels.models.linear_form.LinearForm`
        The model of each exposure.
    share : bool or mapping of str to bool
        As for a `~specmodels.Fitter`.
    apart : callable
        ``apart(thetas)`` gives the `~specmodels.fitters.projection.ProjectedEquations` of each
        exposure at its own values, a list of arrays of shape (n_own,).

    Raises
    ------
    ValueError
        If no parameter is free, or a name in `share` is that of none.
    """

    shared = True  # of a single system

    def __init__(self, forms, share, apart):
        self.parameters, self._apart = SharedParameters(forms, share), apart
        if not self.parameters.entries:
            raise ValueError("model: expected a free parameter that is not linear, to be shared")
        for n, (k, image) in enumerate(self.parameters.entries):
            if image is None:  # exposures that were fitted by themselves begin elsewhere each
                self.parameters.initial[n] = np.median([form.values[k] for form in forms])

    def linearise(self, theta):
        """Pass over the pixels of all exposures, their linear parameters left out."""
        places = self.parameters.places
        found = self._apart([theta[place, 0] for place in places])
        n = len(theta)
        gradient, information = np.zeros((n, 1)), np.zeros((n, n, 1))
        for one, place in zip(found, places, strict=True):
            gradient[place, 0] += one.gradient
            information[np.ix_(place, place, [0])] += one.information[..., None]
        none = np.zeros((0, 1))
        return Pass(
            none, none, np.zeros((0, 0, 1)), np.array([sum(one.chi2 for one in found)]),
            np.array([sum(one.dof for one in found)]), gradient, information, np.zeros((0, n, 1)),
        )  # fmt: skip


def shared_minimum(equations):
    """`SharedMinimum` of added equations, by variable projection.

    Parameters
    ----------
    equations : AddedEquations
    """
    parameters = equations.parameters
    state, success, count = VarProFitter().minimised(equations)
    theta, solved = state.theta, state.solved
    _, information = parameters.with_priors(theta, solved.gradient, solved.information)
    covariance, lost = covariance_of(information)
    return SharedMinimum(
        parameters.names, theta[:, 0], covariance[..., 0], lost[:, 0], parameters.places,
        np.array([image is None for _, image in parameters.entries]), success, count,
    )  # fmt: skip
