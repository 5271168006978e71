"""Positions along a slit, in pixels, and where they make sense."""

import numpy as np

from ...numerics.fine_pixels import LEAST_STEP, MOST_STEP

__all__ = ["regular_positions"]


def regular_positions(image):
    """Positions along the slit in pixels, the size of a pixel, and where they run evenly.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`

    Returns
    -------
    positions : ndarray, shape of the image
        NaN where they are not regular.
    unit : float
        Size of a pixel in the unit of ``spatial``.
    sign : int
        -1 where positions fall with the row.
    regular : ndarray of bool, shape of the image
        False where positions are missing, repeat, or go on neither from the row before nor to the
        next.

    Raises
    ------
    ValueError
        If no two neighbours have different positions.
    """
    if image.spatial is None:
        rows = np.broadcast_to(image.y[:, None].astype(float), image.shape)
        return rows, 1.0, 1, np.ones(image.shape, dtype=bool)
    steps = np.diff(image.spatial, axis=0)
    known = steps[np.isfinite(steps) & (steps != 0)]
    if not known.size:
        raise ValueError(f"{image.name}: positions along the slit do not change along columns")
    unit = np.median(known)
    relative = steps / unit
    even = (relative > LEAST_STEP) & (relative < MOST_STEP)
    lost = np.isfinite(image.spatial)
    lost[1:] &= ~even
    lost[:-1] &= ~even
    # Of positions that repeat, either may be wrong.
    repeated = np.abs(relative) <= LEAST_STEP
    lost[1:] |= repeated
    lost[:-1] |= repeated
    if image.shape[0] == 1:
        lost[:] = False
    regular = np.isfinite(image.spatial) & ~lost
    positions = np.where(regular, image.spatial / abs(unit), np.nan)
    return positions, abs(unit), int(np.sign(unit)), regular
