"""Where a slit ends: rows that see much less than the sky, block by block of columns."""

import numpy as np

__all__ = ["dark_ends"]

# Rows at each end that may be dark, at most, and as a part of all.
LARGEST_EDGE, LARGEST_PART = 4, 0.25
# Columns that are judged together: oblique slits end in other rows elsewhere.
BLOCK = 48
# Of the rows, from the darkest, the one that is lit for certain: masks may leave few others.
LIT_PART = 0.75
# What dark rows lack of the sky at least, and by how many standard deviations.
LEAST_LOSS, DARK_SIGMA = 0.2, 6.0
# Brighter pixels are hits, which would light a dark row.
HIT_SIGMA = 5.0


def dark_ends(data, sky, weights):
    """Pixels of the ends of a slit that see much less than the sky.

    Ends are counted from the first or the last pixel of each column, of those that count and of all
    whose sky is known, as masks of sources may reach up to the ends. Where all rows see less,
    as behind a lower throughput, that is the measure; where some see more, as of a source, it is
    the sky.

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
    n_row, n_column = data.shape
    out, row = np.zeros(data.shape, bool), np.arange(n_row)[:, None]
    blocks = np.arange(0, n_column, BLOCK)[: max(n_column // BLOCK, 1)]
    largest = min(LARGEST_EDGE, int(LARGEST_PART * n_row))
    ends = [(first, step) for known in (good, sky > 0)
            for first, step in ((known.argmax(axis=0), 1),
                                (n_row - 1 - known[::-1].argmax(axis=0), -1))]  # fmt: skip
    for first, step in ends:
        depth = _dark_depth(product, norm, (first, step), blocks, largest)
        depth = np.repeat(depth, np.diff([*blocks, n_column]))
        out |= (step * (row - first) < depth) & (depth > 0)
    return out


def _dark_depth(product, norm, ends, blocks, largest):
    """Number of dark rows at one end in each block of columns."""
    (first, step), columns = ends, np.arange(norm.shape[1])
    least = 1 - (1 - LEAST_LOSS) * _usual(product, norm)
    depth, dark = np.zeros(blocks.size, int), np.ones(blocks.size, bool)
    for k in range(largest):
        at = np.clip(first + step * k, 0, len(norm) - 1), columns
        own, weight = (np.add.reduceat(a[at], blocks) for a in (product, norm))
        dark &= weight - own > least * weight + DARK_SIGMA * np.sqrt(weight)
        if not dark.any():
            break
        depth[dark] += 1
    return np.where(dark, 0, depth)  # as dark inside: no end


def _usual(product, norm):
    """What rows that are not dark see of the sky, at most all of it."""
    total = norm.sum(axis=1)
    known = total > 0
    if not known.any():
        return 1.0
    seen = product.sum(axis=1)[known] / total[known]
    return float(np.clip(np.quantile(seen, LIT_PART), 0.0, 1.0))
