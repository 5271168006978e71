"""How the light of overlapping sources is shared out, and continued beyond their segments.

Each source is a sum of Gaussians of common ellipse and graded widths (a multi-Gaussian expansion,
Emsellem et al. 1994), with amplitudes that cannot be negative. All sources are fitted at once, by
multiplicative updates (Lee & Seung 2001), so that what one leaves is open to its neighbours.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

__all__ = ["Footprints", "footprints", "shared_light"]

WIDTHS = np.array([0.6, 1.0, 1.6, 2.5, 4.0])  # of the Gaussians, in units of the source's ellipse
SMALLEST_VARIANCE = 0.3  # of an ellipse along an axis, in square pixels: a PSF cannot be narrower
MODEL_ERROR = 0.1  # relative, so that bright cores do not rule the fit of the wings
N_UPDATES = 300
START_POWER = -4.0  # of the width, for the amplitudes at the start


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


def shared_light(image, error, prints, mask=None):
    """Smooth model of the light of each source, and of all, in each entry of the footprints.

    Parameters
    ----------
    image, error : ndarray, shape (n_y, n_x)
        Finite; errors positive.
    prints : Footprints
    mask : ndarray of bool, shape (n_y, n_x), optional
        Pixels to leave out of the fit; the model is given there, too.

    Returns
    -------
    own, total : ndarray, shape (n_entry,)
        Light of the source, and of all sources together.
    """
    flat = prints.rows * image.shape[1] + prints.columns
    pixels, place = np.unique(flat, return_inverse=True)
    data, sigma = image.ravel()[pixels], error.ravel()[pixels]
    weights = 1 / (sigma**2 + (MODEL_ERROR * np.maximum(data, 0)) ** 2)
    if mask is not None:
        weights = np.where(mask.ravel()[pixels], 0.0, weights)
    light = np.where(prints.inside & (weights[place] > 0), np.maximum(data[place], 0.0), 0.0)
    squared, area, level = _ellipses(prints, light)
    n_width = len(WIDTHS)
    columns = (prints.source[:, None] * n_width + np.arange(n_width)).ravel()
    gaussians = np.exp(-0.5 * squared[:, None] / WIDTHS**2)
    matrix = sparse.csr_array((gaussians.ravel(), (np.repeat(place, n_width), columns)),
                              shape=(len(pixels), prints.n_source * n_width))  # fmt: skip
    transposed = matrix.T.tocsr()
    # The start is a compact source: wide wings come up only where the data ask for them.
    amplitudes = np.repeat(np.maximum(level / (2 * np.pi * area), 1e-300), n_width)
    amplitudes *= np.tile(WIDTHS**START_POWER / np.sum(WIDTHS**START_POWER), prints.n_source)
    wanted = np.maximum(transposed @ (weights * data), 0.0)
    for _ in range(N_UPDATES):
        found = transposed @ (weights * (matrix @ amplitudes))
        amplitudes = amplitudes * np.divide(wanted, found, out=np.zeros_like(found),
                                            where=found > 0)  # fmt: skip
    own = np.einsum("ek,ek->e", gaussians, amplitudes.reshape(-1, n_width)[prints.source])
    return own, (matrix @ amplitudes)[place]


def _ellipses(prints, light):
    """Squared distance from the centre in units of the ellipse, its area and its light."""

    def mean(values):
        return np.bincount(prints.source, light * values, prints.n_source) / total

    total = np.bincount(prints.source, light, prints.n_source)
    # A segment without positive light is given a shape all the same.
    dark = prints.inside & (total[prints.source] <= 0)
    light = np.where(dark, 1e-12, light)
    total = np.bincount(prints.source, light, prints.n_source)
    total = np.where(total > 0, total, 1.0)
    x = prints.columns - mean(prints.columns)[prints.source]
    y = prints.rows - mean(prints.rows)[prints.source]
    xx = np.maximum(mean(x * x), SMALLEST_VARIANCE)
    yy = np.maximum(mean(y * y), SMALLEST_VARIANCE)
    limit = 0.9 * np.sqrt(xx * yy)
    xy = np.clip(mean(x * y), -limit, limit)
    determinant = xx * yy - xy**2
    xx, yy, xy = (value[prints.source] for value in (xx, yy, xy))
    squared = (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant[prints.source]
    return squared, np.sqrt(determinant), total
