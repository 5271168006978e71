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
    throughput = _rectified_throughput(result.wavelengths(name), sky.throughput,
                                       0.5 * (edges[1:] + edges[:-1]))  # fmt: skip
    throughput = np.array([np.interp(rows, image.y, column, left=np.nan, right=np.nan)
                           for column in throughput.T]).T  # fmt: skip
    value, variance = result.fit.curve.mean(edges)
    background = sky.level * throughput * value
    grey = np.hypot(sky.error, sky.level * result.fit.throughput_error)
    noise = (sky.level * throughput) ** 2 * variance + (grey * throughput * value) ** 2
    return background / sky.factor, noise / sky.factor**2


def _rectified_throughput(own, throughput, wavelength):
    """Throughput of each row at some wavelengths, by interpolation along the row."""
    out = np.full((own.shape[0], wavelength.size), np.nan)
    for row in range(own.shape[0]):
        good = np.isfinite(own[row]) & np.isfinite(throughput[row])
        if good.any():
            order = np.argsort(own[row][good])
            out[row] = np.interp(wavelength, own[row][good][order], throughput[row][good][order])
    return out
