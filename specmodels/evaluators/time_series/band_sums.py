"""Sums over bands of wavelength in each integration of a time series."""

import numpy as np
from astropy import units as u

__all__ = ["band_sum", "bands_of"]


def bands_of(result, bins, name, good):
    """Numbers of the columns of each band of a source; see `TimeSeriesResult.light_curves`.

    `good` says which of its fluxes can be used, shape (n_integration, n_column).
    """
    wavelength = result.wavelength(name)
    usable = good.any(axis=0) & np.isfinite(wavelength.value)
    order = np.argsort(wavelength.value, kind="stable")
    order = order[usable[order]]
    if bins is None:
        return list(order[:, None])
    if np.ndim(bins) == 0:
        number = int(bins)
        if number != bins or not 1 <= number <= max(len(order), 1):
            raise ValueError(f"bins: expected a number from 1 to {len(order)}, got {bins!r}")
        bands = np.array_split(order, number)
    else:
        edges = u.Quantity(bins, getattr(bins, "unit", wavelength.unit))
        edges = edges.to_value(wavelength.unit)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"bins: expected increasing edges, got {bins!r}")
        place = np.searchsorted(edges, wavelength.value[order], side="right") - 1
        bands = [order[place == k] for k in range(len(edges) - 1)]
    if any(len(band) == 0 for band in bands):
        raise ValueError("bins: expected bands with light, got one without a usable column")
    return bands


def band_sum(result, name, columns, good):
    """Sum over columns in each integration, its error, and its shared relative error."""
    flux, good = result.flux[name][:, columns], good[:, columns]
    mean = np.nan_to_num(result.mean._flux(name)[0][columns])
    total = np.full(len(good), mean.sum())
    seen = good @ mean
    factor = np.where(good.all(axis=1), 1.0, total / np.where(seen == 0, np.nan, seen))
    value = factor * np.sum(np.where(good, flux, 0.0), axis=1)
    variance = np.sum(np.where(good, result.variance[name][:, columns], 0.0), axis=1)
    common = np.einsum("ipx,ix->ip", result.moved[name][:, :, columns].astype(float), good)
    error = factor * np.sqrt(variance + np.sum(common**2, axis=1))
    light = result.shared[name][:, columns] @ mean
    whole = total[0] if total[0] else np.nan
    return value, error, float(np.sqrt(np.sum(light**2)) / abs(whole))
