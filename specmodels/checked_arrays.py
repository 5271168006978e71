"""Arrays as images want them: numbers of the right kind and shape, read-only, with a unit or none.

Whatever cannot be used is refused with the name of the argument, what was expected and what came.
"""

import numpy as np
from astropy import units as u


def unit_of(value, unit, name):
    """Unit of an array or the one given with it: both only where they are the same."""
    own = getattr(value, "unit", None)
    if unit is not None:
        try:
            unit = u.Unit(unit)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: expected a unit, got {unit!r}") from error
    if own is not None and unit is not None and own != unit:
        raise ValueError(f"{name}: the array has unit {own}, but {unit} was given")
    return unit if own is None else own


def additive(unit):
    """The unit, if light in it adds up: magnitudes and other logarithms are refused."""
    logarithmic = isinstance(unit, u.function.FunctionUnitBase) or (
        unit is not None and u.dex in unit.decompose().bases
    )
    if logarithmic:
        raise ValueError(f"unit: expected one in which light adds up, as a flux, got {unit}")
    return unit


def float_array(value, name):
    """Native floating-point array of `value`: float32 and float64 kept, all else made float64."""
    array = np.ma.getdata(getattr(value, "value", value))
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    keep = array.dtype.kind == "f" and array.dtype.itemsize in (4, 8)
    kind = array.dtype.newbyteorder("=") if keep else np.dtype(float)
    return array.astype(kind, copy=False)


def of_shape(value, name, shape):
    """Read-only numbers of this shape; None for None."""
    if value is None:
        return None
    array = float_array(value, name)
    if array.shape != shape:
        raise ValueError(f"{name}: expected the shape of the data, {shape}, got {array.shape}")
    return read_only(array)


def variances(value, name, shape, unit):
    """Read-only variances of this shape, in the square of the data's unit; None for None."""
    own = getattr(value, "unit", None)
    if own is not None and isinstance(value, u.Quantity):
        if unit is None:
            raise ValueError(f"{name}: has unit {own}, but the data have none")
        try:
            value = value.to_value(unit**2)
        except u.UnitConversionError as error:
            raise ValueError(f"{name}: expected a unit like {unit**2}, got {own}") from error
    return of_shape(value, name, shape)


def increasing(value, name, size):
    """Read-only, increasing numbers, by default counted from zero."""
    array = np.arange(size, dtype=float) if value is None else float_array(value, name)
    if array.shape != (size,):
        raise ValueError(f"{name}: expected {size} numbers, got shape {array.shape}")
    if not np.all(np.diff(array) > 0):
        raise ValueError(f"{name}: expected increasing numbers, got {array}")
    return read_only(array.astype(float))


def wavelengths(value, shape):
    """Read-only wavelengths of pixels or of columns; None for None."""
    if value is None:
        return None
    array = float_array(value, "wavelength")
    if array.shape not in (shape, shape[1:]):
        raise ValueError(f"wavelength: expected shape {shape[1:]} or {shape}, got {array.shape}")
    return read_only(array)


def combined_mask(data, variance, masks):
    """Mask of all pixels that cannot be used, and the count of each reason."""
    bad = np.zeros(data.shape, dtype=bool)
    for mask in masks:
        if mask is None or mask is np.ma.nomask:
            continue
        mask = np.asarray(mask)
        if mask.shape != data.shape:
            raise ValueError(
                f"mask: expected the shape of the data, {data.shape}, got {mask.shape}"
            )
        if mask.dtype.kind not in "biu":
            raise TypeError(f"mask: expected booleans (True = bad), got dtype {mask.dtype}")
        bad |= mask.astype(bool, copy=False)
    reasons = {"flagged": np.count_nonzero(bad)}
    if not _sum_is_finite(data):
        wrong = ~np.isfinite(data) & ~bad
        reasons["data not finite"] = np.count_nonzero(wrong)
        bad |= wrong
    if variance is not None and not (_sum_is_finite(variance) and variance.min() > 0):
        with np.errstate(invalid="ignore"):
            wrong = ~bad & ~(np.isfinite(variance) & (variance > 0))
        reasons["variance not positive and finite"] = np.count_nonzero(wrong)
        bad |= wrong
    return bad, {key: int(count) for key, count in reasons.items() if count}


def _sum_is_finite(array):
    """Whether the sum is finite, and so every number: one pass, where a map takes several."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(array.sum()))


def read_only(array):
    """View of an array that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view


def interpolated_rows(values, trace):
    """Value of each column at fractional row `trace`, linear between the two nearest good rows."""
    ny, nx = values.shape
    columns = np.arange(nx)
    lower = np.clip(np.floor(np.nan_to_num(trace)).astype(int), 0, max(ny - 2, 0))
    upper = np.minimum(lower + 1, ny - 1)
    fraction = np.clip(trace - lower, 0, 1)
    low, high = values[lower, columns], values[upper, columns]
    at_trace = np.where(np.isnan(high), low, np.where(np.isnan(low), high,
                        low + fraction * (high - low)))  # fmt: skip
    missing = ~np.isfinite(at_trace)
    if missing.any() and np.isfinite(values[:, missing]).any():
        with np.errstate(invalid="ignore"):
            filled = np.ma.median(np.ma.masked_invalid(values[:, missing]), axis=0)
        at_trace = at_trace.copy()
        at_trace[missing] = np.ma.filled(filled, np.nan)
    return at_trace
