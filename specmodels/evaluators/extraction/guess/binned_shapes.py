"""Trace and width of a faint source, from bins of columns; its fluxes are those of the columns.

A flux for each column takes the square of its noise for light: of hundreds of columns with a
signal-to-noise ratio near one, the sum of these squares prefers a trace along bright noise to the
true one, by far more than the errors of the fit say (Neyman and Scott 1948, Econometrica 16, 1).
Bins of columns have few fluxes, each well above its noise.
"""

import numpy as np

from ....fitters import Fitter, Projection, SigmaClipFitter, VarProFitter
from ....models import LinearForm, Source
from ....spectral_image import SpectralImage
from ..shapes import with_held_shape

__all__ = ["BinnedShapeFitter", "in_bins"]


class BinnedShapeFitter(Fitter):
    """Fit shapes to bins of columns, and with these and their errors the fluxes of the columns.

    Parameters
    ----------
    n_columns : int
        Columns in each bin.
    """

    def __init__(self, n_columns):
        self.n_columns = n_columns

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`. Columns have to be independent."""
        held = with_held_shape(model.copy())
        first = SigmaClipFitter(VarProFitter())(held, image, batch=batch, share=share)
        if not LinearForm(model).nonlinear or not first.independent_columns:
            return first
        bins = in_bins(first.image.replace(data=_without_sky(first)), self.n_columns)
        shape = VarProFitter()(model, bins)
        projection = Projection(shape.template, first.image)
        result = projection.result(
            projection.initial, covariance=shape.shared_covariance, success=shape.success,
            message=shape.message, n_iterations=shape.n_iterations,
        )  # fmt: skip
        return result.replace(rejected=first.rejected)


def _without_sky(fit):
    """Data less what each column has of its own that is no source: its sky."""
    data, linear = np.array(fit.image.data), set(fit.form.linear)
    for chunk, _, _, parts in fit.completed().parts():
        for leaf, positions, light in parts:
            if not isinstance(leaf, Source) and linear & set(positions):
                data[:, chunk] -= np.nan_to_num(light)
    return data


def in_bins(image, n_columns):
    """Weighted means of neighbouring columns.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With a variance.
    n_columns : int
        Columns of a bin; the last have one more or less.

    Returns
    -------
    `~specmodels.SpectralImage`
        Each bin at its mean column.
    """
    n_bin = max(image.shape[1] // n_columns, 1)
    starts = np.linspace(0, image.shape[1], n_bin + 1).astype(int)[:-1]
    weights = image.weights
    total = np.add.reduceat(weights, starts, axis=1)
    light = np.add.reduceat(np.where(weights > 0, weights * image.data, 0.0), starts, axis=1)
    seen = total > 0
    data, variance = (np.divide(a, total, out=np.zeros_like(total), where=seen)
                      for a in (light, np.ones_like(total)))  # fmt: skip
    x = np.add.reduceat(image.x, starts) / np.diff([*starts, image.shape[1]])
    return SpectralImage(data, variance=np.where(seen, variance, 1.0), mask=~seen, x=x, y=image.y)
