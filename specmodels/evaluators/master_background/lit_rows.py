"""Rows that show the sky where many rows of a slit are dark."""

import numpy as np

__all__ = ["even_light", "lit_rows"]

# Columns that are judged together, before all of them are.
BLOCK = 48
# What is brighter than this part of the brightest rows tells their level.
BRIGHT_PART = 0.5
# Light between dark ends is even, as that of a source is not: so many rows, of which so many are
# alike within a part, and with so few between them and the dark, which sees less than that part.
LEAST_LIT, EVEN_PART, MOST_BETWEEN, ALIKE = 5, 0.75, 4, 0.2
# Rows whose light is less certain, relative to that of the lit ones, tell nothing.
LARGEST_ERROR = 0.1


def lit_rows(data, weights):
    """Pixels that tell the level of the sky: all, or those between dark ends.

    The median of a column is the sky, unless many rows are dark. The others then are next to one
    another, alike, and end at once, as the light of a source does not.

    Parameters
    ----------
    data, weights : ndarray, shape (n_row, n_column)
        Pixels, and inverse variances, zero for pixels that do not count.

    Returns
    -------
    ndarray of bool, shape (n_row, n_column)
        Those that count, of all rows or of lit ones.
    """
    good = weights > 0
    data, n_column = np.where(good, data, 0.0), data.shape[1]
    for width in (BLOCK, n_column):
        found = False
        for low in range(0, max(n_column - width // 2, 1), width):
            high = n_column if low + 1.5 * width >= n_column else low + width
            lit = _lit_of_block(data[:, low:high], weights[:, low:high])
            if lit is not None:
                good[:, low:high] &= lit[:, None]
                found = True
        if found:
            break
    return good


def _lit_of_block(data, weights):
    count = np.count_nonzero(weights, axis=1)
    known = count > 0
    good = weights[known] > 0
    mean = data[known].sum(axis=1) / count[known]
    variance = np.divide(1, weights[known], out=np.zeros(good.shape), where=good).sum(axis=1)
    lit = even_light(mean, np.sqrt(variance) / count[known])
    if lit is None:
        return None
    out = np.zeros(len(data), bool)
    out[np.flatnonzero(known)[lit]] = True
    return out


def even_light(mean, error):
    """Rows between dark ends.

    Parameters
    ----------
    mean, error : ndarray, shape (n_row,)
        Mean light of the rows and the standard error of that.

    Returns
    -------
    ndarray of bool, shape (n_row,), or None
        None where light is uneven, or there is none.
    """
    if mean.size < 2 * LEAST_LIT:
        return None
    bright = np.sort(mean)[-LEAST_LIT]
    if not bright > 0:
        return None
    level = np.median(mean[mean > BRIGHT_PART * bright])
    told = error < LARGEST_ERROR * level
    lit = mean > (1 - ALIKE) * level
    between = told & ~lit & (mean > ALIKE * level)
    lit &= told
    number = np.count_nonzero(lit)
    even = np.count_nonzero(mean[lit] < (1 + ALIKE) * level)
    starts = np.count_nonzero(np.diff(lit[told].astype(int), prepend=0) > 0)
    if starts != 1 or number < LEAST_LIT or even < EVEN_PART * number:
        return None
    return lit if np.count_nonzero(between) <= MOST_BETWEEN else None
