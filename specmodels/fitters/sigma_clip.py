"""Robustness as a wrapper round any fitter: outliers such as cosmic rays are left out."""

import numpy as np

from ..models.linear_form import LinearForm
from ..models.noise.correlated import without_noise
from ..numerics.clipping import local_scale, reject_by_column, relative_misfit, sharp_pixels
from ..numerics.robust import column_median, median_of_columns
from .base import Fitter
from .columns.problem import Problem
from .linear import LinearFitter
from .paths import by_columns, checked_model, images_of
from .system import SystemFitResult
from .system.outliers import system_outliers

__all__ = ["SigmaClipFitter"]


class SigmaClipFitter(Fitter):
    r"""Fit, reject the pixels that disagree, and fit again until none is left.

    A pixel is compared with the fit of the other pixels of its column: its residual is divided by
    :math:`\sigma\sqrt{1 - h}` with its leverage :math:`h`, so that a hit on the peak of an
    undersampled profile, which pulls the fit towards itself, is found as well as one in the sky.

    Parameters
    ----------
    fitter : Fitter
        The fitter to wrap.
    sigma : float
        Threshold, in standard deviations.
    profile_error : float
        Least relative error of the model, added in quadrature to the noise when pixels are judged,
        so that bright lines are not taken for hits. A larger one is used where the residuals of
        bright pixels show it; likewise where whole rows scatter by more than their errors.
    max_rounds : int
        Largest number of fits.

    Raises
    ------
    TypeError
        If `fitter` is no `Fitter`.
    ValueError
        If `sigma` is not positive or `profile_error` negative.
    """

    def __init__(self, fitter=None, *, sigma=4.5, profile_error=0.01, max_rounds=4):
        fitter = LinearFitter() if fitter is None else fitter
        if not isinstance(fitter, Fitter):
            raise TypeError(f"fitter: expected a Fitter, got {type(fitter).__name__}")
        if not sigma > 0 or not profile_error >= 0 or max_rounds < 1:
            raise ValueError(
                "expected sigma > 0, profile_error >= 0 and max_rounds >= 1, got "
                f"{sigma!r}, {profile_error!r}, {max_rounds!r}"
            )
        self.fitter, self.sigma = fitter, sigma
        self.profile_error, self.max_rounds = profile_error, max_rounds

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`. ``rejected`` of the result marks what was left out."""
        images = images_of(image)
        model = checked_model(model, images)
        if not by_columns(model, images, batch, share):
            return self._fit_system(model, images, batch, share)
        held, image = bool(LinearForm(model).nonlinear), images[0]
        rejected = self.outliers_of_held(model, image, batch=batch) if held else _hits(image)
        return self.without(rejected, model, image, batch=batch)

    def without(self, rejected, model, image, *, batch="columns"):
        """Fit to columns, as called, where the pixels to be rejected at first are known.

        Parameters
        ----------
        rejected : ndarray of bool, shape of the image
        model, image, batch
            See `Fitter`.

        Returns
        -------
        FitResult
        """
        result = self.fitter(model, image.replace(mask=image.mask | rejected), batch=batch)
        for _ in range(self.max_rounds):
            before, rejected = rejected, self.outliers(result, image)
            if np.array_equal(rejected, before):
                break
            result = self.fitter.refit(result, [image.replace(mask=image.mask | rejected)])
        return result.replace(rejected=rejected)

    def _fit_system(self, model, images, batch, share):
        """As for columns, where pixels of all images depend on one another."""
        rejected = [np.zeros(image.shape, dtype=bool) for image in images]
        several = isinstance(model, list)
        light = [without_noise(own) for own in model] if several else without_noise(model)
        noisy = light != model if several else light is not model
        if noisy:  # noise that is learnt with hits would take them for its own
            found = self(light, images, batch=batch, share=share).rejected
            rejected = found if len(images) > 1 else [found]
        elif self._moves_shapes(model[0] if several else model):  # hits would lead them astray
            result = LinearFitter()(model, images, batch=batch, share=share)
            rejected = system_outliers(result, images, self.sigma, self.profile_error)
        result = None
        for number in range(self.max_rounds):
            cleaned = [image.replace(mask=image.mask | bad)
                       for image, bad in zip(images, rejected, strict=True)]  # fmt: skip
            if result is None:
                result = self.fitter(model, cleaned, batch=batch, share=share)
            else:
                result = self.fitter.refit(result, cleaned)
            before = rejected
            if number == self.max_rounds - 1:
                break
            rejected = system_outliers(result, images, self.sigma, self.profile_error)
            if all(np.array_equal(*pair) for pair in zip(rejected, before, strict=True)):
                break
        return result.replace(rejected=before if len(images) > 1 else before[0])

    def _moves_shapes(self, model):
        """Whether the fitter looks for parameters that are not linear."""
        return not isinstance(self.fitter, LinearFitter) and bool(LinearForm(model).nonlinear)

    def outliers_of_held(self, model, image, *, batch="columns"):
        """Pixels of `image` that disagree with a model, its shapes held as they are."""
        # A hit on a faint source would be all of its light, and never stand out from it.
        cleaned = image.replace(mask=image.mask | _hits(image))
        return self.outliers(LinearFitter()(model, cleaned, batch=batch), image)

    def outliers(self, result, image):
        """Pixels of `image` that disagree with a fit.

        Parameters
        ----------
        result : FitResult
            Of any fitter.
        image : `~specmodels.SpectralImage`
            The image before any rejection.

        Returns
        -------
        ndarray of bool, shape of the image
        """
        if isinstance(result, SystemFitResult):
            return system_outliers(result, [image], self.sigma, self.profile_error)[0]
        parts = _Parts(result, image)
        threshold = self._threshold(result, parts)
        if result.batch is None:
            weights = image.weights
            residual = np.where(weights > 0, result.residual(image), 0.0)
            return np.abs(residual) * np.sqrt(weights) > threshold
        out = np.empty(image.shape, dtype=bool)
        for chunk in parts.chunks:
            offset, columns, _ = parts.of(chunk)
            _, data, weights = parts.problem.pixels(chunk)
            data = np.where(weights > 0, data - offset, 0.0)
            # With the misfit as part of the noise, of all pixels a hit itself stands out most; with
            # a threshold that is higher on the peak its neighbours would be taken for the hits.
            weights = weights * (self.sigma / threshold[:, chunk]) ** 2
            limit = np.full(data.shape, self.sigma)
            out[:, chunk] = reject_by_column(columns, data, weights, limit)
        return out

    def _threshold(self, result, parts):
        """Threshold of each pixel in standard deviations, from the noise and the model's misfit."""
        image, problem = result.image, result.problem()
        use = ~image.mask
        student, signal = (np.empty(image.shape, dtype=np.float32) for _ in range(2))
        for chunk in parts.chunks:
            _, data, weights = problem.pixels(chunk)
            model, root = parts.of(chunk)[2], np.sqrt(weights)
            student[:, chunk] = np.where(use[:, chunk], data - model, 0.0) * root
            signal[:, chunk] = np.abs(model - median_of_columns(model)) * root
        signal *= max(self.profile_error, relative_misfit(student, signal, use))
        scale = np.maximum(local_scale(student, use), 1.0)
        np.hypot(scale, signal, out=scale)
        scale *= self.sigma
        return scale


class _Parts:
    """Parts of a fitted model on the pixels of an image, in chunks; the last chunk is kept.

    Parameters
    ----------
    result : FitResult
    image : `~specmodels.SpectralImage`
        With the coordinates of the one fitted.
    """

    def __init__(self, result, image):
        self.design, self.values = result.design, result.known_values
        self.problem = Problem(result.form, image)
        self.chunks = list(self.problem.chunks(8))
        self._last, self._parts = None, None

    def of(self, chunk):
        """Offset, basis images of the linear parameters, and the model: images of the pixels."""
        if self._last != chunk:
            self._last, self._parts = chunk, self._made(chunk)
        return self._parts

    def _made(self, chunk):
        offset, images = self.design.of(chunk)
        columns = [images[k] for k in self.problem.form.linear]
        return offset, columns, self.design.model(self.values, chunk, (offset, images))


def _hits(image):
    """Pixels that are sharper than light, whatever the model is."""
    good = image.weights > 0
    data = np.where(good, image.data, 0.0)
    sky = np.nan_to_num(column_median(data, good))
    return sharp_pixels((data - sky) * np.sqrt(image.weights), good)
