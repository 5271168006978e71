"""Pixels of an image that stand out from its noise, at several scales; robust locations.

Box means of what is left of an image are compared with their own scatter, so that correlated noise
raises the threshold by itself. Light only adds: the scatter is that of the lower side.
"""

import numpy as np

from .box_sums import box_sums, grown

__all__ = ["detect_excess", "is_difference", "lower_mode", "robust_location", "some_values"]

MAD_TO_SIGMA = 1.4826022
LEAST_SIGMA_OF_PIXELS = 4.0
MOST_SCORES = 200_000
# Light that was subtracted is dark in these boxes, and in so much of the pixels.
DARK_BOXES, DARK_SIGMA, LEAST_DARK, MOST_OF_PIXEL = ((9, 9),), 8.0, 5e-4, 5.0


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


def detect_excess(image, use, boxes=((1, 1), (5, 5), (15, 15)), *, sigma=3.5, grow=0.7):
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
    sigma : float or sequence of float
        Threshold in standard deviations of the box means, of each box; single pixels: at least
        four.
    grow : float
        What stands out is grown by this part of half the box, as means reach beyond light.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x)
        True for what stands out.
    """
    found = np.zeros(image.shape, dtype=bool)
    for box, threshold in zip(boxes, np.broadcast_to(sigma, len(boxes)).tolist(), strict=True):
        box = tuple(min(b, n) for b, n in zip(box, image.shape, strict=True))
        good = use & ~found
        if not good.any():
            break
        found |= _found_in(image, good, box, threshold, grow)
    return found & use


def is_difference(image, use):
    """Whether light was subtracted from an image: far too low is more than noise and few hits are.

    Parameters
    ----------
    image : ndarray, shape (n_y, n_x)
        Data with background and as much noise as possible removed.
    use : ndarray of bool, same shape
        Pixels that count.
    """
    middle, scale = robust_location(some_values(image, use))
    limit = MOST_OF_PIXEL * scale if scale > 0 else 0
    low = np.clip(middle - image, -limit, limit)  # so that a dead pixel is nothing to its box
    low = detect_excess(low, use, DARK_BOXES, sigma=DARK_SIGMA, grow=0)
    return np.count_nonzero(low) > LEAST_DARK * np.count_nonzero(use)


def _found_in(image, good, box, sigma, grow):
    """Pixels that stand out in means over one box, which moves by a third of itself."""
    if box == (1, 1):
        middle, scale = lower_mode(some_values(image, good))
        return good & (np.abs(image - middle) > max(sigma, LEAST_SIGMA_OF_PIXELS) * scale)
    cell = tuple(max(1, b // 3) for b in box)
    total, number = box_sums(image, good, box, cell)
    score = total / np.sqrt(np.maximum(number, np.float32(1)))
    middle, scale = lower_mode(some_values(score, number > 0.1 * number.max()))
    high = (score > np.float32(middle + sigma * scale)) & (number > 0)
    if high.any():
        high = grown(high, [round(grow * b / 2 / c) for b, c in zip(box, cell, strict=True)])
    for axis, size in enumerate(cell):
        high = np.repeat(high, size, axis=axis) if size > 1 else high
    return high[: image.shape[0], : image.shape[1]]


def some_values(values, known):
    """Known values of an array, or an even sample of them, from all its columns in turn."""
    step = max(1, np.count_nonzero(known) // MOST_SCORES)
    step += 1 - step % 2
    return values.ravel()[::step][known.ravel()[::step]]
