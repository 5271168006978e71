"""A first fit of shapes: a start for those that are to be learnt, and the hits."""

from ....fitters import Fitter, SigmaClipFitter, VarProFitter
from ....fitters.staged import FIRST_TOLERANCE

__all__ = ["FirstShapeFitter"]


class FirstShapeFitter(Fitter):
    """Fit once, to no more than the noise of chi-square, and say which pixels disagree."""

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`. Columns have to be independent."""
        clipped = SigmaClipFitter(VarProFitter(tolerance=FIRST_TOLERANCE))
        rejected = clipped.outliers_of_held(model, image, batch=batch)
        cleaned = image.replace(mask=image.mask | rejected)
        fit = clipped.fitter(model, cleaned, batch=batch, share=share)
        return fit.replace(rejected=clipped.outliers(fit, image))
