"""Light within an aperture along a slice: the model integrated over it, and the residual."""

import numpy as np
from astropy import units as u

from ...numerics.fine_pixels import look_up
from ..base import check_number

__all__ = ["aperture_spectrum"]


def aperture_spectrum(
    part, size, center=None, *, subtract_ground=False, unit=None, position_unit=None
):
    """Light between two positions along a slice, in each column.

    The profile is integrated from edge to edge; to it comes the residual of the pixels, each as far
    as it lies inside. Sums over pixels ripple as a source moves across their edges; this does not.

    Parameters
    ----------
    part : `~specmodels.evaluators.oversampling.fine_slice.FineSlice`
        With a fit.
    size : float or `~astropy.units.Quantity`
        Length of the aperture, in the unit of the positions.
    center : float or `~astropy.units.Quantity`, optional
        Its middle. Default: the brightest source.
    subtract_ground : bool
        Leave out the level and slope under the profile.
    unit, position_unit : `~astropy.units.Unit`, optional
        Of the data, and of the positions where it is known.

    Returns
    -------
    `~specutils.Spectrum`
        Sum over native pixels, with its standard deviation.

    Raises
    ------
    TypeError
        If a place is no number.
    ValueError
        If the slice has no model, the aperture is not within the slice in any column, or its unit
        is not that of the positions.
    """
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    fit, image = part.fit, part.image
    if fit is None:
        raise ValueError(f"slice {image.name}: expected one with a model, this was interpolated")
    size = _place("size", size, position_unit)
    if not 0 < size < np.inf:
        raise ValueError(f"size: expected a positive length, got {size!r}")
    if center is None:
        center = fit.brightest
    else:
        center = _place("center", center, position_unit) / fit.unit
    size = size / fit.unit
    wavelength, keep = _columns(fit, center, size)
    light, variance = _light(part, center, size, subtract_ground)
    axis = u.Quantity(wavelength[keep], image.wavelength_unit or u.pix)
    return Spectrum(
        flux=light[keep] * (unit or u.dimensionless_unscaled),
        uncertainty=StdDevUncertainty(np.sqrt(variance[keep])), spectral_axis=axis,
    )  # fmt: skip


def _place(name, value, unit):
    """A place along the slit in the unit of the positions, from a number or a Quantity."""
    if isinstance(value, u.Quantity):
        if unit is None:
            raise ValueError(
                f"{name}: expected a plain number, as the positions have no known unit, got {value}"
            )
        if not value.unit.is_equivalent(unit):
            of = unit.to_string() or "one, as positions are relative to the slit"
            raise ValueError(f"{name}: expected a length in units like {of}, got {value}")
        value = value.to_value(unit)
    check_number(name, value)
    return float(value)


def _columns(fit, center, size):
    """Wavelength of each column at the aperture, and in which columns it is in the slice."""
    image = fit.image
    positions = image.spatial / fit.unit if image.spatial is not None else image.y[:, None]
    positions = np.where(np.isfinite(positions), positions, np.nan * np.ones(image.shape))
    low = np.fmin.reduce(positions, axis=0) - 0.5
    high = np.fmax.reduce(positions, axis=0) + 0.5
    with np.errstate(invalid="ignore"):
        keep = (low <= center - size / 2) & (high >= center + size / 2) & fit.fitted_columns
    columns, rows = fit.crossings(center)
    if not keep.any() or columns.size < 2:
        raise ValueError(
            f"slice {image.name}: the aperture of {size * fit.unit:g} at {center * fit.unit:g} "
            "is in no column inside of the slice"
        )
    found = image.wavelength_along(np.interp(image.x, columns, rows))
    values = np.array(getattr(found, "value", found), dtype=float)
    keep = np.flatnonzero(keep & np.isfinite(values))
    if values[keep[-1]] < values[keep[0]]:
        keep = keep[::-1]
    return values, keep[np.append(True, np.diff(values[keep]) > 0)]


def _light(part, center, size, subtract_ground):
    """Sum over the aperture in each column, and its variance."""
    fit, image = part.fit, part.image
    places = np.nan_to_num(part.positions, nan=np.inf)
    inside = np.clip(0.5 + size / 2 - np.abs(places - center), 0.0, min(1.0, size))
    weights = np.where(part.available & part.known, inside * part.residual_weight, 0.0)
    profile = size * fit.layout.wide_shape(fit.coefficients, center, image.x, size)
    height = np.full(image.shape[1], fit.height(center))
    flat = np.zeros_like(height) if subtract_ground else np.ones_like(height)
    fine = (profile, size * flat, size * flat * height)
    heights = np.where(np.isfinite(part.positions), fit.height(part.positions), 0.0)
    native = (part.native_profile, np.ones(image.shape), heights)
    light = sum(value * term for value, term in zip(fit.values, fine, strict=True))
    light = light + np.sum(weights * part.residual, axis=0)
    by = [f - np.sum(weights * n, axis=0) for f, n in zip(fine, native, strict=True)]
    c = fit.column_covariance
    effect = [sum(c[k, j] * by[j] for j in range(3)) for k in range(3)]
    fitted = np.where(part.fit_kept, image.weights, 0.0)
    by_data = weights + fitted * sum(e * n for e, n in zip(effect, native, strict=True))
    given = 1.0 if image.variance is None else image.variance
    variance = np.sum(by_data**2 * np.where(part.available, given, 0.0), axis=0)
    if fit.scale_prior is not None:
        variance = variance + effect[0] ** 2 * fit.scale_prior
    own = size**2 * fit.profile_variance(np.full(height.shape, center), image.x, size)
    return light, variance + fit.scale**2 * (own + _shape_variance(part, center, size, weights))


def _shape_variance(part, center, size, weights):
    """What errors of the place and width of the profile bring, for a scale of one."""
    fit, x, shape = part.fit, part.image.x, part.image.shape
    columns = np.arange(shape[1])
    profile = fit.layout.table(fit.coefficients, x, 0.0)
    slope, _ = fit.derivative_tables(x, 0.0)
    wide = []
    for table in (profile, slope):
        ends = [look_up(table, np.full(shape[1], center + s * size / 2), columns) for s in (-1, 1)]
        wide.append(ends[1] - ends[0])
    places, every = np.ravel(part.positions), np.broadcast_to(columns, shape).ravel()
    total = 0.0
    for fine, table, error in zip(wide, fit.derivative_tables(x), fit.shape_errors, strict=True):
        native = np.where(weights > 0, look_up(table, places, every).reshape(shape), 0.0)
        total = total + error * (fine - np.sum(weights * native, axis=0)) ** 2
    return total
