"""Pixels of one region and their coordinates: `SpectralImage`.

Everything below `specmodels.io` sees data only in this form: two dimensions, dispersion along the
last axis, mask True where a pixel is bad, variances in the square of the data's unit. Nothing here
knows files, datamodels or instruments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from astropy import units as u

from .checked_arrays import (
    additive,
    combined_mask,
    float_array,
    increasing,
    interpolated_rows,
    of_shape,
    read_only,
    unit_of,
    variances,
    wavelengths,
)

__all__ = ["SpectralImage"]

OF_READOUT = ("line", "output", "time", "clock")  # coordinates that the order of readout gives


@dataclass(frozen=True, eq=False, repr=False)
class SpectralImage:
    """One two-dimensional spectrum: data, variance, mask and coordinates of its pixels.

    Every array is checked, turned into native floating point and made read-only; the arrays given
    are never changed. Pixels whose data or variance cannot be used are masked, and counted by
    reason in `masked`.

    Parameters
    ----------
    data : array_like or `~astropy.units.Quantity`, shape (n_spatial, n_dispersion)
        Pixel values, dispersion along the last axis. A masked array brings its mask along.
    variance : array_like, optional
        Variance of each pixel, same shape, in the square of the data's unit. None where nothing is
        known. Pixels whose variance is zero, negative or not finite are masked.
    mask : array_like of bool, optional
        True where a pixel is bad.
    wavelength : array_like or `~astropy.units.Quantity`, optional
        Wavelength per column, shape (n_dispersion,), or per pixel.
    spatial : array_like, optional
        Position along the slit of each pixel, same shape as the data.
    components : mapping of str to array_like, optional
        The parts of the variance (``read``, ``poisson``, ``flat``), kept apart so that each can be
        carried to the result. Where `variance` is not given it is their sum.
    unit, wavelength_unit : `~astropy.units.Unit` or str, optional
        Units of arrays given without one. The wavelength unit of a bare array defaults to none.
    name : str
        What the region is called: the key under which an `Exposure` holds it.
    meta : mapping, optional
        Whatever the reader wants to keep. No model, fitter or evaluator reads it.
    x, y : array_like, shape (n_dispersion,), (n_spatial,), optional
        Column and row numbers, by default counted from zero. A cutout keeps those of its parent, so
        that one model serves both.
    readout : `~specmodels.Readout`, optional
        Order in which the pixels were read. It gives the coordinates ``line``, ``output``,
        ``time`` (within the line) and ``clock`` (within the frame, both in pixel times).
    coordinates : mapping of str to array_like, optional
        Further coordinates of the pixels by name, which models may be functions of or repeat over.
    notes : tuple of str
        What was done to the image since it was read, for reports.
    shared_errors : mapping of str to array_like, optional
        Errors that pixels share, such as what is left of flicker noise: one random draw of each,
        same shape. The variance has them as if they were independent; from the draw, errors of sums
        of pixels are told.

    Raises
    ------
    TypeError
        If an array is not numeric.
    ValueError
        If the data are not two-dimensional or empty, or another array has another shape or unit, or
        the unit is one of magnitudes.
    """

    data: np.ndarray
    variance: np.ndarray | None = None
    mask: np.ndarray | None = None
    wavelength: np.ndarray | None = None
    spatial: np.ndarray | None = None
    components: Mapping = field(default_factory=dict)
    unit: u.UnitBase | None = None
    wavelength_unit: u.UnitBase | None = None
    name: str = "image"
    meta: Mapping = field(default_factory=dict)
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    readout: object = None
    coordinates: Mapping = field(default_factory=dict)
    notes: tuple = ()
    shared_errors: Mapping = field(default_factory=dict)
    masked: Mapping = field(default_factory=dict, init=False)

    def __post_init__(self):
        unit = additive(unit_of(self.data, self.unit, "unit"))
        own_mask = np.ma.getmask(self.data)
        data = float_array(self.data, "data")
        if data.ndim != 2 or data.size == 0:
            raise ValueError(
                f"data: expected a two-dimensional image with pixels, got shape {data.shape}"
            )
        wavelength_unit = unit_of(self.wavelength, self.wavelength_unit, "wavelength_unit")
        components = {
            key: variances(value, f"components[{key!r}]", data.shape, unit)
            for key, value in self.components.items()
            if value is not None
        }
        variance = variances(self.variance, "variance", data.shape, unit)
        if variance is None and components:
            variance = np.sum(list(components.values()), axis=0)
        mask, masked = combined_mask(data, variance, (own_mask, self.mask))
        self._set(
            data=read_only(data),
            unit=unit,
            variance=None if variance is None else read_only(variance),
            components=MappingProxyType({k: read_only(v) for k, v in components.items()}),
            mask=read_only(mask),
            masked=MappingProxyType(masked),
            wavelength=wavelengths(self.wavelength, data.shape),
            wavelength_unit=wavelength_unit,
            spatial=of_shape(self.spatial, "spatial", data.shape),
            meta=MappingProxyType(dict(self.meta)),
            notes=tuple(self.notes),
            coordinates=MappingProxyType(self._all_coordinates(data.shape)),
            shared_errors=MappingProxyType(
                {
                    key: of_shape(value, f"shared_errors[{key!r}]", data.shape)
                    for key, value in self.shared_errors.items()
                }
            ),
            x=increasing(self.x, "x", data.shape[1]),
            y=increasing(self.y, "y", data.shape[0]),
        )

    def _set(self, **values):
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def _all_coordinates(self, shape):
        """The coordinates given, and those of the readout that are not."""
        known = dict(self.coordinates)
        if self.readout is not None and not known.keys() >= set(OF_READOUT):
            known = self.readout.coordinates(shape) | known
        return {key: of_shape(value, f"coordinates[{key!r}]", shape)
                for key, value in known.items()}  # fmt: skip

    def coordinate(self, name):
        """A coordinate of the pixels, in an array that broadcasts to the shape of the data.

        Parameters
        ----------
        name : str
            ``"x"``, ``"y"``, ``"wavelength"``, ``"spatial"``, or one of `coordinates`.

        Raises
        ------
        ValueError
            If the image has no such coordinate.
        """
        known = {"x": self.x[None], "y": self.y[:, None], "spatial": self.spatial}
        if self.wavelength is not None:
            known["wavelength"] = np.atleast_2d(self.wavelength)
        known |= self.coordinates
        if known.get(name) is None:
            there = sorted(key for key, value in known.items() if value is not None)
            needs = ", or a readout" if name in OF_READOUT else ""
            raise ValueError(
                f"image {self.name!r}: expected the coordinate {name!r}{needs}, has {there}"
            )
        return known[name]

    def __getstate__(self):
        """State to pickle: read-only mappings become dictionaries."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("weights", "filled")}
        return {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in state.items()}

    def __setstate__(self, state):
        state = {k: read_only(v) if isinstance(v, np.ndarray) else v for k, v in state.items()}
        for key in ("components", "coordinates", "shared_errors"):
            state[key] = {k: read_only(v) for k, v in state[key].items()}
        frozen = ("components", "coordinates", "shared_errors", "masked", "meta")
        self._set(**{k: MappingProxyType(v) if k in frozen else v for k, v in state.items()})

    def __repr__(self):
        ny, nx = self.shape
        unit = f" {self.unit}" if self.unit is not None else ""
        parts = [f"{self.name!r}: {ny} x {nx} pixels{unit}", f"{self.mask.mean():.1%} masked"]
        if self.wavelength is not None:
            low, high = np.nanmin(self.wavelength), np.nanmax(self.wavelength)
            parts.append(f"wavelength {low:.5g} to {high:.5g} {self.wavelength_unit or ''}".strip())
        if self.variance is None:
            parts.append("no variance")
        return f"<SpectralImage {', '.join(parts)}>"

    @property
    def shape(self):
        """Shape of the data: (n_spatial, n_dispersion)."""
        return self.data.shape

    @cached_property
    def weights(self):
        """Inverse variance, zero where masked; one where no variance is known."""
        return read_only(self._weights(slice(None)))

    @cached_property
    def filled(self):
        """Data in double precision, zero where they have no weight."""
        return read_only(self._filled(slice(None)))

    def columns(self, which):
        """Filled data and weights of some columns in double precision, not kept.

        Parameters
        ----------
        which : slice or ndarray of int
            The columns.

        Returns
        -------
        filled, weights : ndarray, shape (n_spatial, n_column)
            As the properties of these names, which keep whole images.
        """
        known, ways = vars(self), {"filled": self._filled, "weights": self._weights}
        return tuple(known[key][:, which] if key in known else way(which)
                     for key, way in ways.items())  # fmt: skip

    def _filled(self, which):
        mask, data = self.mask[:, which], self.data[:, which]
        filled = np.where(mask, 0.0, data) if mask.any() else data
        return filled.astype(float, copy=False)

    def _weights(self, which):
        mask = self.mask[:, which]
        if self.variance is None:
            return (~mask).astype(float)
        variance = self.variance[:, which]
        if mask.any():
            variance = np.where(mask, np.inf, variance)
        return np.divide(1.0, variance, dtype=float)

    def replace(self, **changes):
        """Return a copy with the named fields replaced, checked like the original."""
        return replace(self, **changes)

    def cutout(self, rows=slice(None), columns=slice(None)):
        """Return the region of these row and column slices: an extraction region.

        Raises
        ------
        ValueError
            If nothing of the image is left.
        """
        cut = (rows, columns)
        if all(isinstance(one, slice) and one.indices(n) == (0, n, 1)
               for one, n in zip(cut, self.shape, strict=True)):  # fmt: skip
            return self

        def part(array):
            return None if array is None else array[cut]

        wavelength = self.wavelength
        if wavelength is not None:
            wavelength = wavelength[columns] if wavelength.ndim == 1 else wavelength[cut]
        return self.replace(
            data=self.data[cut], variance=part(self.variance), mask=self.mask[cut],
            wavelength=wavelength, spatial=part(self.spatial),
            components={k: v[cut] for k, v in self.components.items()},
            coordinates={k: v[cut] for k, v in self.coordinates.items()},
            shared_errors={k: v[cut] for k, v in self.shared_errors.items()},
            x=self.x[columns], y=self.y[rows],
        )  # fmt: skip

    def wavelength_along(self, trace):
        """Wavelength of each column where the trace crosses it.

        Parameters
        ----------
        trace : array_like, shape (n_dispersion,)
            Row of the trace in each column.

        Returns
        -------
        wavelength : `~astropy.units.Quantity` or ndarray, shape (n_dispersion,)
            Interpolated linearly between the rows that have a wavelength; column numbers in pixels
            where the image has no wavelengths.
        """
        if self.wavelength is None:
            return self.x * u.pix
        values = self.wavelength
        if values.ndim == 2:
            rows = np.interp(trace, self.y, np.arange(len(self.y)))
            values = interpolated_rows(values, rows)
        return values if self.wavelength_unit is None else values * self.wavelength_unit
