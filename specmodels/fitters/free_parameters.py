"""Free parameters of a model as a fitter sees them: a vector, with bounds, ties and priors."""

import numpy as np

from ..models.linear import TiedTo
from ..models.priors import GaussianPrior

__all__ = ["FreeParameters", "bounds_of", "consistent_values"]

TIE_STEP = 1e-6


class FreeParameters:
    """Free non-linear parameters of a model: their values, bounds, ties and priors.

    Parameters
    ----------
    form : `~specmodels.models.linear_form.LinearForm`
        The model.
    n_system : int
        Number of independent systems: one where the columns share the parameters.

    Attributes
    ----------
    free : list of int
        Positions of the free parameters.
    initial, lower, upper : ndarray, shape (n_free, n_system) or (n_free, 1)
        Initial values and bounds.

    Raises
    ------
    ValueError
        If a linear parameter is tied, or a tie leads to one, in a circle or nowhere.
    """

    def __init__(self, form, n_system):
        self.form, self.n_system = form, n_system
        self.free, parameters = form.nonlinear, form.parameters
        self.initial = np.repeat(_column(form.values[k] for k in self.free), n_system, axis=1)
        bounds = [bounds_of(parameters[k], form.names[k]) for k in self.free]
        self.lower, self.upper = (_column(b[end] for b in bounds) for end in range(2))
        self._set_priors([parameters[k].prior for k in self.free])
        # Linear parameters that follow others are part of the linear equations.
        self.tied = [k for k in form.tied if k not in form.followers]
        self._ties = {k: parameters[k].tied for k in self.tied}
        self._check_ties()
        self._position = {name: k for k, name in enumerate(form.names)}
        self._fixed_slopes = {
            k: self._slopes(k, self.initial) for k in self.tied if self._only_named(k)
        }
        self.initial = self.clip(self.initial)

    def _set_priors(self, priors):
        wrong = [p for p in priors if p is not None and not isinstance(p, GaussianPrior)]
        if wrong:
            raise TypeError(f"model: expected priors to be GaussianPrior, got {wrong}")
        self.prior_mean = _column(0.0 if p is None else p.mean for p in priors)
        self.prior_weight = _column(0.0 if p is None else p.sigma**-2 for p in priors)

    def prior_chi2(self, theta):
        """What the priors add to chi-square, shape (n_system,)."""
        return np.sum(self.prior_weight * (theta - self.prior_mean) ** 2, axis=0)

    def with_priors(self, theta, gradient, information):
        """Gradient and information with those of the priors added."""
        index = np.arange(len(self.free))
        information = np.array(information)
        information[index, index] += self.prior_weight
        return gradient + self.prior_weight * (self.prior_mean - theta), information

    def _check_ties(self):
        names = self.form.names
        tied = [k for k in self.tied if k in self.form.declared_linear]
        if tied:
            raise ValueError(
                "model: linear parameters can be tied by TiedTo, not by other functions, got a tie "
                f"of {[names[k] for k in tied]}"
            )
        for k in self.tied:
            self._check_chain(k)

    def _check_chain(self, k):
        names, seen = self.form.names, []
        tie = self._ties[k]
        while isinstance(tie, TiedTo):
            free_linear = tie.name in names and names.index(tie.name) in self.form.linear
            if tie.name not in names or tie.name in seen or free_linear:
                raise ValueError(
                    f"model: {names[k]} cannot be tied to {tie.name!r}: expected another parameter "
                    f"that is not linear, of {[n for n in names if n != names[k]]}"
                )
            seen.append(tie.name)
            tie = self._ties.get(names.index(tie.name))

    def clip(self, theta):
        """Values within the bounds."""
        return np.clip(theta, self.lower, self.upper)

    def values(self, theta):
        """Values of all parameters; scalars where the columns share them."""
        values = list(self.form.values)
        for k, value in zip(self.free, theta, strict=True):
            values[k] = value if self.n_system > 1 else value[0]
        for k, value in self._tied(theta).items():
            values[k] = value
        return values

    def _tied(self, theta):
        """Values of the tied parameters, by position."""
        return {k: self._followed(k, theta) for k in self.tied}

    def _followed(self, k, theta):
        """Value of parameter `k`, which may be tied to one that is tied itself."""
        tie = self._ties.get(k)
        if not tie:
            if k not in self.free:
                return self.form.values[k]
            row = theta[self.free.index(k)]
            return row if self.n_system > 1 else row[0]
        if isinstance(tie, TiedTo):
            value = self._followed(self._position[tie.name], theta)
            return tie.factor * value + tie.offset
        return self._called(tie, theta)

    def _only_named(self, k):
        """Whether a parameter is tied by name only, directly and through others."""
        tie = self._ties.get(k)
        return not tie or (isinstance(tie, TiedTo) and self._only_named(self._position[tie.name]))

    def _called(self, tie, theta):
        """Value of a tie that is any function of the model."""
        scratch = self.form.model.copy()
        out = np.empty(theta.shape[1])
        for system in range(theta.shape[1]):
            for k, value in zip(self.free, theta[:, system], strict=True):
                setattr(scratch, self.form.names[k], value)
            out[system] = np.squeeze(tie(scratch))
        return out if self.n_system > 1 else out[0]

    def coupling(self, theta):
        """Derivatives of tied parameters by the free ones: (n_free, n_system) or (n_free, 1)."""
        called = [k for k in self.tied if k not in self._fixed_slopes]
        return {**self._fixed_slopes, **{k: self._slopes(k, theta) for k in called}}

    def _slopes(self, k, theta):
        tie = self._ties.get(k)
        slopes = np.zeros((len(self.free), 1))
        if not tie:
            if k in self.free:
                slopes[self.free.index(k)] = 1.0
            return slopes
        if isinstance(tie, TiedTo):
            return tie.factor * self._slopes(self._position[tie.name], theta)
        slopes = np.zeros(theta.shape)
        for row in range(len(self.free)):
            step = np.zeros_like(theta)
            step[row] = TIE_STEP * np.maximum(np.abs(theta[row]), 1.0)
            up, down = self._called(tie, theta + step), self._called(tie, theta - step)
            slopes[row] = (up - down) / (2 * step[row])
        return slopes

    def linearise(self, problem, theta):
        """Pass over the pixels of a problem at these values."""
        return problem.linearise(self.values(theta), self.free, self.coupling(theta))


def consistent_values(form):
    """Initial values of all parameters of a model, tied ones as their ties say."""
    start = _column(form.values[k] for k in form.nonlinear)
    return FreeParameters(form, 1).values(start) if form.tied else list(form.values)


def bounds_of(parameter, name):
    """Lower and upper bound of a parameter, infinite where it has none.

    Raises
    ------
    ValueError
        If the lower one is above the upper one, or one is NaN.
    """
    ends = zip(parameter.bounds, (-np.inf, np.inf), strict=True)
    low, high = (none if bound is None else float(bound) for bound, none in ends)
    if not low <= high:
        raise ValueError(f"{name}: expected a lower and an upper bound, got {(low, high)}")
    return low, high


def _column(numbers):
    return np.array([float(number) for number in numbers]).reshape(-1, 1)
