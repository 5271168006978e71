"""`FitResult`: what all fits answer, whatever was fitted. How it was found lives in the fitters."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from ..models.linear_form import LinearForm
from .goodness import at_bounds, column_chi2, goodness, misfits

__all__ = ["FitResult"]


@dataclass(frozen=True, eq=False, repr=False)
class FitResult(ABC):
    """A fitted model with its uncertainties.

    What fits of columns and of systems are asked, both answer: values and errors by name
    (``fit["flux_0"]``, or ``fit["star.flux"]``, and `error`), `predict` and `residual` for each
    image, `components`, `goodness`, `reasons`, `covariance_of`, `correlations`, `bound_model`.

    Attributes
    ----------
    template : `~astropy.modeling.Model`
        The model with the fitted values of what the columns share.
    image : `~specmodels.SpectralImage`
        The data fitted; its mask holds rejected pixels too.
    values : tuple of ndarray
        One for each parameter: a number, or an array with an axis for each thing that it repeats
        over, see `repeats_over`. NaN where the data do not determine it.
    shared_covariance : ndarray, shape (n_free, n_free, n_system)
        Of the free non-linear parameters.
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
    shared_covariance: np.ndarray
    chi2: np.ndarray
    dof: np.ndarray
    rejected: np.ndarray = None
    batch: str | None = "columns"
    success: bool = True
    message: str = ""
    n_iterations: int = 1
    form: LinearForm = field(default=None)

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
    @abstractmethod
    def independent_columns(self):
        """Whether the linear parameters of a column know nothing of other columns."""

    @property
    @abstractmethod
    def solver(self):
        """How the linear parameters were solved for, in words."""

    @property
    @abstractmethod
    def options(self):
        """With which options a fitter fits another image the same way."""

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

    @abstractmethod
    def repeats_over(self, name):
        """What a parameter repeats over: a mapping of names to the values of each axis."""

    @property
    @abstractmethod
    def reduced_chi2(self):
        """Chi-square over degrees of freedom, of all columns together."""

    def __getitem__(self, name):
        """Fitted values of the parameter `name`."""
        return self.values[self.position(name)]

    @abstractmethod
    def error(self, name):
        """Standard error of the parameter `name`; zero for fixed ones.

        That of a parameter at a bound is the one that it would have without.
        """

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

    @property
    @abstractmethod
    def model(self):
        """The fitted model: a model set with one model per column where fitted per column."""

    @property
    @abstractmethod
    def bound_model(self):
        """The fitted model as one of column and row, which evaluates by itself: a `FittedModel`.

        Of the (first) image; beyond its pixels it is NaN where parameters are those of columns.
        """

    def goodness(self):
        """How well each image is fitted.

        Returns
        -------
        `~astropy.table.Table`
            ``image``, ``n_pixel`` (those with weight), ``n_rejected``, ``chi2``, ``dof`` (less the
            linear parameters) and ``reduced_chi2``, one row for each image.
        """
        return goodness(self, *self._of_images())

    @abstractmethod
    def _of_images(self):
        """Chi-square and degrees of freedom of each image, two arrays of shape (n_image,)."""

    def column_chi2(self):
        """Chi-square of each column of the (first) image, shape (n_column,)."""
        return column_chi2(self, self.image)

    @abstractmethod
    def leverages(self):
        """How much each pixel is its own model, by the linear parameters: between zero and one.

        Shape of the image, or a list where several were fitted.
        """

    @abstractmethod
    def residual_variance(self, variance):
        r"""Variance of the residuals of a noise with this variance, shape of the image.

        With the hat matrix :math:`H` it is :math:`\sum_j (1 - H)_{ij}^2 v_j`.

        Parameters
        ----------
        variance : ndarray, shape of the image
        """

    @abstractmethod
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

    @abstractmethod
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

    @abstractmethod
    def covariance_within(self, first, second):
        """Covariance of the values of two linear parameters at the same place, shape of either."""

    @abstractmethod
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

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw data, model and residual of each image; see `specmodels.plotting`."""
        from ..plotting import plot_fit

        return plot_fit(self, figure, panel=panel, ax=ax)

    @abstractmethod
    def predict(self, image=None):
        """Value of the fitted model in each pixel, shape of the image; NaN where undetermined.

        In a column of which the data determine some parameters, the pixels fitted have a value.

        Raises
        ------
        ValueError
            If the image has other columns than the one fitted, and so no values.
        """

    def residual(self, image=None):
        """Data minus model, shape of the image."""
        image = self.image if image is None else image
        return image.data - self.predict(image)

    @abstractmethod
    def prediction_error(self):
        """Standard error of the model in each pixel, shape of the image; NaN without weight."""

    @abstractmethod
    def components(self):
        """Image of each elementary model with all factors that act on it, by name (or number)."""

    @abstractmethod
    def parts(self, n_images=None):
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

    @abstractmethod
    def propagate(self, variance):
        """Variance of the linear parameters that a variance of the pixels brings.

        Parameters
        ----------
        variance : ndarray
            Variance of each pixel, shape of the image: the read, Poisson or flat part, say.

        Returns
        -------
        ndarray, shape (n_linear, n_batch)
            Of a system a list, with an array for each linear parameter in the shape of its value.

        Raises
        ------
        ValueError
            If the shape differs from that of the image.
        """

    def _check_shape(self, variance):
        if np.shape(variance) != self.image.shape:
            raise ValueError(f"variance: expected {self.image.shape}, got {np.shape(variance)}")

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        return replace(self, **changes)
