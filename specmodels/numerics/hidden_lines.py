"""How far off a smoothed spline may be where noise hides narrow lines. Arrays only.

A prior learnt from the data flattens what the data do not show; its covariance takes the learnt
smoothness for granted and is too small there. Here lines are allowed for that are as many as those
seen, half as strong, and anywhere.
"""

import numpy as np
from scipy.ndimage import convolve1d, correlate1d, uniform_filter1d
from scipy.sparse import diags_array

__all__ = ["as_lines", "expected_squares", "line_band"]

# A line as narrow as pixels can see, in coefficients half a pixel apart.
REACH, SIGMA = 5, 1.5
LINE = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
# Coefficients that one line takes, and which its neighbourhood spans.
N_OWN, N_NEAR = 5, 9
STRENGTH = 0.5
LEVEL_WINDOW = 101
LARGEST_EXPONENT = 50.0
# Sum of the squares of the second differences of a line, per coefficient that it takes.
CURVATURE = np.sum(np.diff(LINE, 2) ** 2) / N_OWN


def expected_squares(equations, solution, prior):
    r"""Expected squares of the amplitudes of unseen lines round each coefficient.

    At each coefficient the data favour a line over none by

    .. math:: B = (1 + q)^{-1/2} \exp \left( \frac{z^2}{2} \frac{q}{1 + q} \right)

    with the signal-to-noise ratio :math:`z` of a line in what the spline leaves, and the ratio
    :math:`q` of the variance of lines to that of the noise. To the mean square that follows is
    added what a second application of the prior would take off the spline.

    Parameters
    ----------
    equations : `~specmodels.numerics.bsplines.BandedEquations`
        Of the data, without the prior.
    solution : `~specmodels.numerics.bsplines.BandedSolution`
        With the prior.
    prior : `~specmodels.numerics.adaptive_smoothing.SmoothnessPrior`

    Returns
    -------
    ndarray, shape (n_term,)
    """
    values, share = solution.values, prior.shares(solution)
    level = np.sqrt(uniform_filter1d(values**2, LEVEL_WINDOW, mode="nearest"))
    relative = np.diff(values, 2) / np.maximum(level[1:-1], 1e-300)
    strength = STRENGTH * np.sqrt(share @ relative**2 / share.sum() / CURVATURE)
    fixed = 1 - np.pad(uniform_filter1d(share, N_OWN, mode="nearest"), 1, mode="edge")
    left = equations.vector - equations.product(values)
    signal = correlate1d(left, LINE, mode="constant")
    # What the data tell of a line that the spline has not taken up.
    weight = _line_weights(equations.matrix) * fixed
    safe = np.where(weight > 0, weight, 1.0)
    ratio = (strength * level) ** 2 * safe
    exponent = 0.5 * signal**2 / safe * ratio / (1 + ratio)
    odds = np.exp(np.minimum(exponent, LARGEST_EXPONENT)) / np.sqrt(1 + ratio)
    odds *= share.sum() / N_OWN / values.size
    chance = odds / (1 + N_NEAR * uniform_filter1d(odds, N_NEAR, mode="nearest"))
    square = (signal / safe * ratio / (1 + ratio)) ** 2 + (strength * level) ** 2 / (1 + ratio)
    hidden = np.where(weight > 0, chance * square * fixed**2, 0.0)
    return hidden + solution.solved(left) ** 2 / np.sum(LINE**2)


def line_band(squares):
    """Band of the covariance of the coefficients, shape (4, n_term), from independent lines."""
    out = np.zeros((4, squares.size))
    for k in range(4):
        out[k] = convolve1d(squares, _lagged(k), mode="constant")
    return out


def as_lines(weights):
    """From weights of the coefficients to those of lines, shape (n, n_term) both."""
    n = weights.shape[1]
    offsets = [k for k in range(-REACH, REACH + 1) if abs(k) < n]
    lines = diags_array([np.full(n - abs(k), LINE[k + REACH]) for k in offsets], offsets=offsets)
    return weights @ lines


def _line_weights(matrix):
    """Weight of the amplitude of a line round each coefficient, from the band of the equations."""
    own = [correlate1d(matrix[k], _lagged(k), mode="constant") for k in range(4)]
    return own[0] + 2 * (own[1] + own[2] + own[3])


def _lagged(k):
    """Products of a line with itself, k coefficients further."""
    return LINE * np.append(LINE[k:], np.zeros(k))
