"""How smooth a spline is, place by place, as the data themselves tell. Arrays only."""

import numpy as np

from .banded import inverse_band
from .bsplines import WIDTH

__all__ = ["SmoothnessPrior"]

ORDER = 2
# Coefficients over which the scale of the second differences is averaged (standard deviation).
WINDOW = 2.0
# Steps go a little beyond what each round asks for, which takes fewer of them.
MAX_ROUNDS, TOLERANCE, POWER = 6, 0.01, 1.3
# Scales are kept above this fraction of the largest, of the coefficients, and of the noise of
# these, so that the system stays well conditioned.
FLOOR, COEFFICIENT_FLOOR, NOISE_FLOOR = 1e-9, 1e-12, 1e-7
SMALLEST = 1e-200
LEAST_SHARE = 1e-6
# Gaussian weights of a coefficient and its neighbours.
NEIGHBOURS = np.exp(-0.5 * (np.arange(-int(3 * WINDOW), int(3 * WINDOW) + 1) / WINDOW) ** 2)
NEIGHBOURS /= NEIGHBOURS.sum()
# Weight of the usual scale, in coefficients: no stretch counts as smooth beyond all doubt.
USUAL_WEIGHT = 1e-6


class SmoothnessPrior:
    r"""Gaussian prior of the second differences of the coefficients, of a scale that may vary.

    The scales are those that make the data most probable: of the scale :math:`\tau` in a
    neighbourhood, :math:`\tau^2 = \sum (D c)^2 / \sum \gamma`, where :math:`\gamma` is the share of
    each difference that the data and not the prior determine (MacKay 1992, Neural Computation 4,
    415); the mean scale of the spectrum takes part with a tiny weight. Lines stay sharp and the
    continuum gets smooth, and the covariance says so.

    Parameters
    ----------
    variances : ndarray, shape (n_term - 2,)
        Variance of each second difference.
    n_effective : float
        Number of coefficients that the data determine.
    """

    def __init__(self, variances, n_effective):
        self.variances, self.n_effective = variances, n_effective

    @classmethod
    def learnt(cls, equations, start=None):
        """Learn the scales from normal equations.

        Parameters
        ----------
        equations : `~specmodels.numerics.bsplines.BandedEquations`
            Of the spline.
        start : SmoothnessPrior, optional
            Where to start.

        Returns
        -------
        SmoothnessPrior
        """
        if start is None:
            free = equations.solve().values
            first = np.full(free.size - ORDER, 0.1 * np.mean(np.diff(free, ORDER) ** 2))
            start = cls(np.maximum(first, SMALLEST), np.inf)
        prior = start
        for _ in range(MAX_ROUNDS):
            new = prior._improved(equations)
            change = abs(new.n_effective - prior.n_effective)
            prior = new
            if change <= TOLERANCE * new.n_effective:
                break
        return prior

    def _improved(self, equations):
        solution = equations.penalised(self.band).solve()
        squares, share = _squares_and_shares(solution.values, inverse_band(solution.factor),
                                             self.variances)  # fmt: skip
        square, known = _smoothed(squares), _smoothed(share)
        usual = np.sum(squares) / np.sum(share)
        wanted = (square + USUAL_WEIGHT * usual) / (known + USUAL_WEIGHT)
        ratio = np.maximum(wanted / self.variances, SMALLEST)
        variances = self.variances * ratio**POWER
        least = max(FLOOR * variances.max(), COEFFICIENT_FLOOR * np.mean(solution.values**2),
                    NOISE_FLOOR / equations.matrix[0].mean())  # fmt: skip
        variances = np.maximum(variances, max(least, SMALLEST))
        return SmoothnessPrior(variances, float(share.sum()) + ORDER)

    def shares(self, solution):
        """Share of each second difference that the data determine, shape (n_term - 2,)."""
        return _squares_and_shares(solution.values, solution.covariance_band, self.variances)[1]

    @property
    def band(self):
        """Precision matrix of the coefficients, diagonal and lower diagonals, shape (4, n_term)."""
        weight = 1 / self.variances
        out = np.zeros((WIDTH, weight.size + ORDER))
        out[0, :-2] += weight
        out[0, 1:-1] += 4 * weight
        out[0, 2:] += weight
        out[1, :-2] -= 2 * weight
        out[1, 1:-1] -= 2 * weight
        out[2, :-2] += weight
        return out


def _squares_and_shares(values, covariance, variances):
    """Squares of the second differences, and the share of each that the data determine."""
    diagonal, first, second = covariance[0], covariance[1], covariance[2]
    own = diagonal[:-2] + 4 * diagonal[1:-1] + diagonal[2:]
    own += 2 * second[:-2] - 4 * (first[:-2] + first[1:-1])
    return np.diff(values, ORDER) ** 2, np.clip(1 - own / variances, LEAST_SHARE, 1.0)


def _smoothed(values):
    """Running mean with the weights of a Gaussian; beyond the ends are the last values."""
    padded = np.pad(values, NEIGHBOURS.size // 2, mode="edge")
    return np.convolve(padded, NEIGHBOURS, mode="valid")
