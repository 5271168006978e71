"""What every fitter promises: a model and data go in, a `FitResult` comes out."""

from abc import ABC, abstractmethod

from .result import FitResult

__all__ = ["FitResult", "Fitter"]


class Fitter(ABC):
    """Base of all fitters: ``fitter(model, image)`` returns a `FitResult`.

    A subclass *must* define ``__call__``. Settings go into its constructor. It never changes the
    model or the image, and knows nothing of jobs or instruments.
    """

    @abstractmethod
    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit a model to an image, or to several.

        Parameters
        ----------
        model : `~astropy.modeling.Model`, or list of them
            A template: its values are the initial ones, its constraints are kept. Or one for each
            of several images: the same composition with other values, or other ones fixed.
        image : `~specmodels.SpectralImage`, sequence of them, or `~specmodels.Exposure`
            The data; their inverse variances are the weights, in absolute units.
        batch : {"columns", None}
            With ``"columns"`` linear parameters repeat over what their models say: a flux for each
            column, an offset for each line. With None all pixels share them.
        share : bool or mapping of str to bool
            Which non-linear parameters several images share: all, none, or as said by name
            (``{"trace_*": False}``).

        Returns
        -------
        FitResult

        Raises
        ------
        TypeError, ValueError
            If something else is given, or the model cannot be fitted; the message names what.
        """

    def refit(self, result, images):
        """Fit the images of a result of this fitter again, with other masks or variances.

        Parameters
        ----------
        result : FitResult
        images : list of `~specmodels.SpectralImage`

        Returns
        -------
        FitResult
        """
        several = len(images) > 1
        model, image = (result.templates, images) if several else (result.template, images[0])
        return self(model, image, **result.options)

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"
