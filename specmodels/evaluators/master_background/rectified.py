"""The sky of a slit on a rectified grid, as means of the fitted spectrum over bins."""

import numpy as np
from astropy import units as u

__all__ = ["rectified_sky"]


def rectified_sky(result, name, edges, rows=None):
    """Background and variance of a slit; see `MasterBackgroundResult.rectified`."""
    if isinstance(edges, u.Quantity):
        edges = edges.to_value(result.wavelength_unit, u.spectral())
    edges = np.asarray(edges, dtype=float)
    if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
        raise ValueError(f"edges: expected two or more increasing numbers, got {edges}")
    image, sky = result.exposure[name], result._sky(name)
    if image.wavelength is None:
        raise ValueError(f"slit {name!r}: expected wavelengths, got none")
    rows = image.y if rows is None else np.atleast_1d(np.asarray(rows, dtype=float))
    grey = np.hypot(sky.error * sky.seen, sky.level * sky.seen_error) * sky.throughput
    wavelength, centers = result.wavelengths(name), 0.5 * (edges[1:] + edges[:-1])
    throughput, grey = (
        _between_rows(_along_rows(wavelength, one, centers), image.y, rows)
        for one in (sky.throughput * sky.seen, grey)
    )
    value, variance = result.fit.curve.mean(edges)
    background = sky.level * throughput * value
    noise = (sky.level * throughput) ** 2 * variance + (grey * value) ** 2
    return background / sky.factor, noise / sky.factor**2


def _along_rows(own, values, wavelength):
    """Values of each row at some wavelengths, by interpolation along the row."""
    out = np.full((own.shape[0], wavelength.size), np.nan)
    for row in range(own.shape[0]):
        good = np.isfinite(own[row]) & np.isfinite(values[row])
        if good.any():
            order = np.argsort(own[row][good])
            out[row] = np.interp(wavelength, own[row][good][order], values[row][good][order])
    return out


def _between_rows(values, y, rows):
    """Values at rows that may be fractions, NaN beyond the slit."""
    return np.array([np.interp(rows, y, column, left=np.nan, right=np.nan)
                     for column in values.T]).T  # fmt: skip
