"""What is known of parameters before the data: priors, which fitters add to chi-square.

`GaussianPrior` is for one parameter. A `CoefficientPrior` is for all coefficients of a linear model
together, and its strength may be left to the data.
"""

from abc import ABC, abstractmethod

import numpy as np

__all__ = ["CoefficientPrior", "FlickerPrior", "GaussianPrior", "RidgePrior", "SmoothnessPrior"]


class GaussianPrior:
    r"""A parameter is known as `mean` ± `sigma`: chi-square grows by :math:`((p - m)/\sigma)^2`.

    Assign it to a parameter: ``model.alpha.prior = GaussianPrior(3, 0.5)``. Unlike a function it
    can be pickled and compared.

    Parameters
    ----------
    mean, sigma : float
        Expected value and standard deviation.

    Raises
    ------
    ValueError
        If `sigma` is not positive and finite, or `mean` not finite.
    """

    def __init__(self, mean, sigma):
        self.mean, self.sigma = float(mean), float(sigma)
        if not (np.isfinite(self.mean) and np.isfinite(self.sigma) and self.sigma > 0):
            raise ValueError(f"expected finite mean and positive sigma, got {mean!r}, {sigma!r}")

    def __eq__(self, other):
        return isinstance(other, GaussianPrior) and vars(self) == vars(other)

    def __hash__(self):
        return hash((self.mean, self.sigma))

    def __repr__(self):
        return f"GaussianPrior({self.mean!r}, {self.sigma!r})"


class CoefficientPrior(ABC):
    r"""Prior of the coefficients of a linear model: chi-square grows by :math:`\lambda\,c^T S c`.

    Assign it to a model: ``spectrum.coefficient_prior = SmoothnessPrior()``. A subclass defines
    ``matrix(model)``, which returns :math:`S`, shape (n_terms, n_terms).

    Parameters
    ----------
    strength : float, optional
        :math:`\lambda`, in units of inverse variance of the coefficients. None: learnt from the
        data by their restricted likelihood.

    Raises
    ------
    ValueError
        If the strength is not positive.
    """

    def __init__(self, strength=None):
        if strength is not None and not 0 < float(strength) < np.inf:
            raise ValueError(f"strength: expected a positive number or None, got {strength!r}")
        self.strength = None if strength is None else float(strength)

    @abstractmethod
    def matrix(self, model):
        """The matrix of a model with ``n_terms`` coefficients, (n_terms, n_terms)."""

    def __eq__(self, other):
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self):
        return hash(tuple(vars(self).items()))

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class RidgePrior(CoefficientPrior):
    """Coefficients scatter around zero with the same variance, one over the strength."""

    def matrix(self, model):
        """The unit matrix."""
        return np.eye(model.n_terms)


class SmoothnessPrior(CoefficientPrior):
    """Neighbouring coefficients are alike: their differences scatter around zero.

    Parameters
    ----------
    strength : float, optional
        One over the variance of the differences; None: learnt.
    order : int
        Order of the differences: with 2 straight lines are free.

    Raises
    ------
    ValueError
        If the order is not 1, 2 or 3.
    """

    def __init__(self, strength=None, *, order=2):
        if order not in (1, 2, 3):
            raise ValueError(f"order: expected 1, 2 or 3, got {order!r}")
        super().__init__(strength)
        self.order = int(order)

    def matrix(self, model):
        """Sum of the squares of the differences."""
        steps = np.diff(np.eye(model.n_terms), n=self.order, axis=0)
        return steps.T @ steps


class FlickerPrior(CoefficientPrior):
    r"""Amplitudes of harmonics have the variance :math:`1 / (\lambda k^\alpha)`, as 1/f noise has.

    For `~specmodels.FourierNoise`.

    Parameters
    ----------
    strength : float, optional
        One over the variance of the lowest frequency's amplitudes; None: learnt.
    exponent : float
        :math:`\alpha`; 1 for flicker noise.
    offset : float, optional
        Variance of the offsets of lines in units of that of the lowest frequency. None: they are
        free.
    """

    def __init__(self, strength=None, *, exponent=1.0, offset=None):
        super().__init__(strength)
        if offset is not None and not float(offset) > 0:
            raise ValueError(f"offset: expected a positive number or None, got {offset!r}")
        self.exponent, self.offset = float(exponent), None if offset is None else float(offset)

    def matrix(self, model):
        """Diagonal, growing with frequency."""
        k = np.arange(1, model.n_harmonics + 1) ** self.exponent
        first = 0.0 if self.offset is None else 1 / self.offset
        return np.diag([first, *k, *k])
