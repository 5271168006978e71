"""Along which axis the stripes of a frame run, told by how much neighbouring lines differ.

Pixels of a line that is read in one go share an offset. So medians of neighbouring lines differ by
more than white noise makes them, along the axis of readout and not across it.
"""

from typing import NamedTuple

import numpy as np

from .detection import robust_location
from .lines import line_medians

__all__ = ["stripe_axis"]

# Pixels farther from the median of all, in standard deviations, show light or are hit.
MOST_SPREADS = 4.0
# Lines with fewer pixels tell nothing, and neither do fewer lines.
LEAST_PIXELS, LEAST_LINES = 8, 8
# Significance of stripes, and by what factor in variance those of one axis must be stronger.
SIGNIFICANCE, STRONGER = 4.0, 4.0
# Variances of clipped differences, which hang together, scatter by so much more.
SPREAD_OF_CLIPPED = 2.0


class _Stripes(NamedTuple):
    """Variance of offsets of lines, and whether it is significant."""

    variance: float = 0.0
    found: bool = False


def stripe_axis(frame, use):
    """Axis along which stripes run: -1 (rows) or -2 (columns); None where both are as likely.

    Parameters
    ----------
    frame : ndarray, shape (n_y, n_x)
        Best without the light of sources, such as a difference of two frames; finite where used.
    use : ndarray of bool, same shape
        Pixels that count.

    Returns
    -------
    int or None
        -1 where there are no stripes at all.
    """
    values = np.where(use, frame, 0).astype(float)
    middle, spread = robust_location(values[use])
    use = use & (np.abs(values - middle) <= MOST_SPREADS * spread)
    values = np.where(use, values - middle, 0)
    rows, columns = _stripes(values, use), _stripes(values.T, use.T)
    if not columns.found:
        return -1
    if not rows.found or columns.variance > STRONGER * rows.variance:
        return -2
    return -1 if rows.variance > STRONGER * columns.variance else None


def _stripes(lines, use):
    """Offsets of lines, by the differences of neighbours over what white noise makes of them."""
    medians, number = line_medians(lines, use)
    kept = number >= LEAST_PIXELS
    both = kept[1:] & kept[:-1]
    if np.count_nonzero(both) < LEAST_LINES:
        return _Stripes()
    change = np.diff(lines, axis=1)[use[:, 1:] & use[:, :-1]]
    white = 0.5 * robust_location(change)[1] ** 2
    expected = 0.5 * np.pi * white * np.sum(1 / np.stack([number[1:], number[:-1]])[:, both], 0)
    steps = np.diff(medians)[both]
    found = robust_location(steps)[1] ** 2
    expected = float(np.mean(expected))
    excess = found - expected
    error = expected * np.sqrt(2.0 * SPREAD_OF_CLIPPED / steps.size)
    return _Stripes(0.5 * excess, excess > SIGNIFICANCE * error)
