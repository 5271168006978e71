"""Rejection of outliers in batches of small linear fits, and robust scales. Arrays only."""

from itertools import pairwise

import numpy as np

from .clipping_kernels import rejected_in_columns
from .robust import MAD_TO_SIGMA, column_median

__all__ = ["local_scale", "reject_by_column", "relative_misfit", "sharp_pixels"]

# Standard deviations from which a pixel may be a hit without a fit.
HIT_SIGMA = 8.0
# The lower neighbour of a pixel of a line has at least this part of its light; a hit may be peeled
# off so many pixels deep.
LEAST_NEIGHBOUR, PEELED = 0.1, 3
# The higher neighbour of a hit along the dispersion, as a part of it; that of a line has more.
LARGEST_NEIGHBOUR = 0.3


def local_scale(residual, use, *, block=128):
    """Robust standard deviation of each row in blocks of columns, shape as the residual.

    Parameters
    ----------
    residual : ndarray, shape (n_row, n_column)
        Residuals about zero, in units of their predicted standard deviation.
    use : ndarray of bool, same shape
        Pixels that count.
    block : int
        Columns in a block.

    Returns
    -------
    ndarray, shape (n_row, n_column)
        1.48 times the median absolute residual of the block; 1 where the block has fewer than eight
        pixels.
    """
    n_row, n_column = residual.shape
    n_block = max(1, n_column // block)
    edges = np.linspace(0, n_column, n_block + 1).astype(int)
    out = np.ones(residual.shape, dtype=residual.dtype)
    for start, stop in pairwise(edges):
        part = np.s_[:, start:stop]
        ordered = np.sort(np.where(use[part], np.abs(residual[part]), np.inf), axis=1)
        count = np.count_nonzero(use[:, start:stop], axis=1)
        middle = ordered[np.arange(n_row), np.minimum(count // 2, stop - start - 1)]
        enough = count >= 8
        out[enough, start:stop] = MAD_TO_SIGMA * middle[enough, None]
    return out


def reject_by_column(columns, data, weights, threshold, *, beside=None, max_fraction=0.4):
    """Reject outliers one by one in every column, by their distance from the fit of the others.

    The pixel with the largest residual, divided by the standard deviation that a residual has when
    the pixel itself took part in the fit, is the one whose removal lowers chi-square most. It is
    removed if it exceeds the threshold, and the column is solved again, until none does. In the end
    pixels that agree with the fit made without them are taken back. Hits add light: where pixels
    below the fit are rejected, and fewer would be if those above it went first, these are the hits,
    if they are as sharp along the dispersion as no line is.

    Parameters
    ----------
    columns : sequence of ndarray, each of shape (n_pixel, n_batch) or (n_pixel, 1)
        Basis images of the linear fit.
    data, weights : ndarray, shape (n_pixel, n_batch)
        Data, and inverse variances, zero for pixels to leave out.
    threshold : ndarray, shape (n_pixel, n_batch)
        In standard deviations.
    beside : pair of tuple of ndarray, optional
        Data and weights, shape (n_pixel, n_batch), of the column before each and of the one after
        it; weights are zero outside of the image. Default: columns lie side by side.
    max_fraction : float
        No more than this fraction of a column's pixels is removed.

    Returns
    -------
    ndarray of bool, shape (n_pixel, n_batch)
        True for rejected pixels.
    """
    basis = np.array([np.broadcast_to(column, data.shape) for column in columns], dtype=float)
    arrays = [np.ascontiguousarray(a, dtype=float) for a in (data, weights, threshold)]
    most = max(1, int(max_fraction * data.shape[0]))
    worst_first, bright_first, better = rejected_in_columns(basis, *arrays, most)
    if not better.any():
        return worst_first
    hits = bright_first & ~worst_first
    better &= ~np.any(hits & ~_stand_alone(data, weights, beside), axis=0)
    return np.where(better, bright_first, worst_first)


def _stand_alone(data, weights, beside):
    """Pixels both of whose neighbours in the columns beside theirs have far less light."""
    light = _light(data, weights)
    if beside is None:
        padded = np.pad(light, ((0, 0), (1, 1)))
        before, after = padded[:, :-2], padded[:, 2:]
    else:
        before, after = (_light(*own) for own in beside)
    return np.maximum(before, after) < LARGEST_NEIGHBOUR * light


def _light(data, weights):
    """Data less the median of their column, zero where they have no weight."""
    good = weights > 0
    return np.where(good, data - np.nan_to_num(column_median(data, good)), 0.0)


def relative_misfit(student, signal, use):
    """Relative error of a model that the residuals of bright pixels show beyond their noise.

    Parameters
    ----------
    student, signal : ndarray
        Residual and light of each pixel, in units of the noise.
    use : ndarray of bool
        Pixels that count.
    """
    bright = use & (signal > 10)
    if np.count_nonzero(bright) < 50:
        return 0.0
    relative = student[bright] / signal[bright]
    spread = MAD_TO_SIGMA * np.median(np.abs(relative))
    noise = np.median(1 / signal[bright])
    return np.sqrt(max(spread**2 - (1.2 * noise) ** 2, 0.0))


def sharp_pixels(student, good):
    """Pixels far above the noise that fall off in both directions as no line does, peeled off.

    A hit that a resampling has spread over some pixels is sharp at its rim, and again at the next.

    Parameters
    ----------
    student : ndarray, shape (n_row, n_column)
        Data less the sky, in standard deviations.
    good : ndarray of bool, same shape
        Pixels that count.

    Returns
    -------
    ndarray of bool, same shape
    """
    out = np.zeros(student.shape, dtype=bool)
    padded = np.pad(np.where(good, student, np.nan), 1, constant_values=np.nan)
    for _ in range(PEELED):
        rows, columns = np.nonzero(np.abs(padded) > HIT_SIGMA)
        height, sharp = padded[rows, columns], np.ones(len(rows), dtype=bool)
        for i, j in ((0, 1), (1, 0)):
            lower = np.fmin(*(padded[rows + s * i, columns + s * j] / height for s in (1, -1)))
            sharp &= lower < LEAST_NEIGHBOUR
        if not sharp.any():
            break
        rows, columns = rows[sharp], columns[sharp]
        out[rows - 1, columns - 1] = True
        padded[rows, columns] = 0.0
    return out
