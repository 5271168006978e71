"""Many shape parameters on many columns: from a part of the columns to all of them."""

import numpy as np

from ..models.linear_form import LinearForm
from .base import Fitter
from .linear import LinearFitter
from .paths import by_columns, checked_model, images_of
from .robust import SigmaClipFitter
from .varpro import VarProFitter

__all__ = ["StagedFitter"]


class StagedFitter(Fitter):
    """Fit shapes to some of the columns, then hits, fluxes and one step of the shapes to all.

    A few hundred columns tell traces and profiles nearly as well as all do, in a fraction of the
    time. With shapes held, hits are found in all columns; one Gauss-Newton step of all parameters
    then ends the fit, with the errors of all.

    Parameters
    ----------
    n_columns : int
        Number of columns, evenly spread, of the first fit.
    sigma : float
        Threshold of the rejection of hits; see `SigmaClipFitter`.

    Raises
    ------
    ValueError
        If `n_columns` is not positive.
    """

    def __init__(self, n_columns=256, *, sigma=4.5):
        if n_columns < 1:
            raise ValueError(f"n_columns: expected 1 or more, got {n_columns!r}")
        self.n_columns, self.sigma = n_columns, sigma

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`. Where columns are not independent, as `SigmaClipFitter` does."""
        images = images_of(image)
        model = checked_model(model, images)
        whole = SigmaClipFitter(VarProFitter(), sigma=self.sigma)
        if not by_columns(model, images, batch, share) or not LinearForm(model).nonlinear:
            return whole(model, image, batch=batch, share=share)
        (image,) = images
        step = image.shape[1] // self.n_columns
        if step < 2:
            return whole(model, image, batch=batch, share=share)
        first = whole(model, image.cutout(columns=slice(None, None, step)), batch=batch)
        clipped = SigmaClipFitter(LinearFitter(), sigma=self.sigma)
        rejected = clipped.outliers(LinearFitter()(first.template, image, batch=batch), image)
        cleaned = image.replace(mask=image.mask | rejected)
        # However much the step promises, it is taken, and is the last.
        last = VarProFitter(tolerance=np.inf)(first.template, cleaned, batch=batch)
        message = "; ".join(filter(None, dict.fromkeys([first.message, last.message])))
        return last.replace(rejected=rejected, success=not message, message=message)
