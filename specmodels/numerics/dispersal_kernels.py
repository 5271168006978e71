"""Compiled loops of `dispersal`: the light of one source, step by step, onto the pixels it reaches.

A source in a band of basis functions is a unit. Its squares are placed on a plane, a small image
that goes with the source, as they fall during one step: exactly, but for what they move across the
dispersion. Over many steps planes change little but for whole pixels, so that those between are
interpolated. Each plane is added to the columns with what each basis function has in its step.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .dispersal_steps import CELLS_PER_STEP, is_upright, path_shift, plan, shift_at, step_values

__all__ = ["Light", "Paths", "reach", "unit_columns"]

SLACK = 0.01  # pixels for each of a box's half size, for paths that bend between its corners
LEAST_TRAVEL = 1e-3  # pixels: over less, differences of integrals lose digits
MOST_PROBES = 129


class Light(NamedTuple):
    """Arrays of `~specmodels.numerics.dispersal.Squares`."""

    x: np.ndarray
    y: np.ndarray
    light: np.ndarray
    half: np.ndarray
    start: np.ndarray


class Paths(NamedTuple):
    """Arrays of `~specmodels.numerics.dispersal.Traces`, and cells that they are defined in."""

    boxes: np.ndarray
    coefficients: np.ndarray
    defined: np.ndarray


class _Squares(NamedTuple):
    """Squares of one source: place in the box, lower edges along and across the dispersion.

    Their parts have shape (across, along, n_square); so have their sums over all across.
    """

    u: np.ndarray
    v: np.ndarray
    along: np.ndarray
    across: np.ndarray
    per_part: np.ndarray
    parts: np.ndarray
    whole: np.ndarray


class _Place(NamedTuple):
    """Where squares are in a step: pixel along and across of their lower corners at the start or
    the end, whichever is lower, how far the corners are in it at both, and what is left of the
    pixel across in the middle of the step.
    """

    pixel: np.ndarray
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    left: np.ndarray


class _Frame(NamedTuple):
    """First pixel and size of a plane, along and across; pixels along that a square reaches."""

    pixel: int
    row: int
    wide: int
    tall: int
    reached: int


class _Room(NamedTuple):
    """Light of squares below a row of pixels, and below that and a column: low, all, and before."""

    low: np.ndarray
    sums: np.ndarray
    before: np.ndarray


@compiled
def reach(source, bands, light, paths, cells, shape):
    """Rows and columns which the light of each unit can reach, (n_unit, 4), empty if none."""
    out = np.zeros((source.size, 4), np.int64)
    shift = np.empty((2, 3, 3))
    for k in range(source.size):
        s, first, last = source[k], bands[k, 2], bands[k, 3] - 1
        if light.start[s + 1] == light.start[s] or last < first:
            continue
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        # Steps at the ends are longer, and give a little of their light to those beyond.
        more = 2 * CELLS_PER_STEP if cells.width > 0 else 0
        begin = max(first - more, paths.defined[s, 0])
        end = min(last + more, paths.defined[s, 1] - 1)
        n_probes = min(end - begin + 1, MOST_PROBES)
        for probe in range(n_probes):
            share = probe / max(n_probes - 1, 1)
            scaled = cells.scaled[begin + int(np.rint(share * (end - begin)))]
            path_shift(paths.coefficients[s], scaled + (share - 0.5) * cells.width, shift)
            if not np.isfinite(shift).all():
                high_x = np.nan
                break
            box = _moved_box(paths.boxes[s], shift)
            low_x, high_x = min(low_x, box[0]), max(high_x, box[1])
            low_y, high_y = min(low_y, box[2]), max(high_y, box[3])
        if not (np.isfinite(low_x) and np.isfinite(high_x)):
            continue
        rows = max(np.floor(low_y), 0.0), min(np.ceil(high_y), shape[0])
        columns = max(np.floor(low_x), 0.0), min(np.ceil(high_x), shape[1])
        if rows[1] > rows[0] and columns[1] > columns[0]:
            out[k, 0], out[k, 1] = int(rows[0]), int(rows[1])
            out[k, 2], out[k, 3] = int(columns[0]), int(columns[1])
    return out


@compiled
def _moved_box(box, shift):
    """First and last x, first and last y of the squares of a box."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for v in (-1.0, 1.0):
        for u in (-1.0, 1.0):
            at_x = box[0] + u * box[2] + shift_at(shift[0], u, v)
            at_y = box[1] + v * box[3] + shift_at(shift[1], u, v)
            low_x, high_x = min(low_x, at_x), max(high_x, at_x)
            low_y, high_y = min(low_y, at_y), max(high_y, at_y)
    # A square reaches half a pixel beyond its centre at most, and pixels half a one beyond theirs.
    slack_x, slack_y = 1 + SLACK * (1 + box[2]), 1 + SLACK * (1 + box[3])
    return low_x - slack_x, high_x + slack_x + 1, low_y - slack_y, high_y + slack_y + 1


@compiled
def _squares(light, box, own, band, upright):
    """The squares of one source with their light in a band."""
    n, n_parts = own.stop - own.start, light.light.shape[2]
    u, v = (light.x[own] - box[0]) / box[2], (light.y[own] - box[1]) / box[3]
    left, low = light.x[own] - light.half[own] + 0.5, light.y[own] - light.half[own] + 0.5
    parts, whole = np.empty((n_parts, n_parts, n)), np.zeros((n_parts, n))
    for r in range(n_parts):
        for j in range(n_parts):
            row, column = (j, r) if upright else (r, j)
            parts[r, j] = light.light[band, own, row, column]
            whole[j] += parts[r, j]
    return _Squares(u, v, low if upright else left, left if upright else low,
                    0.5 * n_parts / light.half[own], parts, whole)  # fmt: skip


@compiled
def _moved(shift, squares, edge, out):
    """Lower edges of squares moved by a polynomial."""
    s00, s01, s02 = shift[0, 0], shift[0, 1], shift[0, 2]
    s10, s11, s12 = shift[1, 0], shift[1, 1], shift[1, 2]
    s20, s21, s22 = shift[2, 0], shift[2, 1], shift[2, 2]
    u, v = squares.u, squares.v
    for i in range(out.size):
        s, t = u[i], v[i]
        value = ((s22 * t + s12) * t + s02) * s + ((s21 * t + s11) * t + s01)
        out[i] = value * s + ((s20 * t + s10) * t + s00) + edge[i]


@compiled
def _locate(squares, path, steps, m, offset, place):
    """Find the place of all squares in a step, less whole pixels along, and the frame for it."""
    before, after = np.empty((2, 3, 3)), np.empty((2, 3, 3))
    path_shift(path, steps.low[m], before)
    path_shift(path, steps.high[m], after)
    along, across = (1, 0) if steps.upright else (0, 1)
    before[along, 0, 0] -= offset
    after[along, 0, 0] -= offset
    start, end, left = place.start, place.end, place.left
    _moved(before[along], squares, squares.along, start)
    _moved(after[along], squares, squares.along, end)
    _moved(0.5 * (before[across] + after[across]), squares, squares.across, left)
    still, n_parts = steps.high[m] == steps.low[m], squares.whole.shape[0]
    first, last, bottom, top, most = np.inf, -np.inf, np.inf, -np.inf, 0.0
    for i in range(start.size):
        travel = end[i] - start[i]
        if not still and abs(travel) < LEAST_TRAVEL:
            end[i] = start[i] + LEAST_TRAVEL
        pixel, row = np.floor(min(start[i], end[i])), np.floor(left[i])
        start[i] -= pixel
        end[i] -= pixel
        left[i] = row + 1 - left[i]
        place.pixel[i], place.row[i] = int(pixel), int(row)
        first, last = min(first, pixel), max(last, pixel)
        bottom, top = min(bottom, row), max(top, row)
        most = max(most, max(start[i], end[i]) + n_parts / squares.per_part[i])
    reached = int(np.floor(most)) + 1
    return _Frame(int(first), int(bottom), int(last - first) + reached, int(top - bottom) + 2,
                  reached)  # fmt: skip


@compiled
def _united(one, other):
    """Frame that holds two."""
    pixel, row = min(one.pixel, other.pixel), min(one.row, other.row)
    return _Frame(
        pixel, row, max(one.pixel + one.wide, other.pixel + other.wide) - pixel,
        max(one.row + one.tall, other.row + other.tall) - row, max(one.reached, other.reached),
    )  # fmt: skip


@compiled
def _split(squares, place, low):
    """Light of each part along that is in the lower row of pixels."""
    parts, per_part, left = squares.parts, squares.per_part, place.left
    low[:] = 0.0
    for r in range(parts.shape[0]):
        for j in range(parts.shape[0]):
            own, light = low[j], parts[r, j]
            for i in range(left.size):
                own[i] += min(max(left[i] * per_part[i] - r, 0.0), 1.0) * light[i]


@compiled
def _below(squares, place, boundary, still, room):
    """Light below a boundary along, of the lower row and of both, on average over the step."""
    start, end, per_part = place.start, place.end, squares.per_part
    room.sums[:] = 0.0
    low_sum, sum_ = room.sums[0], room.sums[1]
    for j in range(squares.whole.shape[0]):
        low, whole = room.low[j], squares.whole[j]
        if still:
            for i in range(start.size):
                part = min(max((boundary - start[i]) * per_part[i] - j, 0.0), 1.0)
                low_sum[i] += part * low[i]
                sum_[i] += part * whole[i]
            continue
        for i in range(start.size):
            a, b = (boundary - start[i]) * per_part[i] - j, (boundary - end[i]) * per_part[i] - j
            inner_a, inner_b = min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0)
            total = 0.5 * (inner_b - inner_a) * (inner_b + inner_a)
            part = (total + (max(b, 1.0) - max(a, 1.0))) / (b - a)
            low_sum[i] += part * low[i]
            sum_[i] += part * whole[i]


@compiled
def _drop(squares, place, frame, still, room, plane):
    """Add the light of all squares to a plane, shape (tall, wide)."""
    _split(squares, place, room.low)
    room.before[:] = 0.0
    n, wide, flat = place.pixel.size, frame.wide, plane.reshape(-1)
    for k in range(frame.reached):
        if k + 1 < frame.reached:
            _below(squares, place, k + 1.0, still, room)
        else:  # all that there is
            room.sums[:] = 0.0
            for j in range(room.low.shape[0]):
                room.sums[0] += room.low[j]
                room.sums[1] += squares.whole[j]
        low_sum, sum_ = room.sums[0], room.sums[1]
        low_before, before = room.before[0], room.before[1]
        for i in range(n):
            at = (place.row[i] - frame.row) * wide + place.pixel[i] - frame.pixel + k
            low, both = low_sum[i] - low_before[i], sum_[i] - before[i]
            flat[np.uint64(at)] += low
            flat[np.uint64(at + wide)] += both - low
            low_before[i], before[i] = low_sum[i], sum_[i]


@compiled
def _add(plane, pixel, row, values, work):
    """Add a plane, which begins at a pixel along and a row, times the values to the columns."""
    n_terms, tall, wide = work.shape
    low, high = max(-pixel, 0), min(wide - pixel, plane.shape[1])
    if high <= low:
        return
    for q in range(max(-row, 0), min(tall - row, plane.shape[0])):
        light = plane[q, low:high]
        for j in range(n_terms):
            value = values[j]
            if value != 0:
                own = work[j, row + q, pixel + low : pixel + high]
                for p in range(own.size):
                    own[p] += value * light[p]


@compiled
def _run(squares, path, steps, run, values, begin, places, room, work):
    """Add steps to the columns, from the first to before the last, which are both placed.

    Or one step alone, where both are the same; `begin` is the first step that has values, and first
    pixel along and across of the columns.
    """
    first, last = run
    if not np.any(values[max(first - begin[0], 0) : max(max(last, first + 1) - begin[0], 0)]):
        return
    n_pixels = (last - first) // steps.per_pixel
    frame = _locate(squares, path, steps, first, 0.0, places[0])
    if n_pixels > 0:
        frame = _united(frame, _locate(squares, path, steps, last, float(steps.sign * n_pixels),
                                       places[1]))  # fmt: skip
    pixel, row = frame.pixel - begin[1], frame.row - begin[2]
    ends = pixel, pixel + steps.sign * n_pixels
    if row >= work.shape[1] or row + frame.tall <= 0 or min(ends) >= work.shape[2] or (
        max(ends) + frame.wide <= 0
    ):  # fmt: skip
        return
    planes = np.zeros((3, frame.tall, frame.wide))
    still = steps.low[first] == steps.high[first]
    _drop(squares, places[0], frame, still, room, planes[0])
    if n_pixels > 0:
        _drop(squares, places[1], frame, still, room, planes[1])
        planes[1] -= planes[0]
    for k in range(max(n_pixels, 1)):
        m = first + k * steps.per_pixel - begin[0]
        if 0 <= m < values.shape[0]:
            planes[2] = planes[0]
            if k > 0:
                planes[2] += k / n_pixels * planes[1]
            _add(planes[2], pixel + k * steps.sign, row, values[m], work)


@compiled
def _disperse(s, terms, bounds, light, paths, cells, work):
    """Columns of one unit, shape (n_terms, n_across, n_along) in its bounds."""
    path, defined = paths.coefficients[s], paths.defined[s]
    upright = is_upright(path)
    own = slice(light.start[s], light.start[s + 1])
    n = own.stop - own.start
    places = (_empty_place(n), _empty_place(n))
    room = _Room(np.empty((light.light.shape[2], n)), np.empty((2, n)), np.empty((2, n)))
    for band in range(light.light.shape[0]):
        squares = _squares(light, paths.boxes[s], own, band, upright)
        steps = plan(path, cells, defined[0], defined[1], squares.across[n // 2],
                     squares.per_part[n // 2])  # fmt: skip
        m0, values = step_values(steps, cells, band, defined[0], terms[2], terms[3], terms[0],
                                 terms[1])  # fmt: skip
        begin = (m0, bounds[0], bounds[2]) if upright else (m0, bounds[2], bounds[0])
        for phase in range(steps.per_pixel):
            first = phase
            while first < steps.low.size:
                last = first + steps.per_pixel
                while last < steps.low.size and not steps.node[last]:
                    last += steps.per_pixel
                run = (first, first if last == first + steps.per_pixel else last)
                _run(squares, path, steps, run, values, begin, places, room, work)
                first = last


@compiled
def _empty_place(n):
    """Arrays of a place of n squares."""
    return _Place(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n), np.empty(n),
                  np.empty(n))  # fmt: skip


@compiled
def _columns(s, terms, bounds, light, paths, cells):
    """Columns of one unit in its bounds, shape (n_terms, n_y, n_x)."""
    n_y, n_x = bounds[1] - bounds[0], bounds[3] - bounds[2]
    upright = is_upright(paths.coefficients[s])
    n_terms = terms[1] - terms[0]
    work = np.zeros((n_terms, n_x, n_y) if upright else (n_terms, n_y, n_x))
    _disperse(s, terms, bounds, light, paths, cells, work)
    return work.transpose(0, 2, 1).copy() if upright else work


@compiled
def unit_columns(source, bands, bounds, light, paths, cells, n_x):
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
        work = _columns(source[k], bands[k], bounds[k], light, paths, cells)
        for j in range(n_terms[k]):
            before = entry
            for y in range(work.shape[1]):
                pixel = (bounds[k, 0] + y) * n_x + bounds[k, 2]
                row = work[j, y]
                for x in range(row.size):
                    if row[x] != 0:
                        indices[entry] = pixel + x
                        data[entry] = row[x]
                        entry += 1
            counts[column] = entry - before
            column += 1
    return indices[:entry].copy(), data[:entry].copy(), counts
