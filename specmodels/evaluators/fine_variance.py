"""Variance and covariance of fine pixels.

With what belongs to a column found by least squares, what is written to a fine pixel is linear in
the data of its column; the variances and covariances here are those of that map. Errors of the
profile come on top.
"""

import numpy as np
from scipy import sparse

from ..numerics.fine_pixels import look_up
from ..numerics.fine_variances import ColumnFit, PixelErrors, ShapeError, fill_variances

# Part of the squared profile that good pixels see in columns whose scale is safe from errors of the
# profile. Others are treated one by one, so many at once.
WELL_SEEN, COLUMNS_AT_ONCE = 0.5, 64

__all__ = ["covariance_map", "fill_variance", "profile_covariance"]


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
    if part.fit is not None and component is None:
        _fill_poor_columns(part, native, out, corner)


def _fill_poor_columns(part, native, out, corner):
    """Write the exact variances of columns whose scale hangs on small parts of the profile."""
    columns = np.flatnonzero(part.modelled.any(axis=0) & (part.seen < WELL_SEEN))
    for first in range(0, columns.size, COLUMNS_AT_ONCE):
        few = columns[first : first + COLUMNS_AT_ONCE]
        matrix = covariance_map(part, few)
        variance = matrix.power(2) @ native[:, few].ravel()
        variance += profile_covariance(part, few).diagonal()
        rows, place = np.nonzero(part.modelled[:, few])
        found = variance.reshape(-1, few.size)[rows, place]
        out[corner[0] + rows, corner[1] + few[place]] = found


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
    return _in_rows(_blocks(part, columns))


def _in_rows(blocks):
    """Sparse matrix from blocks of columns, shape (n, n_out, n_in); pixels in the order of rows."""
    n, n_out, n_in = blocks.shape
    place, out, given = index = np.nonzero(blocks)
    shape = (n_out * n, n_in * n)
    return sparse.csr_matrix((blocks[index], (out * n + place, given * n + place)), shape=shape)


def _blocks(part, columns):
    """Matrix from the data of each column to its fine pixels, shape (n, n_fine, n_row)."""
    rows = part.rows
    n_fine, (n_row, _) = len(rows.native), part.image.shape
    own, other = rows.weights(part.available)
    model = part.fit is not None and part.modelled.any()
    if model:
        model_own, model_other, effect = _column_effect(part)
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
    return blocks


def _terms(fit, profile, positions):
    """What scale, level and slope are multiplied by."""
    height = np.nan_to_num(fit.height(positions))
    return (profile, np.ones(profile.shape), height)


def _column_effect(part):
    """Weights of native pixels in the residual, and how fine pixels change with sums of columns.

    Returns
    -------
    own, other : ndarray, shape (n_fine, n_column)
    effect : list of ndarray
        Change by the sums over each column of weighted data times each term.
    """
    rows, fit = part.rows, part.fit
    own, other = rows.weights(part.available, part.positions)
    own, other = own * rows.own(part.residual_weight), other * rows.other(part.residual_weight)
    native = _terms(fit, part.native_profile, part.positions)
    fine = _terms(fit, part.fine_profile, part.fine_positions)
    by_value = [
        f - own * rows.own(n) - other * rows.other(n) for f, n in zip(fine, native, strict=True)
    ]
    c = fit.column_covariance
    effect = [sum(c[k, j] * by for j, by in enumerate(by_value)) for k in range(len(fine))]
    return own, other, effect


def profile_covariance(part, columns):
    """Covariance that errors of the profile, and of what others tell of its scale, bring.

    Arguments as for `covariance_map`.

    Returns
    -------
    `~scipy.sparse.csr_matrix`, shape (n_fine * n, n_fine * n)
        Pixels in the order of rows; zero between columns, though these share the profile.
    """
    n_fine = len(part.rows.native)
    out = np.zeros((len(columns), n_fine, n_fine))
    if part.fit is None or not part.modelled.any():
        return _in_rows(out)
    rows, fit = part.rows, part.fit
    own, other, effect = _column_effect(part)
    errors = _shape_error(part)
    prior = np.zeros(part.image.shape[1]) if fit.scale_prior is None else fit.scale_prior
    steep = [
        _at_fine(table, part) - own * rows.own(native) - other * rows.other(native)
        for table, native in zip(fit.derivative_tables(part.image.x, part.width), errors.native,
                                 strict=True)
    ]  # fmt: skip
    extra = rows.own(np.where(part.filled, part.misfit, 0.0))
    # What fine pixels get of the profile in native ones, by way of the scale and the residuals.
    by_data = _blocks(part, columns)
    for place, column in enumerate(columns):
        use = np.flatnonzero(part.modelled[:, column])
        good = np.flatnonzero(part.known[:, column])
        design = fit.design(part.fine_positions[use, column], part.width)
        design -= by_data[place][np.ix_(use, good)] @ fit.design(part.positions[good, column])
        block = fit.scale[column] ** 2 * fit.design_covariance(design, column)
        for variance, by in zip(errors.variance[:, column], steep, strict=True):
            block += variance * np.outer(by[use, column], by[use, column])
        by_scale = effect[0][use, column]
        block += prior[column] * np.outer(by_scale, by_scale)
        block[np.diag_indices(use.size)] += extra[use, column]
        out[place][np.ix_(use, use)] = block
    return _in_rows(out)


def _at_fine(table, part):
    columns = np.broadcast_to(np.arange(part.image.shape[1]), part.fine_positions.shape)
    places = np.ravel(part.fine_positions)
    return look_up(table, places, columns.ravel()).reshape(columns.shape)
