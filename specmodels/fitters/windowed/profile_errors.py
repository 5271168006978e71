"""Errors of profiles of windows: of their coefficients, and of what they cannot describe."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...numerics.fine_pixels import ProfileTable

__all__ = ["bend", "design_covariance", "variance_table"]

# Positions per pixel at which the variance of the profile is found.
VARIANCE_STEPS = 8
# Second difference of three nodes, and what part of it a parabola is from the best lines.
SECOND, BEND = np.array([1.0, -2.0, 1.0]), 1 / (12 * np.sqrt(5))


def design_covariance(fit, design, column):
    """Covariance of combinations of the coefficients in one column.

    Parameters
    ----------
    design : ndarray, shape (n, n_terms)
    column : int
        Its number in the image.

    Returns
    -------
    ndarray, shape (n, n)
        With the square of what the penalty takes off.
    """
    (first,), (fraction,) = fit.layout.place(fit.image.x[[column]])
    hats = {first: 1 - fraction, first + 1: fraction}
    out = sum(
        hats[i] * hats[j] * (design @ fit.covariance[i, :, j, :] @ design.T)
        for i in hats for j in hats
    )  # fmt: skip
    missing = design @ sum(hats[i] * fit.penalty_effect[i] for i in hats)
    bent = bend(fit, design)
    bent = sum(hats[i] * bent[i] for i in hats)
    return out + np.outer(missing, missing) + np.outer(bent, bent)


def bend(fit, design):
    """How far profiles may be from the straight lines between their nodes.

    The root mean square of a parabola about the lines that fit it best is its second difference
    over 12 times the root of five. Counted is what second differences have beyond their errors.

    Parameters
    ----------
    design : ndarray, shape (n, n_terms)
        Combinations of the coefficients.

    Returns
    -------
    ndarray, shape (n_nodes, n)
        Zero with fewer than three nodes.
    """
    c, n_nodes = fit.coefficients, len(fit.coefficients)
    if n_nodes < 3:
        return np.zeros((n_nodes, len(design)))
    second = (c[:-2] - 2 * c[1:-1] + c[2:]) @ design.T
    excess = np.empty_like(second)
    for i, own in enumerate(second):
        spread = np.einsum("a,atbu,b->tu", SECOND, fit.covariance[i : i + 3, :, i : i + 3], SECOND)
        excess[i] = np.maximum(own**2 - np.sum((design @ spread) * design, axis=1), 0.0)
    return np.pad(np.sign(second) * np.sqrt(excess), ((1, 1), (0, 0)), mode="edge") * BEND


def variance_table(fit, x, width=1.0):
    """Variances of `profile` at the first node of each interval, between, and at the second.

    Returns
    -------
    `~specmodels.numerics.fine_pixels.ProfileTable`
        For columns ``x``; its values have the shape (n_intervals, n_steps, 3).
    """
    grid = fit.layout.grid
    n = int(np.ceil(grid.n_cells * grid.spacing * VARIANCE_STEPS)) + 1
    design = grid.design(grid.low + np.arange(n) / VARIANCE_STEPS, width)

    # What the penalty takes off, or a line, may be missing within a pixel or so, too.
    missing = (fit.penalty_effect @ design.T) ** 2 + bend(fit, design) ** 2
    missing = uniform_filter1d(missing, VARIANCE_STEPS, mode="nearest")

    def between(i, j):
        own = np.sum((design @ fit.covariance[i, :, j, :]) * design, axis=1)
        return own + 0.5 * (missing[i] + missing[j])

    m = range(len(fit.layout.nodes) - 1)
    parts = [[between(i, i), between(i, i + 1), between(i + 1, i + 1)] for i in m]
    values = np.ascontiguousarray(np.moveaxis(np.array(parts), 1, -1))
    return ProfileTable(values, grid.low, 1 / VARIANCE_STEPS, *fit.layout.place(x))
