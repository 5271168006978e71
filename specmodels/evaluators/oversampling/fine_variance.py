"""Variances of fine pixels: of all columns in one pass, but for those that see little of a profile.

With what belongs to a column found by least squares, what is written to a fine pixel is linear in
the data of its column; the variances are those of that map. Errors of the profile come on top.
"""

import numpy as np

from ...numerics.fine_variances import ColumnFit, PixelErrors, ShapeError, fill_variances
from .fine_covariance import FineCovariance, derivatives

# Part of the squared profile that good pixels see in columns whose scale is safe from errors of the
# profile. Others are treated one by one, so many at once.
WELL_SEEN, COLUMNS_AT_ONCE = 0.5, 64

__all__ = ["fill_variance"]


def fill_variance(part, out, corner, component=None):
    """Write the variances of fine pixels into an image that is not a number, in place.

    Parameters
    ----------
    part : `~specmodels.evaluators.oversampling.fine_slice.FineSlice`
    out : ndarray
        The whole image.
    corner : tuple of int
        Row and column of the slice's first fine pixel.
    component : ndarray, optional
        A part of the variance of the native pixels. Default: all of it, with that of the profile.
    """
    native = part.image.variance if component is None else component
    native = np.where(part.available, 1.0 if native is None else native, 0.0).astype(float)
    n_row, n_column = native.shape
    no_light, none = np.zeros(n_column), np.zeros(native.shape)
    light, spread, extra, share = no_light, part.no_table(3), none, np.ones(native.shape)
    shape = ShapeError(np.zeros((2, n_column)), np.zeros((2, 0)), np.zeros((2, n_row, n_column)))
    fit, kept = ColumnFit(none, none, np.zeros((3, 3, n_column)), no_light, 0.0, 1.0), none
    if part.fit is not None:
        fit, kept = _column_fit(part, with_prior=component is None), part.residual_weight
        share = part.hidden_residual[2]
        if component is None:
            light = part.fit.scale**2
            spread = part.fit.variance_table(part.image.x, part.width)
            shape = _shape_error(part)
            extra = part.hidden_residual[1]
    errors = PixelErrors(native, kept, extra, light, share**2)
    fill_variances(
        part.linear, part.native_pixels, part.table, fit, errors, spread, shape, out, corner
    )
    if part.fit is not None and component is None:
        _fill_poor_columns(part, native, out, corner)


def _fill_poor_columns(part, native, out, corner):
    """Write the exact variances of columns whose scale hangs on small parts of the profile."""
    columns = np.flatnonzero(part.modelled.any(axis=0) & (part.seen < WELL_SEEN))
    covariance = FineCovariance(part)
    for first in range(0, columns.size, COLUMNS_AT_ONCE):
        few = columns[first : first + COLUMNS_AT_ONCE]
        variance = covariance.variance(few, native[:, few])
        rows, place = np.nonzero(part.modelled[:, few])
        # What the type of the image does not hold is infinite there.
        with np.errstate(over="ignore"):
            out[corner[0] + rows, corner[1] + few[place]] = variance[rows, place]


def _column_fit(part, with_prior):
    low, high = part.fit.pixels.range
    prior = part.fit.scale_prior if with_prior else None
    return ColumnFit(
        np.where(part.fit_kept, part.image.weights, 0.0), part.native_profile,
        part.fit.column_covariance, np.zeros(part.image.shape[1]) if prior is None else prior,
        (low + high) / 2, (high - low) / 2,
    )  # fmt: skip


def _shape_error(part):
    """Errors of place and width, with the derivatives in fine and in native pixels."""
    fit, x = part.fit, part.image.x
    values = [table.flat[0] for table in fit.derivative_tables(x, part.width)]
    return ShapeError(
        fit.shape_errors * fit.scale**2,
        np.array(values),
        np.array(derivatives(part, part.positions)),
    )
