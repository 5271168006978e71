"""`ReadOptions`: what the user says about an input, checked once for all readers.

What is said here always wins over what a reader finds by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from astropy import units as u

from ..instruments import Instrument, get_instrument
from ..instruments.base import VERTICAL, normalised_axis

__all__ = ["ROLES", "ReadOptions", "inverse", "plain_variance", "squared", "variance_of"]

ROLES = (
    "data", "error", "variance", "ivar", "mask", "flags", "wavelength", "spatial", "weight",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReadOptions:
    """The options of `specmodels.io.read`, checked; see there for their meaning.

    Raises
    ------
    TypeError, ValueError
        If an option cannot be used, naming it.
    """

    dispersion_axis: int | None = None
    wavelength: object = None
    variance: object = None
    uncertainty: object = None
    mask: object = None
    instrument: Instrument | None = None
    name: str | None = None
    extensions: Mapping = field(default_factory=dict)
    pixel_scale: float = 1.0

    def __post_init__(self):
        if self.variance is not None and self.uncertainty is not None:
            raise ValueError("variance, uncertainty: expected one of them, got both")
        if self.dispersion_axis is not None:
            self._set("dispersion_axis", normalised_axis(self.dispersion_axis, "dispersion_axis"))
        if self.uncertainty is not None:
            self._set("variance", _for_each(variance_of, self.uncertainty, "uncertainty"))
            self._set("uncertainty", None)
        if self.instrument is not None:
            self._set("instrument", get_instrument(self.instrument))
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise TypeError(f"name: expected a word, got {self.name!r}")
        if not np.isfinite(self.pixel_scale) or self.pixel_scale <= 0:
            raise ValueError(f"pixel_scale: expected a positive number, got {self.pixel_scale!r}")
        _for_each(_check_spectral_unit, self.wavelength, "wavelength")
        self._check_extensions()

    def _set(self, name, value):
        object.__setattr__(self, name, value)

    def _check_extensions(self):
        if not isinstance(self.extensions or {}, Mapping):
            raise TypeError(f"extensions: expected a mapping, got {self.extensions!r}")
        unknown = sorted(set(self.extensions or {}) - set(ROLES))
        if unknown:
            raise ValueError(f"extensions: expected some of {ROLES}, got {unknown}")
        self._set("extensions", dict(self.extensions or {}))

    def changes(self):
        """Return the fields of an image that the user gave; those which hang on them are reset."""
        changes = {}
        if self.variance is not None:
            changes |= {"variance": self.variance, "components": {}}
        if self.mask is not None:
            changes |= {"mask": self.mask}
        if self.wavelength is not None:
            changes |= {"wavelength": self.wavelength, "wavelength_unit": None}
        if self.name is not None:
            changes |= {"name": self.name}
        return changes

    def resolved(self, instrument=None, dispersion_axis=None):
        """Return the instrument to read with: the user's choices, else these, else the defaults."""
        chosen = self.instrument or instrument or Instrument()
        axes = (self.dispersion_axis, dispersion_axis, chosen.dispersion_axis)
        axis = next(axis for axis in axes if axis is not None)
        return chosen if axis == chosen.dispersion_axis else chosen.replace(dispersion_axis=axis)

    def for_images(self, names):
        """Return the options of each image: arrays given by name in a mapping are taken apart.

        Raises
        ------
        ValueError
            If an array is given for a name which is not there, or one name for several images.
        """
        names = list(names)
        if self.name is not None and len(names) > 1:
            raise ValueError(f"name: expected none for {len(names)} images, got {self.name!r}")
        given = ("wavelength", "variance", "mask")
        for option in given:
            value = getattr(self, option)
            unknown = sorted(set(value) - set(names)) if isinstance(value, Mapping) else []
            if unknown:
                raise ValueError(f"{option}: expected names of images, {names}, got {unknown}")

        def own(option, name):
            value = getattr(self, option)
            return value.get(name) if isinstance(value, Mapping) else value

        return [replace(self, **{option: own(option, name) for option in given}) for name in names]

    def turned(self, axis):
        """Return the options with their arrays turned like data that are dispersed along `axis`."""
        if axis != VERTICAL:
            return replace(self, dispersion_axis=None)

        if callable(self.wavelength) or hasattr(self.wavelength, "d2c"):
            raise ValueError("wavelength: expected an array for images that are dispersed "
                             f"vertically, got {type(self.wavelength).__name__}")  # fmt: skip

        def turn(array):
            if isinstance(array, Mapping):
                return {key: turn(one) for key, one in array.items()}
            return np.transpose(array) if np.ndim(array) == 2 else array

        arrays = {name: turn(getattr(self, name)) for name in ("wavelength", "variance", "mask")}
        return replace(self, dispersion_axis=None, **arrays)


def variance_of(uncertainty, name="uncertainty"):
    """Return the variance of an uncertainty: an astropy one of any kind, or standard deviations.

    Infinite where an inverse variance is zero, and NaN where a standard deviation is negative, so
    that such pixels are masked.

    Raises
    ------
    ValueError
        If an astropy uncertainty is of unknown kind.
    """
    kind = getattr(uncertainty, "uncertainty_type", None)
    if kind is None:
        return squared(uncertainty)
    values, unit = uncertainty.array, uncertainty.unit
    if kind == "std":
        return squared(values if unit is None else values * unit)
    if kind == "var":
        return values if unit is None else values * unit
    if kind == "cov":
        return np.reshape(uncertainty.variance, uncertainty.data_shape)
    if kind == "ivar":
        return inverse(values) if unit is None else inverse(values) * unit**-1
    raise ValueError(
        f"{name}: expected standard deviations, variances or inverse variances, "
        f"got {type(uncertainty).__name__}"
    )


def plain_variance(uncertainty, unit):
    """Return the variance of an uncertainty, without a unit: in the square of that of the data."""
    variance = variance_of(uncertainty)
    if not isinstance(variance, u.Quantity):
        return np.asarray(variance)
    return variance.value if unit is None else variance.to_value(unit**2)


def inverse(values):
    """One over the values in double precision, infinite where they are not positive."""
    values = np.asarray(values, dtype=float)
    with np.errstate(invalid="ignore"):
        positive = values > 0
    return np.divide(1.0, values, out=np.full(values.shape, np.inf), where=positive)


def squared(values):
    """Squares in double precision, where those of faint fluxes do not vanish; NaN of negatives."""
    if isinstance(values, u.Quantity):
        return squared(values.value) * values.unit**2
    values = np.asarray(values, dtype=float)
    return np.where(values < 0, np.nan, values**2)


def _for_each(function, value, name):
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: function(one, f"{name}[{key!r}]") for key, one in value.items()}
    return function(value, name)


def _check_spectral_unit(value, name):
    unit = None if callable(value) else getattr(value, "unit", None)
    if unit is None or unit.is_equivalent(u.pix) or unit.is_equivalent(u.m, u.spectral()):
        return
    raise ValueError(f"{name}: expected a unit of wavelength, frequency or energy, got {unit}")
