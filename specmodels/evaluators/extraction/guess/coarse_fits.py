"""Whether the fit of a model to some of the columns makes sense, and whether it asks for more."""

import numpy as np

from ....models import Source
from ....numerics.robust import median_of_columns
from ..fluxes.hidden_wings import outer_light
from .leaves import leaves_of

__all__ = ["is_sensible", "looks_like_sky", "misfits", "widths_are_alike"]

# A profile that drifts changes its width by no more than this factor.
LARGEST_DRIFT = 1.8
# Part of the light of a source that a level of the sky could be taken for.
OUTER_LIGHT = 0.08
# Excess of the mean square residual on the sources, relative to the sky, which makes that worth a
# trial.
LEAST_MISFIT = 0.1


def is_sensible(fit, guess, image):
    """Whether a coarse fit converged near the first guess, with widths that a profile can have."""
    if not fit.success:
        return False
    reach = max(guess.fwhm, 2.0)
    for source, found in zip(leaves_of(fit.template), guess.traces, strict=False):
        trace = source.trace_position(image.x)
        fwhm = source.fwhm(image.x)
        moved = abs(np.mean(trace) - np.mean(found))
        if moved > reach or np.ptp(trace) > np.ptp(found) + 2 * reach:
            return False
        widest = max(4 * guess.fwhm, 0.7 * image.shape[0])
        if fwhm.min() < max(0.2, 0.35 * guess.fwhm) or fwhm.max() > widest:
            return False
    return True


def looks_like_sky(fit, image):
    """Whether a profile has light at the ends of the slit, as a level of the sky has.

    The two would trade without end: the flux would be that of a source many times as wide.
    """
    for source in leaves_of(fit.template):
        if isinstance(source, Source):
            values = [getattr(source, n).value for n in source.param_names]
            if outer_light(source, values, image, source.trace_position(image.x)) > OUTER_LIGHT:
                return True
    return False


def misfits(fit):
    """Whether the residuals are larger where the sources are bright than in the sky."""
    root = np.sqrt(fit.image.weights)
    model = np.nan_to_num(fit.predict())
    signal = np.abs(model - median_of_columns(model)) * root
    square = (np.where(root > 0, fit.image.data - model, 0.0) * root) ** 2
    bright, dark = (root > 0) & (signal > 5), (root > 0) & (signal < 1)
    if min(np.count_nonzero(bright), np.count_nonzero(dark)) < 100:
        return False
    excess = np.mean(square[bright]) / np.mean(square[dark])
    return excess > 1 + max(LEAST_MISFIT, 4 * np.sqrt(2 / np.count_nonzero(bright)))


def widths_are_alike(fit, drifting):
    """Whether a drift leaves the widths of the sources about as they are: hits can make others."""
    ratios = [
        other.fwhm(fit.image.x) / source.fwhm(fit.image.x)
        for source, other in zip(leaves_of(fit.template), leaves_of(drifting.template), strict=True)
        if isinstance(source, Source)
    ]
    return np.min(ratios) > 1 / LARGEST_DRIFT and np.max(ratios) < LARGEST_DRIFT
