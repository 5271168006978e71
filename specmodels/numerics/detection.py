"""Pixels of an image that stand out from its noise, at several scales; robust locations.

Box means of what is left of an image are compared with their own scatter, so that correlated noise
raises the threshold by itself. Light only adds: the scatter is that of the lower side.
"""

import numpy as np
from scipy import ndimage

__all__ = ["detect_excess", "lower_mode", "robust_location"]

MAD_TO_SIGMA = 1.4826022


def robust_location(values, *, sigma=3.0, rounds=5, center=np.median):
    """Centre and standard deviation of values, outliers clipped.

    Parameters
    ----------
    values : ndarray
        Finite values, any shape.
    sigma : float
        Values farther than this many standard deviations from the centre are clipped.
    rounds : int
        Most passes.
    center : callable
        Numpy's ``median`` or ``mean``.

    Returns
    -------
    center, sigma : float
        NaN where there are no values. The first scale is from the median absolute deviation.
    """
    values = np.ravel(values)
    if values.size == 0:
        return np.nan, np.nan
    middle = np.median(values)
    scale = MAD_TO_SIGMA * np.median(np.abs(values - middle))
    for _ in range(rounds):
        kept = values[np.abs(values - middle) <= sigma * scale]
        if kept.size == values.size or scale == 0:
            break
        values, middle, scale = kept, center(kept), kept.std()
    return float(middle), float(scale)


def lower_mode(values):
    """Mode of values of which any part may be too large, and their scatter below it.

    The mode is that of halves of the sample (Robertson & Cryer 1974), down to a twentieth.

    Parameters
    ----------
    values : ndarray
        Finite values, any shape.

    Returns
    -------
    center, sigma : float
        NaN where there are no values.
    """
    ordered = np.sort(values, axis=None)
    if ordered.size == 0:
        return np.nan, np.nan
    part, least = ordered, max(ordered.size // 20, 3)
    while part.size > 2 * least:
        half = part.size // 2
        start = np.argmin(part[half:] - part[: part.size - half])
        part = part[start : start + half + 1]
    center = part.mean()
    below = center - ordered[: np.searchsorted(ordered, center)]
    if below.size == 0:
        return float(center), 0.0
    return float(center), float(MAD_TO_SIGMA * np.median(below))


def detect_excess(image, use, boxes=((1, 1), (5, 5), (15, 15)), *, sigma=4.0):
    """Pixels where the mean over a box exceeds its scatter: sources and their wings.

    Parameters
    ----------
    image : ndarray, shape (n_y, n_x)
        Data with background and as much noise as possible removed.
    use : ndarray of bool, same shape
        Pixels that count.
    boxes : sequence of (int, int)
        Heights and widths of boxes in pixels, cut to the image. Single pixels are also marked where
        they are too low.
    sigma : float
        Threshold in standard deviations of the box means.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x)
        True for what stands out.
    """
    found = np.zeros(image.shape, dtype=bool)
    for box in boxes:
        box = tuple(min(b, n) for b, n in zip(box, image.shape, strict=True))
        good = use & ~found
        if not good.any():
            break
        score = _box_score(image, good, box)
        step = tuple(max(1, b // 3) for b in box)
        cut = tuple(slice(None, None, s) for s in step)
        middle, scale = lower_mode(score[cut][good[cut]])
        high = score - middle > sigma * scale
        if box == (1, 1):
            high |= score - middle < -sigma * scale
        found |= _grown(high & use, box)
    return found & use


def _box_score(image, good, box):
    """Mean over a box times the root of the number of good pixels in it."""
    number = ndimage.uniform_filter(good.astype("f4"), box, mode="constant")
    mean = ndimage.uniform_filter(np.where(good, image, 0).astype("f4"), box, mode="constant")
    return np.divide(mean, np.sqrt(number), out=np.zeros_like(mean), where=number > 0.1)


def _grown(mask, box):
    """The mask grown by a third of the box, since its means reach beyond the light."""
    size = tuple(2 * (b // 6) + 1 for b in box)
    return ndimage.maximum_filter(mask, size) if max(size) > 1 and mask.any() else mask
