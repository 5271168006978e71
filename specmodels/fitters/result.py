"""`FitResult`: what a fit answers, whatever was fitted. How it was found lives in the fitters."""

from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from ..models.linear_form import LinearForm
from .columns import answers as column_answers
from .columns.problem import Problem
from .fitted import FittedModel, model_set
from .goodness import at_bounds, column_chi2, goodness, misfits

__all__ = ["FitResult"]

# Images that a model makes on the way to its value.
PREDICTED_IMAGES = 6


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """A fitted model with its uncertainties.

    What fits of independent columns and of whole systems are asked, both answer: values and errors
    by name (``fit["flux_0"]``, or ``fit["star.flux"]``, and `error`), `components`, `predict` and
    `residual` for each image, `goodness`, `reasons`, `covariance_of`, `correlations`,
    `bound_model`, `plot`.

    Attributes
    ----------
    template : `~astropy.modeling.Model`
        The model with the fitted values of what the columns share.
    image : `~specmodels.exposure.SpectralImage`
        The data fitted; its mask holds rejected pixels too.
    values : tuple of ndarray
        One for each parameter: a scalar, or an array of shape (n_column,) for those fitted per
        column. NaN where the data do not determine it.
    covariance : ndarray, shape (n_linear, n_linear, n_batch)
        Of the linear parameters, the uncertainty of the shared ones included; None where they are
        too many: then, and for any weighted sum of them, ask `covariance_of`.
    shared_covariance : ndarray, shape (n_free, n_free, n_system)
        Of the free non-linear parameters.
    common : ndarray, shape (n_linear, n_free, n_batch), optional
        Errors of the linear parameters that come from those that all columns share: the covariance
        of columns :math:`x` and :math:`x'` is the sum of ``common[k, :, x] * common[l, :, x']``.
        None where nothing is shared.
    chi2, dof : ndarray, shape (n_batch,)
        Chi-square and degrees of freedom (linear parameters subtracted).
    rejected : ndarray of bool, shape of the image
        Pixels left out by a robust fitter; a list where several images were fitted.
    batch : {"columns", None, "system"}
        What was solved at once: a column, all pixels with parameters they share, or terms that
        repeat each in its own way; see `independent_columns` and `options`.
    success : bool
        Whether the fit converged; `message` says what happened.
    n_iterations : int
        Passes over the pixels.
    """

    template: object
    image: object
    values: tuple
    covariance: np.ndarray
    shared_covariance: np.ndarray
    chi2: np.ndarray
    dof: np.ndarray
    rejected: np.ndarray = None
    batch: str | None = "columns"
    success: bool = True
    message: str = ""
    n_iterations: int = 1
    form: LinearForm = field(default=None)
    common: np.ndarray | None = None

    def __post_init__(self):
        if self.rejected is None:
            none = [np.zeros(image.shape, dtype=bool) for image in self.images]
            object.__setattr__(self, "rejected", none if len(none) > 1 else none[0])
        if self.form is None:
            object.__setattr__(self, "form", LinearForm(self.template))

    def __repr__(self):
        state = "converged" if self.success else f"failed: {self.message}"
        return (
            f"<FitResult of {len(self.form.linear)} linear and {len(self.form.nonlinear)} other "
            f"parameters, chi2/dof {self.reduced_chi2:.4g}, {self.n_rejected} pixels "
            f"rejected, {state}>"
        )

    @property
    def names(self):
        """Names of all parameters, in the order of `values`."""
        return self.form.names

    @property
    def images(self):
        """The images fitted."""
        return [self.image]

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

    @property
    def n_rejected(self):
        """Number of pixels left out by a robust fitter, of all images."""
        each = self.rejected if isinstance(self.rejected, list) else [self.rejected]
        return sum(int(np.count_nonzero(one)) for one in each)

    @property
    def reasons(self):
        """Why the fit is no success, one by one; or what else there is to say of it.

        A fit that converged may still leave far more of an image than its noise: chi-square per
        degree of freedom beyond three is named, where variances are known. Parameters that are not
        linear are named where they ended at a bound.
        """
        said = tuple(filter(None, self.message.split("; ")))
        return said or (*at_bounds(self), *misfits(self, *self._of_images()))

    @property
    def strengths(self):
        """Strengths of priors of coefficients, by the names of their models."""
        return {}

    def repeats_over(self, name):
        """What a parameter repeats over: a mapping of names to the values of each axis."""
        return {"column": self.image.x} if np.ndim(self[name]) else {}

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom, of all columns together."""
        dof = np.sum(self.dof) - len(self.form.nonlinear)
        return np.sum(self.chi2) / dof if dof > 0 else np.nan

    def __getitem__(self, name):
        """Fitted values of the parameter `name`."""
        return self.values[self.position(name)]

    def error(self, name):
        """Standard error of the parameter `name`; zero for fixed ones.

        That of a parameter at a bound is the one that it would have without.
        """
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

    def position(self, name):
        """Position of the parameter `name` among `names`.

        ``"sky.c0"`` is the parameter ``c0`` of the term named ``sky``, whatever its number is.

        Raises
        ------
        KeyError
            If there is none.
        """
        if name in self.names:
            return self.names.index(name)
        term, _, own = str(name).rpartition(".")
        for leaf, positions in self.form.leaves():
            if term and leaf.name == term and own in leaf.param_names:
                return positions[leaf.param_names.index(own)]
        raise KeyError(f"no parameter {name!r}; there are {list(self.names)}")

    @cached_property
    def model(self):
        """The fitted model: a model set with one model per column where fitted per column."""
        return model_set(self.template, self.values, self.image.shape[1])

    @cached_property
    def bound_model(self):
        """The fitted model as one of column and row, which evaluates by itself: a `FittedModel`.

        Of the (first) image; beyond its pixels it is NaN where parameters are those of columns.
        """
        values = partial(column_answers.column_values, self.values)
        return FittedModel(self.form, values, self.image)

    def goodness(self):
        """How well each image is fitted.

        Returns
        -------
        `~astropy.table.Table`
            ``image``, ``n_pixel`` (those with weight), ``n_rejected``, ``chi2``, ``dof`` (less the
            linear parameters) and ``reduced_chi2``, one row for each image.
        """
        return goodness(self, *self._of_images())

    def _of_images(self):
        """Chi-square and degrees of freedom of each image, two arrays of shape (n_image,)."""
        return np.array([np.nansum(self.chi2)]), np.array([np.sum(np.maximum(self.dof, 0))])

    def column_chi2(self):
        """Chi-square of each column of the (first) image, shape (n_column,)."""
        if self.independent_columns:
            return self.chi2
        return column_chi2(self, self.image)

    def leverages(self):
        """How much each pixel is its own model, by the linear parameters: between zero and one.

        Shape of the image, or a list where several were fitted.
        """
        return column_answers.leverages(self)

    def residual_variance(self, variance):
        r"""Variance of the residuals of a noise with this variance, shape of the image.

        With the hat matrix :math:`H` it is :math:`\sum_j (1 - H)_{ij}^2 v_j`.

        Parameters
        ----------
        variance : ndarray
            Of the pixels, shape of the image.
        """
        self._check_shape(variance)
        return column_answers.residual_variance(self, variance)

    def covariance_of(self, *sums):
        """Covariance of weighted sums of linear parameters, that of the others included.

        Parameters
        ----------
        *sums : mapping of str to array_like, or str
            For each parameter weights in the shape of its value; a name stands for all values of a
            parameter, each by itself.

        Returns
        -------
        ndarray, shape (n_sum, n_sum)
            Infinite variances where the data do not determine a sum.

        Raises
        ------
        KeyError
            If a name is not that of a free linear parameter.
        """
        return column_answers.covariance_of(self, sums)

    def variance_of_sums(self, weights, summed, position):
        r"""Variance of sums along columns, of the data less all of the model but one part.

        The sum is the light of that part in the model, :math:`s^T a` of the linear parameters, and
        the residuals of the pixels that are summed, with which the fit has nothing in common:

        .. math::
            \mathrm{var}(F) = s^T C s + w^T (V - A C A^T)\,w

        Where columns are independent, what their shapes share is taken to be known.

        Parameters
        ----------
        weights : ndarray, shape of the image
            Part of each pixel in the sum of its column.
        summed : ndarray of bool, shape of the image
            Pixels whose data are summed; elsewhere the model of the part takes their place.
        position : int
            Position of a parameter of the part, one of the elementary models.

        Returns
        -------
        ndarray, shape (n_column,)
            Infinite where the data do not determine what is subtracted.
        """
        self._check_shape(weights)
        return column_answers.variance_of_sums(self, weights, summed, position)

    def covariance_within(self, first, second):
        """Covariance of the values of two linear parameters at the same place, shape of either."""
        return np.broadcast_to(
            self.covariance[tuple(column_answers.place(self, name) for name in (first, second))],
            np.shape(self[first]),
        )

    def correlations(self, least=0.5):
        """Pairs of parameters that the data can hardly tell apart.

        Parameters
        ----------
        least : float
            Smallest absolute correlation that is listed.

        Returns
        -------
        `~astropy.table.Table`
            ``first``, ``second`` and ``correlation``, the strongest first. Correlations within
            columns are the median over these.
        """
        return column_answers.correlations(self, least)

    def plot(self, figure=None):
        """Draw data, model and residual of each image; see `specmodels.plotting`."""
        from ..plotting import plot_fit

        return plot_fit(self, figure)

    @cached_property
    def known_values(self):
        """Values of all parameters, zero where the data do not determine them."""
        return [v if np.all(np.isfinite(v)) else np.nan_to_num(v) for v in self.values]

    def problem(self, image=None):
        """The pixels of `image` (default: those fitted) with this model."""
        return Problem(self.form, self.image if image is None else image, batch=self.batch)

    def predict(self, image=None):
        """Value of the fitted model in each pixel, shape of the image; NaN where undetermined.

        In a column of which the data determine some parameters, the pixels fitted have a value.

        Raises
        ------
        ValueError
            If the image has other columns than the one fitted, and so no values.
        """
        image = self.image if image is None else image
        if not np.array_equal(image.x, self.image.x) and any(np.ndim(v) for v in self.values):
            raise ValueError(
                f"image: expected the columns fitted, {self.image.x[0]:g} to {self.image.x[-1]:g}, "
                f"got {len(image.x)} columns from {image.x[0]:g} to {image.x[-1]:g}"
            )
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
        return self.replace(values=tuple(self._smallest[0]))

    @cached_property
    def _smallest(self):
        """Values of `completed`, and the columns in which they differ from those of the fit."""
        values, linear = list(self.values), self.form.linear
        if not (self.independent_columns and linear):
            return values, np.zeros(self.image.shape[1], dtype=bool)
        known = np.isfinite([values[k] for k in linear])
        partly = known.any(axis=0) & ~known.all(axis=0)
        if partly.any():
            smallest = self.problem().solve(self.known_values).particular
            for k, found in zip(linear, smallest, strict=True):
                values[k] = np.where(partly, found, values[k])
        return values, partly

    def residual(self, image=None):
        """Data minus model, shape of the image."""
        image = self.image if image is None else image
        return image.data - self.predict(image)

    def prediction_error(self):
        """Standard error of the model in each pixel, shape of the image; NaN without weight."""
        return column_answers.prediction_error(self)

    def components(self):
        """Image of each elementary model with all factors that act on it, by name (or number)."""
        out = {}
        for _, _, _, parts in self.parts(1):
            for number, (leaf, _, image) in enumerate(parts):
                out.setdefault(leaf.name or str(number), []).append(image)
        return {name: np.concatenate(images, axis=1) for name, images in out.items()}

    def parts(self, n_images=PREDICTED_IMAGES):
        """The elementary models of the template on the pixels fitted, in chunks of columns.

        Yields
        ------
        chunk : slice
            Of the columns.
        inputs : tuple of ndarray
            Columns and rows of the pixels.
        values : list
            Of all parameters, for these pixels.
        components : list of (model, positions, ndarray)
            Images with all factors that act on them; they add up to the model.
        """
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
        """Variance of the linear parameters that a variance of the pixels brings.

        Parameters
        ----------
        variance : ndarray
            Variance of each pixel, shape of the image: the read, Poisson or flat part, say.

        Returns
        -------
        ndarray, shape (n_linear, n_batch)

        Raises
        ------
        ValueError
            If the shape differs from that of the image.
        """
        self._check_shape(variance)
        return column_answers.propagated(self, variance)

    def _check_shape(self, variance):
        if np.shape(variance) != self.image.shape:
            raise ValueError(f"variance: expected {self.image.shape}, got {np.shape(variance)}")

    @cached_property
    def held_covariance(self):
        """Covariance of the linear parameters with all others held; shape as `covariance`."""
        return self.problem().solve(self.known_values).covariance

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        return replace(self, **changes)
