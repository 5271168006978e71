"""What is known of parameters before the data: priors, which fitters add to chi-square.

`GaussianPrior` is for one parameter. A `CoefficientPrior` is for all coefficients of a linear model
together, and its strength may be left to the data.
"""

from abc import ABC, abstractmethod

import numpy as np
from scipy import sparse

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
    ``matrix(model)``, which returns :math:`S`, shape (n_terms, n_terms), and may define
    ``mean(model)``, shape (n_terms,), from which coefficients are counted.

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
        """The matrix of a model, (n_terms, n_terms), an array or a sparse one of scipy."""

    def mean(self, model):
        """Expected coefficients of a model with ``n_terms`` of them: zero."""
        return np.zeros(model.n_terms)

    def __eq__(self, other):
        return type(other) is type(self) and vars(self) == vars(other)

    def __hash__(self):
        return hash(tuple(vars(self).items()))

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class RidgePrior(CoefficientPrior):
    r"""Coefficients scatter independently: chi-square grows by :math:`\lambda (c_j - m_j)^2/s_j^2`.

    Parameters
    ----------
    strength : float, optional
        :math:`\lambda`, one over the variance in units of the scales; None: learnt.
    mean, scale : float or array_like, shape (n_terms,)
        Expected coefficients, and by how much they scatter relative to one another.

    Raises
    ------
    ValueError
        If a scale is not positive, or a number not finite.
    """

    def __init__(self, strength=None, *, mean=0.0, scale=1.0):
        super().__init__(strength)
        for name, value in (("mean", mean), ("scale", scale)):
            value = np.asarray(value, dtype=float)
            if value.ndim > 1 or not np.isfinite(value).all():
                raise ValueError(f"{name}: expected finite numbers, got {value!r}")
            setattr(self, f"_{name}", value.item() if value.ndim == 0 else tuple(value.tolist()))
        if not np.min(scale, initial=np.inf) > 0:
            raise ValueError(f"scale: expected positive numbers, got {scale!r}")

    def matrix(self, model):
        """Diagonal, sparse."""
        return sparse.diags_array(np.broadcast_to(self._scale, (model.n_terms,)) ** -2.0)

    def mean(self, model):
        """The means as given."""
        return np.broadcast_to(self._mean, (model.n_terms,))


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
