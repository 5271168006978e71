"""How wrong a fitted profile may be: errors of its place and width, as the residuals show them."""

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..numerics.fine_pixels import look_up
from .windowed.pixels import LEAST_FREEDOM

__all__ = ["shape_errors"]

# Errors are those of an eighth of the columns, and of at least so many. Residuals count up to five
# standard deviations.
PARTS, LEAST_COLUMNS, MOST_SQUARE = 8, 33, 25.0
SINGULAR = 1e-8


def shape_errors(fit):
    r"""Variances of the place of a profile, and of half its squared width, in each column.

    Windows and knots are as few and as wide as the data allow, and then the profile is wrong by
    about as much as it is uncertain. What the residuals :math:`r` of many columns show beyond their
    noise is shared by a shift and a broadening of the profile:

    .. math::
        \langle r^2 - \sigma^2 \rangle = s^2\,(a\,P'^2 + b\,P''^2), \qquad a, b \ge 0.

    So it can be told how wrong the profile is in smaller pixels, too.

    Parameters
    ----------
    fit : `~specmodels.fitters.WindowedFit`

    Returns
    -------
    ndarray, shape (2, n_column)
        In pixels to the second and to the fourth power.
    """
    pixels, columns = fit.pixels, fit.pixels.columns
    weights = np.where(fit.kept, pixels.weights, 0.0) / _freedom(fit)
    excess = np.minimum(fit.residuals**2 * weights, MOST_SQUARE) - (weights > 0)
    light = fit.scale[columns] ** 2 * weights
    tables = fit.derivative_tables(fit.image.x)
    terms = [light * look_up(table, pixels.positions, columns) ** 2 for table in tables]
    size = max(LEAST_COLUMNS, pixels.n_columns // PARTS)

    def around(values):
        return uniform_filter1d(pixels.sums(values), size, mode="nearest")

    matrix = [around(terms[0] ** 2), around(terms[0] * terms[1]), around(terms[1] ** 2)]
    return _not_negative(matrix, [around(own * excess) for own in terms])


def _freedom(fit):
    """Part of its variance that the residual of each pixel keeps."""
    covariance, own = fit.column_covariance[:2, :2, fit.pixels.columns], fit.shape
    leverage = (covariance[0, 0] * own + 2 * covariance[0, 1]) * own + covariance[1, 1]
    return np.clip(1 - leverage * fit.pixels.weights, LEAST_FREEDOM, 1.0)


def _not_negative(matrix, vector):
    """Solutions of two equations by least squares, none below zero, shape (2, n)."""
    unit = max(np.max(matrix[0]), np.max(matrix[2]), np.finfo(float).tiny)
    one, both, two = (m / unit for m in matrix)
    first, second = (v / unit for v in vector)
    determinant = one * two - both**2
    safe = np.where(determinant > SINGULAR * one * two, determinant, np.inf)
    joint = np.array([two * first - both * second, one * second - both * first]) / safe
    alone = np.array([
        np.divide(v, m, out=np.zeros(v.shape), where=m > 0).clip(0)
        for v, m in ((first, one), (second, two))
    ])  # fmt: skip
    # Where one of both would be negative, the other is taken that explains more.
    better = alone[0] * first >= alone[1] * second
    single = alone * np.array([better, ~better])
    return np.where((joint > 0).all(axis=0), joint, single)
