"""What part of the sky the dark ends of background slits see, from their own pixels."""

from typing import NamedTuple

import numpy as np

from ...numerics.cloud import bin_medians, huber_level
from .dark_ends import block_edges

__all__ = ["EndPixels", "EndThroughputs", "end_throughputs"]

# Rows inside of a dark end that may be vignetted as well, and by how many standard deviations.
NEXT_ROWS, NEXT_SIGMA = 2, 3.0
# What is not known better than this is not known.
LARGEST_ERROR = 0.3
ENOUGH = 64
# By so much the part differs from nod to nod (rms of the rows of two of NIRSpec).
NOD_ERROR = 0.1
# Of the step to the next block of columns, how far pixels of a block lie from its mean: where the
# end of a slit comes to another row.
WITHIN = 0.3


class EndThroughputs(NamedTuple):
    """What part of the sky the pixels at the ends of a slit see, of what others do.

    Attributes
    ----------
    value, error : ndarray, shape of the image
        The part, and its standard error where it was measured; else one and zero.
    unknown : ndarray of bool, shape of the image
        Dark ends of which nothing was measured.
    """

    value: np.ndarray
    error: np.ndarray
    unknown: np.ndarray


class EndPixels(NamedTuple):
    """What tells of the ends of one slit; arrays have the shape of the image.

    Attributes
    ----------
    data, sky, weights : ndarray
        Pixels, the sky that lit ones see, and inverse variances, zero for pixels with sources.
    dark : ndarray of bool
        Dark ends.
    hidden : ndarray of bool
        Masked pixels, which do not tell whether they are dark.
    """

    data: np.ndarray
    sky: np.ndarray
    weights: np.ndarray
    dark: np.ndarray
    hidden: np.ndarray


def end_throughputs(slits, wavelengths):
    """Throughput of the dark ends of slits, in rows and blocks of columns.

    Slits with the same wavelengths in all pixels are nods of one: where sources hide a row in one
    of them, it is as in the others.

    Parameters
    ----------
    slits : mapping of str to `EndPixels`
    wavelengths : callable
        Wavelengths of the pixels of a slit, by its name.

    Returns
    -------
    dict of str to `EndThroughputs`
    """
    out = {name: _nothing(one.dark) for name, one in slits.items()}
    dark = {name for name, one in slits.items() if one.dark.any()}
    for names in _nods(slits, wavelengths) if dark else ():
        if not dark.isdisjoint(names):
            out |= zip(names, _measured([slits[name] for name in names]), strict=True)
    return out


def _nothing(dark):
    return EndThroughputs(np.ones(dark.shape), np.zeros(dark.shape), dark)


def _nods(slits, wavelengths):
    """Names of the slits that see the same wavelengths in all pixels."""
    groups = {}
    for name in slits:
        wave = np.asarray(wavelengths(name), dtype=float)
        same = np.where(np.isnan(wave), np.nan, wave + 0.0)  # one kind of NaN and of zero
        groups.setdefault((same.shape, same.tobytes()), []).append(name)
    return list(groups.values())


def _measured(pixels):
    """`EndThroughputs` of the nods of a slit."""
    data, sky, weights, ends, hidden = (np.stack(arrays) for arrays in zip(*pixels, strict=True))
    use = (weights > 0) & (sky > 0)
    root = np.sqrt(np.where(use, weights, 0.0))
    signal = root * np.where(use, sky, 0.0)
    edges = block_edges(signal.max(axis=0) ** 2)
    block = np.repeat(np.arange(edges.size - 1), np.diff(edges))
    n_nod, n_row, _ = use.shape
    cells = n_nod, n_row, edges.size - 1
    cell = np.ravel_multi_index(np.ogrid[:n_nod, :n_row, :1], cells) + block
    level, error = _levels(cell[use], signal[use], (root * data)[use], cells)
    shared, shared_error, known = *_means(level, error), np.isfinite(error)
    # Where all of a row is hidden, it ends as in the other nods.
    dark, unseen = (reduce.reduceat(own, edges[:-1], axis=2) for reduce, own in
                    ((np.logical_or, ends), (np.logical_and, hidden)))  # fmt: skip
    ends = ends | (dark.any(axis=0) & unseen)[..., block]
    level = np.where(known, level, shared)
    error = np.where(known, error, np.hypot(shared_error, NOD_ERROR))
    steps = WITHIN * _steps(np.where(np.isfinite(error), level, np.nan))
    less = (1 - level + steps > NEXT_SIGMA * error)[..., block]
    next_to = np.stack([_grown(own) for own in ends]) & less
    level, error = level[..., block], np.hypot(error, steps)[..., block]
    return [_of_ends(*one) for one in zip(level, error, ends, next_to, strict=True)]


def _levels(cell, signal, seen, shape):
    """Share of the sky in each cell and its error, infinite where no pixel tells; not below 0."""
    number = int(np.prod(shape))
    first = np.zeros(number)
    if cell.size:
        medians = bin_medians(cell, seen / signal, ENOUGH)
        first[: medians.size] = medians
    level, error = huber_level(cell, signal, seen - first[cell] * signal, number)
    return (level + first).clip(0.0).reshape(shape), error.reshape(shape)


def _means(level, error):
    """Weighted means over the nods, and their errors."""
    weight = error**-2.0
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weight * level).sum(axis=0) / total
        return np.nan_to_num(mean), np.sqrt(1 / total)


def _steps(level):
    """The larger of the steps from each block of columns to the one before and after.

    To and from levels that are not known, NaN, there are none.
    """
    step = np.nan_to_num(np.abs(np.diff(level, axis=-1)))
    ends = [(0, 0)] * (level.ndim - 1)
    return np.maximum(np.pad(step, [*ends, (0, 1)]), np.pad(step, [*ends, (1, 0)]))


def _of_ends(level, error, ends, next_to):
    """`EndThroughputs` of one nod: where ends are, and rows inside of them that see less."""
    known = (ends | next_to) & (error < LARGEST_ERROR)
    return EndThroughputs(np.where(known, level, 1.0), np.where(known, error, 0.0),
                          ends & ~known)  # fmt: skip


def _grown(ends):
    """Pixels of dark ends and some rows on either side."""
    out = ends.copy()
    for shift in range(1, NEXT_ROWS + 1):
        out[shift:] |= ends[:-shift]
        out[:-shift] |= ends[shift:]
    return out
