"""Lobes of a source in images that were combined of nods, found from their known weights."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ...models.empirical import FWHM_OF_GAUSSIAN
from ...numerics.robust import column_median

__all__ = ["checked_lobes", "first_lobe", "with_lobes"]

STEP = 0.25
# Lobes are further apart than this, in full widths at half maximum.
LEAST_DISTANCE = 1.0
# A lobe is found within this part of their distance from where it is expected.
MOST_MOVED = 0.4


def first_lobe(weights):
    """Number of the lobe of the largest weight, a positive one where there is."""
    return max(range(len(weights)), key=lambda k: (abs(weights[k]), weights[k]))


def with_lobes(source, image, light, weights):
    """Copies of a source where its lobes are, that of the largest weight first.

    The image, summed over columns with the light of the source as weights, is that of its profile
    at all lobes, times their weights. Lobes are evenly spaced to begin with.

    Parameters
    ----------
    source : `~specmodels.models.Source`
        At the lobe of the largest weight.
    image : `~specmodels.SpectralImage`
    light : ndarray, shape (n_dispersion,)
        Flux of that lobe.
    weights : sequence of float
        Of the lobes by increasing row.

    Returns
    -------
    sources : list of `~specmodels.models.Source`
    weights : list of float
        In their order.
    """
    main = first_lobe(weights)
    trace, fwhm = source.trace_position(image.x), float(np.median(source.fwhm(image.x)))
    offset, profile = _profile(image, trace, light, fwhm)
    spacing = np.arange(max(LEAST_DISTANCE * fwhm, 2.0), np.ptp(offset), STEP)
    other = [k for k in range(len(weights)) if k != main]
    # Beyond the slit there is nothing.
    seen = [weights[k] / weights[main] * np.interp((k - main) * spacing, offset, profile, 0, 0)
            for k in other]  # fmt: skip
    best = spacing[np.argmax(np.sum(seen, axis=0))] if spacing.size else LEAST_DISTANCE * fwhm
    sources = []
    for k in (main, *other):
        lobe = source.copy()
        for n in lobe.param_names:
            # What could not be found beside lobes that are no part of the model is free again.
            given = n in source.profile.param_names and source.profile.fixed[n]
            getattr(lobe, n).fixed = given and n != "flux"
        row = lobe.trace_c0.value + (k - main) * best
        lobe.trace_c0 = row
        lobe.trace_c0.bounds = (row - MOST_MOVED * best, row + MOST_MOVED * best)
        sources.append(lobe)
    return sources, [float(weights[k]) for k in (main, *other)]


def _profile(image, trace, light, fwhm):
    """Distances from the trace, increasing, and the collapsed light there, smoothed."""
    good = ~image.mask
    level = np.nan_to_num(column_median(np.where(good, image.data, 0.0), good))
    data = np.where(good, image.data - level, 0.0)
    limit = np.quantile(np.abs(light), 0.995)
    light = np.clip(light, -limit, limit)
    offset = np.arange(image.y[0] - trace.max(), image.y[-1] - trace.min() + 1)
    place = np.rint(image.y[:, None] - trace - offset[0]).astype(int)
    top = np.bincount(place.ravel(), (image.weights * light * data).ravel(), len(offset))
    bottom = np.bincount(place.ravel(), (image.weights * light**2).ravel(), len(offset))
    profile = np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
    return offset, gaussian_filter1d(profile[: len(offset)], fwhm / FWHM_OF_GAUSSIAN / 2)


def checked_lobes(lobes, others):
    """Weights of lobes as a tuple of numbers; `others` are settings that cannot go with them.

    Raises
    ------
    TypeError, ValueError
        If they are no two or more numbers, or not to be given together with what else is given.
    """
    if lobes is None:
        return None
    values = np.asarray(lobes)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise TypeError(f"lobes: expected weights of lobes, such as (-0.5, 1, -0.5), got {lobes!r}")
    if len(values) < 2 or not np.isfinite(values).all() or (values == 0).any():
        raise ValueError(f"lobes: expected two or more weights that are not zero, got {lobes!r}")
    if any(other is not None for other in others):
        raise ValueError("lobes: cannot be given together with a model or a number of sources")
    return tuple(float(value) for value in values)
