"""Light of small squares on a direct image, moved along its trace and dropped on a detector.

Compiled loops, in `dispersal_kernels`, take all squares of a source through its steps of wavelength
together, and add their light to the columns of all basis functions at once. Nothing is kept per
square and wavelength, so the memory is that of the columns.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .cores import in_order
from .dispersal_kernels import Light, Paths, reach
from .dispersal_paths import Traces, chebyshev_nodes, defined_range
from .dispersal_steps import CELLS_PER_STEP, Cells
from .dispersal_units import add_sources, unit_columns

__all__ = ["CELLS_PER_STEP", "Squares", "Steps", "Traces", "chebyshev_nodes", "defined_range",
           "disperse", "dispersed_image"]  # fmt: skip

CHUNK = 1_000_000


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

    def of(self, chosen):
        """The squares of some sources, in the order of their numbers."""
        if len(chosen) == self.n_source:
            return self
        sizes = np.diff(self.start)[chosen]
        first = np.cumsum(sizes) - sizes
        index = np.repeat(self.start[chosen] - first, sizes) + np.arange(sizes.sum())
        return Squares(self.x[index], self.y[index], self.light[:, index], self.half[index],
                       np.concatenate([[0], np.cumsum(sizes)]))  # fmt: skip

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
    units, bounds, arrays = _units(squares, traces, steps, bands, shape)
    cells = ((bounds[:, 1] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 2])
             * (units[1][:, 1] - units[1][:, 0]))  # fmt: skip

    def work(part):
        return unit_columns(units[0][part], units[1][part], bounds[part], arrays, shape[1])

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


def dispersed_image(squares, traces, steps, values, shape):
    """Image of sources with known spectra; no columns are made.

    Parameters
    ----------
    squares, traces, shape
        As of `disperse`.
    steps : Steps
        Of one term, whose values are not used.
    values : ndarray, shape (n_source, n_step)
        Counts that unit light of each source gives in each step.

    Returns
    -------
    ndarray, shape (n_y, n_x)
    """
    image = np.zeros(shape)
    bands = np.array([[0, 1, 0, len(steps.scaled)]], dtype=np.int64)
    units, bounds, arrays = _units(squares, traces, steps, bands, shape)
    add_sources(*units, bounds, arrays, np.ascontiguousarray(values, dtype=float), image)
    return image


def _units(squares, traces, steps, bands, shape):
    """Sources in bands of terms, the pixels that they reach, and the arrays that kernels take."""
    defined = _defined_steps(steps.scaled, traces.defined)
    units = (
        np.repeat(np.arange(squares.n_source), len(bands)),
        _within(np.tile(bands, (squares.n_source, 1)), defined),
    )
    light = Light(squares.x, squares.y, np.ascontiguousarray(squares.light), squares.half,
                  np.asarray(squares.start, np.int64))  # fmt: skip
    paths = Paths(traces.boxes, np.ascontiguousarray(traces.coefficients), defined)
    cells = Cells(steps.scaled, steps.width, steps.first, steps.values, steps.band, steps.fraction,
                  steps.per_pixel)  # fmt: skip
    arrays = light, paths, cells
    return units, reach(*units, *arrays, np.array(shape)), arrays


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
