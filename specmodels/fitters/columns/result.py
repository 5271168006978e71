"""What a fit of independent columns gives, or of one small system that they share."""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from ..fitted import FittedModel, model_set
from ..result import FitResult
from . import answers
from .problem import Problem

__all__ = ["ColumnFitResult"]

# What follows from the form, its values and the image, and takes time.
KNOWN = ("design", "held_covariance", "known_values", "_own_image", "_smallest")
# Images that a model makes on the way to its value.
PREDICTED_IMAGES = 6


@dataclass(frozen=True, eq=False, repr=False)
class ColumnFitResult(FitResult):
    """A fit whose linear parameters were eliminated; see `~specmodels.fitters.FitResult`.

    Attributes
    ----------
    covariance : ndarray, shape (n_linear, n_linear, n_batch)
        Of the linear parameters, the uncertainty of the shared ones included.
    common : ndarray, shape (n_linear, n_free, n_batch), optional
        Errors of the linear parameters that come from those that all columns share: the covariance
        of columns :math:`x` and :math:`x'` is the sum of ``common[k, :, x] * common[l, :, x']``.
        None where nothing is shared.
    """

    covariance: np.ndarray = None
    common: np.ndarray | None = None

    def __getstate__(self):
        """State to pickle: an image that is soon made again would be the largest part of it."""
        return {key: value for key, value in vars(self).items() if key != "_own_image"}

    @property
    def independent_columns(self):
        """Whether the linear parameters of a column know nothing of other columns."""
        return self.batch == "columns"

    @property
    def solver(self):
        """How the linear parameters were solved for, in words."""
        return "columns, one by one" if self.independent_columns else "dense"

    @property
    def options(self):
        """With which options a fitter fits another image the same way."""
        return {"batch": self.batch}

    def repeats_over(self, name):
        """What a parameter repeats over: a mapping of names to the values of each axis."""
        return {"column": self.image.x} if np.ndim(self[name]) else {}

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom, of all columns together."""
        dof = np.sum(self.dof) - len(self.form.nonlinear)
        return np.sum(self.chi2) / dof if dof > 0 else np.nan

    def error(self, name):
        """Standard error of the parameter `name`; zero for fixed ones."""
        k = self.position(name)
        if k in self.form.linear:
            j = self.form.linear.index(k)
            variance = self.covariance[j, j]
        elif k in self.form.nonlinear:
            j = self.form.nonlinear.index(k)
            variance = self.shared_covariance[j, j]
        else:
            return np.zeros(np.shape(self.values[k]))
        variance = variance if variance.size > 1 else variance.reshape(())
        return np.sqrt(variance)

    @cached_property
    def model(self):
        """The fitted model: a model set with one model per column where fitted per column."""
        return model_set(self.template, self.values, self.image.shape[1])

    @cached_property
    def bound_model(self):
        """The fitted model as one of column and row, which evaluates by itself: a `FittedModel`."""
        values = partial(answers.column_values, self.values)
        return FittedModel(self.form, values, self.image)

    def _of_images(self):
        """Chi-square and degrees of freedom of each image, two arrays of shape (n_image,)."""
        return np.array([np.nansum(self.chi2)]), np.array([np.sum(np.maximum(self.dof, 0))])

    def column_chi2(self):
        """Chi-square of each column of the (first) image, shape (n_column,)."""
        return self.chi2 if self.independent_columns else super().column_chi2()

    def leverages(self):
        """How much each pixel is its own model, by the linear parameters: between zero and one."""
        return answers.leverages(self)

    def residual_variance(self, variance):
        """Variance of the residuals of a noise with this variance, shape of the image."""
        self._check_shape(variance)
        return answers.residual_variance(self, variance)

    def covariance_of(self, *sums):
        """Covariance of weighted sums of linear parameters, that of the others included."""
        return answers.covariance_of(self, sums)

    def variance_of_sums(self, weights, summed, position):
        """Variance of sums along columns, of the data less all of the model but one part."""
        self._check_shape(weights)
        return answers.variance_of_sums(self, weights, summed, position)

    def covariance_within(self, first, second):
        """Covariance of the values of two linear parameters at the same place, shape of either."""
        return np.broadcast_to(
            self.covariance[tuple(answers.place(self, name) for name in (first, second))],
            np.shape(self[first]),
        )

    def correlations(self, least=0.5):
        """Pairs of parameters that the data can hardly tell apart."""
        return answers.correlations(self, least)

    @cached_property
    def known_values(self):
        """Values of all parameters, zero where the data do not determine them."""
        return [v if np.all(np.isfinite(v)) else np.nan_to_num(v) for v in self.values]

    @cached_property
    def design(self):
        """Basis images of the linear parameters, a `Design`."""
        return self.problem().design(self.known_values)

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        new = super().replace(**changes)
        if changes.keys().isdisjoint(("form", "image", "template", "values")):
            known = vars(self)
            vars(new).update({key: known[key] for key in KNOWN if key in known})
        return new

    def problem(self, image=None):
        """The pixels of `image` (default: those fitted) with this model."""
        return Problem(self.form, self.image if image is None else image, batch=self.batch)

    def predict(self, image=None):
        """Value of the fitted model in each pixel, shape of the image; NaN where undetermined."""
        image = self.image if image is None else image
        if not np.array_equal(image.x, self.image.x) and any(np.ndim(v) for v in self.values):
            raise ValueError(
                f"image: expected the columns fitted, {self.image.x[0]:g} to {self.image.x[-1]:g}, "
                f"got {len(image.x)} columns from {image.x[0]:g} to {image.x[-1]:g}"
            )
        if image is self.image and self.design.is_kept:
            return self._own_image.copy()
        return self._predicted(image)

    @cached_property
    def _own_image(self):
        return self._predicted(self.image)

    def _predicted(self, image):
        problem, out = self.problem(image), np.empty(image.shape)
        values, partly = self._smallest
        for chunk in problem.chunks(PREDICTED_IMAGES):
            inputs = problem.inputs(chunk)
            out[:, chunk] = self.form.value(problem.local(values, chunk), inputs)
        if partly.any():
            fitted = np.array_equal(image.y, self.image.y) & ~self.image.mask
            out[~fitted & partly] = np.nan
        return out

    def completed(self):
        """Copy with all parameters in columns of which the data determine some.

        The others are the smallest that agree with the data: zero where nothing is seen of them.
        """
        values, partly = self._smallest
        if not partly.any():
            return self
        new = self.replace(values=tuple(values))
        vars(new)["design"] = self.design
        return new

    @cached_property
    def _smallest(self):
        """Values of `completed`, and the columns in which they differ from those of the fit."""
        values, linear = list(self.values), self.form.linear
        if not (self.independent_columns and linear):
            return values, np.zeros(self.image.shape[1], dtype=bool)
        known = np.isfinite([values[k] for k in linear])
        partly = known.any(axis=0) & ~known.all(axis=0)
        if partly.any():
            smallest = self.problem().solve(self.design).particular
            for k, found in zip(linear, smallest, strict=True):
                values[k] = np.where(partly, found, values[k])
        return values, partly

    def prediction_error(self):
        """Standard error of the model in each pixel, shape of the image; NaN without weight."""
        return answers.prediction_error(self)

    def components(self):
        """Image of each elementary model with all factors that act on it, by name (or number)."""
        out = {}
        for _, _, _, parts in self.parts(1):
            for number, (leaf, _, image) in enumerate(parts):
                out.setdefault(leaf.name or str(number), []).append(image)
        return {name: np.concatenate(images, axis=1) for name, images in out.items()}

    def parts(self, n_images=PREDICTED_IMAGES):
        """The elementary models of the template on the pixels fitted, in chunks of columns."""
        problem = self.problem()
        for chunk in problem.chunks(n_images):
            shape = (self.image.shape[0], chunk.stop - chunk.start)
            inputs, values = problem.inputs(chunk), problem.local(self.values, chunk)
            images = [
                (leaf, positions, np.broadcast_to(image, shape))
                for leaf, positions, image in self.form.components(values, inputs)
            ]
            yield chunk, inputs, values, images

    def propagate(self, variance):
        """Variance of the linear parameters that a variance of the pixels brings."""
        self._check_shape(variance)
        return answers.propagated(self, variance)

    @cached_property
    def held_covariance(self):
        """Covariance of the linear parameters with all others held; shape as `covariance`."""
        return self.problem().solve(self.design).covariance
