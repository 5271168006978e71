"""How well a sky was subtracted: normalised residuals, and the comparison with nods."""

import numpy as np
from astropy.table import QTable
from scipy.optimize import curve_fit

from ...io import read
from ...numerics.robust import MAD_TO_SIGMA
from ..tables import readable

__all__ = ["gaussian_of", "histogram", "nod_comparison", "residual_table"]

EDGES = np.linspace(-6, 6, 97)
TAIL = 3.0
GAUSSIAN_TAIL = 0.0026998


def histogram(residual):
    """Centres of bins and counts of the finite residuals."""
    counts, _ = np.histogram(residual[np.isfinite(residual)], EDGES)
    return 0.5 * (EDGES[1:] + EDGES[:-1]), counts


def gaussian_of(residual):
    """Amplitude, mean and width of the Gaussian fitted to the histogram; NaN where none fits."""
    center, counts = histogram(residual)
    if counts.sum() < 50:
        return np.full(3, np.nan)
    start = (counts.max(), *_location(residual[np.isfinite(residual)]))
    try:
        found, _ = curve_fit(_gaussian, center, counts, start, sigma=np.sqrt(counts + 1.0))
    except RuntimeError:
        return np.full(3, np.nan)
    return np.array([found[0], found[1], abs(found[2])])


def residual_table(result):
    """See `MasterBackgroundResult.residuals`."""
    parts = {name: result.normalised_residual(name)[result.sky_pixels(name)]
             for name in result.fit.used}  # fmt: skip
    parts["all"] = np.concatenate(list(parts.values()))
    return readable(QTable(rows=[{"slit": name, **_row(v)} for name, v in parts.items()]))


def _row(values):
    values = values[np.isfinite(values)]
    mean, width = _location(values)
    _, gaussian_mean, gaussian_width = gaussian_of(values)
    under, over = int(np.sum(values > TAIL)), int(np.sum(values < -TAIL))
    expected = GAUSSIAN_TAIL * values.size
    return {
        "n_pixels": values.size, "mean": mean, "width": width, "gaussian_mean": gaussian_mean,
        "gaussian_width": gaussian_width, "n_under": under, "n_over": over,
        "tail_excess": (under + over) / expected if expected else np.nan,
    }  # fmt: skip


def nod_comparison(result, nods):
    """See `MasterBackgroundResult.compare_nods`."""
    if not nods:
        raise ValueError("nods: expected at least one other exposure, got none")
    others = [read(nod) for nod in nods]
    rows = []
    for name in result.fit.used:
        image = result.exposure[name]
        if all(name in nod and nod[name].shape == image.shape for nod in others):
            own = [_in_unit_of(image, nod[name]) for nod in others]
            rows.append({"slit": name, **_compared(result, name, own)})
    if not rows:
        raise ValueError(
            f"nods: no background slit of {result.fit.used} is in all of them with the same shape"
        )
    return readable(QTable(rows=rows))


def _in_unit_of(image, nod):
    """A nod's image in the unit of another image."""
    if nod.unit == image.unit:
        return nod
    if None in (nod.unit, image.unit) or not nod.unit.is_equivalent(image.unit):
        raise ValueError(f"nods: slit {image.name!r} has {nod.unit}, expected {image.unit}")
    factor = nod.unit.to(image.unit)
    variance = None if nod.variance is None else nod.variance * factor**2
    return nod.replace(data=nod.data * factor, variance=variance, components={}, unit=image.unit)


def _compared(result, name, nods):
    image = result.exposure[name]
    residual = result.normalised_residual(name)
    good = result.sky_pixels(name) & ~np.any([nod.mask for nod in nods], axis=0)
    root = np.sqrt(image.weights)
    nodded = (image.data - np.mean([nod.data for nod in nods], axis=0)) * root
    sky_noise = float(np.median(np.sqrt(result.background_variance(name)[good])))
    row = {
        "n_pixels": int(good.sum()), "master": _location(residual[good])[1],
        "nodded": _location(nodded[good])[1], "sky_noise": sky_noise,
    }  # fmt: skip
    if any(nod.variance is None for nod in nods):
        return {**row, "nodded_noise": np.nan, "ratio": np.nan}
    variance = np.sum([nod.variance for nod in nods], axis=0)[good] / len(nods) ** 2
    noise = float(np.median(np.sqrt(variance)))
    return {**row, "nodded_noise": noise, "ratio": noise / sky_noise if sky_noise else np.nan}


def _location(values):
    if values.size == 0:
        return np.nan, np.nan
    center = float(np.median(values))
    return center, float(MAD_TO_SIGMA * np.median(np.abs(values - center)))


def _gaussian(x, amplitude, mean, width):
    return amplitude * np.exp(-0.5 * ((x - mean) / width) ** 2)
