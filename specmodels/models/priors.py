"""What is known of a parameter before the data: priors, which fitters add to chi-square."""

import numpy as np

__all__ = ["GaussianPrior"]


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
