"""How much each pixel is its own model, in a system of blocks and what they share."""

import numpy as np

from ...numerics.arrow_kernels import Pixels, least_rank
from ...numerics.band_factors import inverse_in_band

__all__ = ["arrow_leverages"]

PAIRS_AT_ONCE = 1_000_000


def arrow_leverages(equations):
    """Quadratic form of each pixel's entries in the covariance, shape (n_pixel,)."""
    factor, out = equations.factor, np.zeros(len(equations.weights))
    band, scale = inverse_in_band(factor.factor), factor.kept_scale
    block, seen = -1, []
    ends = equations.structure.blocks[:, 1]
    for rows in factor.blocks.solved():
        own = int(np.searchsorted(ends, rows.first, side="right"))
        if own != block:
            block, seen = own, list(_pixels_of(equations, own, scale))
        for pixels, place, value, least in seen:
            part = slice(*np.searchsorted(least, [rows.first, rows.end]))
            if part.stop > part.start:
                out[pixels[part]] = _forms(factor, band, rows, place[part], value[part])
    for pixels, place, value, alone in _beyond_blocks(equations, scale):
        out[pixels[alone]] = _shared_forms(factor, place[alone], value[alone])
    return out


def _pixels_of(equations, block, scale):
    """Pixels that see a block, ranks and scaled values of their entries, by their least rank."""
    s = equations.structure
    first, end, low, high = s.blocks[block].tolist()
    for pixels, index, value in equations.entries.between(low, high):
        least = least_rank(Pixels(index, value, equations.weights[pixels]), s.rank, first, end)
        own = np.argsort(least, kind="stable")[: np.count_nonzero(least < end)]
        place = s.rank[index[own]]
        yield pixels.start + own, place, value[own] * scale[place], least[own]


def _beyond_blocks(equations, scale):
    """Pixels that see shared coefficients alone, as a mask of those of each part of the frame."""
    n, rank = equations.structure.n_band, equations.structure.rank
    for pixels, index, value in equations.entries:
        place = rank[index]
        alone = ((place >= n) | (value == 0)).all(axis=1) & (equations.weights[pixels] > 0)
        numbers = np.arange(pixels.start, pixels.stop)
        yield numbers, np.where(value == 0, n, place) - n, value * scale[place], alone


def _forms(factor, band, rows, place, value):
    """Quadratic forms of pixels, shape (n_pixel,), whose least rank is one of these rows."""
    n = factor.n_band
    inside = (place < n) & (value != 0)
    where = np.where(inside, place, rows.first)
    own = np.where(inside, value, 0.0)
    total = np.zeros(len(place))
    for a in range(place.shape[1]):
        for b in range(place.shape[1]):
            low = np.minimum(where[:, a], where[:, b])
            step = np.abs(where[:, a] - where[:, b])
            step = np.minimum(step, band.shape[1] - 1)  # those beyond have a value of zero
            total += own[:, a] * own[:, b] * band[low, step]
    net = np.zeros((len(place), rows.values.shape[1]))
    for a in range(place.shape[1]):
        net -= own[:, a, None] * rows.values[where[:, a] - rows.first]
        beyond = np.flatnonzero(~inside[:, a] & (value[:, a] != 0))
        np.add.at(net, (beyond, rows.columns(place[beyond, a] - n)), value[beyond, a])
    return total + np.einsum("pi,pi->p", net @ factor.shared.inverse_of(rows.ranges), net)


def _shared_forms(factor, place, value):
    """Quadratic forms of pixels that see shared coefficients alone."""
    n_entry = place.shape[1]
    one, two = (axis.ravel() for axis in np.indices((n_entry, n_entry)))
    out = np.empty(len(place))
    step = max(PAIRS_AT_ONCE // max(len(one), 1), 1)
    for start in range(0, len(place), step):
        own, part = place[start : start + step], value[start : start + step]
        pair = factor.shared.covariances(own[:, one].ravel(), own[:, two].ravel())
        pair = pair.reshape(len(own), -1) * part[:, one] * part[:, two]
        out[start : start + step] = np.nansum(pair, axis=1)
    return out
