"""Where the sky is sampled, and how finely: breakpoints for its spline, and gaps."""

import numpy as np

from ...numerics.cloud import bin_medians

__all__ = ["finest_breaks", "gaps_between"]

# Fractions of a pixel; the finer where tilted slits fill the pixel evenly.
FINE, COARSE = 0.5, 1.0
N_PHASES, LEAST_SHARE = 4, 0.08
N_SAMPLES, N_PHASE_SAMPLES = 3000, 600  # of each slit
N_BINS = 96
# A gap is wider than this, in breakpoints.
LEAST_GAP = 6


def finest_breaks(slits, model=None):
    """The finest breakpoints that the sampling allows, or those of a model.

    Parameters
    ----------
    slits : sequence of `~specmodels.fitters.SkyPixels`
        The pixels.
    model : `~specmodels.models.MasterBackgroundSpectrum`, optional
        Its breakpoints are used as they are, or their number.

    Returns
    -------
    ndarray, shape (n_break,)

    Raises
    ------
    ValueError
        If all pixels have the same wavelength.
    """
    low = min(pixels.wavelength.min() for pixels in slits)
    high = max(pixels.wavelength.max() for pixels in slits)
    if model is not None and model.placed:
        breaks = np.asarray(model.breakpoints)
        if breaks[0] >= high or breaks[-1] <= low:
            raise ValueError(
                f"model: expected breakpoints within {low:.5g} to {high:.5g}, the wavelengths of "
                f"the slits, got {breaks[0]:.5g} to {breaks[-1]:.5g}"
            )
        return breaks
    if not low < high:
        raise ValueError(f"wavelength: expected a range, got {low} throughout")
    grid, number = _pixel_numbers(slits, low, high)
    if model is not None:
        wanted = np.linspace(0, number[-1], model.n_knots)
    else:
        spacing = _spacing(slits, grid, number)
        wanted = np.linspace(0, number[-1], max(int(number[-1] / spacing), 4) + 1)
    breaks = np.interp(wanted, number, grid)
    breaks[0], breaks[-1] = low, high
    return breaks


def _pixel_numbers(slits, low, high):
    """Wavelengths, and the number of pixels from the first to each, by the median dispersion."""
    middle, step = (np.concatenate(part) for part in zip(*map(_steps, slits), strict=True))
    edges = np.linspace(low, high, N_BINS + 1)
    centers = 0.5 * (edges[1:] + edges[:-1])
    bins = np.clip(((middle - low) / (high - low) * N_BINS).astype(int), 0, N_BINS - 1)
    medians = np.zeros(N_BINS)
    found = bin_medians(bins, step)
    medians[: found.size] = found
    known = medians > 0
    if not known.any():
        n_pixel = max(pixels.shape[1] for pixels in slits)
        return np.array([low, high]), np.array([0.0, n_pixel])
    grid = np.linspace(low, high, 40 * N_BINS)
    density = 1 / np.interp(grid, centers[known], medians[known])
    number = np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))
    return grid, np.concatenate([[0.0], number])


def _steps(pixels):
    """Wavelength between neighbours along the dispersion, and their distance."""
    every = max(1, pixels.size // N_SAMPLES)
    together = np.flatnonzero((np.diff(pixels.index) == 1) & (np.diff(pixels.rows) == 0))[::every]
    first, second = pixels.wavelength[together], pixels.wavelength[together + 1]
    step = np.abs(second - first)
    good = step > 0
    return (0.5 * (first + second))[good], step[good]


def _spacing(slits, grid, number):
    """Half a pixel where the phases of the pixels are spread, else a pixel."""
    sample = np.concatenate([p.wavelength[:: max(1, p.size // N_PHASE_SAMPLES)] for p in slits])
    phase = np.interp(sample, grid, number) % 1
    counts = np.bincount((phase * N_PHASES).astype(int), minlength=N_PHASES)
    return FINE if counts[:N_PHASES].min() >= LEAST_SHARE * phase.size else COARSE


def gaps_between(intervals, breaks):
    """Ranges of wavelength that hold no pixel, several breakpoints wide, shape (n_gap, 2).

    `intervals` are the numbers of the intervals between breakpoints that hold the pixels of each
    slit.
    """
    counts = np.zeros(breaks.size - 1, dtype=int)
    for places in intervals:
        counts += np.bincount(places, minlength=counts.size)
    empty = np.concatenate([[False], counts == 0, [False]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(empty) == 1), np.flatnonzero(np.diff(empty) == -1)
    wide = stops - starts >= LEAST_GAP
    return np.column_stack([breaks[starts[wide]], breaks[stops[wide]]])
