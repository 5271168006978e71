"""Compiled loops of `dispersal`: the light of one source, step by step, onto the pixels it reaches.

A source in a band of basis functions is a unit. Its squares are placed on a plane, a small image
that goes with the source, as they fall during one step: exactly, but for what they move across the
dispersion. Over many steps planes change little but for whole pixels, so that those between are
interpolated. Each plane is added to the columns with what each basis function has in its step.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .dispersal_planes import Room, drop, empty_place, locate, own_squares, united
from .dispersal_steps import (
    CELLS_PER_STEP,
    Cells,
    is_upright,
    path_shift,
    plan,
    shift_at,
    step_values,
)

__all__ = ["Light", "Paths", "add_sources", "reach", "unit_columns"]

SLACK = 0.01  # pixels for each of a box's half size, for paths that bend between its corners
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
def _add_planes(planes, pixel, row, near, far, work):
    """Add a plane and its change, step by step, times the values of both to the columns.

    They begin at a pixel along and a row, and move by a pixel in each step.
    """
    (n_terms, tall, wide), n_steps = work.shape, near.shape[1]
    for k in range(n_steps):
        begin = pixel + k
        low, high = max(-begin, 0), min(wide - begin, planes.shape[2])
        if high <= low:
            continue
        for j in range(n_terms):
            one, other = near[j, k], far[j, k]
            if one == 0:
                continue
            for q in range(max(-row, 0), min(tall - row, planes.shape[1])):
                own = work[j, row + q, begin + low : begin + high]
                light, change = planes[0, q, low:high], planes[1, q, low:high]
                if other == 0:
                    for p in range(own.size):
                        own[p] += one * light[p]
                else:
                    for p in range(own.size):
                        own[p] += one * light[p] + other * change[p]


@compiled
def _add_pixels(planes, pixel, row, near, far, work):
    """The same, pixel by pixel of the planes: for runs of more steps than planes are wide."""
    (n_terms, tall, wide), n_steps = work.shape, near.shape[1]
    for q in range(max(-row, 0), min(tall - row, planes.shape[1])):
        for p in range(planes.shape[2]):
            light, change, begin = planes[0, q, p], planes[1, q, p], pixel + p
            low, high = max(-begin, 0), min(wide - begin, n_steps)
            if high <= low or (light == 0 and change == 0):
                continue
            for j in range(n_terms):
                own = work[j, row + q, begin + low : begin + high]
                one, other = near[j, low:high], far[j, low:high]
                for k in range(own.size):
                    own[k] += one[k] * light + other[k] * change


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
    frame = locate(squares, path, steps, first, 0.0, places[0])
    if n_pixels > 0:
        frame = united(frame, locate(squares, path, steps, last, float(steps.sign * n_pixels),
                                       places[1]))  # fmt: skip
    pixel, row = frame.pixel - begin[1], frame.row - begin[2]
    ends = pixel, pixel + steps.sign * n_pixels
    if row >= work.shape[1] or row + frame.tall <= 0 or min(ends) >= work.shape[2] or (
        max(ends) + frame.wide <= 0
    ):  # fmt: skip
        return
    planes = np.zeros((2, frame.tall, frame.wide))
    still = steps.low[first] == steps.high[first]
    drop(squares, places[0], frame, still, room, planes[0])
    if n_pixels > 0:
        drop(squares, places[1], frame, still, room, planes[1])
        planes[1] -= planes[0]
    n_steps = max(n_pixels, 1)
    near, far = np.zeros((2, values.shape[1], n_steps))
    for k in range(n_steps):
        m = first + k * steps.per_pixel - begin[0]
        if 0 <= m < values.shape[0]:
            # In the order in which light comes to lie along the pixels.
            near[:, k if steps.sign > 0 else n_steps - 1 - k] = values[m]
            far[:, k if steps.sign > 0 else n_steps - 1 - k] = k / n_steps * values[m]
    pixel = min(pixel, pixel + steps.sign * (n_steps - 1))
    if np.count_nonzero(near) > near.shape[0] * frame.wide:
        _add_pixels(planes, pixel, row, near, far, work)
    else:
        _add_planes(planes, pixel, row, near, far, work)


@compiled
def _disperse(s, terms, bounds, light, paths, cells, work):
    """Columns of one unit, shape (n_terms, n_across, n_along) in its bounds."""
    path, defined = paths.coefficients[s], paths.defined[s]
    upright = is_upright(path)
    own = slice(light.start[s], light.start[s + 1])
    n = own.stop - own.start
    places = (empty_place(n), empty_place(n))
    room = Room(np.empty((light.light.shape[2], n)), np.empty((2, n)), np.empty((2, n)))
    squares = own_squares(light, paths.boxes[s], own, 0, upright)
    steps = plan(path, cells, defined[0], defined[1], squares.across[n // 2],
                 squares.per_part[n // 2])  # fmt: skip
    for band in range(light.light.shape[0]):
        if band > 0:
            squares = own_squares(light, paths.boxes[s], own, band, upright)
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


@compiled
def add_sources(source, terms, bounds, light, paths, cells, values, image):
    """Add sources to an image, each with its own values in the cells, (n_source, n_cell)."""
    for k in range(source.size):
        low_y, high_y, low_x, high_x = bounds[k]
        if high_y == low_y:
            continue
        table = Cells(cells.scaled, cells.width, cells.first, values[source[k]].reshape(-1, 1),
                      cells.band, cells.fraction, cells.per_pixel)  # fmt: skip
        work = _columns(source[k], terms[k], bounds[k], light, paths, table)
        image[low_y:high_y, low_x:high_x] += work[0]
