"""Light of small squares on a direct image, moved along its trace and dropped on a detector.

Compiled loops, in `dispersal_kernels`, take all squares of a source through its steps of wavelength
together, and add their light to the columns of all basis functions at once. Nothing is kept per
square and wavelength, so the memory is that of the columns.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .cores import in_order
from .dispersal_kernels import Light, Paths, reach, unit_columns
from .dispersal_steps import CELLS_PER_STEP, Cells

__all__ = [
    "CELLS_PER_STEP",
    "Squares",
    "Steps",
    "Traces",
    "chebyshev_nodes",
    "defined_range",
    "disperse",
]

NODES = 3  # of the displacement along each side of a box
CHUNK = 1_000_000
# Wavelengths at which paths are probed that are not defined everywhere, and the least part of the
# range, scaled to a length of two, from which a path can be told.
PROBES, LEAST_DEFINED = 129, 0.1
# Halvings of the distance of probes at the ends; and the part of its range by which a path that all
# of a source has is continued to where that of its middle ends.
BISECTIONS, MOST_BEYOND = 16, 0.25


@dataclass(frozen=True, eq=False)
class Squares:
    """Light of squares on the direct image, sorted by source.

    Attributes
    ----------
    x, y : ndarray, shape (n_square,)
        Centres, in pixels of the direct image.
    light : ndarray, shape (n_band, n_square, n, n)
        Surface brightness times area, in each band, of equal parts of the square by row and column;
        of squares that are not divided (n_band, n_square).
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

    def __post_init__(self):
        if self.light.ndim == 2:
            object.__setattr__(self, "light", self.light[:, :, None, None])

    @property
    def n_source(self):
        """Number of sources."""
        return len(self.start) - 1

    @property
    def total(self):
        """Light of each source, the mean of all bands, shape (n_source,)."""
        each = self.light.mean(axis=0).sum(axis=(1, 2))
        source = np.repeat(np.arange(self.n_source), np.diff(self.start))
        return np.bincount(source, each, self.n_source).astype(float)

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
    coefficients : ndarray, shape (n_source, 2, n_wave_power, 3, 3)
        Of the displacement in x and in y, by powers of the scaled wavelength, y and x.
    defined : ndarray, shape (n_source, 2)
        Range of the scaled wavelength in which the path is defined: light of others is left out.
    """

    boxes: np.ndarray
    coefficients: np.ndarray
    defined: np.ndarray

    @classmethod
    def through(cls, transform, boxes, limits, *, n_wave_nodes=5):
        """Interpolate a transform on a grid of Chebyshev nodes over each box.

        Parameters
        ----------
        transform : callable
            ``transform(x, y, wavelength) -> (x, y)`` of flat arrays.
        boxes : ndarray, shape (n_source, 4)
        limits : tuple of float
            First and last wavelength.
        n_wave_nodes : int
            Nodes along wavelength.
        """
        defined = np.tile([-1.0, 1.0], (len(boxes), 1))
        coefficients = _interpolated(transform, boxes, limits, defined, n_wave_nodes)
        lost = np.flatnonzero(~np.isfinite(coefficients).all(axis=(1, 2, 3, 4)))
        if lost.size:
            defined[lost], everywhere = _defined_in_boxes(transform, boxes[lost], limits)
            told = np.diff(everywhere, axis=1)[:, 0] > LEAST_DEFINED
            lost, everywhere = lost[told], everywhere[told]
            coefficients[lost] = _interpolated(
                transform, boxes[lost], limits, everywhere, n_wave_nodes
            )
        return cls(boxes, coefficients, defined)


def _defined_in_boxes(transform, boxes, limits):
    """Ranges in which paths from boxes are defined, and in which they are from all of a box.

    Returns
    -------
    defined, everywhere : ndarray, shape (n_source, 2)
        The first is that of the centre, which no path may be told beyond by more than a part.
    """
    x, y, width, height = boxes.T
    middle = defined_range(transform, x, y, limits)
    corners = [defined_range(transform, x + a * width, y + b * height, limits)
               for a in (-1, 1) for b in (-1, 1)]  # fmt: skip
    low = np.max([one[:, 0] for one in (middle, *corners)], axis=0)
    high = np.min([one[:, 1] for one in (middle, *corners)], axis=0)
    everywhere = np.stack([low, np.maximum(low, high)], axis=1)
    beyond = MOST_BEYOND * np.diff(everywhere, axis=1)
    return np.clip(middle, everywhere[:, :1] - beyond, everywhere[:, 1:] + beyond), everywhere


def _interpolated(transform, boxes, limits, defined, n_wave_nodes):
    """Coefficients as of `Traces`, from nodes within the range in which each path is defined."""
    node, inverse = chebyshev_nodes(NODES)
    wave_node, _ = chebyshev_nodes(n_wave_nodes)
    shape = (len(boxes), n_wave_nodes, NODES, NODES)
    scaled = defined.mean(axis=1)[:, None] + 0.5 * np.diff(defined, axis=1) * wave_node
    powers = np.linalg.inv(scaled[..., None] ** np.arange(n_wave_nodes))
    x = boxes[:, 0, None] + boxes[:, 2, None] * node
    y = boxes[:, 1, None] + boxes[:, 3, None] * node
    wave = np.mean(limits) + (limits[1] - limits[0]) / 2 * scaled
    x = np.broadcast_to(x[:, None, None, :], shape)
    y = np.broadcast_to(y[:, None, :, None], shape)
    wave = np.broadcast_to(wave[:, :, None, None], shape)
    moved = transform(x.ravel(), y.ravel(), wave.ravel())
    shifts = np.stack([np.reshape(moved[0], shape) - x, np.reshape(moved[1], shape) - y], 1)
    return np.einsum("sla,pb,qc,sdabc->sdlpq", powers, inverse, inverse, shifts, optimize=True)


def defined_range(transform, x, y, limits):
    """Longest range of wavelengths, scaled to -1 to 1, in which light of places has a path.

    Parameters
    ----------
    transform, limits
        As of `Traces.through`.
    x, y : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, 2)
        Two equal numbers where there is none.
    """

    def good(scaled):
        wave = np.mean(limits) + (limits[1] - limits[0]) / 2 * scaled
        places = np.broadcast_arrays(x[:, None], y[:, None], wave)
        moved = transform(*(place.ravel() for place in places))
        return np.isfinite(np.sum(moved, axis=0)).reshape(wave.shape)

    scaled = np.linspace(-1, 1, PROBES)
    seen = good(np.broadcast_to(scaled, (len(x), PROBES)))
    count, longest, last = (np.zeros(len(x), int) for _ in range(3))
    for k in range(PROBES):
        count = np.where(seen[:, k], count + 1, 0)
        longer = count > longest
        longest[longer], last[longer] = count[longer], k
    first = np.maximum(last - longest + 1, 0)
    inner = scaled[np.stack([first, last], axis=1)]
    outer = scaled[np.clip(np.stack([first - 1, last + 1], axis=1), 0, PROBES - 1)]
    inner[longest == 0] = outer[longest == 0] = 0.0
    for _ in range(BISECTIONS):
        between = (inner + outer) / 2
        there = good(between)
        inner, outer = np.where(there, between, inner), np.where(there, outer, between)
    return inner


def chebyshev_nodes(n):
    """Chebyshev nodes, and the matrix from values there to coefficients of powers."""
    nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    return nodes, np.linalg.inv(np.vander(nodes, increasing=True))


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of wavelength, and what each basis function has there.

    Attributes
    ----------
    scaled : ndarray, shape (n_step,)
        Wavelength scaled to -1 to 1 over the limits of the traces; increasing where steps have a
        width.
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
    width : float
        Of all steps, in scaled wavelength, if their light is spread over it. It is then joined to
        longer steps along the path, and moved along it. Zero: light of single wavelengths.
    per_pixel : int
        Least number of these longer steps in a pixel of the path.
    """

    scaled: np.ndarray
    first: np.ndarray
    values: np.ndarray
    n_terms: int
    band: np.ndarray
    fraction: np.ndarray
    width: float = 0.0
    per_pixel: int = 1

    @classmethod
    def of(cls, scaled, columns, *, band=None, fraction=None, **settings):
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
            **settings,
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


def disperse(squares, traces, steps, shape, *, chunk=CHUNK, n_jobs=None, band_size=32):
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
    n_jobs : int, optional
        Threads, see `~specmodels.numerics.cores.in_order`. The result does not depend on it.
    band_size : int
        Terms of one source that are worked on together.

    Returns
    -------
    `~scipy.sparse.csc_array`, shape (n_y * n_x, n_source * n_terms)
        Columns by source and term; row indices are those of the flattened detector.
    """
    n_total = squares.n_source * steps.n_terms
    bands = steps.ranges(max(band_size, steps.values.shape[1]))
    defined = _defined_steps(steps.scaled, traces.defined)
    units = (
        np.repeat(np.arange(squares.n_source), len(bands)),
        _within(np.tile(bands, (squares.n_source, 1)), defined),
    )
    light = Light(squares.x, squares.y, np.ascontiguousarray(squares.light), squares.half,
                  np.asarray(squares.start, np.int64))  # fmt: skip
    paths = Paths(traces.boxes, np.ascontiguousarray(traces.coefficients), defined)
    table = Cells(steps.scaled, steps.width, steps.first, steps.values, steps.band, steps.fraction,
                  steps.per_pixel)  # fmt: skip
    bounds = reach(*units, light, paths, table, np.array(shape))
    cells = ((bounds[:, 1] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 2])
             * (units[1][:, 1] - units[1][:, 0]))  # fmt: skip

    def work(part):
        return unit_columns(units[0][part], units[1][part], bounds[part], light, paths, table,
                            shape[1])  # fmt: skip

    parts = _parts(cells, chunk)
    pieces = list(in_order(work, parts, n_jobs, threads=True))
    counts = [piece[2] for piece in pieces] or [np.zeros(0, np.int64)]
    pointer = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    indices = np.concatenate([piece[0] for piece in pieces] or [np.zeros(0, np.int32)])
    data = np.concatenate([piece[1] for piece in pieces] or [np.zeros(0)])
    del pieces
    if indices.size <= np.iinfo(np.int32).max:
        pointer = pointer.astype(np.int32)
    return sparse.csc_array((data, indices, pointer), shape=(shape[0] * shape[1], n_total))


def _defined_steps(scaled, defined):
    """First and last step of the ranges in which paths are defined, (n_source, 2)."""
    first = np.searchsorted(scaled, defined[:, 0], side="left")
    stop = np.searchsorted(scaled, defined[:, 1], side="right")
    return np.stack([first, np.maximum(stop, first)], axis=1).astype(np.int64)


def _within(bands, defined):
    """Bands of terms with their steps cut to the ranges in which paths are defined, in order."""
    first, stop = np.repeat(defined, len(bands) // max(len(defined), 1), axis=0).T
    bands[:, 2] = np.maximum(bands[:, 2], first)
    bands[:, 3] = np.maximum(np.minimum(bands[:, 3], stop), bands[:, 2])
    return bands


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
