"""Light on one side of a source that comes and goes along the spectrum.

A galaxy may be lopsided. Another order, or a neighbour whose trace is not parallel, is seen in the
difference of the two sides, which is not the same part of the flux everywhere, and its light is in
the flux as well.
"""

import numpy as np

__all__ = ["one_sided_error", "side_weights"]

# Blocks of columns, and standard errors by which the sides of two of them differ.
N_BLOCKS, SIGMA = 8, 4.0
# Standard error of a median over that of the mean.
MEDIAN_ERROR = 1.25
# Blocks without light are taken for having so much, in standard deviations.
LEAST_LEVEL = 1e-6


def side_weights(y, trace, width, zone):
    """Weights of pixels whose sum is the light of the upper side less that of the lower.

    Parameters
    ----------
    y : ndarray, shape (n_row,)
    trace : ndarray, shape (n_column,)
    width : float
        Full width at half maximum: what lies closer counts for neither side.
    zone : ndarray of bool, shape (n_row, n_column)
        Pixels to which the source reaches.
    """
    offset = y[:, None] - trace
    distance = np.abs(offset)
    # As far as both sides are the source's everywhere: a neighbour may be nearer on one.
    sides = [
        np.max(np.where(zone & (sign * offset > 0), distance, 0.0), axis=0) for sign in (1, -1)
    ]
    outer = np.min(sides)
    # Parts of pixels, so that a trace that crosses rows changes no side.
    side = np.clip(distance - (width - 0.5), 0.0, 1.0) * np.clip(outer - distance, 0.0, 1.0)
    return np.where(zone, np.sign(offset) * side, 0.0)


def one_sided_error(difference, variance, flux):
    """Error of a flux by light that is on one side in some columns, and not in others.

    Parameters
    ----------
    difference, variance : ndarray, shape (n,)
        Light of one side less that of the other in each column, and its variance.
    flux : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        Zero where the sides are as in the block of columns where they are most alike.
    """
    blocks = [b for b in np.array_split(np.arange(len(flux)), N_BLOCKS) if b.size > 1]
    if not blocks:
        return np.zeros(len(flux))
    noise = np.array([np.sqrt(np.mean(variance[b]) / b.size) for b in blocks])
    level = np.array([abs(np.median(flux[b])) for b in blocks])
    level = np.maximum(level, LEAST_LEVEL * noise) + np.finfo(float).tiny
    share = np.array([np.median(difference[b]) for b in blocks]) / level
    noise = MEDIAN_ERROR * noise / level
    alike = np.argmin(np.abs(share))
    change = share - share[alike]
    change = np.where(np.abs(change) > SIGMA * np.hypot(noise, noise[alike]), change, 0.0)
    error = np.zeros(len(flux))
    for block, part in zip(blocks, change, strict=True):
        error[block] = part * flux[block]
    return error
