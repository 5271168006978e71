"""Errors that pixels share, such as what is left of flicker noise: those of the fluxes.

The weights of a fit take pixels as independent. What one draw of an error does to the fluxes is
found by fitting the draw itself with the shapes held. The same draw with a random sign for each
pixel is one of independent pixels, which the errors of the fluxes know; the excess is what they
lack.
"""

import numpy as np
from scipy.ndimage import uniform_filter1d

from ....fitters import LinearFitter

__all__ = ["shared_covariances"]

# Columns over which products of a draw are averaged: of one column they are a chi-square of one.
SMOOTHED_COLUMNS = 129
# Distances of columns at which fluxes are told to have errors in common.
WIDTH = 32
SEED = 1


def shared_covariances(fit, fitted):
    """What errors that pixels share add to the covariance of the fluxes.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
        Of an image with ``shared_errors``.
    fitted : callable
        ``fitted(fit)`` gives the fluxes of another fit of the same model, by name.

    Returns
    -------
    dict of str to ndarray, shape (n_column, n_diagonal)
        As the band of a `~specmodels.numerics.SpectrumCovariance`. Empty where there are none.
    """
    found = {}
    for draw in fit.image.shared_errors.values():
        draw = np.nan_to_num(draw)
        signs = np.random.default_rng(SEED).choice((-1.0, 1.0), draw.shape)
        shared, apart = (fitted(_fit_of(fit, one)) for one in (draw, draw * signs))
        for name, flux in shared.items():
            found[name] = found.get(name, 0.0) + _excess(flux, apart[name])
    return found


def _fit_of(fit, draw):
    """Fit of a draw in place of the data, with the shapes held."""
    image = fit.image.replace(data=draw, mask=fit.image.mask | fit.rejected, shared_errors={})
    return LinearFitter()(fit.template, image)


def _excess(shared, apart):
    """Products of neighbouring fluxes of a draw beyond those of independent pixels, averaged.

    Tapered with the distance, so that they are those of a covariance, and not larger than what
    columns have in their own errors.
    """
    shared, apart = np.nan_to_num(shared), np.nan_to_num(apart)
    n = len(shared)
    out = np.zeros((n, min(WIDTH, n)))
    for k in range(out.shape[1]):
        product = shared[: n - k] * shared[k:] - apart[: n - k] * apart[k:]
        size = min(SMOOTHED_COLUMNS, product.size)
        out[: n - k, k] = (1 - k / WIDTH) * uniform_filter1d(product, size, mode="nearest")
    own = np.maximum(out[:, 0], 0.0)
    for k in range(out.shape[1]):
        most = np.sqrt(own[: n - k] * own[k:])
        out[: n - k, k] = np.clip(out[: n - k, k], -most, most)
    return out
