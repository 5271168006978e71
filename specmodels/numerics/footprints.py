"""Footprints: the pixels of a direct image in which each source may have light."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

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
    lit = np.nonzero(segmentation)
    labels, place = np.unique(segmentation[lit], return_inverse=True)
    number = np.zeros(segmentation.shape, dtype=np.int32)
    number[lit] = place + 1
    corners = np.array([[s.start - grow, s.stop + grow] for box in ndimage.find_objects(number)
                        for s in box], dtype=int).reshape(-1, 4)  # fmt: skip
    n_y, n_x = segmentation.shape
    y0, y1 = np.clip(corners[:, :2].T, 0, n_y)
    x0, x1 = np.clip(corners[:, 2:].T, 0, n_x)
    sizes = (y1 - y0) * (x1 - x0)
    source = np.repeat(np.arange(len(labels)), sizes)
    place = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wide = (x1 - x0)[source]
    rows, columns = y0[source] + place // wide, x0[source] + place % wide
    inside = number[rows, columns] == source + 1
    return labels, Footprints(rows, columns, source, inside, len(labels))
