"""Light of small squares on a direct image, moved along its trace and dropped on a detector.

One fused loop takes each square through all wavelengths, finds the pixels it overlaps, and adds its
light to the columns of all basis functions at once. Nothing is kept per square and wavelength, so
the memory is that of the columns. Compiled, since each square has a path of its own.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from scipy import sparse

__all__ = ["Squares", "Steps", "Traces", "disperse", "trace_length"]

SLACK = 0.01  # pixels for each of a box's half size, for paths that bend between its corners
CHUNK = 1_000_000


@dataclass(frozen=True, eq=False)
class Squares:
    """Light of squares on the direct image, sorted by source.

    Attributes
    ----------
    x, y : ndarray, shape (n_square,)
        Centres, in pixels of the direct image.
    light : ndarray, shape (n_band, n_square)
        Surface brightness times area, in each band.
    half : ndarray, shape (n_square,)
        Half of the side; at most half a pixel.
    start : ndarray of int, shape (n_source + 1,)
        The squares of source s are ``start[s]`` to ``start[s + 1]``.
    """

    x: np.ndarray
    y: np.ndarray
    light: np.ndarray
    half: np.ndarray
    start: np.ndarray

    @property
    def n_source(self):
        """Number of sources."""
        return len(self.start) - 1

    def boxes(self):
        """Centre and half size of the box around the centres of each source.

        Returns
        -------
        ndarray, shape (n_source, 4)
            x, y, half width, half height; of sources without squares zeros and ones.
        """
        out = np.zeros((self.n_source, 4))
        out[:, 2:] = 1.0
        filled = np.flatnonzero(np.diff(self.start))
        for axis, values in enumerate((self.x, self.y)):
            low = np.minimum.reduceat(values, self.start[filled])
            high = np.maximum.reduceat(values, self.start[filled])
            out[filled, axis] = (low + high) / 2
            out[filled, axis + 2] = np.maximum((high - low) / 2, 0.5)
        return out


@dataclass(frozen=True, eq=False)
class Traces:
    """Displacement of light as polynomials of position in the source's box and of wavelength.

    Attributes
    ----------
    boxes : ndarray, shape (n_source, 4)
        As of `Squares.boxes`.
    coefficients : ndarray, shape (n_source, 2, n_wave_power, n_power, n_power)
        Of the displacement in x and in y, by powers of the scaled wavelength, y and x.
    """

    boxes: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def through(cls, transform, boxes, limits, *, n_nodes=3, n_wave_nodes=5):
        """Interpolate a transform on a grid of Chebyshev nodes over each box.

        Parameters
        ----------
        transform : callable
            ``transform(x, y, wavelength) -> (x, y)`` of flat arrays.
        boxes : ndarray, shape (n_source, 4)
        limits : tuple of float
            First and last wavelength.
        n_nodes, n_wave_nodes : int
            Nodes along each side and along wavelength.
        """
        node, inverse = _nodes(n_nodes)
        wave_node, wave_inverse = _nodes(n_wave_nodes)
        shape = (len(boxes), n_wave_nodes, n_nodes, n_nodes)
        x = boxes[:, 0, None] + boxes[:, 2, None] * node
        y = boxes[:, 1, None] + boxes[:, 3, None] * node
        wave = np.mean(limits) + (limits[1] - limits[0]) / 2 * wave_node
        x = np.broadcast_to(x[:, None, None, :], shape)
        y = np.broadcast_to(y[:, None, :, None], shape)
        wave = np.broadcast_to(wave[None, :, None, None], shape)
        moved = transform(x.ravel(), y.ravel(), wave.ravel())
        shifts = np.stack([np.reshape(moved[0], shape) - x, np.reshape(moved[1], shape) - y], 1)
        return cls(boxes, np.einsum("la,pb,qc,sdabc->sdlpq", wave_inverse, inverse, inverse,
                                    shifts, optimize=True))  # fmt: skip


def _nodes(n):
    """Chebyshev nodes, and the matrix from values there to coefficients of powers."""
    nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    return nodes, np.linalg.inv(np.vander(nodes, increasing=True))


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of wavelength, and what each basis function has there.

    Attributes
    ----------
    scaled : ndarray, shape (n_step,)
        Wavelength scaled to -1 to 1 over the limits of the traces.
    first : ndarray of int, shape (n_step,)
        First basis function that is not zero; must not decrease.
    values : ndarray, shape (n_step, n_wide)
        Counts that unit light gives through the basis functions from `first` on.
    n_terms : int
        Number of basis functions.
    band : ndarray of int, shape (n_step,)
        Light is interpolated between this band of the squares and the next ...
    fraction : ndarray, shape (n_step,)
        ... with this weight of the next.
    """

    scaled: np.ndarray
    first: np.ndarray
    values: np.ndarray
    n_terms: int
    band: np.ndarray
    fraction: np.ndarray

    @classmethod
    def of(cls, scaled, columns, *, band=None, fraction=None):
        """Make the table of basis columns, shape (n_step, n_terms), finding where they are zero."""
        lit = columns != 0
        some = lit.any(axis=1)
        first = np.where(some, lit.argmax(axis=1), 0)
        last = np.where(some, columns.shape[1] - lit[:, ::-1].argmax(axis=1), 1)
        width = int((last - first).max(initial=1))
        # Ends are moved apart where a column is zero by chance, so that both sequences rise.
        first = np.minimum.accumulate(np.where(some, first, columns.shape[1])[::-1])[::-1]
        first = np.minimum(first, columns.shape[1] - 1)
        last = np.maximum.accumulate(last)
        width = max(width, int((last - first).max(initial=1)))
        first = np.minimum(first, columns.shape[1] - width)
        values = np.take_along_axis(columns, first[:, None] + np.arange(width), axis=1)
        n_step = len(scaled)
        return cls(
            np.asarray(scaled, dtype=float), first.astype(np.int64), np.ascontiguousarray(values),
            columns.shape[1],
            np.zeros(n_step, np.int64) if band is None else np.asarray(band, np.int64),
            np.zeros(n_step) if fraction is None else np.asarray(fraction, dtype=float),
        )  # fmt: skip

    def ranges(self, band_size):
        """First and last term, first and last step of bands of terms: shape (n_band, 4)."""
        low = np.arange(0, self.n_terms, band_size)
        high = np.minimum(low + band_size, self.n_terms)
        lit = np.flatnonzero((self.values != 0).any(axis=1))
        ends = (lit[0], lit[-1] + 1) if len(lit) else (0, 0)
        width = self.values.shape[1]
        start = np.searchsorted(self.first + width, low, side="right").clip(*ends)
        stop = np.searchsorted(self.first, high, side="left").clip(*ends)
        return np.stack([low, high, start, stop], axis=1)


def trace_length(traces):
    """Longest path of any source between the ends of the wavelengths, in pixels."""
    ends = np.array([-1.0, 1.0])[:, None] ** np.arange(traces.coefficients.shape[2])
    shift = np.einsum("el,sdl->sde", ends, traces.coefficients[..., 0, 0])
    return float(np.max(np.hypot(*np.moveaxis(shift[..., 1] - shift[..., 0], 1, 0)), initial=0.0))


def disperse(squares, traces, steps, shape, *, chunk=CHUNK, n_jobs=1, band_size=32):
    """Basis columns of all sources on a detector.

    Parameters
    ----------
    squares : Squares
    traces : Traces
    steps : Steps
    shape : tuple of int
        Shape of the detector, (n_y, n_x).
    chunk : int
        Number of cells of 8 bytes that may be worked on at a time by each thread; a band of terms
        of one source always is. The result does not depend on it.
    n_jobs : int
        Threads. The result does not depend on their number.
    band_size : int
        Terms of one source that are worked on together.

    Returns
    -------
    `~scipy.sparse.csc_array`, shape (n_y * n_x, n_source * n_terms)
        Columns by source and term; row indices are those of the flattened detector.
    """
    n_total = squares.n_source * steps.n_terms
    bands = steps.ranges(max(band_size, steps.values.shape[1]))
    units = (
        np.repeat(np.arange(squares.n_source), len(bands)),
        np.tile(bands, (squares.n_source, 1)),
    )
    arguments = (squares.x, squares.y, np.ascontiguousarray(squares.light), squares.half,
                 np.asarray(squares.start, np.int64), traces.boxes,
                 np.ascontiguousarray(traces.coefficients), steps.scaled, steps.first, steps.values,
                 steps.band, steps.fraction)  # fmt: skip
    bounds = _bounds(units[0], units[1], *arguments, np.array(shape))
    cells = ((bounds[:, 1] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 2])
             * (units[1][:, 1] - units[1][:, 0]))  # fmt: skip

    def work(part):
        return _columns(units[0][part], units[1][part], bounds[part], *arguments, shape[1])

    parts = _parts(cells, chunk)
    if n_jobs > 1:
        with ThreadPoolExecutor(n_jobs) as pool:
            pieces = list(pool.map(work, parts))
    else:
        pieces = [work(part) for part in parts]
    counts = [piece[2] for piece in pieces] or [np.zeros(0, np.int64)]
    pointer = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    indices = np.concatenate([piece[0] for piece in pieces] or [np.zeros(0, np.int32)])
    data = np.concatenate([piece[1] for piece in pieces] or [np.zeros(0)])
    del pieces
    if indices.size <= np.iinfo(np.int32).max:
        pointer = pointer.astype(np.int32)
    return sparse.csc_array((data, indices, pointer), shape=(shape[0] * shape[1], n_total))


def _parts(cells, chunk):
    """Slices of consecutive units whose cells stay within a chunk."""
    parts, first, total = [], 0, 0
    for k, n in enumerate(cells):
        if k > first and total + n > chunk:
            parts.append(slice(first, k))
            first, total = k, 0
        total += n
    if len(cells):
        parts.append(slice(first, len(cells)))
    return parts


@numba.njit(cache=True, nogil=True)
def _shift_in_box(coefficients, scaled, out):
    """Coefficients of the displacement at one wavelength by powers of y and x."""
    n_wave, n_power = coefficients.shape[1], coefficients.shape[2]
    for d in range(2):
        for p in range(n_power):
            for q in range(n_power):
                total = 0.0
                for k in range(n_wave - 1, -1, -1):
                    total = total * scaled + coefficients[d, k, p, q]
                out[d, p, q] = total


@numba.njit(cache=True, nogil=True)
def _shift_in_row(box_shift, v, out):
    n_power = box_shift.shape[1]
    for d in range(2):
        for q in range(n_power):
            total = 0.0
            for p in range(n_power - 1, -1, -1):
                total = total * v + box_shift[d, p, q]
            out[d, q] = total


@numba.njit(cache=True, nogil=True)
def _along_row(row_shift, d, u):
    total = 0.0
    for q in range(row_shift.shape[1] - 1, -1, -1):
        total = total * u + row_shift[d, q]
    return total


@numba.njit(cache=True, nogil=True)
def _bounds(source, bands, x, y, light, half, start, boxes, coefficients, scaled, first, values,
            band, fraction, shape):  # fmt: skip
    """Rows and columns which the light of each unit can reach, (n_unit, 4), empty if none."""
    out = np.zeros((source.size, 4), np.int64)
    n_power = coefficients.shape[3]
    box_shift = np.empty((2, n_power, n_power))
    row_shift = np.empty((2, n_power))
    for k in range(source.size):
        s = source[k]
        if start[s + 1] == start[s]:
            continue
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for m in range(bands[k, 2], bands[k, 3]):
            _shift_in_box(coefficients[s], scaled[m], box_shift)
            if not np.isfinite(box_shift).all():
                high_x = np.nan
                break
            first_x, first_y, n_wide, n_tall = _frame(boxes[s], box_shift, row_shift)
            low_x, high_x = min(low_x, first_x), max(high_x, first_x + n_wide)
            low_y, high_y = min(low_y, first_y), max(high_y, first_y + n_tall)
        if not (np.isfinite(low_x) and np.isfinite(high_x)):
            continue
        rows = max(low_y, 0.0), min(high_y, shape[0])
        columns = max(low_x, 0.0), min(high_x, shape[1])
        if rows[1] > rows[0] and columns[1] > columns[0]:
            out[k, 0], out[k, 1] = int(rows[0]), int(rows[1])
            out[k, 2], out[k, 3] = int(columns[0]), int(columns[1])
    return out


@numba.njit(cache=True, nogil=True)
def _frame(box, box_shift, row_shift):
    """First pixel, width and height of a plane that holds a moved box."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for v in (-1.0, 1.0):
        _shift_in_row(box_shift, v, row_shift)
        for u in (-1.0, 1.0):
            at_x = box[0] + u * box[2] + _along_row(row_shift, 0, u)
            at_y = box[1] + v * box[3] + _along_row(row_shift, 1, u)
            low_x, high_x = min(low_x, at_x), max(high_x, at_x)
            low_y, high_y = min(low_y, at_y), max(high_y, at_y)
    # A square reaches half a pixel beyond its centre at most, and into the pixel after.
    slack_x, slack_y = SLACK * (1 + box[2]), SLACK * (1 + box[3])
    first_x, first_y = int(np.floor(low_x - slack_x)), int(np.floor(low_y - slack_y))
    return (first_x, first_y, int(np.floor(high_x + slack_x + 0.5)) + 2 - first_x,
            int(np.floor(high_y + slack_y + 0.5)) + 2 - first_y)  # fmt: skip


@numba.njit(cache=True, nogil=True)
def _picture(x, y, light, next_light, part, half, box, box_shift, row_shift, first_x, first_y,
             n_wide, n_tall, plane):  # fmt: skip
    """Drop all squares of a source, as they are moved at one wavelength, on a plane of pixels."""
    last_y, per_width = np.nan, 1 / box[2]
    n_power = row_shift.shape[1]
    for i in range(x.size):
        value = light[i] + part * (next_light[i] - light[i])
        if y[i] != last_y:
            last_y = y[i]
            _shift_in_row(box_shift, (last_y - box[1]) / box[3], row_shift)
        u = (x[i] - box[0]) * per_width
        at_x, at_y = row_shift[0, n_power - 1], row_shift[1, n_power - 1]
        for q in range(n_power - 2, -1, -1):
            at_x = at_x * u + row_shift[0, q]
            at_y = at_y * u + row_shift[1, q]
        # The lower edge, counted from that of the plane's first pixel, in pixels.
        edge_x = at_x + x[i] - half[i] + 0.5 - first_x
        edge_y = at_y + y[i] - half[i] + 0.5 - first_y
        below_x, below_y = np.floor(edge_x), np.floor(edge_y)
        if not (0 <= below_x < n_wide - 1 and 0 <= below_y < n_tall - 1):
            continue
        per_side = 0.5 / half[i]
        right = min(max((edge_x + 2 * half[i] - below_x - 1) * per_side, 0.0), 1.0)
        top = min(max((edge_y + 2 * half[i] - below_y - 1) * per_side, 0.0), 1.0)
        cell = np.uint64(below_y) * np.uint64(n_wide) + np.uint64(below_x)
        high = value * top
        low = value - high
        plane[cell] += low - low * right
        plane[cell + np.uint64(1)] += low * right
        cell += np.uint64(n_wide)
        plane[cell] += high - high * right
        plane[cell + np.uint64(1)] += high * right


@numba.njit(cache=True, nogil=True)
def _spread(plane, n_wide, n_tall, first_x, first_y, rows, columns, work, n_terms, at, values):
    """Add the plane times each basis function to the pixels of the columns, and clear it."""
    wide = columns[1] - columns[0]
    low, high = max(columns[0] - first_x, 0), min(columns[1] - first_x, n_wide)
    for q in range(max(rows[0] - first_y, 0), min(rows[1] - first_y, n_tall)):
        start = ((first_y + q - rows[0]) * wide + first_x - columns[0]) * n_terms + at
        if values.size == 4:
            v0, v1, v2, v3 = values[0], values[1], values[2], values[3]
            for p in range(low, high):
                light = plane[q * n_wide + p]
                if light != 0:
                    cell = start + p * n_terms
                    work[cell] += light * v0
                    work[cell + 1] += light * v1
                    work[cell + 2] += light * v2
                    work[cell + 3] += light * v3
        else:
            for p in range(low, high):
                light = plane[q * n_wide + p]
                if light != 0:
                    for j in range(values.size):
                        work[start + p * n_terms + j] += light * values[j]
    plane[: n_wide * n_tall] = 0.0


@numba.njit(cache=True, nogil=True)
def _columns(source, bands, bounds, x, y, light, half, start, boxes, coefficients, scaled, first,
             values, band, fraction, n_x):  # fmt: skip
    """Indices, values and number of entries of the columns of some units, term by term."""
    n_cells, n_columns = 0, 0
    for k in range(source.size):
        n_terms = bands[k, 1] - bands[k, 0]
        n_columns += n_terms
        n_cells += n_terms * (bounds[k, 1] - bounds[k, 0]) * (bounds[k, 3] - bounds[k, 2])
    indices, data = np.empty(n_cells, np.int32), np.empty(n_cells)
    counts = np.zeros(n_columns, np.int64)
    n_power = coefficients.shape[3]
    box_shift = np.empty((2, n_power, n_power))
    row_shift = np.empty((2, n_power))
    entry, column = 0, 0
    for k in range(source.size):
        s, low, high = source[k], bands[k, 0], bands[k, 1]
        rows, columns = (bounds[k, 0], bounds[k, 1]), (bounds[k, 2], bounds[k, 3])
        wide, n_terms = columns[1] - columns[0], high - low
        n_pixels = (rows[1] - rows[0]) * wide
        work = np.zeros(n_pixels * n_terms)
        mine = slice(start[s], start[s + 1])
        plane = np.zeros(0)
        for m in range(bands[k, 2], bands[k, 3] if n_pixels else bands[k, 2]):
            _shift_in_box(coefficients[s], scaled[m], box_shift)
            first_x, first_y, n_wide, n_tall = _frame(boxes[s], box_shift, row_shift)
            if plane.size < n_wide * n_tall:
                plane = np.zeros(2 * n_wide * n_tall)
            following = band[m] + (1 if fraction[m] > 0 else 0)
            _picture(x[mine], y[mine], light[band[m], mine], light[following, mine], fraction[m],
                     half[mine], boxes[s], box_shift, row_shift, first_x, first_y, n_wide, n_tall,
                     plane)  # fmt: skip
            skip = max(low - first[m], 0)
            _spread(plane, n_wide, n_tall, first_x, first_y, rows, columns, work, n_terms,
                    first[m] + skip - low, values[m, skip : high - first[m]])  # fmt: skip
        for j in range(n_terms):
            for cell in range(n_pixels):
                if work[cell * n_terms + j] != 0:
                    row, place = divmod(cell, wide)
                    indices[entry] = (rows[0] + row) * n_x + columns[0] + place
                    data[entry] = work[cell * n_terms + j]
                    entry += 1
                    counts[column] += 1
            column += 1
    return indices[:entry].copy(), data[:entry].copy(), counts
