"""A cloud of points along one coordinate: bins, robust centres, and who disagrees. Arrays only."""

import numpy as np

from .compiled import compiled
from .medians import selected
from .robust import MAD_TO_SIGMA

__all__ = ["bin_medians", "cloud_outliers", "huber_level"]

# Steps shorter than this fraction of the error end the iteration.
NEGLIGIBLE = 0.01
# Values in a bin of which a median is taken.
ENOUGH = 64


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
    distance = np.abs(values - bin_medians(bins, values, ENOUGH)[bins])
    spread = MAD_TO_SIGMA * bin_medians(bins, distance, ENOUGH)
    return distance > limit * np.maximum(spread[bins], errors)


def huber_level(groups, signal, residual, n_groups, *, limit=3.0, n_iterations=6):
    """Amplitude of a signal in the residuals of each group of points, outliers held down.

    Huber's estimate: each round, residuals beyond the limit count as if they were at it.

    Parameters
    ----------
    groups : ndarray of int, shape (n_point,)
        Group of each point.
    signal, residual : ndarray, shape (n_point,)
        The amplitude is that of ``signal`` in ``residual``, both in units of the errors.
    n_groups : int
        Number of groups.

    Returns
    -------
    level, error : ndarray, shape (n_groups,)
        Amplitudes and standard errors, infinite where a group has no weight.
    """
    arrays = (np.asarray(a, dtype=float) for a in (signal, residual))
    level, norm, total = np.zeros((3, n_groups))
    _huber(np.asarray(groups), *arrays, (level, norm, total), limit, n_iterations)
    with np.errstate(divide="ignore"):
        return level, np.sqrt(1 / norm)


@compiled
def _huber(groups, signal, residual, out, limit, n_iterations):
    level, norm, total = out
    for p in range(groups.size):
        norm[groups[p]] += signal[p] * signal[p]
    for _ in range(n_iterations):
        for k in range(total.size):
            total[k] = 0.0
        # Neighbours are mostly of one group: their sum is kept aside, which takes half the time.
        own, part = 0, 0.0
        for p in range(groups.size):
            if groups[p] != own:
                total[own] += part
                own, part = groups[p], 0.0
            left = residual[p] - level[own] * signal[p]
            part += signal[p] * min(max(left, -limit), limit)
        total[own] += part
        change = 0.0
        for k in range(total.size):
            if norm[k] > 0:
                level[k] += total[k] / norm[k]
                change = max(change, abs(total[k]) / np.sqrt(norm[k]))
        if change < NEGLIGIBLE:
            break


def bin_medians(bins, values, enough=1 << 60):
    """Median of the values in each bin, or of evenly spread ones that are enough; empty: zero."""
    counts = np.bincount(bins)
    small = bins.astype(np.int16) if counts.size < 1 << 15 else bins  # sorted by radix
    ordered = np.asarray(values, dtype=float)[np.argsort(small, kind="stable")]
    out = np.zeros(counts.size)
    _medians(ordered, counts, enough, np.empty(values.size), out)
    return out


@compiled
def _medians(ordered, counts, enough, part, out):
    first = 0
    for k in range(counts.size):
        number, last = 0, first + counts[k]
        for p in range(first, last, 1 + max(counts[k] - 1, 0) // enough):
            part[number] = ordered[p]
            number += 1
        if number > 0:
            middle = selected(part, number, number // 2)
            lower = selected(part, number, number // 2 - 1) if number % 2 == 0 else middle
            out[k] = 0.5 * (lower + middle)
        first = last
