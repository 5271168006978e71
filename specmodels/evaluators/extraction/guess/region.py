"""Which pixels of an image show the slit: what is empty or vignetted is masked before the fit."""

import numpy as np

from ....numerics.robust import MAD_TO_SIGMA, column_median

__all__ = ["rows_near", "slit_region"]

LARGEST_EDGE = 4
LEAST_INTERIOR = 8
EDGE_SIGMA = 8.0
# What a vignetted row lacks of the light of a row, at least. Where lines are tilted the medians of
# columns have more of them than rows have, so that rows are compared with rows.
LEAST_LOSS = 0.1
# So many columns tell a dark row for certain; more would take longer to sort.
JUDGED_COLUMNS = 500
# Rows kept on either side of the sources of a long slit: in full widths at half maximum, and rows.
NEAR_FWHM, NEAR_ROWS = 15.0, 40.0


def slit_region(image):
    """Image with empty columns and the vignetted edges of the slit masked.

    A column is empty where all its good pixels are exactly zero. An edge row, counted from the
    first or the last good pixel of each column, is vignetted where it is darker than the sky by far
    more than its scatter, while the row inside of it is brighter.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`

    Returns
    -------
    `~specmodels.SpectralImage`
        The same object where nothing is to be masked; else its ``notes`` say what was.
    """
    bad, reasons = np.array(image.mask), []
    lit = image.data != 0
    if bad.any():
        lit &= ~bad
    lit, usable = lit.any(axis=0), ~bad.all(axis=0)
    empty = usable & ~lit
    if empty.any() and np.any(usable & lit):
        bad[:, empty] = True
        reasons.append(f"{int(empty.sum())} columns masked, zero throughout")
    if image.shape[0] >= LEAST_INTERIOR + 2 * LARGEST_EDGE:
        reasons += _mask_dark_edges(image.data, bad)
    return image.replace(mask=bad, notes=(*image.notes, *reasons)) if reasons else image


def rows_near(image, guess):
    """Part of a long slit near its sources, where the sky is nearly the same; else the image.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    guess : `~specmodels.evaluators.extraction.guess.first_guess.Guess`
        Where the sources are.
    """
    margin = max(NEAR_FWHM * guess.fwhm, guess.extent + NEAR_ROWS / 2, NEAR_ROWS)
    low, high = guess.traces.min() - margin, guess.traces.max() + margin
    if low <= image.y[0] and high >= image.y[-1]:
        return image
    near = image.cutout(rows=slice(*np.searchsorted(image.y, (low, high))))
    note = f"rows {near.y[0]:g} to {near.y[-1]:g} used, near the sources"
    return near.replace(notes=(*image.notes, note))


def _mask_dark_edges(data, bad):
    """Mask vignetted rows at both edges in `bad`; yield what was masked."""
    good = ~bad
    columns = np.flatnonzero(np.count_nonzero(good, axis=0) > 2 * LARGEST_EDGE)
    if columns.size < 8:
        return []
    judged = columns[:: max(1, columns.size // JUDGED_COLUMNS)]
    level = column_median(data[:, judged], good[:, judged])
    shown = column_median(data[:, judged].T, good[:, judged].T)
    least = (1 - LEAST_LOSS) * np.nanmedian(shown)
    reasons = []
    for side, first in (
        ("first", np.argmax(good, axis=0)),
        ("last", len(bad) - 1 - np.argmax(good[::-1], axis=0)),
    ):
        step = 1 if side == "first" else -1
        dark = 0
        while dark < LARGEST_EDGE and _is_dark(
            data, good, (first[judged] + step * dark, judged), level, least
        ):
            dark += 1
        if 0 < dark < LARGEST_EDGE:
            for row in range(dark):
                bad[first[columns] + step * row, columns] = True
            reasons.append(f"{side} {dark} rows of the slit masked, vignetted")
    return reasons


def _is_dark(data, good, where, level, limit):
    """Whether pixels lie below the level of their columns by far more than their scatter."""
    judged = good[where]
    values = (data[where] - level)[judged]
    if values.size < 8 or (limit > 0 and np.median(data[where][judged]) > limit):
        return False
    middle = np.median(values)
    scatter = MAD_TO_SIGMA * np.median(np.abs(values - middle)) + 1e-300
    least = max(0.5, EDGE_SIGMA * 1.2533 / np.sqrt(values.size)) * scatter
    return -middle > least
