"""Medians by compiled selection: of the rows of a table, and of many values. Nothing is sorted.

A sample tells between which values the median lies; only those are kept, until few are left.
"""

import numpy as np

from .compiled import compiled

__all__ = ["kept_between", "median_of", "medians_of_rows", "selected"]

# Values few enough to select from at once; size of a sample, and how far from its middle to look.
FEW, SAMPLE, MARGIN = 48, 33, 5


@compiled
def medians_of_rows(rows, use, medians, number):
    """Median of the used values of each row, zero where there is none, and their number.

    Parameters
    ----------
    rows : ndarray of float, shape (n_row, n)
        Finite where used.
    use : ndarray of bool, same shape
        Values that count.
    medians, number : ndarray, shape (n_row,)
        Written to.
    """
    n_row, n = rows.shape
    values, work = np.empty(n + 1, rows.dtype), np.empty(n + 1, rows.dtype)
    for j in range(n_row):
        size = 0
        for i in range(n):
            values[size] = rows[j, i]
            size += use[j, i]
        medians[j], number[j] = median_of(values, work, size), size


@compiled
def median_of(values, work, size):
    """Median of the first `size` values, zero of none; both arrays, of one size, are written to."""
    half = values.dtype.type(0.5)
    if size == 0:
        return half * 0
    first, last, margin = (size - 1) // 2, size // 2, MARGIN
    sample = np.empty(SAMPLE, values.dtype)
    while size > FEW and margin < SAMPLE:
        for k in range(SAMPLE):
            sample[k] = values[(2 * k + 1) * size // (2 * SAMPLE)]
        _sort(sample, SAMPLE)
        place = first * SAMPLE // size
        low, high = sample[max(place - margin, 0)], sample[min(place + margin, SAMPLE - 1)]
        below, inside = 0, 0
        for k in range(size):
            below += values[k] < low
            inside += values[k] <= high
        inside -= below
        if first < below or last >= below + inside or inside == size:
            margin *= 2
            continue
        kept = 0
        for k in range(size):
            work[kept] = values[k]
            kept += (values[k] >= low) & (values[k] <= high)
        values, work = work, values
        first, last, size, margin = first - below, last - below, inside, MARGIN
    lower = selected(values, size, first)
    return half * (lower + selected(values, size, last))


@compiled
def kept_between(values, use, low, high, kept):
    """Copy the used values between two limits to `kept`, which is longer than all values.

    Returns
    -------
    below, number, total : int
        Used values below the lower limit, between the limits, and all of them.
    """
    below, number, total = 0, 0, 0
    for k in range(values.size):
        below += use[k] & (values[k] < low)
        total += use[k]
    for k in range(values.size):
        kept[number] = values[k]
        number += use[k] & (values[k] >= low) & (values[k] <= high)
    return below, number, total


@compiled
def _sort(values, size):
    """Sort the first values, in place."""
    for k in range(1, size):
        value, j = values[k], k
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


@compiled
def selected(values, number, which):
    """Value that would be at place `which` if the first ones were sorted (Hoare's algorithm)."""
    low, high = 0, number - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if which <= j:
            high = j
        elif which >= i:
            low = i
        else:
            break
    return values[which]
