"""Variances for trace models: smooth ones in place of those that were computed from noisy data.

Weights that are high where the data are low by chance pull every scale down.
"""

from dataclasses import replace

import numpy as np

from .noise import LEAST_CORRELATION

__all__ = ["with_smooth_variance"]

# Smooth variances are not below this part of the median one.
LEAST_VARIANCE = 0.02
PROBED_PIXELS = 10_000


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
    `~specmodels.exposure.SpectralImage` or None
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
