"""Footprints: the pixels of a direct image in which each source may have light."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Footprints", "footprints"]


@dataclass(frozen=True, eq=False)
class Footprints:
    """Pixels that a source may have light in, sorted by source.

    Attributes
    ----------
    rows, columns, source : ndarray of int, shape (n_entry,)
        A pixel occurs once for each source that may have light there.
    inside : ndarray of bool, shape (n_entry,)
        Whether the pixel is in the source's own segment.
    n_source : int
        Number of sources.
    """

    rows: np.ndarray
    columns: np.ndarray
    source: np.ndarray
    inside: np.ndarray
    n_source: int

    @property
    def start(self):
        """The entries of source s are from ``start[s]`` to ``start[s + 1]``; (n_source + 1,)."""
        return np.searchsorted(self.source, np.arange(self.n_source + 1)).astype(np.int64)

    def of(self, keep):
        """The entries for which `keep` is True."""
        return Footprints(self.rows[keep], self.columns[keep], self.source[keep],
                          self.inside[keep], self.n_source)  # fmt: skip


def footprints(segmentation, grow):
    """Boxes around the segments, grown to all sides.

    Parameters
    ----------
    segmentation : ndarray of int, shape (n_y, n_x)
        Labels in any order, with any gaps.
    grow : int
        Pixels added on each side.

    Returns
    -------
    labels : ndarray of int, shape (n_source,)
        Increasing; sources are numbered in this order.
    Footprints
    """
    n_y, n_x = segmentation.shape
    lit = np.flatnonzero(segmentation)
    labels, place = np.unique(segmentation.ravel()[lit], return_inverse=True)
    number = np.zeros(segmentation.shape, dtype=np.int32)
    number.ravel()[lit] = place + 1
    y, x = np.divmod(lit, n_x)
    y0, y1 = _ends(y, place, len(labels), grow, n_y)
    x0, x1 = _ends(x, place, len(labels), grow, n_x)
    sizes = (y1 - y0) * (x1 - x0)
    source = np.repeat(np.arange(len(labels)), sizes)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wide = (x1 - x0)[source]
    rows, columns = y0[source] + place // wide, x0[source] + place % wide
    inside = number[rows, columns] == source + 1
    return labels, Footprints(rows, columns, source, inside, len(labels))


def _ends(positions, source, n_source, grow, n):
    """First position of each source and the one after its last, grown within n."""
    low, high = np.full(n_source, n), np.zeros(n_source, int)
    np.minimum.at(low, source, positions)
    np.maximum.at(high, source, positions)
    return np.maximum(low - grow, 0), np.minimum(high + 1 + grow, n)
