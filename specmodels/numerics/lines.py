"""Medians and means of detector lines with masked pixels: one sort serves all lines."""

import numpy as np

__all__ = ["line_means", "line_medians", "median"]


def line_medians(lines, use):
    """Median of the used pixels of each line.

    Parameters
    ----------
    lines : ndarray, shape (..., width)
        Finite where used.
    use : ndarray of bool, shape of the lines
        Pixels that count.

    Returns
    -------
    medians : ndarray, shape (...)
        Zero where a line has no usable pixel.
    number : ndarray of int, shape (...)
        Usable pixels.
    """
    ordered = np.ascontiguousarray(np.where(use, lines, np.array(np.inf, lines.dtype)))
    ordered.sort(axis=-1)
    number = np.count_nonzero(use, axis=-1)
    last = lines.shape[-1] - 1
    low = np.clip((number - 1) // 2, 0, last)[..., None]
    high = np.minimum(number // 2, last)[..., None]
    below, above = (np.take_along_axis(ordered, k, axis=-1)[..., 0] for k in (low, high))
    with np.errstate(invalid="ignore"):
        return np.where(number > 0, 0.5 * (below + above), 0).astype(lines.dtype), number


def line_means(lines, use):
    """Mean of the used pixels of each line; parameters and returns as of `line_medians`."""
    number = np.count_nonzero(use, axis=-1)
    total = np.where(use, lines, 0).sum(axis=-1)
    return (total / np.maximum(number, 1)).astype(lines.dtype), number


def median(values):
    """Median of finite values, shape (n,), by one partition; zero of nothing."""
    if values.size == 0:
        return values.dtype.type(0)
    middle = values.size // 2
    parts = np.partition(values, middle)
    if values.size % 2:
        return parts[middle]
    return (parts[:middle].max() + parts[middle]) / 2
