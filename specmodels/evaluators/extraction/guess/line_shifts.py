"""Tilt and bow of lines that nobody measured, from the lines of the sky in the image itself.

Neighbouring blocks of rows are correlated for a start; then the sky, a spline of wavelength, is
fitted with the coordinate (`~specmodels.WavelengthMap`) free.
"""

from itertools import pairwise

import numpy as np
from scipy.ndimage import median_filter

from ....fitters import SigmaClipFitter, VarProFitter
from ....models import (
    MasterBackgroundSpectrum,
    WavelengthMap,
    bound,
    breakpoints,
    sky_of_wavelength,
    with_wavelength_map,
)
from ....numerics.robust import column_median
from ..fluxes.noise import with_constant_variance
from .first_sky import bright_rows, enough_are_dark, first_sky

__all__ = ["correlated_map", "pixel_wavelengths", "with_fitted_tilt"]

# Rows in a block, columns of the continuum, and the largest shift between two blocks.
BLOCK_ROWS, CONTINUUM_COLUMNS, LARGEST_STEP = 6, 51, 4
LEAST_BLOCKS, LEAST_COLUMNS = 4, 64
# Distance of the knots of the sky in pixels.
SPACING = 2 / 3


def correlated_map(image):
    """Tilt and bow of the lines by correlation of neighbouring rows, to a tenth of a pixel or so.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With a wavelength per column.

    Returns
    -------
    `~specmodels.WavelengthMap` or None
        Bound to the image; None where there are too few rows or columns.
    """
    n_block = image.shape[0] // BLOCK_ROWS
    if n_block < LEAST_BLOCKS or image.shape[1] < LEAST_COLUMNS:
        return None
    rows = np.array_split(np.arange(image.shape[0]), n_block)
    medians = (column_median(image.data[own], ~image.mask[own]) for own in rows)
    profiles = [_lines(np.nan_to_num(one)) for one in medians]
    steps = [_shift(one, other) for one, other in pairwise(profiles)]
    shift = np.concatenate([[0.0], np.cumsum(steps)])
    limits = (image.y[0], image.y[-1])
    t = (2 * np.array([image.y[own].mean() for own in rows]) - sum(limits)) / (
        limits[1] - limits[0]
    )
    bow, half_tilt, _ = np.polyfit(t, shift, 2)
    return bound(_map(image, tilt=2 * half_tilt, bow=bow), image)


def with_fitted_tilt(image, start):
    """Image with the wavelength of each pixel, by the tilt and bow that fit the lines of the sky.

    Those given per column are taken to be those of the middle row.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With a wavelength per column.
    start : `~specmodels.WavelengthMap`
        From `correlated_map`.

    Returns
    -------
    `~specmodels.SpectralImage`
    """
    wide = pixel_wavelengths(image, start)
    spectrum = MasterBackgroundSpectrum(breakpoints(_wider(wide), SPACING))
    dark = _without_sources(image, wide, spectrum.breakpoints)
    moved = _map(image, column_degree=1)
    for n in moved.param_names:
        if n in start.param_names:
            setattr(moved, n, getattr(start, n).value)
    moved.shift.fixed = moved.shift_x1.fixed = True
    model = with_wavelength_map(sky_of_wavelength(spectrum), moved)
    fit = SigmaClipFitter(VarProFitter())(model, dark)
    values = {n: float(fit[f"{n}_0"]) for n in moved.param_names}
    # The middle row, at which the terms of the bow are not zero, has the wavelengths given.
    values["shift"], values["shift_x1"] = values["bow"] / 3, values["bow_x1"] / 3
    found = bound(_map(image, column_degree=1, **values), image)
    note = f"lines tilted by {values['tilt']:.2f} and bowed by {values['bow']:.2f} pixels"
    return image.replace(wavelength=pixel_wavelengths(image, found), notes=(*image.notes, note))


def pixel_wavelengths(image, wavelength_map):
    """Wavelength of each pixel, shape of the image."""
    values = [getattr(wavelength_map, n).value for n in wavelength_map.param_names]
    return wavelength_map.evaluate(image.x[None], image.y[:, None], *values)


def _map(image, **settings):
    return WavelengthMap(2, limits=(image.y[0], image.y[-1]),
                         column_limits=(image.x[0], image.x[-1]), **settings)  # fmt: skip


def _wider(wavelength):
    """Wavelengths with some pixels more at both ends: lines may turn out to reach there."""
    step = np.nanmedian(np.diff(wavelength, axis=1))
    ends = step * np.arange(1, 4)
    return np.concatenate([wavelength, wavelength[:, -1:] + ends, wavelength[:, :1] - ends], axis=1)


def _lines(spectrum):
    """Spectrum less its continuum."""
    return spectrum - median_filter(spectrum, CONTINUUM_COLUMNS)


def _shift(one, other):
    """By how many columns the lines of a spectrum are moved against those of another."""
    steps = np.arange(-LARGEST_STEP, LARGEST_STEP + 1)
    inner = slice(LARGEST_STEP, len(one) - LARGEST_STEP)
    match = np.array([np.sum(one[inner] * np.roll(other, -step)[inner]) for step in steps])
    if not match.max() > 0:
        return 0.0
    best = int(np.clip(np.argmax(match), 1, len(steps) - 2))
    low, middle, high = match[best - 1 : best + 2]
    bend = low - 2 * middle + high
    return steps[best] + (0.5 * (low - high) / bend if bend < 0 else 0.0)


def _without_sources(image, wavelength, breaks):
    """Image with its bright rows masked, but for those that must stay."""
    known = image if image.variance is not None else with_constant_variance(image)
    bright = bright_rows(known, first_sky(known.replace(wavelength=wavelength), breaks))
    return image.replace(mask=image.mask | bright[:, None]) if enough_are_dark(bright) else image
