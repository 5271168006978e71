"""Light of sources in pixels at any shift and stretch, from tables of its integral along columns.

The light in a pixel is the difference of the integral at its edges, which move with the source and
are drawn to its trace where it is narrower. The integral of each column is a cubic spline with some
points in a pixel, which no phase of a pixel and no movement changes. Arrays only.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

__all__ = ["FINE", "Shapes", "integral_splines"]

# Points of the tables in a pixel.
FINE = 8
# Columns that are worked out at once.
CHUNK = 64


class Shapes(NamedTuple):
    """Shapes of what an integration is made of; images have their columns first.

    Attributes
    ----------
    splines : ndarray, shape (n_source, n_column, n_point)
        Coefficients of the cubic splines of the integrals of the light of sources along columns.
    start : float
        Row of the first point; rows count from the first of the images.
    centers : ndarray, shape (n_source, n_column)
        Rows of the traces.
    sky : ndarray, shape (n_sky, n_column, n_row)
        Basis images of the sky, with coefficients for each column.
    """

    splines: np.ndarray
    start: float
    centers: np.ndarray
    sky: np.ndarray


def integral_splines(lights, structure=None, first=None):
    """Spline coefficients of the integral of light along columns, single precision.

    Parameters
    ----------
    lights : ndarray, shape (FINE, n_row, n_column)
        Light in pixels of each phase: those of phase `p` lie ``p / FINE`` higher.
    structure : ndarray, shape (n_column, n_place), optional
        Integral of light to be added, at places as close as the points.
    first : ndarray, shape (n_column,)
        Its place, a fraction, upon which the first point lies.

    Returns
    -------
    ndarray, shape (n_column, FINE * (n_row + 1))
        The first point is the lower edge of the first pixel of phase 0.
    """
    n_column = lights.shape[2]
    out = np.empty((n_column, FINE * (lights.shape[1] + 1)), np.float32)
    for start in range(0, n_column, CHUNK):
        part = np.s_[start : start + CHUNK]
        points = _integrals(lights[:, :, part].astype(float))
        if structure is not None:
            points += _moved(structure[part], first[part], points.shape[1])
        out[part] = ndimage.spline_filter1d(points, 3, axis=1, mode="mirror")
    return out


def _integrals(lights):
    """Sums of pixels of each phase: the integral at all points, (n_column, n_point)."""
    # Light below the first pixel changes nothing; its slope does, at the other phases.
    first = lights[:1, 0] * np.arange(FINE)[:, None] / FINE
    above = first[:, None] + np.cumsum(lights, axis=1)
    sums = np.concatenate([first[:, None], above], axis=1)
    return sums.transpose(2, 1, 0).reshape(lights.shape[2], -1)


def _moved(table, first, number):
    """So many values of each row of a table, the first of them at a fraction of a place."""
    places = first[:, None] + np.arange(number)
    smooth = ndimage.spline_filter1d(table, 3, axis=1)
    found = [ndimage.map_coordinates(row, place[None], order=3, mode="nearest", prefilter=False)
             for row, place in zip(smooth, places, strict=True)]  # fmt: skip
    return np.array(found)
