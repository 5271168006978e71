"""Compiled look-up of a spline density and of its terms, integrated over columns of pixels."""

import numpy as np

from .compiled import compiled

__all__ = ["light_and_slopes", "light_in_pixels"]


@compiled
def light_in_pixels(t, ends, norm, cumulative):
    """Light in each pixel, shape (n_pixel, n_column); see `light_and_slopes`."""
    n_edge, n_column = t.shape
    low, step = ends
    last = len(cumulative) - 1
    out, before = np.empty((n_edge - 1, n_column)), np.empty(n_column)
    for y in range(n_edge):
        for x in range(n_column):
            light = np.nan
            if not np.isnan(t[y, x]):
                place = min(max((t[y, x] - low) / step, 0.0), last - 1e-9)
                i = int(place)
                part = place - i
                light = ((cumulative[i + 1] - cumulative[i]) * part + cumulative[i]) / norm
            if y > 0:
                out[y - 1, x] = light - before[x]
            before[x] = light
    return out


@compiled
def light_and_slopes(t, scale, ends, norm, cumulative, density, terms):
    """Light in each pixel, and its derivatives by centre, scale and coefficients.

    Parameters
    ----------
    t : ndarray, shape (n_pixel + 1, n_column)
        Edges of the pixels, in units of the scale from the centre.
    scale : ndarray, shape (n_column,) or (1,)
    ends : tuple of float
        First grid point and step of the tables.
    norm : float
        All of the light, that of which is one.
    cumulative, density : ndarray, shape (n_grid,)
        Integral from the first grid point, and the density itself.
    terms : ndarray, shape (n_grid, n_term)
        Integrals of the terms.

    Returns
    -------
    ndarray, shape (3 + n_term, n_pixel, n_column)
        Linear between grid points; NaN where a position is.
    """
    n_edge, n_column = t.shape
    low, step = ends
    last, n_term = len(cumulative) - 1, terms.shape[1]
    out = np.empty((3 + n_term, n_edge - 1, n_column))
    before, now = np.empty((n_column, 3 + n_term)), np.empty(3 + n_term)
    for y in range(n_edge):
        for x in range(n_column):
            if np.isnan(t[y, x]):
                now[:] = np.nan
            else:
                place = min(max((t[y, x] - low) / step, 0.0), last - 1e-9)
                i = int(place)
                part = place - i
                light = (cumulative[i + 1] - cumulative[i]) * part + cumulative[i]
                slope = (density[i + 1] - density[i]) * part + density[i]
                now[0] = light / norm
                now[1] = -slope / (norm * scale[x if len(scale) > 1 else 0])
                now[2] = t[y, x] * now[1]
                for j in range(n_term):
                    own = (terms[i + 1, j] - terms[i, j]) * part + terms[i, j]
                    now[3 + j] = (own - terms[last, j] * now[0]) / norm
            for k in range(3 + n_term):
                if y > 0:
                    out[k, y - 1, x] = now[k] - before[x, k]
                before[x, k] = now[k]
    return out
