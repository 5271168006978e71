"""Rows in which lines of the sky are elsewhere, or brighter, than a fit of wavelengths has them.

Wavelengths are known to a few hundredths of a pixel, and less well at the ends of a slit. A bright
line tells its position to a thousandth: such rows draw the sky of all others.
"""

import numpy as np

from ....models import Source
from .seen_spectra import spectrum_name

__all__ = ["with_sky_line_misfits"]

# Pixels of lines are so many standard deviations above the sky of their row; so many are needed.
LINE, LEAST_PIXELS = 10.0, 50
# Residuals of lines are larger than of other pixels by so many standard errors.
EXCESS_SIGMA = 4.0


def with_sky_line_misfits(image, fit):
    """Image whose variance has what the sky of a fit misses, or None where it misses nothing.

    What is missed is taken as a part of the light of a line, the same for all lines of a row.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    fit : `~specmodels.fitters.FitResult`
        Fit of that image, of functions of wavelength.

    Returns
    -------
    `~specmodels.SpectralImage` or None
    """
    if fit.independent_columns:
        return None
    good = ~image.mask & ~fit.rejected
    lines = _lines(fit, good) * np.sqrt(image.weights)
    left = np.where(good, image.data - np.nan_to_num(fit.predict()), 0.0)
    missed = np.array([_missed(*row) for row in zip(left**2 * image.weights, lines, good,
                                                    strict=True)])  # fmt: skip
    if not missed.any():
        return None
    usable, more = ~image.mask, np.zeros(image.shape)
    more[usable] = (missed[:, None] * lines**2)[usable] * image.variance[usable]
    components = dict(image.components)
    if components:
        components["line_misfit"] = more
    note = f"larger variances at lines of the sky, which are off in {np.sum(missed > 0)} rows"
    return image.replace(
        variance=image.variance + more, components=components, notes=(*image.notes, note)
    )


def _lines(fit, good):
    """Sky above its median in each row, shape of the image; zero where a row has no pixel."""
    names = {spectrum_name(leaf.name) for leaf, _ in fit.form.leaves() if isinstance(leaf, Source)}
    sky = sum(light for _, _, _, parts in fit.parts() for model, _, light in parts
              if not isinstance(model, Source) and model.name not in names)  # fmt: skip
    sky = np.broadcast_to(np.nan_to_num(sky), good.shape)
    level = np.ma.median(np.ma.array(sky, mask=~good), axis=1).filled(0.0)
    return np.where(good, sky - level[:, None], 0.0)


def _missed(square, lines, good):
    """Square of the part of the lines of a row that is missed; zero where it is not seen."""
    bright, faint = good & (lines > LINE), good & (np.abs(lines) < LINE)
    if min(np.count_nonzero(bright), np.count_nonzero(faint)) < LEAST_PIXELS:
        return 0.0
    usual = np.mean(square[faint])
    excess = square[bright] - usual
    error = np.std(square[bright]) / np.sqrt(excess.size)
    if np.mean(excess) < EXCESS_SIGMA * error:
        return 0.0
    return float(np.sum(excess) / np.sum(lines[bright] ** 2))
