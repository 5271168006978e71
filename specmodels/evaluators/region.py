"""Which pixels of an image show the slit: what is empty or vignetted is masked before the fit."""

import numpy as np

__all__ = ["slit_region"]

LARGEST_EDGE = 4
LEAST_INTERIOR = 8
EDGE_SIGMA = 8.0


def slit_region(image):
    """Image with empty columns and the vignetted edges of the slit masked.

    A column is empty where all its good pixels are exactly zero. An edge row, counted from the
    first or the last good pixel of each column, is vignetted where it is darker than the sky by far
    more than its scatter, while the row inside of it is brighter.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`

    Returns
    -------
    image : `~specmodels.exposure.SpectralImage`
        The same object where nothing is to be masked.
    reasons : tuple of str
        What was masked.
    """
    bad, reasons = np.array(image.mask), []
    empty = np.all((image.data == 0) | bad, axis=0) & ~bad.all(axis=0)
    if empty.any() and not empty.all():
        bad[:, empty] = True
        reasons.append(f"{int(empty.sum())} columns masked, zero throughout")
    for side in ("first", "last"):
        rows = _dark_edge(image, bad, side)
        if rows:
            bad |= _edge_distance(image.mask, side) < rows
            reasons.append(f"{side} {rows} rows of the slit masked, vignetted")
    if not reasons:
        return image, ()
    return image.replace(mask=bad), tuple(reasons)


def _edge_distance(mask, side):
    """Rows between each pixel and the first or last good pixel of its column."""
    good = ~mask if side == "first" else ~mask[::-1]
    start = np.argmax(good, axis=0)
    distance = np.arange(mask.shape[0])[:, None] - start
    distance = np.where(distance < 0, 0, distance)
    return distance if side == "first" else distance[::-1]


def _dark_edge(image, bad, side):
    """Number of vignetted rows at one edge."""
    if image.shape[0] < LEAST_INTERIOR + 2 * LARGEST_EDGE:
        return 0
    data = np.where(bad, np.nan, image.data)
    data = data[:, ~bad.all(axis=0)]
    if data.shape[1] < 8:
        return 0
    level = data - np.nanmedian(data, axis=0)
    distance = _edge_distance(bad[:, ~bad.all(axis=0)], side)
    drops = [_drop(level[(distance == d) & np.isfinite(level)]) for d in range(LARGEST_EDGE + 1)]
    dark = 0
    while dark < LARGEST_EDGE and drops[dark] > EDGE_SIGMA:
        dark += 1
    return dark if dark < LARGEST_EDGE else 0


def _drop(values):
    """How many standard errors the median lies below zero; nothing for shallow drops."""
    if values.size < 8:
        return 0.0
    middle = np.median(values)
    scatter = 1.4826 * np.median(np.abs(values - middle)) + 1e-300
    return -middle / (1.2533 * scatter / np.sqrt(values.size)) if -middle > 0.5 * scatter else 0.0
