"""Variances for trace models: smooth ones in place of those that were computed from noisy data.

Weights that are high where the data are low by chance pull every scale down.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.optimize import nnls

from ...numerics.robust import MAD_TO_SIGMA
from ..extraction.fluxes.noise import LEAST_CORRELATION

__all__ = ["noise_from_scatter", "with_smooth_variance"]

# Smooth variances are not below this part of the median one.
LEAST_VARIANCE = 0.02
PROBED_PIXELS = 10_000
# Groups of pixels of similar light whose scatter is compared, and the least number in each.
GROUPS, LEAST_GROUP = 30, 20
# Columns over which the light is averaged that tells the noise.
SMOOTHED = 5


def noise_from_scatter(image):
    """Variances of an image that has none: a constant, and a part in proportion to the light.

    They are found from differences of pixels to the mean of their two neighbours along the
    dispersion, in groups of similar absolute light.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`

    Returns
    -------
    ndarray, shape of the image

    Raises
    ------
    ValueError
        If the data show no scatter.
    """
    data = np.where(image.mask, np.nan, image.data)
    around = 0.5 * (data[:, 2:] + data[:, :-2])
    change, light = (data[:, 1:-1] - around).ravel(), np.abs(around).ravel()
    good = np.isfinite(change)
    order = np.flatnonzero(good)[np.argsort(light[good])]
    groups = np.array_split(order, max(1, min(GROUPS, order.size // LEAST_GROUP)))
    if not order.size:
        raise ValueError(f"{image.name}: expected variances; none can be told from the data")
    scatter = [(MAD_TO_SIGMA * np.median(np.abs(change[own]))) ** 2 / 1.5 for own in groups]
    middles = [np.mean(light[own]) for own in groups]
    if not max(scatter) > 0:
        raise ValueError(f"{image.name}: expected variances; the data show no scatter")
    # Relative to themselves, or the brightest group would decide on all.
    relative = 1 / np.maximum(scatter, LEAST_VARIANCE * max(scatter))
    design = np.stack([relative, relative * middles], axis=1)
    constant, slope = nnls(design, relative * scatter)[0]
    level = np.abs(np.where(np.isfinite(data), data, 0.0))
    smooth = uniform_filter1d(level, SMOOTHED, axis=1, mode="nearest")
    return np.maximum(constant + slope * smooth, LEAST_VARIANCE * np.median(scatter))


def with_smooth_variance(fit):
    """The slice with variances that follow the fitted profile, or None where it needs them not.

    The scale, level and slope of each column are fitted to the Poisson variances (to all of the
    variance where its parts are not known), with equal weights.

    Parameters
    ----------
    fit : `~specmodels.fitters.WindowedFit`
        Fit of the slice.

    Returns
    -------
    `~specmodels.SpectralImage` or None
    """
    image, pixels = fit.image, fit.pixels
    noisy = image.components.get("poisson")
    noisy = image.variance if noisy is None else noisy
    given = noisy[pixels.rows, pixels.columns].astype(float)
    even = replace(pixels, data=given, weights=np.ones(given.size))
    values, _ = even.scales(fit.shape, fit.kept)
    smooth = values[0][pixels.columns] * fit.shape + even.ground(values)
    smooth = np.maximum(smooth, LEAST_VARIANCE * np.median(given))
    if not _correlated(fit.residuals[fit.kept], (given - smooth)[fit.kept]):
        return None
    change = pixels.image_of(smooth - given, 0.0)
    components = dict(image.components)
    if "poisson" in components:
        components["poisson"] = components["poisson"] + change
    return image.replace(variance=image.variance + change, components=components)


def _correlated(residual, excess):
    some = slice(None, None, max(1, residual.size // PROBED_PIXELS))
    parts = (residual[some], excess[some])
    clipped = [np.clip(a, *np.percentile(a, [1, 99])) for a in parts]
    if not all(np.std(a) > 1e-6 * np.max(np.abs(a)) > 0 for a in clipped):
        return False
    return np.corrcoef(*clipped)[0, 1] > LEAST_CORRELATION
