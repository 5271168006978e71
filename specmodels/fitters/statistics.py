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


class Statistic(ABC):
    """Base of statistics: a subclass defines ``weights(data, model, weights)``.

    Whatever has a derivative can be minimised by least squares whose weights depend on the fit.
    """

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
    low do not count more.

    Parameters
    ----------
    gain : float
        Counts in a unit of the data.
    read_variance : float
        Variance beside that of the counts, in the square of the unit of the data.
    """

    def __init__(self, *, gain=1.0, read_variance=0.0):
        if not gain > 0 or not read_variance >= 0:
            raise ValueError(
                f"expected gain > 0 and read_variance >= 0, got {gain!r}, {read_variance!r}"
            )
        self.gain, self.read_variance = float(gain), float(read_variance)

    def weights(self, data, model, weights):
        """One over the predicted variance; that of one count at least, where nothing is left."""
        least = max(1e-3 / self.gain, 1e-3 * self.read_variance)
        variance = np.maximum(model, 0) / self.gain + self.read_variance
        return np.where(weights > 0, 1 / np.maximum(variance, least), 0.0)


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
        Fits end when the models of two rounds differ by less than this, in standard deviations of
        a pixel.

    Raises
    ------
    TypeError
        If `statistic` or `fitter` is of another kind.
    """

    def __init__(self, statistic, fitter=None, *, max_rounds=30, tolerance=1e-3):
        fitter = LinearFitter() if fitter is None else fitter
        if not isinstance(statistic, Statistic):
            raise TypeError(f"statistic: expected a Statistic, got {statistic!r}")
        if not isinstance(fitter, Fitter):
            raise TypeError(f"fitter: expected a Fitter, got {type(fitter).__name__}")
        self.statistic, self.fitter = statistic, fitter
        self.max_rounds, self.tolerance = max_rounds, tolerance

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`."""
        images, before = images_of(image), None
        current = images
        for _ in range(self.max_rounds):
            result = self.fitter(model, current if len(current) > 1 else current[0],
                                 batch=batch, share=share)  # fmt: skip
            found = result.predict()
            found = [np.nan_to_num(one) for one in (found if len(images) > 1 else [found])]
            if before is not None and self._settled(images, found, before):
                return result
            model, before = result.template, found
            current = [self._reweighted(*pair) for pair in zip(images, found, strict=True)]
        message = f"weights not settled after {self.max_rounds} fits"
        return result.replace(success=False, message=message)

    def _settled(self, images, found, before):
        changes = [np.max(np.abs(new - old) * np.sqrt(image.weights))
                   for image, new, old in zip(images, found, before, strict=True)]  # fmt: skip
        return max(changes) < self.tolerance

    def _reweighted(self, image, model):
        weights = self.statistic.weights(image.filled, model, image.weights)
        use = weights > 0
        variance = np.divide(1.0, weights, where=use, out=np.ones(image.shape))
        return image.replace(variance=variance, mask=image.mask | ~use, components={})
