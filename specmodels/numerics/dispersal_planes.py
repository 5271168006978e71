"""Compiled: where the squares of a source are in one step, and their light on a plane.

Squares that move along a straight piece of path leave in each pixel, on average over the step, a
difference of integrals of their light up to its two edges.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .dispersal_steps import path_shift

__all__ = ["Frame", "OwnSquares", "Place", "Room", "drop", "empty_place", "locate", "own_squares",
           "united"]  # fmt: skip

LEAST_TRAVEL = 1e-3  # pixels: over less, differences of integrals lose digits


class OwnSquares(NamedTuple):
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


class Place(NamedTuple):
    """Where squares are in a step: pixel along and across of their lower corners at the start or
    the end, whichever is lower, how far the corners are in it at both, and what is left of the
    pixel across in the middle of the step.
    """

    pixel: np.ndarray
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    left: np.ndarray


class Frame(NamedTuple):
    """First pixel and size of a plane, along and across; pixels along that a square reaches."""

    pixel: int
    row: int
    wide: int
    tall: int
    reached: int


class Room(NamedTuple):
    """Light of squares below a row of pixels, and below that and a column: low, all, and before."""

    low: np.ndarray
    sums: np.ndarray
    before: np.ndarray


@compiled
def own_squares(light, box, start, n, band, upright):
    """The squares of one source, n from one on, with their light in a band."""
    n_parts = light.light.shape[2]
    u, v, left, low, per_part = (np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    for i in range(n):
        x, y, half = light.x[start + i], light.y[start + i], light.half[start + i]
        u[i], v[i] = (x - box[0]) / box[2], (y - box[1]) / box[3]
        left[i], low[i], per_part[i] = x - half + 0.5, y - half + 0.5, 0.5 * n_parts / half
    parts, whole = np.empty((n_parts, n_parts, n)), np.zeros((n_parts, n))
    for r in range(n_parts):
        for j in range(n_parts):
            row, column = (j, r) if upright else (r, j)
            for i in range(n):
                parts[r, j, i] = light.light[band, start + i, row, column]
                whole[j, i] += parts[r, j, i]
    return OwnSquares(u, v, low if upright else left, left if upright else low, per_part, parts,
                      whole)  # fmt: skip


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
def locate(squares, path, steps, m, offset, place):
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
    for p in range(3):
        for q in range(3):
            before[across, p, q] = 0.5 * (before[across, p, q] + after[across, p, q])
    _moved(before[across], squares, squares.across, left)
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
    return Frame(int(first), int(bottom), int(last - first) + reached, int(top - bottom) + 2,
                  reached)  # fmt: skip


@compiled
def united(one, other):
    """Frame that holds two."""
    pixel, row = min(one.pixel, other.pixel), min(one.row, other.row)
    last = max(one.pixel + one.wide - one.reached, other.pixel + other.wide - other.reached)
    reached = max(one.reached, other.reached)
    return Frame(
        pixel, row, last + reached - pixel,
        max(one.row + one.tall, other.row + other.tall) - row, reached,
    )  # fmt: skip


@compiled
def _clear(values):
    """Set all values to zero, shape (n, n_square)."""
    for j in range(values.shape[0]):
        for i in range(values.shape[1]):
            values[j, i] = 0.0


@compiled
def _split(squares, place, low):
    """Light of each part along that is in the lower row of pixels."""
    parts, per_part, left = squares.parts, squares.per_part, place.left
    _clear(low)
    for r in range(parts.shape[0]):
        for j in range(parts.shape[0]):
            own, light = low[j], parts[r, j]
            for i in range(left.size):
                own[i] += min(max(left[i] * per_part[i] - r, 0.0), 1.0) * light[i]


@compiled
def _below(squares, place, boundary, still, room):
    """Light below a boundary along, of the lower row and of both, on average over the step."""
    start, end, per_part = place.start, place.end, squares.per_part
    _clear(room.sums)
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
def drop(squares, place, frame, still, room, plane):
    """Add the light of all squares to a plane, shape (tall, wide)."""
    _split(squares, place, room.low)
    _clear(room.before)
    n, wide, flat = place.pixel.size, frame.wide, plane.reshape(-1)
    low_sum, sum_ = room.sums[0], room.sums[1]
    for k in range(frame.reached):
        if k + 1 < frame.reached:
            _below(squares, place, k + 1.0, still, room)
        else:  # all that there is
            _clear(room.sums)
            for j in range(room.low.shape[0]):
                low, whole = room.low[j], squares.whole[j]
                for i in range(n):
                    low_sum[i] += low[i]
                    sum_[i] += whole[i]
        low_before, before = room.before[0], room.before[1]
        for i in range(n):
            at = (place.row[i] - frame.row) * wide + place.pixel[i] - frame.pixel + k
            lower, both = low_sum[i] - low_before[i], sum_[i] - before[i]
            flat[np.uint64(at)] += lower
            flat[np.uint64(at + wide)] += both - lower
            low_before[i], before[i] = low_sum[i], sum_[i]


@compiled
def empty_place(n):
    """Arrays of a place of n squares."""
    return Place(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n), np.empty(n),
                  np.empty(n))  # fmt: skip
