"""A cloud of points along one coordinate: bins, robust centres, and who disagrees. Arrays only."""

import numpy as np

from .robust import MAD_TO_SIGMA

__all__ = ["cloud_outliers", "huber_level"]

# Values are held within so many times their usual range beyond it.
FAR, BELOW_ONE = 20.0, 0.999


def cloud_outliers(bins, values, errors, *, limit=6.0):
    """Points far from the median of their bin, by their errors and the spread of the bin.

    Parameters
    ----------
    bins : ndarray of int, shape (n_point,)
        Number of the bin of each point, from zero.
    values, errors : ndarray, shape (n_point,)
        Finite values and their standard deviations.
    limit : float
        In standard deviations.

    Returns
    -------
    ndarray of bool, shape (n_point,)
    """
    center = _medians(bins, values)[bins]
    distance = np.abs(values - center)
    spread = MAD_TO_SIGMA * _medians(bins, distance)[bins]
    return distance > limit * np.maximum(spread, errors)


def huber_level(groups, signal, residual, weights, n_groups, *, limit=3.0, n_iterations=6):
    """Amplitude of a signal in the residuals of each group of points, outliers held down.

    Huber's estimate: each round, residuals beyond the limit count as if they were at it.

    Parameters
    ----------
    groups : ndarray of int, shape (n_point,)
        Group of each point.
    signal, residual, weights : ndarray, shape (n_point,)
        The amplitude is that of ``signal`` in ``residual``; weights are inverse variances.
    n_groups : int
        Number of groups.

    Returns
    -------
    level, error : ndarray, shape (n_groups,)
        Amplitudes and standard errors, infinite where a group has no weight.
    """
    norm = np.bincount(groups, weights=weights * signal**2, minlength=n_groups)
    inverse = np.divide(1.0, norm, out=np.zeros(n_groups), where=norm > 0)
    root = np.sqrt(weights)
    bound = limit * np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    level = np.zeros(n_groups)
    for _ in range(n_iterations):
        left = np.clip(residual - level[groups] * signal, -bound, bound)
        level += inverse * np.bincount(groups, weights * signal * left, minlength=n_groups)
    with np.errstate(divide="ignore"):
        return level, np.sqrt(1 / norm)


def _medians(bins, values):
    """Median of the values in each bin, zero in empty ones.

    One sort of bin number plus scaled value; what lies far beyond all others is moved nearer first,
    so that no precision is lost, which changes no median.
    """
    low, high = np.percentile(values, [1, 99]) if values.size else (0.0, 1.0)
    span = max(high - low, np.finfo(float).tiny)
    low, span = low - FAR * span, (2 * FAR + 1) * span
    ordered = np.sort(bins + np.clip((values - low) / span, 0.0, 1.0) * BELOW_ONE)
    count = np.bincount(bins)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    last = max(values.size - 1, 0)
    lower = ordered[np.minimum(start + np.maximum(count - 1, 0) // 2, last)]
    upper = ordered[np.minimum(start + count // 2, last)]
    middle = 0.5 * (lower + upper) - np.arange(count.size)
    return np.where(count > 0, low + middle * span / BELOW_ONE, 0.0)
