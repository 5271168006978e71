"""Compiled: the steps in which the light of a source is moved, and what each holds of every term.

Steps are parts of a pixel along the path of the source's centre, of which a whole number makes a
pixel: the light of all steps of one phase then falls on pixels in nearly the same way.
"""

from typing import NamedTuple

import numpy as np

from .compiled import compiled

__all__ = ["CELLS_PER_STEP", "Cells", "Plan", "is_upright", "path_shift", "plan", "shift_at",
           "step_values"]  # fmt: skip

# Parts of a pixel that a step may move across the dispersion, where it is not followed exactly.
ACROSS = 1 / 8
# Wavelengths of the table that make a step, at most, for responses and lines that vary in it.
CELLS_PER_STEP = 2
# Fewest steps of a path, for orders that are hardly dispersed.
FEWEST = 16
# Between images of a source that are interpolated: pixels by which its corners may move against its
# centre, and by which the path of the centre may bend.
DRIFT, BEND = 1 / 32, 1 / 2048
PROBES = 17


class Cells(NamedTuple):
    """Arrays of `~specmodels.numerics.dispersal.Steps`."""

    scaled: np.ndarray
    width: float
    first: np.ndarray
    values: np.ndarray
    band: np.ndarray
    fraction: np.ndarray
    per_pixel: int


class Plan(NamedTuple):
    """Steps of a source, as scaled wavelengths where they start and end.

    Its light moves along columns where `upright`, each step by ``sign / per_pixel`` of a pixel but
    for the last, which may be shorter. It is placed anew in each node; between nodes of one phase
    it changes linearly but for whole pixels.
    """

    low: np.ndarray
    high: np.ndarray
    per_pixel: int
    sign: int
    upright: bool
    node: np.ndarray


@compiled
def path_shift(coefficients, scaled, out):
    """Coefficients of the displacement at one wavelength, by powers of y and x: (2, 3, 3)."""
    for d in range(2):
        for p in range(3):
            for q in range(3):
                total = 0.0
                for k in range(coefficients.shape[1] - 1, -1, -1):
                    total = total * scaled + coefficients[d, k, p, q]
                out[d, p, q] = total


@compiled
def shift_at(shift, u, v):
    """Value of a polynomial of degree two in both coordinates."""
    value = (shift[2, 2] * v + shift[1, 2]) * v + shift[0, 2]
    value = value * u + ((shift[2, 1] * v + shift[1, 1]) * v + shift[0, 1])
    return value * u + ((shift[2, 0] * v + shift[1, 0]) * v + shift[0, 0])


@compiled
def plan(coefficients, cells, first, stop, edge, per_part):
    """Steps of a source.

    Its path, shape (2, n_power, 3, 3), is defined from the first cell on; `edge` is the lower edge
    across the dispersion of a square in its centre, before it moves, and `per_part` the number of
    its parts in a pixel.
    """
    n, upright = stop - first, is_upright(coefficients)
    if cells.width == 0:  # light of single wavelengths
        scaled = cells.scaled[first:stop]
        return Plan(scaled, scaled, 1, 1, upright, np.ones(n, np.bool_))
    start = cells.scaled[first] - 0.5 * cells.width
    way, across, net = _way(coefficients, start, cells.width, n, upright)
    per_pixel = cells.per_pixel
    if way[n] > 0:
        per_pixel = max(per_pixel, int(np.ceil(across / way[n] / ACROSS)))
    n_steps = int(np.ceil(way[n] * per_pixel - 1e-6))
    if n_steps < FEWEST:
        edges = np.empty(FEWEST + 1)
        for m in range(FEWEST + 1):
            edges[m] = start + cells.width * n / FEWEST * m
        return Plan(edges[:-1], edges[1:], 1, 1, upright, np.ones(FEWEST, np.bool_))
    edges, c = np.empty(n_steps + 1), 0
    for m in range(n_steps):
        at = m / per_pixel
        while way[c + 1] < at:
            c += 1
        edges[m] = start + cells.width * (c + (at - way[c]) / max(way[c + 1] - way[c], 1e-300))
    edges[n_steps] = start + cells.width * n
    sign = 1 if net >= 0 else -1
    longest = DRIFT / max(_rate(coefficients, edges, per_pixel), 1e-12)
    node = _nodes(coefficients, edges, per_pixel, upright, longest, edge, per_part)
    return Plan(edges[:-1], edges[1:], per_pixel, sign, upright, node)


@compiled
def is_upright(coefficients):
    """Whether light moves along columns rather than rows."""
    moved = np.zeros(2)
    for k in range(1, coefficients.shape[1]):
        for d in range(2):
            moved[d] += abs(coefficients[d, k, 0, 0])
    return moved[1] > moved[0]


@compiled
def _center(coefficients, d, scaled):
    """Displacement of the centre of a source in x (0) or y (1)."""
    value = 0.0
    for k in range(coefficients.shape[1] - 1, -1, -1):
        value = value * scaled + coefficients[d, k, 0, 0]
    return value


@compiled
def _way(coefficients, start, width, n, upright):
    """Pixels along the dispersion up to each edge of a cell, all across, and net ones along."""
    along, across = (1, 0) if upright else (0, 1)
    way, total = np.zeros(n + 1), 0.0
    x, y = _center(coefficients, along, start), _center(coefficients, across, start)
    begin = x
    for c in range(1, n + 1):
        before_x, before_y, scaled = x, y, start + c * width
        x, y = _center(coefficients, along, scaled), _center(coefficients, across, scaled)
        way[c] = way[c - 1] + abs(x - before_x)
        total += abs(y - before_y)
    return way, total, x - begin


@compiled
def _rate(coefficients, edges, per_pixel):
    """Pixels by which corners move against the centre, at most, for each pixel along the path."""
    before, after, rate = np.empty((2, 3, 3)), np.empty((2, 3, 3)), 0.0
    for probe in range(PROBES):
        m = max(edges.size - 2 - per_pixel, 0) * probe // (PROBES - 1)
        path_shift(coefficients, edges[m], before)
        path_shift(coefficients, edges[min(m + per_pixel, edges.size - 1)], after)
        for d in range(2):
            for p in range(3):
                for q in range(3):
                    after[d, p, q] -= before[d, p, q]
            after[d, 0, 0] = 0.0
        for v in (-1.0, 0.0, 1.0):
            for u in (-1.0, 0.0, 1.0):
                rate = max(rate, abs(shift_at(after[0], u, v)), abs(shift_at(after[1], u, v)))
    return rate


@compiled
def _nodes(coefficients, edges, per_pixel, upright, longest, edge, per_part):
    """Steps between which linear interpolation will do.

    Light goes over linearly from one row of pixels to the next until an edge of parts of squares
    comes to lie on an edge of pixels: before and after that are nodes.
    """
    n, across = edges.size - 1, 0 if upright else 1
    place, node = np.empty(n), np.zeros(n, np.bool_)
    for m in range(n):
        place[m] = edge + _center(coefficients, across, 0.5 * (edges[m] + edges[m + 1]))
    for phase in range(min(per_pixel, n)):
        last = phase
        node[last] = True
        for m in range(phase + per_pixel, n, per_pixel):
            before = m - per_pixel
            first_slope = place[last + per_pixel] - place[last]
            bend = abs(place[m] - place[before] - first_slope) * (m - last) / per_pixel / 8
            if np.floor(place[m] * per_part) != np.floor(place[before] * per_part):
                node[before] = node[m] = True
                last = m
            elif bend > BEND or m - last >= longest * per_pixel:
                node[m] = True
                last = m
        node[m] = True
    # The last step may be shorter than the others.
    node[n - 1] = node[max(n - 1 - per_pixel, 0)] = True
    return node


@compiled
def step_values(steps, cells, band, origin, first, stop, low, high):
    """Light of terms from low to high in steps that overlap cells, and the first of these steps.

    Shape (n_step, n_terms), with the share of a band of the direct image; `origin` is the first
    cell of the source.

    Steps of even light widen a spectrum by their own length, twice over, as averages and as steps:
    a part of the differences between neighbours, which takes from each and gives to the other,
    undoes it to the fourth order.
    """
    if cells.width == 0:
        out = np.zeros((stop - first, high - low))
        for c in range(first, stop):
            _add_terms(cells, c, band, 1.0, low, high, out[c - first])
        return first - origin, out
    start = cells.scaled[first] - 0.5 * cells.width
    end = start + cells.width * (stop - first)
    m0, m1 = 0, steps.low.size
    while m0 + 1 < m1 and steps.high[m0] < start:
        m0 += 1
    m0 = max(m0 - 1, 0)
    while m1 > m0 + 1 and steps.low[m1 - 1] >= end:
        m1 -= 1
    m1 = min(m1 + 1, steps.low.size)
    out, m = np.zeros((m1 - m0, high - low)), m0
    for c in range(first, stop):
        left = cells.scaled[c] - 0.5 * cells.width
        right = left + cells.width
        while m + 1 < m1 and steps.high[m] <= left:
            m += 1
        k = m
        while k < m1 and steps.low[k] < right:
            share = (min(right, steps.high[k]) - max(left, steps.low[k])) / cells.width
            if share > 0:
                _add_terms(cells, c, band, share, low, high, out[k - m0])
            k += 1
    _sharpen(out, steps.low[m0:m1], steps.high[m0:m1])
    return m0, out


@compiled
def _add_terms(cells, c, band, share, low, high, out):
    """Add a share of the light of a cell in a band to the terms from low to high."""
    if cells.band[c] == band:
        share *= 1 - cells.fraction[c]
    elif cells.band[c] + 1 == band:
        share *= cells.fraction[c]
    else:
        return
    for j in range(cells.values.shape[1]):
        term = cells.first[c] + j
        if low <= term < high:
            out[term - low] += share * cells.values[c, j]


@compiled
def _sharpen(values, low, high):
    """Take out how much steps widen what varies from one to the next, in place."""
    for j in range(values.shape[1]):
        own = values[0, j]
        for m in range(low.size - 1):
            following, length, next_length = (
                values[m + 1, j],
                high[m] - low[m],
                high[m + 1] - low[m + 1],
            )
            part = (following / next_length - own / length) / 12
            part *= min(length, next_length)
            values[m, j] -= part
            values[m + 1, j] += part
            own = following
