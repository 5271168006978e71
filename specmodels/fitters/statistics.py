"""Other statistics than that of Gaussian noise, by iterated weights round any fitter."""

from abc import ABC, abstractmethod

import numpy as np

from .base import Fitter
from .linear import LinearFitter
from .paths import images_of

__all__ = [
    "HuberStatistic",
    "PoissonStatistic",
    "ReweightedFitter",
    "Statistic",
    "StudentStatistic",
]

# Counts in a pixel whose variance is the least of all. Rounds go all the way to the new weights
# once models change by less than so many standard deviations, all pixels together.
LEAST_COUNT, NEAR = 0.01, 1.0


class Statistic(ABC):
    """Base of statistics: a subclass defines ``weights(data, model, weights)``.

    Whatever has a derivative can be minimised by least squares whose weights depend on the fit.

    Attributes
    ----------
    part : float
        How far each round goes towards the new weights, in their logarithms: one for all the way,
        less where these would go to and fro. What the rounds end with is the same.
    """

    part = 1.0

    def check(self, image):  # noqa: B027  not abstract: most have nothing to say
        """Raise ValueError where an image does not suit; nothing is asked of it by default."""

    @abstractmethod
    def weights(self, data, model, weights):
        """Weights of pixels for the next fit.

        Parameters
        ----------
        data, model, weights : ndarray, shape of the image
            Data, the model of the last fit, and the inverse variances of the image, zero where
            masked.

        Returns
        -------
        ndarray, shape of the image
        """

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class PoissonStatistic(Statistic):
    r"""Counts: the likelihood of Cash (1979, ApJ 228, 939), by Fisher scoring.

    Weights are one over the variance that the *model* predicts, so that pixels which happen to be
    low do not count more: where they settle, the derivatives of the likelihood vanish. The variance
    is at least that of a hundredth of a count, so that a model that vanishes, or is negative in a
    few pixels, has a weight; the equations stay unbiased with any weights that do not know of the
    data. Variances of the image say nothing but which pixels are there; it needs none. Errors are
    those of the expected information: where hardly a count was seen they are too small.

    Parameters
    ----------
    gain : float
        Counts in a unit of the data.
    read_variance : float
        Variance beside that of the counts, in the square of the unit of the data.
    """

    part = 0.5  # full steps between weights of very different size lead to other minima

    def __init__(self, *, gain=1.0, read_variance=0.0):
        if not gain > 0 or not read_variance >= 0:
            raise ValueError(
                f"expected gain > 0 and read_variance >= 0, got {gain!r}, {read_variance!r}"
            )
        self.gain, self.read_variance = float(gain), float(read_variance)

    def check(self, image):
        """Raise ValueError where pixels without counts are masked, for they have no variance."""
        if image.variance is None:
            return
        lost = np.count_nonzero(image.mask & (image.variance == 0) & (image.data == 0))
        if lost:
            raise ValueError(
                f"image {image.name!r}: {lost} pixels without counts are masked, as their variance "
                "is zero, and fluxes would come out high; expected an image without variances, "
                "which counts do not need, or NaN in pixels that are bad"
            )

    def weights(self, data, model, weights):
        """One over the predicted variance."""
        variance = np.maximum(model, LEAST_COUNT / self.gain) / self.gain + self.read_variance
        return np.where(weights > 0, 1 / variance, 0.0)


class HuberStatistic(Statistic):
    """Residuals beyond `limit` standard deviations count linearly (Huber 1964).

    Parameters
    ----------
    limit : float
        In standard deviations.
    """

    def __init__(self, limit=1.345):
        if not limit > 0:
            raise ValueError(f"limit: expected a positive number, got {limit!r}")
        self.limit = float(limit)

    def weights(self, data, model, weights):
        """Weights that fall with the size of the residual beyond the limit."""
        size = np.abs(data - model) * np.sqrt(weights)
        return weights * np.minimum(1.0, self.limit / np.maximum(size, 1e-300))


class StudentStatistic(Statistic):
    """Noise with the tails of Student's distribution.

    Parameters
    ----------
    freedom : float
        Degrees of freedom; the fewer, the heavier the tails.
    """

    def __init__(self, freedom=4.0):
        if not freedom > 0:
            raise ValueError(f"freedom: expected a positive number, got {freedom!r}")
        self.freedom = float(freedom)

    def weights(self, data, model, weights):
        """Weights of the expectation step for a scale mixture of Gaussians."""
        square = (data - model) ** 2 * weights
        return weights * (self.freedom + 1) / (self.freedom + square)


class ReweightedFitter(Fitter):
    """Minimise another statistic, by fits whose weights follow from the fit before.

    Parameters
    ----------
    statistic : Statistic
        What is minimised.
    fitter : Fitter
        Default: `LinearFitter`.
    max_rounds : int
        Largest number of fits.
    tolerance : float
        Fits end when the models of two rounds differ by less than this: the root of the squares of
        all pixels, in their standard deviations.

    Raises
    ------
    TypeError
        If `statistic` or `fitter` is of another kind.
    ValueError
        If there are to be no rounds, or no tolerance; in a call, if weights are no weights.
    """

    def __init__(self, statistic, fitter=None, *, max_rounds=60, tolerance=0.03):
        fitter = LinearFitter() if fitter is None else fitter
        if not isinstance(statistic, Statistic):
            raise TypeError(f"statistic: expected a Statistic, got {statistic!r}")
        if not isinstance(fitter, Fitter):
            raise TypeError(f"fitter: expected a Fitter, got {type(fitter).__name__}")
        if max_rounds < 1 or not tolerance > 0:
            raise ValueError(
                f"expected max_rounds >= 1 and tolerance > 0, got {max_rounds!r}, {tolerance!r}"
            )
        self.statistic, self.fitter = statistic, fitter
        self.max_rounds, self.tolerance = max_rounds, tolerance

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`."""
        images, before, result = images_of(image), None, None
        for one in images:
            self.statistic.check(one)
        current, change = images, np.inf
        for _ in range(self.max_rounds):
            if result is None:
                result = self.fitter(model, image, batch=batch, share=share)
            else:
                result = self.fitter.refit(result, current)
            found = result.predict()
            found = [np.nan_to_num(one) for one in (found if len(images) > 1 else [found])]
            if before is not None:
                change = _change(current, found, before)
            if change < self.tolerance:
                return result
            before, part = found, self.statistic.part if change > NEAR else 1.0
            triples = zip(images, current, found, strict=True)
            current = [self._reweighted(*own, part) for own in triples]
        message = f"weights not settled after {self.max_rounds} fits"
        return result.replace(success=False, message=message)

    def _reweighted(self, image, current, model, part):
        """The image with its next weights, a part of the way from the current ones."""
        weights = np.asarray(self.statistic.weights(image.filled, model, image.weights))
        if weights.shape != image.shape or not (weights >= 0).all():
            raise ValueError(
                f"statistic: expected weights {image.shape} from zero, got {weights.shape} with "
                f"{np.count_nonzero(~(weights >= 0))} that are negative or NaN"
            )
        if part < 1:
            weights = current.weights ** (1 - part) * weights**part
        use = weights > 0
        variance = np.divide(1.0, weights, where=use, out=np.ones(image.shape))
        return image.replace(variance=variance, mask=image.mask | ~use, components={})


def _change(images, found, before):
    """Root of the squares of what models have changed in all pixels, in standard deviations."""
    squares = (np.sum((new - old) ** 2 * image.weights)
               for image, new, old in zip(images, found, before, strict=True))  # fmt: skip
    return np.sqrt(sum(squares))
