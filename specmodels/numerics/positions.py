"""Positions that are no positions, and basis functions that are NaN there: arrays only.

A position that is NaN has no value, an infinite one only where there is a limit.
"""

from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from scipy.interpolate import BSpline

__all__ = ["FAR", "finite", "legendre_terms", "nearer", "spline_terms", "where_known"]

# As far away as infinity, but its powers do not overflow.
FAR = 1e100
# Positions that are kept with their terms: no more than an image has columns.
MOST_KEPT = 4096


def finite(position):
    """Positions as an array of float, NaN where they are infinite; shape as given."""
    position = np.asarray(position, dtype=float)
    known = np.isfinite(position)
    return position if known.all() else np.where(known, position, np.nan)


def nearer(position):
    """Positions as an array of float, infinite ones at `FAR`; shape as given."""
    return np.clip(np.asarray(position, dtype=float), -FAR, FAR)


def where_known(value, *positions):
    """Values with NaN where one of the positions is; shapes broadcast if one is."""
    for position in positions:
        unknown = np.isnan(position)
        if unknown.any():
            value = np.where(unknown, np.nan, value)
    return value


def legendre_terms(position, limits, degree):
    """Legendre polynomials of what is -1 and 1 at the limits, shape (..., degree + 1).

    NaN where a position is not finite.
    """
    position, (low, high) = np.asarray(position, dtype=float), limits
    if position.size > MOST_KEPT:
        return _legendre(position, low, high, degree)
    return _kept_legendre(position.tobytes(), position.shape, float(low), float(high), degree)


@lru_cache(maxsize=32)
def _kept_legendre(position, shape, low, high, degree):
    """Terms at the columns or rows of an image, which are asked for in every pass; not writable."""
    terms = _legendre(np.frombuffer(position).reshape(shape), low, high, degree)
    terms.flags.writeable = False
    return terms


def _legendre(position, low, high, degree):
    t = (2 * finite(position) - low - high) / (high - low)
    return legendre.legvander(t, degree).reshape(*t.shape, degree + 1)


def spline_terms(position, knots, degree):
    """B-splines on increasing breakpoints, shape (..., n_knots + degree - 1).

    Beyond the ends they keep their values there; NaN where a position is NaN.
    """
    position = np.asarray(position, dtype=float)
    padded = np.pad(np.asarray(knots, dtype=float), degree, mode="edge")
    unknown = np.isnan(position)
    inside = np.clip(np.where(unknown, padded[0], position), padded[0], padded[-1]).ravel()
    terms = np.zeros((inside.size, padded.size - degree - 1))
    if inside.size:  # scipy does not take none
        terms[:] = BSpline.design_matrix(inside, padded, degree).toarray()
    terms[unknown.ravel()] = np.nan
    return terms.reshape(*position.shape, terms.shape[1])
