"""Compiled loops of `dispersal`: the light of one source, step by step, onto the pixels it reaches.

A source in a band of basis functions is a unit. For each step of wavelength its squares are dropped
on a plane, a small image around where the source then is, which is added to the columns.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled

__all__ = ["Bases", "Light", "Paths", "reach", "unit_columns"]

SLACK = 0.01  # pixels for each of a box's half size, for paths that bend between its corners
ONE = np.uint64(1)  # indices without a sign need no check for negative ones


class Light(NamedTuple):
    """Arrays of `~specmodels.numerics.dispersal.Squares`."""

    x: np.ndarray
    y: np.ndarray
    light: np.ndarray
    half: np.ndarray
    start: np.ndarray


class Paths(NamedTuple):
    """Arrays of `~specmodels.numerics.dispersal.Traces`, and the wavelengths of the steps."""

    boxes: np.ndarray
    coefficients: np.ndarray
    scaled: np.ndarray


class Bases(NamedTuple):
    """What the basis functions have in each step, and between which bands of light it lies."""

    first: np.ndarray
    values: np.ndarray
    band: np.ndarray
    fraction: np.ndarray


class _Frame(NamedTuple):
    """First pixel and size of a plane."""

    x: int
    y: int
    wide: int
    tall: int


class _Squares(NamedTuple):
    """Squares of one source: scaled position, lower edges, side, and room for where they fall."""

    u: np.ndarray
    v: np.ndarray
    left: np.ndarray
    low: np.ndarray
    side: np.ndarray
    per_side: np.ndarray
    light: np.ndarray
    cell: np.ndarray
    parts: np.ndarray


@compiled
def _shift(coefficients, scaled, out):
    """Coefficients of the displacement at one wavelength, by powers of y and x: (2, 3, 3)."""
    for d in range(2):
        for p in range(3):
            for q in range(3):
                total = 0.0
                for k in range(coefficients.shape[1] - 1, -1, -1):
                    total = total * scaled + coefficients[d, k, p, q]
                out[d, p, q] = total


@compiled
def _at(shift, u, v):
    """Value of a polynomial of degree two in both coordinates."""
    value = (shift[2, 2] * v + shift[1, 2]) * v + shift[0, 2]
    value = value * u + ((shift[2, 1] * v + shift[1, 1]) * v + shift[0, 1])
    return value * u + ((shift[2, 0] * v + shift[1, 0]) * v + shift[0, 0])


@compiled
def _frame(box, shift):
    """Plane that holds a moved box."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for v in (-1.0, 1.0):
        for u in (-1.0, 1.0):
            at_x = box[0] + u * box[2] + _at(shift[0], u, v)
            at_y = box[1] + v * box[3] + _at(shift[1], u, v)
            low_x, high_x = min(low_x, at_x), max(high_x, at_x)
            low_y, high_y = min(low_y, at_y), max(high_y, at_y)
    # A square reaches half a pixel beyond its centre at most, and into the pixel after.
    slack_x, slack_y = SLACK * (1 + box[2]), SLACK * (1 + box[3])
    x, y = int(np.floor(low_x - slack_x)), int(np.floor(low_y - slack_y))
    return _Frame(x, y, int(np.floor(high_x + slack_x + 0.5)) + 2 - x,
                  int(np.floor(high_y + slack_y + 0.5)) + 2 - y)  # fmt: skip


@compiled
def reach(source, bands, light, paths, shape):
    """Rows and columns which the light of each unit can reach, (n_unit, 4), empty if none."""
    out = np.zeros((source.size, 4), np.int64)
    shift = np.empty((2, 3, 3))
    for k in range(source.size):
        s = source[k]
        if light.start[s + 1] == light.start[s]:
            continue
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for m in range(bands[k, 2], bands[k, 3]):
            _shift(paths.coefficients[s], paths.scaled[m], shift)
            if not np.isfinite(shift).all():
                high_x = np.nan
                break
            frame = _frame(paths.boxes[s], shift)
            low_x, high_x = min(low_x, frame.x), max(high_x, frame.x + frame.wide)
            low_y, high_y = min(low_y, frame.y), max(high_y, frame.y + frame.tall)
        if not (np.isfinite(low_x) and np.isfinite(high_x)):
            continue
        rows = max(low_y, 0.0), min(high_y, shape[0])
        columns = max(low_x, 0.0), min(high_x, shape[1])
        if rows[1] > rows[0] and columns[1] > columns[0]:
            out[k, 0], out[k, 1] = int(rows[0]), int(rows[1])
            out[k, 2], out[k, 3] = int(columns[0]), int(columns[1])
    return out


@compiled
def _squares(light, box, first, last):
    """The squares of one source."""
    own, n = slice(first, last), last - first
    side = 2 * light.half[own]
    return _Squares(
        (light.x[own] - box[0]) / box[2], (light.y[own] - box[1]) / box[3],
        light.x[own] - light.half[own] + 0.5, light.y[own] - light.half[own] + 0.5,
        side, 1 / side, light.light[0, own].copy(), np.empty(n, np.int32), np.empty((4, n)),
    )  # fmt: skip


@compiled
def _mix_bands(light, first, band, fraction, out):
    """Light of the squares of a source between two bands."""
    following = band + (1 if fraction > 0 else 0)
    for i in range(out.size):
        one = light[band, first + i]
        out[i] = one + fraction * (light[following, first + i] - one)


@compiled
def _place(squares, shift, frame):
    """Where in the plane each square falls, and its light in the four pixels that it overlaps."""
    u, v, left, low = squares.u, squares.v, squares.left, squares.low
    side, per_side, light, cell = squares.side, squares.per_side, squares.light, squares.cell
    p0, p1, p2, p3 = squares.parts[0], squares.parts[1], squares.parts[2], squares.parts[3]
    # Scalars, so that the loop is done for several squares at a time.
    x00, x01, x02 = shift[0, 0, 0] - frame.x, shift[0, 0, 1], shift[0, 0, 2]
    x10, x11, x12 = shift[0, 1, 0], shift[0, 1, 1], shift[0, 1, 2]
    x20, x21, x22 = shift[0, 2, 0], shift[0, 2, 1], shift[0, 2, 2]
    y00, y01, y02 = shift[1, 0, 0] - frame.y, shift[1, 0, 1], shift[1, 0, 2]
    y10, y11, y12 = shift[1, 1, 0], shift[1, 1, 1], shift[1, 1, 2]
    y20, y21, y22 = shift[1, 2, 0], shift[1, 2, 1], shift[1, 2, 2]
    last_x, last_y, wide = frame.wide - 1.0, frame.tall - 1.0, np.float64(frame.wide)
    for i in range(u.size):
        s, t = u[i], v[i]
        x = ((x22 * t + x12) * t + x02) * s + ((x21 * t + x11) * t + x01)
        x = x * s + ((x20 * t + x10) * t + x00) + left[i]
        y = ((y22 * t + y12) * t + y02) * s + ((y21 * t + y11) * t + y01)
        y = y * s + ((y20 * t + y10) * t + y00) + low[i]
        inside = (x >= 0) & (x < last_x) & (y >= 0) & (y < last_y)
        below_x, below_y = np.floor(x), np.floor(y)
        right = max(x - below_x + side[i] - 1, 0.0) * per_side[i]
        top = max(y - below_y + side[i] - 1, 0.0) * per_side[i]
        cell[i] = np.int32(below_y * wide + below_x if inside else 0.0)
        value = light[i] if inside else 0.0
        high = value * top
        value -= high
        p0[i], p1[i] = value - value * right, value * right
        p2[i], p3[i] = high - high * right, high * right


@compiled
def _drop(cell, parts, wide, plane):
    """Add the parts of all squares to the plane."""
    next_row = np.uint64(wide)
    for i in range(cell.size):
        at = np.uint64(cell[i])
        plane[at] += parts[0, i]
        plane[at + ONE] += parts[1, i]
        at += next_row
        plane[at] += parts[2, i]
        plane[at + ONE] += parts[3, i]


@compiled
def _add_row(light, values, work, n_terms):
    """Add a row of a plane times each basis function to the columns, from their first value on."""
    if values.size == 4 and n_terms == 4:
        v0, v1, v2, v3 = values[0], values[1], values[2], values[3]
        for p in range(light.size):
            work[4 * p] += light[p] * v0
            work[4 * p + 1] += light[p] * v1
            work[4 * p + 2] += light[p] * v2
            work[4 * p + 3] += light[p] * v3
        return
    for p in range(light.size):
        if light[p] != 0:
            for j in range(values.size):
                work[p * n_terms + j] += light[p] * values[j]


@compiled
def _add(plane, frame, bounds, values, work, n_terms, at):
    """Add a plane times each basis function, from term `at` on, to the columns, and clear it."""
    wide = bounds[3] - bounds[2]
    low, high = max(bounds[2] - frame.x, 0), min(bounds[3] - frame.x, frame.wide)
    for q in range(max(bounds[0] - frame.y, 0), min(bounds[1] - frame.y, frame.tall)):
        begin = ((frame.y + q - bounds[0]) * wide + frame.x + low - bounds[2]) * n_terms + at
        row = plane[q * frame.wide + low : q * frame.wide + max(high, low)]
        _add_row(row, values, work[begin:], n_terms)
    plane[: frame.wide * frame.tall] = 0.0


@compiled
def _disperse(s, band, bounds, light, paths, bases, work):
    """Columns of one unit, by pixel and term."""
    low, high, n_terms = band[0], band[1], band[1] - band[0]
    first = light.start[s]
    squares = _squares(light, paths.boxes[s], first, light.start[s + 1])
    shift, plane = np.empty((2, 3, 3)), np.zeros(0)
    for m in range(band[2], band[3]):
        _shift(paths.coefficients[s], paths.scaled[m], shift)
        frame = _frame(paths.boxes[s], shift)
        if plane.size < frame.wide * frame.tall:
            plane = np.zeros(2 * frame.wide * frame.tall)
        if light.light.shape[0] > 1:
            _mix_bands(light.light, first, bases.band[m], bases.fraction[m], squares.light)
        _place(squares, shift, frame)
        _drop(squares.cell, squares.parts, frame.wide, plane)
        skip = max(low - bases.first[m], 0)
        values = bases.values[m, skip : high - bases.first[m]]
        _add(plane, frame, bounds, values, work, n_terms, bases.first[m] + skip - low)


@compiled
def _collect(work, term, n_terms, bounds, n_x, indices, data, entry):
    """Append what is not zero of one column; the number of entries there are then."""
    cell = term
    for row in range(bounds[0], bounds[1]):
        for column in range(bounds[2], bounds[3]):
            if work[cell] != 0:
                indices[entry] = row * n_x + column
                data[entry] = work[cell]
                entry += 1
            cell += n_terms
    return entry


@compiled
def unit_columns(source, bands, bounds, light, paths, bases, n_x):
    """Indices, values and number of entries of the columns of some units, term by term."""
    n_terms = bands[:, 1] - bands[:, 0]
    n_pixels = (bounds[:, 1] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 2])
    n_cells = np.sum(n_terms * n_pixels)
    indices, data = np.empty(n_cells, np.int32), np.empty(n_cells)
    counts = np.zeros(np.sum(n_terms), np.int64)
    entry, column = 0, 0
    for k in range(source.size):
        if n_pixels[k] == 0:
            column += n_terms[k]
            continue
        work = np.zeros(n_pixels[k] * n_terms[k])
        _disperse(source[k], bands[k], bounds[k], light, paths, bases, work)
        for j in range(n_terms[k]):
            before = entry
            entry = _collect(work, j, n_terms[k], bounds[k], n_x, indices, data, entry)
            counts[column] = entry - before
            column += 1
    return indices[:entry].copy(), data[:entry].copy(), counts
