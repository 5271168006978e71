"""The light of each column before any profile is known, to begin the fit of one."""

import numpy as np

__all__ = ["LOW_PERCENTILE", "first_scales"]

# Of the pixels of a column; of their light this is the level.
LOW_PERCENTILE = 20
# Rounds in which missing light is estimated, and the least part that is enough to do so.
COMPLETIONS, LEAST_PART = 3, 0.05
SPIKE_SIGMA = 8


def first_scales(pixels):
    """Scale, level and slope of each column before any profile is known, and pixels to use.

    The level is a low percentile, the scale what is above and below it, in pixels that do not
    stick out of their rows; the slope is zero.

    Parameters
    ----------
    pixels : `~specmodels.fitters.windowed.pixels.WindowPixels`

    Returns
    -------
    values : ndarray, shape (3, n_column)
    kept : ndarray of bool, shape (n_pixel,)
    """
    kept = ~_spikes(pixels)
    ordered = np.sort(pixels.image_of(np.where(kept, pixels.data, np.inf), np.inf), axis=0)
    count = np.bincount(pixels.columns[kept], minlength=pixels.shape[1])
    at = np.minimum(count * LOW_PERCENTILE // 100, np.maximum(count - 1, 0))
    level = np.where(count > 0, ordered[at, np.arange(pixels.shape[1])], 0.0)
    above = np.where(kept, np.abs(pixels.data - level[pixels.columns]), 0.0)
    scale = _completed(pixels, pixels.sums(above), above, kept)
    return np.array([scale, level, np.zeros(scale.size)]), kept


def _completed(pixels, sums, above, kept):
    """Sums of columns with what their missing pixels would bring, by the mean profile.

    Pixels of a row are often missing in many columns. Without this, the profile would go by
    what is left.
    """
    missing = np.isfinite(pixels.places)
    missing[pixels.rows[kept], pixels.columns[kept]] = False
    rows, columns = np.nonzero(missing)
    if not rows.size:
        return sums
    low, high = pixels.range
    bins = (pixels.positions - low).astype(np.intp)
    n_bins = int(high - low) + 1
    middles = low + 0.5 + np.arange(n_bins)
    mine = np.flatnonzero(
        kept & (np.bincount(columns, minlength=pixels.shape[1]) > 0)[pixels.columns]
    )
    total = sums
    for _ in range(COMPLETIONS):
        light = np.where(kept, total[pixels.columns], 0.0)
        norm = np.bincount(bins, light, n_bins)
        profile = np.bincount(bins, above, n_bins) / np.where(norm > 0, norm, np.inf)
        own = np.interp(pixels.positions[mine], middles, profile)
        lost = np.interp(pixels.places[rows, columns], middles, profile)
        seen = np.bincount(pixels.columns[mine], own, pixels.shape[1])
        whole = seen + np.bincount(columns, lost, pixels.shape[1])
        part = np.divide(seen, whole, out=np.ones(seen.size), where=whole > 0)
        total = sums / np.maximum(part, LEAST_PART)
    return total


def _spikes(pixels):
    """Pixels far from the median of the four nearest in their row: hits, or narrow lines."""
    padded = np.pad(_without_gaps(pixels), ((0, 0), (2, 2)), mode="reflect")
    around = [padded[:, i : i + pixels.shape[1]] for i in (0, 1, 3, 4)]
    high, low = np.maximum.reduce(around), np.minimum.reduce(around)
    middle = ((sum(around) - high - low) / 2)[pixels.rows, pixels.columns]
    limit = SPIKE_SIGMA / np.sqrt(pixels.weights) + np.abs(middle)
    return np.abs(pixels.data - middle) > limit


def _without_gaps(pixels):
    """The image, interpolated along its rows where pixels are missing."""
    image = pixels.image_of(pixels.data, np.nan)
    columns = np.arange(image.shape[1])
    for row in image:
        known = np.isfinite(row)
        if known.any() and not known.all():
            row[~known] = np.interp(columns[~known], columns[known], row[known])
    return np.nan_to_num(image)
