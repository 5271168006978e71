"""A collapsed profile made ready for peaks to be found in: gaps, trends, smoothing and scatter."""

import numpy as np
from scipy import ndimage

from ....numerics.robust import MAD_TO_SIGMA, median_of_few

__all__ = ["KERNELS", "LEAST_SIGNIFICANCE", "SMOOTHED_NOISE", "bridged", "row_noise",
           "row_scatter", "smoothed", "without_trend"]  # fmt: skip

LEAST_SIGNIFICANCE = 8.0
KERNELS = (0.6, 1.5)
# White noise after the smoothing, over that before.
SMOOTHED_NOISE = {0.6: 0.70, 1.5: 0.43}
# A parabola is taken for sky where the scatter of the rows falls by such a factor.
LEAST_ROWS_FOR_TREND, TREND_ROUNDS, TREND_GAIN = 12, 8, 3.0
# Gaps of unusable rows that a profile is continued across.
WIDEST_GAP = 6
# Standard deviation of some tens of normal numbers over that found from the lower half of them, and
# from the half that lie closest together.
DARK_HALF, SHORTEST_HALF = 1.69, 1.15
# The darker half is not that of the sky where it scatters so many times as much.
SKEWED = 2.0


def without_trend(profile, error):
    """Profile less the parabola of a sloping sky, where rows then scatter several times less."""
    usable = np.isfinite(error)
    if np.count_nonzero(usable) < LEAST_ROWS_FOR_TREND:
        return profile
    t = np.linspace(-1, 1, len(profile))
    kept = usable.copy()
    for _ in range(TREND_ROUNDS):
        left = profile - np.polyval(np.polyfit(t[kept], profile[kept], 2), t)
        spread = MAD_TO_SIGMA * median_of_few(np.abs(left[kept]))
        again = usable & (np.abs(left) < 2.5 * spread + 1e-300)
        if np.count_nonzero(again) < LEAST_ROWS_FOR_TREND or np.array_equal(again, kept):
            break
        kept = again
    flat = row_scatter(left, usable) < row_scatter(profile, usable) / TREND_GAIN
    return left if flat else profile


def bridged(profile, error):
    """Profile continued across gaps of unusable rows, so that a dead row splits no source."""
    usable = np.isfinite(error)
    good = np.flatnonzero(usable)
    if good.size < 2 or usable.all():
        return profile, error, usable
    labels, n = ndimage.label(~usable)
    rows = np.arange(len(profile))
    filled, widened, used = profile.copy(), error.copy(), usable.copy()
    for part in ndimage.find_objects(labels, n):
        inside = part[0].start > good[0] and part[0].stop <= good[-1]
        if inside and part[0].stop - part[0].start <= WIDEST_GAP:
            filled[part] = _through_neighbours(rows[part], good, profile)
            widened[part] = np.interp(rows[part], good, error[good])
            used[part] = True
    return filled, widened, used


def _through_neighbours(rows, good, profile):
    """Values in a gap by the cubic through two rows on either side, within a factor of theirs."""
    after = np.searchsorted(good, rows[0])
    near = good[max(after - 2, 0) : after + 2]
    cubic = np.polyfit(near - rows[0], profile[near], min(len(near) - 1, 3))
    values = np.polyval(cubic, rows - rows[0])
    largest = 2 * np.max(np.abs(profile[near]))
    return np.clip(values, -largest, largest)


def smoothed(profile, error, usable):
    """Profile smoothed a little, or more where its rows scatter; with its error and the kernel."""
    filled = np.where(usable, profile, 0.0)
    for kernel in KERNELS:
        smooth = ndimage.gaussian_filter1d(filled, kernel, mode="nearest")
        scatter = np.hypot(error, row_scatter(smooth, usable))
        if np.max(np.where(usable, np.abs(smooth) / scatter, 0)) > LEAST_SIGNIFICANCE:
            break
    return smooth, scatter, kernel


def row_noise(profile, usable):
    """Scatter of neighbouring rows about each other, the light itself being smooth."""
    steps = np.diff(profile[usable], n=2)
    return MAD_TO_SIGMA * median_of_few(np.abs(steps)) / np.sqrt(6) if steps.size > 8 else 0.0


def row_scatter(profile, usable):
    """Scatter from row to row which noise does not explain: flat-field errors, bars.

    From the darker half of the rows, where broad sources have no part; or, where negative sources
    lie in it, from the half that are most alike.
    """
    values = np.sort(profile[usable])
    if values.size <= 8:
        return 0.0
    half = (values.size + 1) // 2
    dark = values[:half]
    of_dark = DARK_HALF * median_of_few(np.abs(dark - median_of_few(dark)))
    of_alike = SHORTEST_HALF * 0.5 * np.min(values[half:] - values[: values.size - half])
    return MAD_TO_SIGMA * float(of_alike if of_dark > SKEWED * of_alike else of_dark)
