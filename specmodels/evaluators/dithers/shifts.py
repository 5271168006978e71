"""Shifts of the wavelengths of an exposure against another (flexure), as lines show them."""

from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline

__all__ = ["line_shift", "without_flexure"]

# A shift counts where it is this many standard errors and this part of a pixel.
SHIFT_SIGMA, LEAST_SHIFT, LARGEST_SHIFT = 5.0, 0.02, 3.0
STEPS, LEAST_POINTS = 8, 20
NONE = (0.0, np.inf)
# Part of the variance beyond a smooth curve that is explained where both show the same lines, and
# the number of parts of the spectrum that are moved alike.
LEAST_EXPLAINED, SMOOTH_DEGREE, N_PARTS = 0.9, 3, 4


def line_shift(first, second):
    """Shift of the second spectrum against the first, in columns, and its standard error.

    Both are zero where no shift is certain. It is where both have the same lines, and those of all
    parts of the spectrum agree.

    Parameters
    ----------
    first, second : tuple of ndarray, each of shape (n_sample,)
        Wavelengths, increasing and a column apart, and fluxes.

    Returns
    -------
    shift, error : float
        Where positive, lines have larger wavelengths in the second spectrum.
    """
    shift, error = _shift(first, second)
    if not abs(shift) > max(SHIFT_SIGMA * error, LEAST_SHIFT):
        return 0.0, 0.0
    parts = np.array_split(np.arange(len(second[0])), N_PARTS)
    each = np.array([_shift(first, tuple(values[part] for values in second)) for part in parts])
    each = each[np.isfinite(each[:, 1])]
    if len(each) < N_PARTS // 2:
        return 0.0, 0.0
    scatter = np.ptp(each[:, 0])
    alike = scatter < max(0.5 * abs(shift), SHIFT_SIGMA * np.max(each[:, 1]))
    return (shift, error) if alike else (0.0, 0.0)


def _shift(first, second):
    """Shift and its standard error; infinite where there is none.

    The second is the first times a factor and displaced, plus a constant (least squares, by
    repeated linearisation).

    Arguments are those of `line_shift`.
    """
    (wave, flux), (other_wave, other) = first, second
    # Beside a constant of one, light in watts would be too little to be told from none.
    flux, other = _of_order_one(flux), _of_order_one(other)
    known, other_known = np.isfinite(flux), np.isfinite(other)
    if min(known.sum(), other_known.sum()) < LEAST_POINTS:
        return NONE
    place = np.arange(len(wave), dtype=float)
    lines = CubicSpline(place[known], flux[known])
    slopes = lines.derivative()
    seen = np.interp(other_wave, wave, place)  # in columns of the first
    inside = other_known & (other_wave > wave[0]) & (other_wave < wave[-1])
    if inside.sum() < LEAST_POINTS:
        return NONE
    shift = 0.0
    for _ in range(STEPS):
        at = seen[inside] - shift
        terms = np.stack([lines(at), -slopes(at), np.ones(len(at))], axis=1)
        use = (at > 0) & (at < len(wave) - 1)
        if use.sum() < LEAST_POINTS:
            return NONE
        solution = np.linalg.lstsq(terms[use], other[inside][use], rcond=None)[0]
        if not solution[0] > 0:
            return NONE
        step = solution[1] / solution[0]
        shift += np.clip(step, -1, 1)
        if abs(shift) > LARGEST_SHIFT:
            return NONE
        if abs(step) < 1e-4:
            break
    left = (other[inside] - terms @ solution)[use]
    curvature = np.sum(_without(terms[use, 1], terms[use][:, [0, 2]]) ** 2)
    error = np.sqrt(np.mean(left**2) / max(curvature, 1e-300)) / solution[0]
    seen = other[inside][use]
    smooth = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(seen)), SMOOTH_DEGREE)
    explained = 1 - np.sum(left**2) / max(np.sum(_without(seen, smooth) ** 2), 1e-300)
    return (float(shift), float(error)) if explained > LEAST_EXPLAINED else NONE


def _of_order_one(flux):
    """Flux over its largest value, whatever its unit; of no light it is as it was."""
    size = np.max(np.abs(flux), initial=0.0, where=np.isfinite(flux))
    return flux / size if size > 0 else flux


def _without(values, terms):
    """What of values the terms do not describe."""
    return values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]


def without_flexure(own):
    """Exposures whose wavelengths are those of the first, as the lines of their skies show them.

    Parameters
    ----------
    own : list of `~specmodels.evaluators.dithers.model.ExposureModel`

    Returns
    -------
    own : list of `~specmodels.evaluators.dithers.model.ExposureModel`
    shifts, errors : list of float
        By which wavelengths were moved, in columns, and standard errors; zero where they were not.
    """
    shifts, errors = [0.0] * len(own), [0.0] * len(own)
    if any(one.night is None for one in own):
        return own, shifts, errors
    out = [own[0]]
    for number, one in enumerate(own[1:], start=1):
        if own[0].trusted and one.trusted:
            found, errors[number] = line_shift(own[0].night, one.night)
            shifts[number] = 0.0 - found
        step = np.gradient(np.asarray(one.image.wavelength, dtype=float), axis=-1)
        moved = one.image.wavelength + shifts[number] * np.abs(step)
        out.append(replace(one, image=one.image.replace(wavelength=moved))
                   if shifts[number] else one)  # fmt: skip
    return out, shifts, errors
