"""Variance and covariance of fine pixels.

With what belongs to a column found by least squares, what is written to a fine pixel is linear in
the data of its column; the variances and covariances here are those of that map. Errors of the
profile come on top.
"""

import numpy as np
from scipy import sparse

from ..numerics.fine_pixels import look_up
from ..numerics.fine_variances import ColumnFit, PixelErrors, ShapeError, fill_variances

__all__ = ["covariance_map", "fill_variance"]


def fill_variance(part, out, corner, component=None):
    """Write the variances of fine pixels into an image that is not a number, in place.

    Parameters
    ----------
    part : `~specmodels.evaluators.fine_slice.FineSlice`
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
    light, spread, extra = no_light, part.no_table(3), none
    shape = ShapeError(np.zeros((2, n_column)), np.zeros((2, 0)), np.zeros((2, n_row, n_column)))
    fit, kept = ColumnFit(none, none, np.zeros((3, 3, n_column)), no_light, 0.0, 1.0), none
    if part.fit is not None:
        fit, kept = _column_fit(part, with_prior=component is None), part.residual_weight
        if component is None:
            light = part.fit.scale**2
            spread = part.fit.variance_table(part.image.x, part.width)
            shape = _shape_error(part)
            extra = np.where(part.filled, part.misfit, 0.0) if part.filled.any() else none
    errors = PixelErrors(native, kept, extra, light)
    fill_variances(
        part.linear, part.native_pixels, part.table, fit, errors, spread, shape, out, corner
    )


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
    fit, x, shape = part.fit, part.image.x, part.image.shape
    values = [table.flat[0] for table in fit.derivative_tables(x, part.width)]
    places = np.ravel(part.positions)
    columns = np.broadcast_to(np.arange(shape[1]), shape).ravel()
    native = [look_up(table, places, columns).reshape(shape) for table in fit.derivative_tables(x)]
    return ShapeError(fit.shape_errors * fit.scale**2, np.array(values), np.array(native))


def covariance_map(part, columns):
    """Matrix from the data of some columns of a slice to their fine pixels.

    Parameters
    ----------
    part : `~specmodels.evaluators.fine_slice.FineSlice`
    columns : sequence of int
        Numbers within the slice.

    Returns
    -------
    `~scipy.sparse.csr_matrix`, shape (n_fine * n, n_row * n)
        Pixels in the order of rows.
    """
    rows = part.rows
    n_fine, (n_row, _) = len(rows.native), part.image.shape
    own, other = rows.weights(part.available)
    model = part.fit is not None and part.modelled.any()
    if model:
        model_own, model_other, effect = _column_effect(part, own, other)
        terms = _terms(part.fit, part.native_profile, part.positions)
        own = np.where(part.modelled, model_own, own)
        other = np.where(part.modelled, model_other, other)
    blocks = np.zeros((len(columns), n_fine, n_row))
    at = np.arange(n_fine)
    clipped = np.clip(rows.neighbour, 0, n_row - 1)
    for place, column in enumerate(columns):
        np.add.at(blocks[place], (at, rows.native), own[:, column])
        np.add.at(blocks[place], (at, clipped), other[:, column])
        if model:
            weights = np.where(part.fit_kept[:, column], part.image.weights[:, column], 0.0)
            use = part.modelled[:, column]
            by_data = sum(
                np.outer(change[:, column], weights * term[:, column])
                for change, term in zip(effect, terms, strict=True)
            )
            blocks[place] += np.where(use[:, None], by_data, 0)
    n = len(columns)
    index = np.nonzero(blocks)
    values = blocks[index]
    place, fine, row = index
    return sparse.csr_matrix(
        (values, (fine * n + place, row * n + place)), shape=(n_fine * n, n_row * n)
    )


def _terms(fit, profile, positions):
    """What scale, level and slope are multiplied by."""
    height = np.nan_to_num(fit.height(positions))
    return (profile, np.ones(profile.shape), height)


def _column_effect(part, own, other):
    """Weights of native pixels in the residual, and how fine pixels change with sums of columns.

    Returns
    -------
    own, other : ndarray, shape (n_fine, n_column)
    effect : list of ndarray
        Change by the sums over each column of weighted data times each term.
    """
    rows, fit = part.rows, part.fit
    own, other = own * rows.own(part.residual_weight), other * rows.other(part.residual_weight)
    native = _terms(fit, part.native_profile, part.positions)
    fine = _terms(fit, part.fine_profile, part.fine_positions)
    by_value = [
        f - own * rows.own(n) - other * rows.other(n) for f, n in zip(fine, native, strict=True)
    ]
    c = fit.column_covariance
    effect = [sum(c[k, j] * by for j, by in enumerate(by_value)) for k in range(len(fine))]
    return own, other, effect
