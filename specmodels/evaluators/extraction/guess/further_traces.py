"""Traces that are not parallel to those of the sources: other orders that run through a slit.

Sources are found by the light along one trace. An order that comes nearer along the spectrum adds
up along none of the same shape, and is found in what a fit leaves.
"""

from itertools import combinations

import numpy as np
from scipy import ndimage

from ....models import Source
from ....numerics.robust import MAD_TO_SIGMA, column_median
from .leaves import leaves_of

__all__ = ["further_trace"]

# Bins of columns of at least so many pixels, at most so many.
LEAST_BIN, MOST_BINS = 8, 32
# What lies nearer to a source, in full widths, is of its own profile.
NEAR = 1.0
# Peaks of bins lie on a straight line, relative to the first source, to within so many rows, if the
# profile is narrow, or of its full widths.
TOLERANCE, TOLERANCE_FWHM = 1.0, 0.4
# Standard errors of a peak; how many bins have to have one on the line, and which part of those
# that it spans.
LEAST_SIGMA, LEAST_BINS, LEAST_PART = 4.0, 5, 0.7
# The line comes nearer or goes away by so many full widths.
LEAST_CHANGE = 1.0
# A path bends by this where so many bins tell.
DEGREE, BINS_PER_TERM = 2, 4


def further_trace(fit, n_kept):
    """Path along which a fit leaves the light of another order.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
        Of sources and sky, column by column.
    n_kept : int
        So many of the first sources are what they seem to be. The light of the others is looked at.

    Returns
    -------
    ndarray, shape (n_column,), or None
        Its row in each column.
    """
    if len(fit.image.x) < LEAST_BIN * LEAST_BINS:
        return None
    sources = _sources(fit)[:n_kept]
    image = fit.image
    traces = np.array([np.broadcast_to(s.trace_position(image.x), image.x.shape) for s in sources])
    width = float(np.median([s.fwhm(image.x) for s in sources]))
    columns, light, seen = _binned(fit, traces, width, n_kept)
    first = np.array([traces[0][c].mean() for c in columns])
    peaks, used = _peaks(light, seen, image.y, width)
    if np.count_nonzero(used) < LEAST_BINS:
        return None
    x = np.array([image.x[c].mean() for c in columns])
    offset = peaks - first
    on_line = _most_on_a_line(x, offset, used, max(TOLERANCE, TOLERANCE_FWHM * width))
    bins = np.flatnonzero(on_line)
    spanned = np.ptp(bins) + 1 if bins.size else 0
    if bins.size < LEAST_BINS or bins.size < LEAST_PART * spanned:
        return None
    degree = min(DEGREE, bins.size // BINS_PER_TERM)
    line = np.polynomial.Polynomial.fit(x[bins], offset[bins], degree)
    if np.ptp(line(x[bins])) < LEAST_CHANGE * width:
        return None
    # Where it is not seen it goes on as straight as it ends.
    inside = np.clip(image.x, x[bins[0]], x[bins[-1]])
    return traces[0] + line(inside) + line.deriv()(inside) * (image.x - inside)


def _binned(fit, traces, width, n_kept):
    """Columns of each bin, the median of what a fit leaves in each row of them, and whether seen.

    Medians, as hits may not be found where an order is not known.
    """
    image = fit.image
    far = np.all([np.abs(image.y[:, None] - trace) > NEAR * width for trace in traces], axis=0)
    good = (~image.mask | fit.rejected) & far
    left = image.data - _light(fit, n_kept)
    left[~good] = 0.0
    n_bins = int(np.clip(len(image.x) // LEAST_BIN, 1, MOST_BINS))
    columns = np.array_split(np.arange(len(image.x)), n_bins)
    light = np.stack([column_median(left[:, c].T, good[:, c].T) for c in columns], axis=1)
    return columns, np.nan_to_num(light), np.isfinite(light)


def _light(fit, n_kept):
    """Image of the model without the sources that follow the first of them."""
    light, names = np.array(np.nan_to_num(fit.predict())), [s.name for s in _sources(fit)[n_kept:]]
    if names:
        for chunk, _, _, parts in fit.parts():
            light[:, chunk] -= sum(own for leaf, _, own in parts if leaf.name in names)
    return light


def _sources(fit):
    return [leaf for leaf in leaves_of(fit.template) if isinstance(leaf, Source)]


def _peaks(light, seen, rows, width):
    """Row of the highest peak of each bin, and whether it stands out from its rows."""
    sigma = width / 2.355
    weight = ndimage.gaussian_filter1d(seen.astype(float), sigma, axis=0, mode="constant")
    level = np.array([np.median(a[s]) if s.any() else 0.0
                      for a, s in zip(light.T, seen.T, strict=True)])  # fmt: skip
    light = np.where(seen, light - level, 0.0)
    smooth = ndimage.gaussian_filter1d(light, sigma, axis=0, mode="constant")
    smooth = np.divide(smooth, weight, out=np.zeros_like(smooth), where=seen & (weight > 0.3))
    noise = MAD_TO_SIGMA * np.median(np.abs(smooth), axis=0)
    k = np.argmax(smooth, axis=0)
    height = np.max(smooth, axis=0)
    peaks = np.array([_centroid(a, j, sigma) for a, j in zip(light.T, k, strict=True)])
    return np.interp(peaks, np.arange(len(rows)), rows), height > LEAST_SIGMA * noise


def _centroid(light, k, sigma):
    """Mean position of the light within a width of a row."""
    near = slice(max(k - int(np.ceil(sigma)), 0), k + int(np.ceil(sigma)) + 1)
    weight = np.maximum(light[near], 0.0)
    total = weight.sum()
    return float(weight @ np.arange(len(light))[near] / total) if total > 0 else float(k)


def _most_on_a_line(x, offset, used, tolerance):
    """Bins in use that lie on the line through two of them that has the most."""
    best = np.zeros(len(x), dtype=bool)
    for i, j in combinations(np.flatnonzero(used), 2):
        line = offset[i] + (offset[j] - offset[i]) * (x - x[i]) / (x[j] - x[i])
        there = used & (np.abs(offset - line) < tolerance)
        if np.count_nonzero(there) > np.count_nonzero(best):
            best = there
    return best
