"""Smooth steps in a series with flicker noise: found one by one, as long as they are significant.

Any slow curve is a sum of smooth steps. Noise with a power of ``a / k + b`` in the k-th cosine mode
is estimated from the series itself, and tells what is significant.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import fft, optimize

__all__ = ["curve_variance", "fit_steps", "mode_variance", "smooth_step"]


TINY = np.finfo(float).tiny
# Bands with less of the power of the strongest one are rounding noise.
LEAST_POWER = 1e-12


def smooth_step(x, position, width):
    """Logistic step from 0 to 1 at `position`, broadcast shape of the arguments."""
    return 0.5 * (1 + np.tanh(0.5 * (x - position) / width))


def mode_variance(modes, first=40):
    """Variance ``a / k + b`` of the cosine modes of a series, robustly.

    Parameters
    ----------
    modes : ndarray, shape (n,)
        Orthonormal cosine transform.
    first : int
        First mode used; lower ones may hold what is no noise.

    Returns
    -------
    ndarray, shape (n,)
        At mode zero that of the first.
    """
    k = np.maximum(np.arange(modes.size), 1)
    first = min(first, modes.size // 4)
    edges = np.unique(np.geomspace(max(first, 1), modes.size, 9).astype(int))
    bands = [slice(a, b) for a, b in pairwise(edges)]
    power = np.array([np.median(modes[band] ** 2) / 0.4549 for band in bands])
    number = np.array([band.stop - band.start for band in bands])
    design = np.array([[np.mean(1 / k[band]), 1.0] for band in bands])
    if not power.max() > 0:  # of a constant
        return np.zeros(modes.size)
    scale = np.sqrt(number) / np.maximum(power, LEAST_POWER * power.max())
    amplitudes, _ = optimize.nnls(design * scale[:, None], power * scale)
    return amplitudes[0] / k + amplitudes[1]


def fit_steps(series, known, *, sigma=5.0, max_steps=8, least_width=4.0):
    """The part of a series that is a sum of significant smooth steps, and its mean.

    Parameters
    ----------
    series : ndarray, shape (n,)
        Values, such as the medians of detector lines.
    known : ndarray of bool, shape (n,)
        Where there is a value; others are interpolated.
    sigma : float
        Significance of a step, in standard deviations of the noise.
    max_steps : int
        Most steps.
    least_width : float
        Smallest width of a step.

    Returns
    -------
    curve : ndarray, shape (n,)
        Sum of the steps, with the mean of the series.
    steps : ndarray, shape (n_step, 3)
        Height, position and width of each.
    """
    n = series.size
    if known.sum() < 32:
        mean = float(series[known].mean()) if known.any() else 0.0
        return np.full(n, mean), np.empty((0, 3))
    x = np.arange(n, dtype=float)
    filled = np.interp(x, x[known], series[known])
    modes = fft.dct(filled, norm="ortho")
    chosen = np.empty((0, 2))
    rest = modes
    for _ in range(max_steps):
        shapes, table = _dictionary(n, least_width)
        weight = 1 / np.sqrt(np.maximum(mode_variance(rest), TINY))
        weight[0] = 0
        scores = _scores(table * weight, rest * weight)
        best = np.argmax(scores)
        if not scores[best] > sigma:
            break
        chosen = _refined(np.vstack([chosen, shapes[best]]), x, modes * weight, weight, least_width)
        rest = modes - _design(chosen, x) @ _heights(chosen, x, modes * weight, weight)
    weight = 1 / np.sqrt(np.maximum(mode_variance(rest), TINY))
    weight[0] = 0
    heights = _heights(chosen, x, modes * weight, weight)
    curve = heights @ smooth_step(x, *chosen.T[:, :, None]) if len(chosen) else np.zeros(n)
    return curve + np.mean((series - curve)[known]), np.column_stack([heights, chosen])


def curve_variance(series, known, steps, *, step=1e-3):
    """Variance of the curve that `fit_steps` found, from the errors of all parameters of its steps.

    Parameters
    ----------
    series, known
        As given to `fit_steps`.
    steps : ndarray, shape (n_step, 3)
        Height, position and width of each, as it returned them.
    step : float
        Of the numerical derivatives by position and width.

    Returns
    -------
    ndarray, shape (n,)
        A constant is free.
    """
    n = series.size
    if not len(steps):
        return np.zeros(n)
    x = np.arange(n, dtype=float)
    filled = np.interp(x, x[known], series[known])
    columns = []
    for height, position, width in steps:
        middle = smooth_step(x, position, width)
        columns += [middle, height * (smooth_step(x, position + step, width) - middle) / step,
                    height * (smooth_step(x, position, width + step) - middle) / step]  # fmt: skip
    columns = np.array(columns)
    rest = filled - steps[:, 0] @ columns[::3]
    weight = 1 / np.sqrt(np.maximum(mode_variance(fft.dct(rest, norm="ortho")), TINY))
    weight[0] = 0
    modes = fft.dct(columns, norm="ortho", axis=-1) * weight
    covariance = np.linalg.pinv(modes @ modes.T, hermitian=True)
    columns -= columns[:, known].mean(axis=1, keepdims=True)
    return np.einsum("in,ij,jn->n", columns, covariance, columns)


@lru_cache(maxsize=1)
def _dictionary(n, least_width):
    """Positions and widths of the steps that are tried, (n_shape, 2), and their modes."""
    shapes, width = [], least_width
    while width < n / 6:
        positions = np.arange(2 * width, n - 2 * width, max(2.0, 1.5 * width))
        shapes.append(np.column_stack([positions, np.full(positions.size, width)]))
        width *= 2
    shapes = np.concatenate(shapes)
    steps = smooth_step(np.arange(n, dtype=float), *shapes.T[:, :, None])
    return shapes, fft.dct(steps, norm="ortho", axis=-1)


def _scores(table, target):
    norm = np.sqrt(np.einsum("kn,kn->k", table, table))
    return np.abs(table @ target) / np.maximum(norm, TINY)


def _design(shapes, x):
    """Cosine modes of steps, shape (n, n_step)."""
    return fft.dct(smooth_step(x[:, None], *shapes.T[:, None]), norm="ortho", axis=0)


def _heights(shapes, x, target, weight):
    if not len(shapes):
        return np.empty(0)
    design = _design(shapes, x) * weight[:, None]
    return np.linalg.lstsq(design, target, rcond=None)[0]


def _refined(shapes, x, target, weight, least_width):
    """Positions and widths moved to where all steps together fit best."""

    def misfit(values):
        trial = np.column_stack([values[::2], np.exp(values[1::2])])
        design = _design(trial, x) * weight[:, None]
        return target - design @ np.linalg.lstsq(design, target, rcond=None)[0]

    start = np.column_stack([shapes[:, 0], np.log(shapes[:, 1])]).ravel()
    widest = np.log(x.size)
    lower = np.tile([-0.1 * x.size, np.log(least_width / 4)], len(shapes))
    upper = np.tile([1.1 * x.size, widest], len(shapes))
    found = optimize.least_squares(misfit, np.clip(start, lower + 1e-6, upper - 1e-6),
                                   bounds=(lower, upper), x_scale=np.tile([4.0, 0.2], len(shapes)),
                                   max_nfev=30)  # fmt: skip
    return np.column_stack([found.x[::2], np.exp(found.x[1::2])])
