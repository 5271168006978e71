"""Medians and means of detector lines with masked pixels, and the median of an image."""

import numpy as np

from .medians import kept_between, median_of, medians_of_rows

__all__ = ["LineMeans", "LineMedians", "line_means", "line_medians", "masked_median", "median"]

BLOCK = 64
SAMPLE = 4096


class LineMedians:
    """Medians of lines with one mask, for any number of frames.

    Lines are turned in blocks that fit into the cache.

    Parameters
    ----------
    use : ndarray of bool, shape (n_line, width)
        Pixels that count (a view will do).
    """

    def __init__(self, use):
        self.use = np.empty(use.shape, dtype=bool)
        for part in _blocks(len(use)):
            self.use[part] = np.array(use[part], order="K")
        self.number = np.count_nonzero(self.use, axis=-1)

    def __call__(self, lines):
        """Median of the used pixels of each line, zero where there is none; shape (n_line,).

        Parameters
        ----------
        lines : ndarray of float32, shape (n_line, width)
            Finite where used.
        """
        lines = _native(lines)
        out, number = np.empty(len(lines), lines.dtype), np.empty(len(lines), dtype=int)
        for part in _blocks(len(lines)):
            medians_of_rows(_turned(lines[part]), self.use[part], out[part], number[part])
        return out


def _native(values):
    """Values as floats in the byte order of the machine."""
    return values.astype(np.result_type(values, np.float32), copy=False)


def _blocks(n):
    return [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]


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
    lines : ndarray of float, shape (..., width)
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
    shape = lines.shape[:-1]
    rows = lines.reshape(-1, lines.shape[-1])
    medians = LineMedians(use.reshape(rows.shape))
    return medians(rows).reshape(shape), medians.number.reshape(shape)


def line_means(lines, use):
    """Mean of the used pixels of each line; parameters and returns as of `line_medians`."""
    number = np.count_nonzero(use, axis=-1)
    total = np.where(use, lines, 0).sum(axis=-1)
    return (total / np.maximum(number, 1)).astype(lines.dtype), number


def masked_median(image, use):
    """Median of the used pixels of an image, finite there; zero where there is none.

    Of many pixels only those are looked at between bounds that a sample of them gives.

    Parameters
    ----------
    image : ndarray of float, any shape
    use : ndarray of bool, same shape
    """
    values, use = _native(np.ravel(image)), np.ravel(use)
    limits = _about_median(values, use)
    if limits is not None:
        kept = np.empty(values.size + 1, values.dtype)
        below, number, total = kept_between(values, use, *limits, kept)
        first, last = (total - 1) // 2 - below, total // 2 - below
        if first >= 0 and last < number:
            inside = np.partition(kept[:number], first)
            upper = inside[first] if last == first else inside[last:].min()
            return values.dtype.type(0.5) * (inside[first] + upper)
    return median(values[use])


def _about_median(values, use):
    """Two values between which the median is likely to be; None of few pixels."""
    step = values.size // SAMPLE
    if step <= 16:
        return None
    step |= 1  # so that not always the same columns are taken
    sample = np.sort(values[::step][use[::step]])
    half, spread = sample.size // 2, int(2 * np.sqrt(sample.size)) + 1
    if half < spread or half + spread >= sample.size:
        return None
    return sample[half - spread], sample[half + spread]


def median(values):
    """Median of finite values, shape (n,); zero of nothing."""
    values = np.append(_native(values), np.float32(0))
    return median_of(values, np.empty_like(values), values.size - 1)
