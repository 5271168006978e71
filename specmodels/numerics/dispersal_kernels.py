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
    is_upright,
    path_shift,
    plan,
    shift_at,
    step_values,
)

__all__ = ["Light", "Paths", "add_unit", "reach"]

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
            box = _moved_box(paths.boxes[s], shift)
            if not np.isfinite(box[0] + box[1] + box[2] + box[3]):
                high_x = np.nan
                break
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
def _any(values, first, last):
    """Whether any value is not zero in some rows, of which there may be fewer."""
    for m in range(max(first, 0), min(last, values.shape[0])):
        for j in range(values.shape[1]):
            if values[m, j] != 0:
                return True
    return False


@compiled
def _run(squares, path, steps, run, values, begin, places, room, work):
    """Add steps to the columns, from the first to before the last, which are both placed.

    Or one step alone, where both are the same; `begin` is the first step that has values, and first
    pixel along and across of the columns.
    """
    first, last = run
    if not _any(values, first - begin[0], max(last, first + 1) - begin[0]):
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
        for q in range(frame.tall):
            for p in range(frame.wide):
                planes[1, q, p] -= planes[0, q, p]
    n_steps, n_lit = max(n_pixels, 1), 0
    shares = np.zeros((2, values.shape[1], n_steps))
    near, far = shares[0], shares[1]
    for k in range(n_steps):
        m = first + k * steps.per_pixel - begin[0]
        if 0 <= m < values.shape[0]:
            # In the order in which light comes to lie along the pixels.
            at = k if steps.sign > 0 else n_steps - 1 - k
            for j in range(values.shape[1]):
                near[j, at], far[j, at] = values[m, j], k / n_steps * values[m, j]
                n_lit += values[m, j] != 0
    pixel = min(pixel, pixel + steps.sign * (n_steps - 1))
    if n_lit > near.shape[0] * frame.wide:
        _add_pixels(planes, pixel, row, near, far, work)
    else:
        _add_planes(planes, pixel, row, near, far, work)


@compiled
def add_unit(s, terms, bounds, light, paths, cells, work):
    """Add one unit to columns, shape (n_terms, n_across, n_along) in its bounds."""
    path, defined = paths.coefficients[s], paths.defined[s]
    upright = is_upright(path)
    start, n = light.start[s], light.start[s + 1] - light.start[s]
    places = (empty_place(n), empty_place(n))
    room = Room(np.empty((light.light.shape[2], n)), np.empty((2, n)), np.empty((2, n)))
    middle, across = start + n // 2, light.x if upright else light.y
    half = light.half[middle]
    steps = plan(path, cells, defined[0], defined[1], across[middle] - half + 0.5,
                 0.5 * light.light.shape[2] / half)  # fmt: skip
    for band in range(light.light.shape[0]):
        squares = own_squares(light, paths.boxes[s], start, n, band, upright)
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
