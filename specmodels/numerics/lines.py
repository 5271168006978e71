"""Medians and means of detector lines with masked pixels: one sort serves all lines."""

import numpy as np

__all__ = ["LineMeans", "LineMedians", "line_means", "line_medians", "median"]

BLOCK = 64
SAMPLE = 4096


class LineMedians:
    """Medians of lines with one mask, for any number of frames.

    Lines are turned and sorted in blocks that fit into the cache; masked pixels come last.

    Parameters
    ----------
    use : ndarray of bool, shape (n_line, width)
        Pixels that count (a view will do).
    """

    def __init__(self, use):
        self.masked = np.ascontiguousarray(~use)
        self.number = np.count_nonzero(use, axis=-1)

    def __call__(self, lines):
        """Median of the used pixels of each line, zero where there is none; shape (n_line,).

        Parameters
        ----------
        lines : ndarray of float32, shape (n_line, width)
            Finite where used.
        """
        low, high = np.maximum(self.number - 1, 0) // 2, self.number // 2
        high = np.minimum(high, lines.shape[-1] - 1)
        out = np.empty((2, len(lines)), "f4")
        for start in range(0, len(lines), BLOCK):
            part = slice(start, start + BLOCK)
            ordered = _turned(lines[part])
            np.copyto(ordered, np.float32(np.inf), where=self.masked[part])
            ordered.sort(axis=-1)
            rows = np.arange(len(ordered))
            out[:, part] = ordered[rows, low[part]], ordered[rows, high[part]]
        return np.where(self.number > 0, 0.5 * (out[0] + out[1]), np.float32(0))


def _turned(lines):
    """A copy of lines, one after the other in memory.

    A compact copy is made first: columns of a large image lie too far apart to be turned quickly.
    """
    return np.array(np.array(lines, order="K"), order="C")


class LineMeans:
    """Means of lines with one mask, as `LineMedians`; lines are zero where they are not used."""

    def __init__(self, use):
        self.number = np.count_nonzero(use, axis=-1)

    def __call__(self, lines):
        """Mean of the used pixels of each line, shape (n_line,)."""
        return (lines.sum(axis=-1) / np.maximum(self.number, 1)).astype("f4")


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
    """Median of finite values, shape (n,); zero of nothing.

    Of many values only those are sorted between bounds that a sample of them gives.
    """
    if values.size == 0:
        return values.dtype.type(0)
    middle = values.size // 2
    if values.size > 16 * SAMPLE:
        sample = np.sort(values[:: values.size // SAMPLE])
        half = sample.size // 2
        spread = int(2 * np.sqrt(sample.size))
        low, high = sample[half - spread], sample[half + spread]
        inside = np.sort(values[(values >= low) & (values <= high)])
        place = middle - np.count_nonzero(values < low)
        if 0 < place < inside.size:
            return inside[place] if values.size % 2 else (inside[place - 1] + inside[place]) / 2
    parts = np.partition(values, middle)
    if values.size % 2:
        return parts[middle]
    return (parts[:middle].max() + parts[middle]) / 2
