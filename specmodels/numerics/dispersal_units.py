"""Units, each a source in a band of basis functions, one after the other: columns and images.

Python goes from unit to unit: compiled, this would be a second copy of all loops of
`dispersal_kernels`, and take as long to compile.
"""

import numpy as np

from .compiled import compiled
from .dispersal_kernels import add_unit
from .dispersal_steps import is_upright

__all__ = ["add_sources", "unit_columns"]


def unit_columns(source, bands, bounds, arrays, n_x):
    """Indices, values and number of entries of the columns of some units, term by term.

    Parameters
    ----------
    source : ndarray of int, shape (n_unit,)
    bands : ndarray of int, shape (n_unit, 4)
        First and last term, first and last step.
    bounds : ndarray of int, shape (n_unit, 4)
        Rows and columns that light reaches.
    arrays : tuple
        Light, paths and cells.
    n_x : int
        Columns of the detector.

    Returns
    -------
    indices : ndarray of int32, shape (n_entry,)
    data : ndarray, shape (n_entry,)
    counts : ndarray of int, shape (n_column,)
    """
    n_terms = bands[:, 1] - bands[:, 0]
    n_pixels = (bounds[:, 1] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 2])
    n_cells = int(np.sum(n_terms * n_pixels))
    indices, data = np.empty(n_cells, np.int32), np.empty(n_cells)
    counts = np.zeros(int(np.sum(n_terms)), np.int64)
    first_columns, entry = np.cumsum(n_terms) - n_terms, 0
    for k in np.flatnonzero(n_pixels):
        work = _columns(source[k], bands[k], bounds[k], arrays)
        pixel, column = bounds[k, 0] * n_x + bounds[k, 2], first_columns[k]
        own = counts[column : column + n_terms[k]]
        entry = _pack(work, pixel, n_x, indices, data, entry, own)
    return indices[:entry].copy(), data[:entry].copy(), counts


def add_sources(source, terms, bounds, arrays, values, image):
    """Add sources to an image, each with its own values in the cells, (n_source, n_cell)."""
    light, paths, cells = arrays
    for k in np.flatnonzero(bounds[:, 1] > bounds[:, 0]):
        low_y, high_y, low_x, high_x = bounds[k]
        own = cells._replace(values=values[source[k]].reshape(-1, 1))
        image[low_y:high_y, low_x:high_x] += _columns(
            source[k], terms[k], bounds[k], (light, paths, own)
        )[0]


def _columns(source, terms, bounds, arrays):
    """Columns of one unit in its bounds, shape (n_terms, n_y, n_x)."""
    n_y, n_x = bounds[1] - bounds[0], bounds[3] - bounds[2]
    upright = is_upright(arrays[1].coefficients[source])
    work = np.zeros((terms[1] - terms[0], *((n_x, n_y) if upright else (n_y, n_x))))
    add_unit(source, terms, bounds, *arrays, work)
    return np.ascontiguousarray(work.transpose(0, 2, 1)) if upright else work


@compiled
def _pack(work, first, n_x, indices, data, entry, counts):
    """Write what is not zero from an entry on, its number in each term; the next entry."""
    for j in range(work.shape[0]):
        before = entry
        for y in range(work.shape[1]):
            pixel = first + y * n_x
            for x in range(work.shape[2]):
                if work[j, y, x] != 0:
                    indices[entry] = pixel + x
                    data[entry] = work[j, y, x]
                    entry += 1
        counts[j] = entry - before
    return entry
