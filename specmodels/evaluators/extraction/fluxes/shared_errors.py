"""Errors that pixels share, such as what is left of flicker noise: those of the fluxes.

The weights of a fit take pixels as independent. What one draw of an error does to the fluxes is
found by fitting the draw itself with the shapes held. The same draw with a random sign for each
pixel is one of independent pixels, which the errors of the fluxes know; the excess is what they
lack.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from ....fitters import LinearFitter

__all__ = ["with_shared_errors"]

# Columns over which the square of a draw is averaged: of one column it is a chi-square of one.
SMOOTHED_COLUMNS = 129
SEED = 1


def with_shared_errors(fluxes, fit, fitted):
    """Fluxes of sources whose errors have those that pixels share.

    Parameters
    ----------
    fluxes : dict of str to SourceFlux
    fit : `~specmodels.fitters.FitResult`
        Of an image with ``shared_errors``.
    fitted : callable
        ``fitted(fit)`` gives the fluxes of another fit of the same model, by name.

    Returns
    -------
    dict of str to SourceFlux
    """
    for draw in fit.image.shared_errors.values():
        draw = np.nan_to_num(draw)
        signs = np.random.default_rng(SEED).choice((-1.0, 1.0), draw.shape)
        shared, apart = (fitted(_fit_of(fit, one)) for one in (draw, draw * signs))
        fluxes = {name: _with(own, shared[name], apart[name]) for name, own in fluxes.items()}
    return fluxes


def _fit_of(fit, draw):
    """Fit of a draw in place of the data, with the shapes held."""
    image = fit.image.replace(data=draw, mask=fit.image.mask | fit.rejected, shared_errors={})
    return LinearFitter()(fit.template, image)


def _with(own, shared, apart):
    excess = np.nan_to_num(shared**2 - apart**2)
    excess = uniform_filter1d(excess, min(SMOOTHED_COLUMNS, excess.size), mode="nearest")
    return replace(own, error=np.sqrt(own.error**2 + np.maximum(excess, 0)))
