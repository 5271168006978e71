"""Where a slit ends: rows that see much less than the sky, block by block of columns."""

import numpy as np

from .lit_rows import even_light

__all__ = ["block_edges", "dark_ends"]

# Columns that are judged together: oblique slits end in other rows elsewhere. Of faint skies more,
# so that the squares of signal-to-noise ratios in a row have this sum.
BLOCK, ENOUGH_SIGNAL = 48, 400.0
# Rows at each end that may see a part of the sky, at most, and as a part of all. Others have to
# be darker than the given part of what rows usually see: then it does not matter how many they are.
LARGEST_EDGE, LARGEST_PART = 4, 0.25
DARKER = 0.5
# Of the rows, from the darkest, the one that is lit for certain: masks may leave few others.
LIT_PART = 0.75
# What dark rows lack of the sky at least, what those next to them do, and by how many standard
# deviations.
LEAST_LOSS, NEXT_LOSS, DARK_SIGMA = 0.2, 0.05, 6.0
# Brighter pixels are hits, which would light a dark row.
HIT_SIGMA = 5.0


def block_edges(norm):
    """First columns of the blocks, and the number of columns.

    Parameters
    ----------
    norm : ndarray, shape (n_row, n_column)
        Squares of the signal-to-noise ratios of the sky, zero for pixels that do not count.
    """
    n_column = norm.shape[1]
    known = norm[norm > 0]
    least = ENOUGH_SIGNAL / np.median(known) if known.size else 0.0
    width = int(np.clip(least, min(BLOCK, n_column), n_column))
    return np.append(np.arange(0, n_column, width)[: max(n_column // width, 1)], n_column)


def dark_ends(data, sky, weights):
    """Pixels of the ends of a slit that see much less than the sky.

    Ends are counted from the first or the last pixel of each column, of those that count and of all
    whose sky is known, as masks of sources may reach up to the ends. Where all rows see less,
    as behind a lower throughput, that is the measure; where some see more, as of a source, it is
    the sky. A few rows may be vignetted; ends that see less than half may have any number of rows.

    Parameters
    ----------
    data, sky, weights : ndarray, shape (n_row, n_column)
        Pixels, the sky in them, NaN where it is not known, and inverse variances, zero for pixels
        that do not count.

    Returns
    -------
    ndarray of bool, shape (n_row, n_column)
        With the pixels beyond the first and last good ones where ends are dark.
    """
    good = (weights > 0) & (sky > 0)
    good &= (data - sky) * np.sqrt(weights) < HIT_SIGMA
    signal = np.where(good, weights * sky, 0.0)
    product, norm = signal * np.where(good, data, 0.0), signal * np.where(good, sky, 0.0)
    n_row, row = len(data), np.arange(len(data))[:, None]
    out, edges = np.zeros(data.shape, bool), block_edges(norm)
    ends = [(first, step) for known in (good, sky > 0)
            for first, step in ((known.argmax(axis=0), 1),
                                (n_row - 1 - known[::-1].argmax(axis=0), -1))]  # fmt: skip
    for first, step in ends:
        depth = np.repeat(_dark_depth(product, norm, (first, step), edges[:-1]), np.diff(edges))
        out |= (step * (row - first) < depth) & (depth > 0)
    return out


def _dark_depth(product, norm, ends, blocks):
    """Number of dark rows at one end in each block of columns; rows without pixels tell nothing."""
    (first, step), columns = ends, np.arange(norm.shape[1])
    usual, n_row = _usual(product, norm), len(norm)
    largest = min(LARGEST_EDGE, int(LARGEST_PART * n_row))
    depth, surely, vignetted = np.zeros((3, blocks.size), int)
    at_end = np.ones(blocks.size, bool)
    for k in range(n_row):
        at = np.clip(first + step * k, 0, n_row - 1), columns
        own, weight = (np.add.reduceat(a[at], blocks) for a in (product, norm))
        lacking = usual * weight - own - DARK_SIGMA * np.sqrt(weight)
        dark = lacking > (1 - DARKER) * usual * weight
        less = lacking > np.where(depth > 0, NEXT_LOSS, LEAST_LOSS) * usual * weight
        vignetted += at_end & less & ~dark
        gradual = at_end & (vignetted > largest)  # no end of a slit
        depth[gradual] = surely[gradual]
        at_end &= ~gradual & (less | (weight <= 0))
        if not at_end.any():
            break
        depth[at_end & (weight > 0)] = k + 1
        surely[at_end & dark] = k + 1
    return np.where(at_end, 0, depth)  # as dark inside: no end


def _usual(product, norm):
    """What rows that are not dark see of the sky, at most all of it."""
    total = norm.sum(axis=1)
    known = total > 0
    if not known.any():
        return 1.0
    seen, error = product.sum(axis=1)[known] / total[known], 1 / np.sqrt(total[known])
    lit = even_light(seen, error)
    usual = np.quantile(seen, LIT_PART) if lit is None else np.median(seen[lit])
    return float(np.clip(usual, 0.0, 1.0))
