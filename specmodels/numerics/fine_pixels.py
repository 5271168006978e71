"""Compiled loops over pixels: profiles looked up in tables, residuals, and values of fine pixels.

Rows along the first axis, columns along the second; what profiles are made of is of no concern.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled

__all__ = [
    "LEAST_STEP", "MOST_STEP", "ColumnModel", "Linear", "NativePixels", "ProfileTable", "adjoins",
    "fill_values", "look_up", "residuals",
]  # fmt: skip


# Positions of neighbouring pixels differ by so many pixels, or they do not adjoin.
LEAST_STEP, MOST_STEP = 0.5, 2.0


class ProfileTable(NamedTuple):
    """Profiles at fine bins, linear between their middles and between nodes.

    Attributes
    ----------
    values : ndarray, shape (n_intervals, n_bins, 4)
        Profile at the first node of an interval and its step to the next bin; the same at its
        second node.
    low, step : float
        Edge of the first bin, and width of a bin.
    interval, fraction : ndarray, shape (n_column,)
        Interval of each column, and how far in it lies.
    """

    values: np.ndarray
    low: float
    step: float
    interval: np.ndarray
    fraction: np.ndarray

    @classmethod
    def of_nodes(cls, profiles, low, step, interval, fraction):
        """Table of profiles, shape (n_nodes, n_bins)."""
        values = np.zeros((len(profiles) - 1, profiles.shape[1], 4))
        for first, own in enumerate((profiles[:-1], profiles[1:])):
            values[:, :, 2 * first] = own
            values[:, :-1, 2 * first + 1] = own[:, 1:] - own[:, :-1]
        return cls(values, low, step, interval, fraction)

    @property
    def flat(self):
        """Values in one row, and where those of each column's interval begin."""
        return self.values.ravel(), self.interval * (self.values[0].size if len(self.values) else 0)


class NativePixels(NamedTuple):
    """Native pixels of a slice, each of shape (n_row, n_column).

    Attributes
    ----------
    inside, available, modelled : ndarray of bool
        In the slice; with a value of their own; to be given by the model.
    positions : ndarray
        Along the slit, in pixels; NaN outside.
    """

    inside: np.ndarray
    available: np.ndarray
    modelled: np.ndarray
    positions: np.ndarray


class Linear(NamedTuple):
    """Fine rows: the native row of each, and how far its middle lies from that of the native one.

    Attributes
    ----------
    native : ndarray of int, shape (n_fine,)
    offset : ndarray, shape (n_fine,)
    """

    native: np.ndarray
    offset: np.ndarray


class ColumnModel(NamedTuple):
    """Scale of the profile, and level and gradient under it, in each column.

    Attributes
    ----------
    scale, level, gradient : ndarray, shape (n_column,)
        The level is that at position zero.
    """

    scale: np.ndarray
    level: np.ndarray
    gradient: np.ndarray


@compiled
def profile_at(values, low, per_step, start, fraction, n_bins, position):
    # The table is flat; `start` is the first number of the column's interval in it.
    scaled = (position - low) * per_step - 0.5
    # What is no number counts as beyond the low end.
    scaled = min(scaled if scaled > 0 else 0.0, n_bins - 1.000001)
    k = int(scaled)
    part = scaled - k
    i = start + 4 * k
    first = values[i] + part * values[i + 1]
    return first + fraction * (values[i + 2] + part * values[i + 3] - first)


@compiled
def _look_up(flat, table, positions, columns, out):
    values, starts = flat
    low, per_step, n_bins = table.low, 1 / table.step, table.values.shape[1]
    for i in range(positions.size):
        x = columns[i]
        out[i] = profile_at(
            values, low, per_step, starts[x], table.fraction[x], n_bins, positions[i]
        )


def look_up(table, positions, columns):
    """Profile at positions in columns, both of shape (n,)."""
    out = np.empty(positions.size)
    positions, columns = np.ascontiguousarray(positions), np.ascontiguousarray(columns)
    _look_up(table.flat, table, positions, columns, out)
    return out


@compiled
def _residuals(flat, table, model, positions, data, use, profile, residual):
    values, starts = flat
    low, per_step, n_bins = table.low, 1 / table.step, table.values.shape[1]
    fraction, scale, level, gradient = table.fraction, model.scale, model.level, model.gradient
    for row in range(data.shape[0]):
        place, own, good = positions[row], data[row], use[row]
        shape, left = profile[row], residual[row]
        for x in range(data.shape[1]):
            shape[x] = left[x] = 0.0
            # What is no number has no profile.
            if place[x] == place[x]:
                p = profile_at(values, low, per_step, starts[x], fraction[x], n_bins, place[x])
                shape[x] = p
                if good[x]:
                    left[x] = own[x] - (scale[x] * p + level[x] + gradient[x] * place[x])


def residuals(table, model, positions, data, use):
    """Profile in native pixels, and data minus model.

    Parameters
    ----------
    table : ProfileTable
    model : ColumnModel
    positions, data : ndarray, shape (n_row, n_column)
    use : ndarray of bool, same shape
        Pixels that have a residual, where they have a position.

    Returns
    -------
    profile, residual : ndarray, same shape
        Zero elsewhere.
    """
    profile, residual = np.empty(data.shape), np.empty(data.shape)
    _residuals(table.flat, table, model, positions, data, use, profile, residual)
    return profile, residual


@compiled
def neighbours(row, offset, n_rows):
    """The neighbour towards which a fine row lies, and that on the other side, or the row."""
    near, far = (row - 1, row + 1) if offset < 0 else (row + 1, row - 1)
    return (near if 0 <= near < n_rows else row), (far if 0 <= far < n_rows else row)


@compiled
def adjoins(here, there):
    """Whether positions in pixels are about one apart; neither across gaps nor where one is NaN."""
    return LEAST_STEP < abs(there - here) < MOST_STEP


@compiled
def fine_position(here, there, back, alone, distance):
    if not alone and adjoins(here, there):
        return here + distance * (there - here)
    return here + distance * (here - back) if adjoins(here, back) else here


@compiled
def linear_weights(has_own, has_other, distance, modelled):
    # Of a pixel without a value, what is left beside the model is told by those along its row.
    if modelled and not has_own:
        return (0.0, 0.0)
    if has_own:
        return (1 - distance, distance) if has_other else (1.0, 0.0)
    return (0.0, 1.0) if has_other and distance > 0 else (0.0, 0.0)


@compiled
def _fill_values(rows, pixels, flat, table, model, data, residual, out, top, left):
    values, starts = flat
    low, per_step, n_bins = table.low, 1 / table.step, table.values.shape[1]
    fraction, scale, level, gradient = table.fraction, model.scale, model.level, model.gradient
    n_row, n_column = data.shape
    for f in range(rows.native.size):
        row, distance = rows.native[f], abs(rows.offset[f])
        near, far = neighbours(row, rows.offset[f], n_row)
        alone = near == row
        inside, modelled = pixels.inside[row], pixels.modelled[row]
        own_good, other_good = pixels.available[row], pixels.available[near]
        here, there, back = pixels.positions[row], pixels.positions[near], pixels.positions[far]
        own_data, other_data = data[row], data[near]
        own_residual, other_residual = residual[row], residual[near]
        line = out[top + f]
        for x in range(n_column):
            if not inside[x] or not (modelled[x] or own_good[x]):
                continue
            # Across a gap, a neighbour knows nothing of what the model leaves here.
            linked = not alone and (not modelled[x] or adjoins(here[x], there[x]))
            own, other = linear_weights(
                own_good[x], other_good[x] and linked, distance, modelled[x]
            )
            if modelled[x]:
                place = fine_position(here[x], there[x], back[x], alone, distance)
                p = profile_at(values, low, per_step, starts[x], fraction[x], n_bins, place)
                value = scale[x] * p + level[x] + gradient[x] * place
                if not own_good[x]:
                    own = 1.0
                value += own * own_residual[x] + other * other_residual[x]
            else:
                value = own * own_data[x] + other * other_data[x]
            line[left + x] = value


def fill_values(rows, pixels, table, model, data, residual, out, corner):
    """Write model plus interpolated residual, or interpolated data, to fine pixels, in place.

    Parameters
    ----------
    rows : Linear
    pixels : NativePixels
    table : ProfileTable
        Of profiles averaged over the fine pixels.
    model : ColumnModel
    data, residual : ndarray, shape (n_row, n_column)
        Values of the native pixels, and what is to be added to the model; finite. That of pixels
        that are not available is added to their own fine pixels, not interpolated.
    out : ndarray, shape (any, any)
        The image; only pixels that get a value are changed.
    corner : tuple of int
        Row and column of the first fine pixel in it.
    """
    _fill_values(rows, pixels, table.flat, table, model, data, residual, out, *corner)
