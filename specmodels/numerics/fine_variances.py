"""Compiled loop over fine pixels: variances of what `fine_pixels` writes.

Rows along the first axis, columns along the second.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .fine_pixels import adjoins, fine_position, linear_weights, neighbours, profile_at

__all__ = ["ColumnFit", "PixelErrors", "ShapeError", "fill_variances"]


class ColumnFit(NamedTuple):
    """How scale, level and slope of each column follow from its pixels.

    Attributes
    ----------
    weights : ndarray, shape (n_row, n_column)
        Of the pixels that were fitted; zero elsewhere.
    profile : ndarray, same shape
        Profile in each pixel.
    covariance : ndarray, shape (3, 3, n_column)
        Of scale, level and slope.
    prior : ndarray, shape (n_column,)
        Inverse variance of what is known of the scale beside the pixels.
    middle, half : float
        The slope counts from the middle to the end of the slit, half its length away.
    """

    weights: np.ndarray
    profile: np.ndarray
    covariance: np.ndarray
    prior: np.ndarray
    middle: float
    half: float


class PixelErrors(NamedTuple):
    """What is not known of native pixels and of the model in them.

    Attributes
    ----------
    variance : ndarray, shape (n_row, n_column)
        Of the native pixels; zero where they have no value.
    kept : ndarray, same shape
        Weight of each residual in what is added to the model.
    extra : ndarray, same shape
        Variance to be added where the model is.
    light : ndarray, shape (n_column,)
        Square of the scale, times which the variance of the profile counts.
    share : ndarray, shape (n_row, n_column)
        Part of the variance of the model that counts.
    """

    variance: np.ndarray
    kept: np.ndarray
    extra: np.ndarray
    light: np.ndarray
    share: np.ndarray


class ShapeError(NamedTuple):
    """Errors of the profile's position and width in each column.

    Attributes
    ----------
    variance : ndarray, shape (2, n_column)
        Times which the squares of the first and the second derivative of the profile count.
    values : ndarray, shape (2, n)
        Flat tables of the derivatives, like that of the profile.
    native : ndarray, shape (2, n_row, n_column)
        Derivatives in the native pixels.
    """

    variance: np.ndarray
    values: np.ndarray
    native: np.ndarray


@compiled
def _height(position, middle, half):
    return (position - middle) / half if position == position else 0.0


@compiled
def _sums(pixels, fit, variance):
    """Sums of products of the terms, times the variance of their weighted pixels."""
    n_row, n_column = variance.shape
    out = np.zeros((6, n_column))
    for row in range(n_row):
        weights, profile, here = fit.weights[row], fit.profile[row], pixels.positions[row]
        known = variance[row]
        for x in range(n_column):
            if weights[x] > 0:
                own = weights[x] * weights[x] * known[x]
                h = _height(here[x], fit.middle, fit.half)
                p = own * profile[x]
                out[0, x] += p * profile[x]
                out[1, x] += p
                out[2, x] += p * h
                out[3, x] += own
                out[4, x] += own * h
                out[5, x] += own * h * h
    return out


@compiled
def _spread(values, low, per_step, start, fraction, n_steps, position):
    i = start + 3 * min(max(int(np.rint((position - low) * per_step)), 0), n_steps - 1)
    rest = 1 - fraction
    both = 2 * fraction * rest * values[i + 1]
    return rest * rest * values[i] + both + fraction * fraction * values[i + 2]


@compiled
def _fill_variances(rows, pixels, table, flat, fit, errors, spread, flat_spread, shape, out,
                    corner):  # fmt: skip
    (values, starts), (top, left) = flat, corner
    variance, kept, extra, light, share = errors
    low, per_step, n_bins = table.low, 1 / table.step, table.values.shape[1]
    fraction, middle, half = table.fraction, fit.middle, fit.half
    spreads, spread_starts = flat_spread
    n_row, n_column = variance.shape
    c, sums = fit.covariance, _sums(pixels, fit, variance)
    for f in range(rows.native.size):
        row, distance = rows.native[f], abs(rows.offset[f])
        near, far = neighbours(row, rows.offset[f], n_row)
        alone = near == row
        inside, modelled = pixels.inside[row], pixels.modelled[row]
        own_good, other_good = pixels.available[row], pixels.available[near]
        here, there, back = pixels.positions[row], pixels.positions[near], pixels.positions[far]
        own_variance, other_variance = variance[row], variance[near]
        own_weight, other_weight = fit.weights[row], fit.weights[near]
        own_kept, other_kept = kept[row], kept[near]
        own_profile, other_profile = fit.profile[row], fit.profile[near]
        line = out[top + f]
        for x in range(n_column):
            if not inside[x] or not (modelled[x] or own_good[x]):
                continue
            linked = not alone and (not modelled[x] or adjoins(here[x], there[x]))
            own, other = linear_weights(
                own_good[x], other_good[x] and linked, distance, modelled[x]
            )
            if not modelled[x]:
                value = own * own * own_variance[x] + other * other * other_variance[x]
                line[left + x] = value
                continue
            own *= own_kept[x]
            other *= other_kept[x]
            p, q = own_profile[x], other_profile[x]
            own_h, other_h = _height(here[x], middle, half), _height(there[x], middle, half)
            place = fine_position(here[x], there[x], back[x], alone, distance)
            # What the fine pixel gains by each term when the sums of the column change.
            by_p = profile_at(values, low, per_step, starts[x], fraction[x], n_bins, place)
            by_p -= own * p + other * q
            by_1 = 1 - own - other
            by_h = _height(place, middle, half) - own * own_h - other * other_h
            e = c[0, 0, x] * by_p + c[0, 1, x] * by_1 + c[0, 2, x] * by_h
            g = c[1, 0, x] * by_p + c[1, 1, x] * by_1 + c[1, 2, x] * by_h
            h = c[2, 0, x] * by_p + c[2, 1, x] * by_1 + c[2, 2, x] * by_h
            by_own = own + 2 * own_weight[x] * (e * p + g + h * own_h)
            by_other = other + 2 * other_weight[x] * (e * q + g + h * other_h)
            value = own * own_variance[x] * by_own + other * other_variance[x] * by_other
            value += e * (e * sums[0, x] + 2 * (g * sums[1, x] + h * sums[2, x]))
            value += g * (g * sums[3, x] + 2 * h * sums[4, x]) + h * h * sums[5, x]
            value = max(value, 0.0) + e * e * fit.prior[x]
            for k in range(2):
                if shape.variance[k, x] > 0:
                    by = profile_at(shape.values[k], low, per_step, starts[x], fraction[x], n_bins,
                                    place)  # fmt: skip
                    by -= own * shape.native[k, row, x] + other * shape.native[k, near, x]
                    value += shape.variance[k, x] * by * by
            if light[x] > 0:
                value += light[x] * _spread(spreads, spread.low, 1 / spread.step, spread_starts[x],
                                            fraction[x], spread.values.shape[1], place)  # fmt: skip
            line[left + x] = share[row, x] * value + extra[row, x]


def fill_variances(rows, pixels, table, fit, errors, spread, shape, out, corner):
    """Write the variances of what `fill_values` writes, in place.

    Parameters
    ----------
    rows, pixels, table, out, corner
        As in `fill_values`.
    fit : ColumnFit
    errors : PixelErrors
    spread : ProfileTable
        Variances of the profile: at the first node of an interval, between both and at the second,
        shape (n_intervals, n_steps, 3), at the steps themselves.
    shape : ShapeError
    """
    _fill_variances(rows, pixels, table, table.flat, fit, errors, spread, spread.flat, shape, out,
                    corner)  # fmt: skip
