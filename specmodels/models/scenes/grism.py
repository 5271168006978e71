"""`Grism`, how a slitless spectrograph disperses, and `DispersedSource`, one source on a detector.

The scene of all sources is in `scene`, their choice in `selection`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from astropy import units as u
from scipy import sparse

from ...numerics.dispersal import (
    CELLS_PER_STEP,
    Steps,
    Traces,
    chebyshev_nodes,
    defined_range,
    disperse,
)
from ..linear import BasisModel

__all__ = ["DispersedSource", "Grism", "Sensitivity"]

WAVE_NODES = (3, 5, 7, 9, 13, 17)
TRACE_TOLERANCE = 1e-7  # pixels, of the interpolation along wavelength
FEWEST_STEPS = 16


class Sensitivity:
    """Count rate for unit surface brightness and wavelength, from a table.

    Parameters
    ----------
    wavelength, response : array_like, shape (n,)
        Linear between entries, zero outside of the table.
    inverse : bool
        Whether the table holds brightness for a unit count rate, as photometric reference files do;
        it is then interpolated as it is, and zero means no response.

    Raises
    ------
    ValueError
        If the arrays do not match, or are empty.
    """

    def __init__(self, wavelength, response, *, inverse=False):
        wavelength, response = (np.array(v, dtype=float) for v in (wavelength, response))
        if wavelength.ndim != 1 or wavelength.shape != response.shape or not wavelength.size:
            raise ValueError(
                "response: expected one value for each wavelength, got shapes "
                f"{wavelength.shape} and {response.shape}"
            )
        order = np.argsort(wavelength)
        self.wavelength, self.response = wavelength[order], np.nan_to_num(response[order])
        self.inverse = bool(inverse)

    def __call__(self, wavelength):
        """Response at these wavelengths, same shape."""
        value = np.interp(wavelength, self.wavelength, self.response, left=0.0, right=0.0)
        if not self.inverse:
            return value
        return np.divide(1.0, value, out=np.zeros_like(value), where=value != 0)


@dataclass(frozen=True)
class Grism:
    """How light of a direct image comes to lie on the detector behind a grism.

    Parameters
    ----------
    transform : callable
        ``transform(x, y, wavelength, order) -> (x, y)``: from a pixel of the direct image to one of
        the grism image, for flat arrays and one order. Positions are counted from the centre of the
        first pixel.
    wavelength_range : mapping of int to tuple of float
        First and last wavelength of each order.
    sensitivity : mapping of int to callable or pair of arrays
        Count rate for unit surface brightness and wavelength, a function of wavelength or a table
        (wavelength, response). Orders without one are left out of scenes, with that reason.
    shape : tuple of int
        Shape of the detector, (n_y, n_x).
    wavelength_unit : `~astropy.units.Unit` or str
        Of all wavelengths.

    Raises
    ------
    TypeError
        If the transform or a sensitivity cannot be used.
    ValueError
        If a range does not increase, or there is none.
    """

    transform: object
    wavelength_range: Mapping
    sensitivity: Mapping
    shape: tuple = (2048, 2048)
    wavelength_unit: u.UnitBase = u.um
    orders: tuple = field(init=False)
    _paths: dict = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self):
        if not callable(self.transform):
            raise TypeError(f"transform: expected a callable, got {self.transform!r}")
        ranges = {int(order): tuple(float(v) for v in limits)
                  for order, limits in dict(self.wavelength_range).items()}  # fmt: skip
        if not ranges:
            raise ValueError("wavelength_range: expected at least one order, got none")
        for order, limits in ranges.items():
            if len(limits) != 2 or not np.all(np.isfinite(limits)) or limits[0] >= limits[1]:
                raise ValueError(
                    f"wavelength_range[{order}]: expected two increasing wavelengths, got {limits}"
                )
        given = {k: value for k, value in dict(self.sensitivity).items() if value is not None}
        responses = {int(order): _sensitivity(value, order) for order, value in given.items()}
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"shape: expected two positive numbers, got {self.shape}")
        values = {"wavelength_range": MappingProxyType(ranges), "shape": shape,
                  "sensitivity": MappingProxyType(responses), "orders": tuple(ranges),
                  "wavelength_unit": u.Unit(self.wavelength_unit)}  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __reduce__(self):
        return Grism, (self.transform, dict(self.wavelength_range), dict(self.sensitivity),
                       self.shape, self.wavelength_unit)  # fmt: skip

    def brightest_response(self, order):
        """Highest response within the range of an order; zero without sensitivity."""
        if order not in self.sensitivity:
            return 0.0
        wavelength = np.linspace(*self.wavelength_range[order], 1001)
        return float(np.max(np.nan_to_num(self.sensitivity[order](wavelength)), initial=0.0))

    def traces(self, boxes, order):
        """Paths of light from these boxes of the direct image; see `Traces.through`."""
        n_nodes, _ = self._path(order)
        return Traces.through(self._moved(order), boxes, self.wavelength_range[order],
                              n_wave_nodes=n_nodes)  # fmt: skip

    def _moved(self, order):
        def moved(x, y, wavelength):
            out = self.transform(x, y, wavelength, order)
            return [np.asarray(value, dtype=float) for value in out[:2]]

        return moved

    def _path(self, order):
        """Nodes along wavelength that a trace needs, and its length in pixels; found once."""
        if order not in self._paths:
            self._paths[order] = self._find_path(order)
        return self._paths[order]

    def _find_path(self, order):
        """The same, from the middle of the detector: all nodes in one call of the transform."""
        n_y, n_x = self.shape
        limits, middle = self.wavelength_range[order], (np.array([n_x / 2]), np.array([n_y / 2]))
        ((low, high),) = defined_range(self._moved(order), *middle, limits)
        if low < high:
            center, half = np.mean(limits), np.ptp(limits) / 2
            limits = center + half * low, center + half * high
        tests = np.linspace(-1, 1, 33)
        scaled = np.concatenate([tests, *(chebyshev_nodes(n)[0] for n in WAVE_NODES)])
        wavelength = np.mean(limits) + scaled * (limits[1] - limits[0]) / 2
        x, y = np.full(scaled.shape, n_x / 2), np.full(scaled.shape, n_y / 2)
        shifts = np.stack(self._moved(order)(x, y, wavelength), axis=1) - [n_x / 2, n_y / 2]
        wanted, *given = np.split(shifts, np.cumsum([tests.size, *WAVE_NODES])[:-1])
        for n_nodes, at_nodes in zip(WAVE_NODES, given, strict=True):
            powers = chebyshev_nodes(n_nodes)[1] @ at_nodes
            found = tests[:, None] ** np.arange(n_nodes) @ powers
            if not np.nanmax(np.abs(found - wanted), initial=0.0) > TRACE_TOLERANCE:
                break
        # Steps are even over the whole range.
        share = (high - low) / 2 if low < high else 1.0
        return n_nodes, float(np.hypot(*(found[-1] - found[0])) / share)

    def steps(self, order, spectrum, *, steps_per_pixel=2.0, bands=None):
        """Steps along the wavelengths of an order, with the counts of each term of a spectrum.

        They depend on the grism only, never on the sources that are dispersed together.

        Parameters
        ----------
        order : int
        spectrum : `~specmodels.models.spectra.SourceSpectrum`
        steps_per_pixel : float
            Least number of steps for each pixel that light moves; those of the table are shorter,
            and joined along the path of each source.
        bands : ndarray, shape (n_band,), optional
            Wavelengths of the bands of the direct image.
        """
        limits = self.wavelength_range[order]
        _, length = self._path(order)
        length = length if np.isfinite(length) else max(self.shape)
        n_steps = CELLS_PER_STEP * max(int(np.ceil(length * steps_per_pixel)), FEWEST_STEPS)
        scaled = (2 * np.arange(n_steps) + 1) / n_steps - 1
        width = (limits[1] - limits[0]) / n_steps
        wavelength = np.mean(limits) + scaled * (limits[1] - limits[0]) / 2
        response = np.nan_to_num(np.asarray(self.sensitivity[order](wavelength), dtype=float))
        columns = spectrum.within(limits).basis(wavelength) * (response * width)[:, None]
        band, fraction = _between(wavelength, bands)
        return Steps.of(scaled, columns, band=band, fraction=fraction, width=2 / n_steps,
                        per_pixel=max(int(np.ceil(steps_per_pixel)), 1))  # fmt: skip

    def disperse(self, squares, order, spectrum, *, steps_per_pixel=2.0, bands=None, chunk=None,
                 n_jobs=None):  # fmt: skip
        """Basis columns of all sources in one order, (n_y * n_x, n_source * n_terms), sparse."""
        steps = self.steps(order, spectrum, steps_per_pixel=steps_per_pixel, bands=bands)
        options = {} if chunk is None else {"chunk": chunk}
        traces = self.traces(squares.boxes(), order)
        return disperse(squares, traces, steps, self.shape, n_jobs=n_jobs, **options)


def _sensitivity(value, order):
    if callable(value):
        return value
    try:
        wavelength, response = value
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"sensitivity[{order}]: expected a callable or a pair of arrays, got {value!r}"
        ) from error
    return Sensitivity(wavelength, response)


def _between(wavelength, bands):
    """Band below each wavelength and weight of the next; constant beyond the first and last."""
    if bands is None or len(bands) < 2:
        return None, None
    position = np.interp(wavelength, bands, np.arange(len(bands)))
    band = np.minimum(position.astype(np.int64), len(bands) - 2)
    return band, position - band


def _nearest(position, n):
    """Number of the nearest of `n` pixels; beyond them -1 or `n`, and anything for NaN."""
    nearest = np.clip(np.rint(np.asarray(position, dtype=float)), -1, n)
    return np.nan_to_num(nearest).astype(int)


class DispersedSource(BasisModel):
    r"""Sources on the detector: :math:`\sum_j c_j B_j(x, y)` with tabulated images :math:`B_j`.

    A table of pixels, zero outside of it; positions are rounded to the nearest pixel. The table
    cannot be changed.

    Parameters
    ----------
    indices : array_like of int, shape (n_entry,)
        Pixels of all columns, one after the other, as indices of the flattened detector.
    values : array_like, shape (n_entry,)
        Their values.
    pointer : array_like of int, shape (n_terms + 1,)
        Column j has the entries ``pointer[j]`` to ``pointer[j + 1]``.
    shape : tuple of int
        Of the detector, (n_y, n_x).
    name : str, optional
    **parameters : float
        ``c0``, ``c1``, …

    Raises
    ------
    ValueError
        If the table does not fit together.

    Examples
    --------
    >>> import specmodels as sm
    >>> source = sm.DispersedSource([5, 6], [1.0, 0.5], [0, 2], shape=(3, 4), c0=2.0)
    >>> float(source(1.0, 1.0)), float(source(2.0, 1.0)), float(source(0.0, 0.0))
    (2.0, 1.0, 0.0)
    """

    n_inputs = 2
    coordinates = ("x", "y")
    vanishes_far_away = True

    def __init__(self, indices, values, pointer, shape, *, name=None, **parameters):
        self.shape = tuple(int(n) for n in shape)
        self.indices, self.pointer = np.array(indices, dtype=np.int64), np.array(pointer, np.int64)
        self.values = np.array(values, dtype=float)
        if self.indices.shape != self.values.shape or self.indices.ndim != 1:
            raise ValueError(
                f"values: expected the shape of the indices {self.indices.shape}, got "
                f"{self.values.shape}"
            )
        if self.pointer.size < 2 or self.pointer[-1] != len(self.values):
            raise ValueError(f"pointer: expected it to end at {len(self.values)}, got {pointer}")
        for array in (self.indices, self.values, self.pointer):
            array.flags.writeable = False
        super().__init__(len(self.pointer) - 1, name=name, **parameters)

    @property
    def columns(self):
        """The basis images as a sparse matrix, shape (n_y * n_x, n_terms)."""
        return sparse.csc_array((self.values, self.indices, self.pointer),
                                shape=(self.shape[0] * self.shape[1], self.n_terms))  # fmt: skip

    @cached_property
    def _rows(self):
        """The basis images by pixel: made once."""
        return self.columns.tocsr()

    def __getstate__(self):
        """State to copy and pickle, without what is made again."""
        return {key: value for key, value in super().__getstate__().items() if key != "_rows"}

    def basis(self, x, y):
        """Values of the basis images, shape (..., n_terms)."""
        flat, inside = self._pixels(x, y)
        found = self._rows[flat.ravel()].toarray() * inside.reshape(-1, 1)
        return found.reshape(*flat.shape, self.n_terms)

    def local_basis(self, x, y):
        """Numbers and values of the basis images that are not zero, both (..., n_entry)."""
        flat, inside = self._pixels(x, y)
        rows = self._rows_at(flat.ravel())
        count = np.diff(rows.indptr)
        width = max(int(count.max(initial=0)), 1)
        place = (np.repeat(np.arange(flat.size), count),
                 np.arange(rows.nnz) - np.repeat(rows.indptr[:-1], count))  # fmt: skip
        index = np.zeros((flat.size, width), dtype=np.int32)
        value = np.zeros((flat.size, width))
        index[place], value[place] = rows.indices, rows.data
        value *= inside.reshape(-1, 1)
        return (array.reshape(*flat.shape, width) for array in (index, value))

    def _rows_at(self, flat):
        """The basis images in some pixels; whole rows of the detector are not copied one by one."""
        run = flat.size and flat[-1] - flat[0] == flat.size - 1 and np.all(np.diff(flat) == 1)
        return self._rows[flat[0] : flat[-1] + 1] if run else self._rows[flat]

    def _pixels(self, x, y):
        """Index of the nearest pixel of the detector, and whether there is one."""
        x, y = np.broadcast_arrays(_nearest(x, self.shape[1]), _nearest(y, self.shape[0]))
        inside = (x >= 0) & (x < self.shape[1]) & (y >= 0) & (y < self.shape[0])
        return np.where(inside, y * self.shape[1] + x, 0), inside

    @property
    def image(self):
        """The source with its coefficients, shape (n_y, n_x)."""
        return (self.columns @ self.coefficients).reshape(self.shape)
