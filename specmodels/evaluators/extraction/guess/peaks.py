"""Peaks of a collapsed profile: where sources lie along the slit, their signs and their width."""

import numpy as np
from scipy import ndimage

from ....numerics.robust import median_of_few
from .deblending import deblended
from .row_profiles import (
    KERNELS,
    LEAST_SIGNIFICANCE,
    SMOOTHED_NOISE,
    bridged,
    row_noise,
    row_scatter,
    smoothed,
)

__all__ = ["find_peaks", "light_extent", "stands_out", "vertex"]

LEAST_FWHM = 1.5
# Least height of a peak relative to a brighter one; from so many full widths on it falls with the
# distance, as wings do.
LEAST_HEIGHT, WINGS_FROM, WING_SLOPE = 0.05, 2.5, -3.0
# Neighbours nearer than this, in full widths at half maximum, are told apart only if their number
# is known.
LEAST_DISTANCE = 1.2
# Peaks farther from each other than this, in full widths, need no deblending.
ALONE = 2.5
# Part of the light of the next row, in that of a Gaussian, which a further source must have there.
LEAST_NEIGHBOUR = 0.5
# Part of the height of a peak that is seen on the other side of a source whose wings it may be.
LEAST_MIRRORED = 0.5
# A peak so many rows from the end of the slit need fall off on the inner side only.
EDGE_ROWS = 3
# A positive peak is the first source unless a negative one is so many times as high.
NEGATIVE_RATIO = 3.0


def find_peaks(profile, error, n_sources=None):
    """Rows, significance and width of the sources in a collapsed profile.

    Parameters
    ----------
    profile, error : ndarray, shape (n_row,)
        Mean light of each row and its standard error, infinite where no pixel is usable.
    n_sources : int, optional
        How many to find; default: all that stand out, of either sign.

    Returns
    -------
    rows, snr : ndarray, shape (n_source,)
        Place and signal-to-noise ratio, those of positive sign first, brightest first.
    fwhm : float
        Full width at half maximum, in rows.

    Raises
    ------
    ValueError
        If all rows are the same.
    """
    if len(profile) < 3:
        return np.array([float(np.argmax(profile))]), np.array([profile.max() / error.min()]), 2.0
    noise = error
    profile, error, usable = bridged(profile, error)
    raw = profile
    of_pixels = error
    profile, error, kernel = smoothed(profile, error, usable)
    rows, fwhm = _one_by_one(profile, of_pixels, usable, kernel, n_sources)
    alone = _standing_alone(profile, error, usable, n_sources, fwhm)
    if alone is not None:
        rows = alone
    elif n_sources is not None and n_sources > 1 and usable.any():
        scatter = np.hypot(np.where(np.isfinite(noise), noise, 10 * error), 0.01 * np.ptp(raw))
        rows, fwhm = deblended(raw[usable], scatter[usable], np.flatnonzero(usable), n_sources,
                               rows, fwhm)  # fmt: skip
    heights = np.interp(rows, np.arange(len(profile)), profile)
    snr = heights / _nearest_finite(noise, rows) * np.sqrt(fwhm)
    order = sorted(np.argsort(-np.abs(snr), kind="stable"), key=lambda j: snr[j] < 0)
    return rows[order], snr[order], fwhm


def stands_out(profile, error):
    """Whether there is a peak above the scatter of the rows, without much smoothing."""
    if len(profile) < 3:
        return True
    return smoothed(*bridged(profile, error))[2] == KERNELS[0]


def light_extent(profile, error, centers):
    """Distance from a lone source to the first row without significant light."""
    if len(centers) > 1 or len(profile) < 3:
        return 0.0
    usable = np.isfinite(error)
    noise = np.hypot(error, row_noise(profile, usable))
    dark = usable & ~(np.abs(profile) > 3 * noise)
    k = int(np.clip(np.round(centers[0]), 0, len(profile) - 1))
    distances = np.abs(np.flatnonzero(dark) - k)
    return float(distances[distances > 0].min(initial=len(profile)))


def _one_by_one(profile, noise, usable, kernel, n_sources):
    """Rows of the peaks, the highest first, each found in what the others leave; their width.

    Rows scatter by what the sources found do not explain: these may fill most of a slit.
    """
    first = _first_peak(profile, usable, np.hypot(LEAST_FWHM, 2.355 * kernel))
    if first is None:
        raise ValueError("image: no source found, its rows do not differ")
    fwhm, place = _width(profile, first, kernel), vertex if kernel == KERNELS[0] else _centroid
    taken = [_peak(profile, first, place)]
    residual, passed = _subtract_peaks(profile, taken, fwhm), []
    while len(taken) < (n_sources or max(1, len(profile) // 6)):
        candidate = np.where(usable, np.abs(residual), 0.0)
        candidate[passed] = 0.0
        for row, _ in taken:
            candidate[np.abs(np.arange(len(profile)) - row) < LEAST_DISTANCE * fwhm] = 0.0
        k = _next_peak(residual, candidate, usable)
        if k is None:
            break
        error = np.hypot(SMOOTHED_NOISE[kernel] * noise, row_scatter(residual, usable))
        # What wings leave may be higher than a source far from them, which is a peak by itself.
        alike = bool(passed) or _is_on_both_sides(residual, k, taken)
        looked_at = (residual, profile) if alike else (residual,)
        if n_sources is None and not all(_is_source(a, error, k, taken, fwhm) for a in looked_at):
            passed.append(k)
            continue
        taken.append(_peak(residual, k, place))
        residual = _subtract_peaks(profile, taken, fwhm)
    return np.array([row for row, _ in taken]), fwhm


def _peak(light, k, place):
    """Row of a peak between the pixels, and its height."""
    return k + place(light * np.sign(light[k]), k), light[k]


def _standing_alone(profile, error, usable, n_sources, fwhm):
    """Rows of the highest peaks, if there are as many as sources, and none is near another.

    The residual of a bright source that no simple profile describes may be higher than a faint
    source far away. It is no peak of the profile itself, which is what the user sees.
    """
    if n_sources is None or n_sources < 2:
        return None
    light, found = np.where(usable, profile, 0.0), []
    for k in np.argsort(-np.abs(light), kind="stable"):
        if len(found) < n_sources and _is_source(light, error, k, found, fwhm):
            found.append((k + vertex(np.abs(light), k), light[k]))
    rows = np.array([row for row, _ in found])
    if len(rows) < n_sources or np.min(np.diff(np.sort(rows))) < ALONE * fwhm:
        return None
    return rows


def _prominence(light, k):
    """Height of a peak above the higher of the valleys that part it from what is higher."""
    # As scipy.signal has it, the import of which takes longer than many a slit.
    padded, k = np.pad(light, 1, constant_values=np.min(light)), k + 1
    higher = np.flatnonzero(padded > padded[k])
    left, right = higher[higher < k], higher[higher > k]
    valleys = (padded[left.max(initial=-1) + 1 : k], padded[k + 1 : right.min(initial=len(padded))])
    return padded[k] - max(np.min(valley, initial=padded[k]) for valley in valleys)


def _nearest_finite(error, rows):
    """Standard error of the usable row nearest to each place."""
    usable = np.flatnonzero(np.isfinite(error))
    nearest = np.argmin(np.abs(usable - np.asarray(rows)[:, None]), axis=1)
    return error[usable[nearest]]


def vertex(values, k):
    """Offset of the vertex of the parabola through a maximum and its neighbours."""
    if not 0 < k < len(values) - 1:
        return 0.0
    left, middle, right = values[k - 1 : k + 2]
    curvature = left - 2 * middle + right
    return 0.0 if curvature >= 0 else float(np.clip(0.5 * (left - right) / curvature, -1, 1))


def _centroid(values, k):
    """Offset of the centre of all that lies above half of a maximum and adjoins it."""
    above = values > 0.5 * values[k]
    label, _ = ndimage.label(above)
    rows = np.flatnonzero(label == label[k])
    return float(np.average(rows, weights=values[rows])) - k


def _first_peak(profile, usable, fwhm):
    """Row of the highest candidate as wide as a source, positive ones before negative ones.

    A dark or bright edge of the slit, or a bad row, is no source; it is taken only where nothing
    else is left and a first source has to be named.
    """
    ratio = np.where(profile > 0, NEGATIVE_RATIO, 1.0)
    candidate = ratio * np.where(usable, np.abs(profile), 0.0)
    wide = [_is_wide(profile * np.sign(light), k, fwhm) for k, light in enumerate(profile)]
    k = _next_peak(profile, np.where(wide, candidate, 0.0), usable)
    k = _next_peak(profile, candidate, usable) if k is None else k
    return int(np.argmax(candidate)) if k is None and candidate.any() else k


def _next_peak(residual, candidate, usable):
    """Row of the highest candidate that falls off on both sides within the usable rows, or None."""
    order = np.argsort(-candidate, kind="stable")
    for k in order[candidate[order] > 0]:
        if _falls_off(residual, usable, k):
            return int(k)
    return None


def _falls_off(residual, usable, k):
    """Whether a peak falls below its half on both sides, or runs out of the slit on one."""
    height = residual * np.sign(residual[k] or 1.0)
    ends = 0
    for direction in (1, -1):
        j = k + direction
        while 0 <= j < len(height) and usable[j] and height[j] > 0.5 * height[k]:
            j += direction
        if not (0 <= j < len(height) and usable[j]):
            ends += 1 if residual[k] > 0 and abs(j - k) <= EDGE_ROWS else 2
    return ends < 2


def _is_source(residual, error, k, taken, fwhm):
    """Whether a further peak is one by itself: significant, above wings, and a local extreme."""
    light = residual * np.sign(residual[k])
    least = max((abs(height) * _wing(abs(k - row) / fwhm) for row, height in taken), default=0.0)
    return (
        light[k] >= np.max(np.abs(residual[max(k - 1, 0) : k + 2]))
        and light[k] > max(LEAST_SIGNIFICANCE * error[k], least)
        and _prominence(light, k) > LEAST_SIGNIFICANCE * error[k]
        and _is_wide(light, k, fwhm)
    )


def _is_on_both_sides(light, k, taken):
    """Whether the nearest source has light like that of a peak on its other side: wings of its."""
    nearest = min((row for row, _ in taken), key=lambda row: abs(row - k))
    mirrored = round(2 * nearest - k)
    inside = 0 <= mirrored < len(light)
    return inside and light[mirrored] * np.sign(light[k]) > LEAST_MIRRORED * abs(light[k])


def _is_wide(light, k, fwhm):
    """Whether the higher neighbour of a peak has its part of the light, as bad rows have not."""
    higher = max(light[j] for j in (k - 1, k + 1) if 0 <= j < len(light))
    return higher > LEAST_NEIGHBOUR * np.exp(-4 * np.log(2) / fwhm**2) * light[k]


def _wing(distance):
    """Height that wings may have, relative to their peak, at a distance in full widths."""
    return LEAST_HEIGHT * max(distance / WINGS_FROM, 1.0) ** WING_SLOPE


def _width(profile, k, kernel):
    """Full width at half maximum of the peak at row `k`, without that of the smoothing kernel."""
    height = profile * np.sign(profile[k] or 1.0)
    sides = [_half_width(height, k, direction) for direction in (1, -1)]
    known = [side for side, inside in sides if inside]
    # A side that the slit cuts off is taken to be as wide as the other.
    width = 2 * known[0] if len(known) == 1 else sum(side for side, _ in sides)
    width = np.sqrt(max(width**2 - (2.355 * kernel) ** 2, LEAST_FWHM**2))
    return float(np.clip(width, LEAST_FWHM, max(0.4 * len(profile), LEAST_FWHM)))


def _half_width(height, k, direction):
    """Distance to half the maximum, and whether it lies within the rows."""
    half, j = 0.5 * height[k], k
    while 0 <= j + direction < len(height) and height[j + direction] > half:
        j += direction
    beyond = j + direction
    if not 0 <= beyond < len(height):
        return abs(j - k) + 0.5, False
    drop = height[j] - height[beyond]
    return abs(j - k) + ((height[j] - half) / drop if drop > 0 else 0.5), True


def _subtract_peaks(profile, taken, fwhm):
    """Profile less Gaussians at all peaks, fitted together with a constant; its median is zero.

    The constant alone would follow the wings, which no Gaussian has, and leave all dark rows below.
    """
    rows = np.arange(len(profile))
    columns = [np.exp(-4 * np.log(2) * ((rows - row) / fwhm) ** 2) for row, _ in taken]
    basis = np.stack([*columns, np.ones(len(profile))], axis=1)
    heights = np.linalg.lstsq(basis, profile, rcond=None)[0]
    residual = profile - basis @ heights
    return residual - median_of_few(residual)
