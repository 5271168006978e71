"""What every fitter promises, and what it returns. How parameters are found lives in the others."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..models.linear_form import LinearForm
from ..numerics import NormalEquations
from .elimination import as_image
from .problem import Problem

__all__ = ["FitResult", "Fitter"]

# Images that a model makes on the way to its value.
PREDICTED_IMAGES = 6


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
        model : `~astropy.modeling.Model`
            A template: its values are the initial ones, its constraints are kept.
        image : `~specmodels.exposure.SpectralImage`, sequence of them, or `~specmodels.Exposure`
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

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"


@dataclass(frozen=True, eq=False, repr=False)
class FitResult:
    """A fitted model with its uncertainties.

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
        Of the linear parameters, the uncertainty of the shared ones included.
    shared_covariance : ndarray, shape (n_free, n_free, n_system)
        Of the free non-linear parameters.
    common : ndarray, shape (n_linear, n_free, n_batch), optional
        Errors of the linear parameters that come from those that all columns share: the covariance
        of columns :math:`x` and :math:`x'` is the sum of ``common[k, :, x] * common[l, :, x']``.
        None where nothing is shared.
    chi2, dof : ndarray, shape (n_batch,)
        Chi-square and degrees of freedom (linear parameters subtracted).
    rejected : ndarray of bool, shape of the image
        Pixels left out by a robust fitter.
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
            object.__setattr__(self, "rejected", np.zeros(self.image.shape, dtype=bool))
        if self.form is None:
            object.__setattr__(self, "form", LinearForm(self.template))

    def __repr__(self):
        state = "converged" if self.success else f"failed: {self.message}"
        return (
            f"<FitResult of {len(self.form.linear)} linear and {len(self.form.nonlinear)} other "
            f"parameters, chi2/dof {self.reduced_chi2:.4g}, {int(self.rejected.sum())} pixels "
            f"rejected, {state}>"
        )

    @property
    def names(self):
        """Names of all parameters, in the order of `values`."""
        return self.form.names

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom, of all columns together."""
        dof = np.sum(self.dof) - len(self.form.nonlinear)
        return np.sum(self.chi2) / dof if dof > 0 else np.nan

    def __getitem__(self, name):
        """Fitted values of the parameter `name`."""
        return self.values[self._position(name)]

    def error(self, name):
        """Standard error of the parameter `name`; zero for fixed ones."""
        k = self._position(name)
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

    def _position(self, name):
        if name not in self.names:
            raise KeyError(f"no parameter {name!r}; there are {list(self.names)}")
        return self.names.index(name)

    @cached_property
    def model(self):
        """The fitted model: a model set with one model per column where fitted per column."""
        return _model_set(self.template, self.values, self.image.shape[1])

    def problem(self, image=None):
        """The pixels of `image` (default: those fitted) with this model."""
        return Problem(self.form, self.image if image is None else image, batch=self.batch)

    def predict(self, image=None):
        """Value of the fitted model in each pixel, shape of the image; NaN where undetermined.

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
        for chunk in problem.chunks(PREDICTED_IMAGES):
            inputs = problem.inputs(chunk)
            out[:, chunk] = self.form.value(problem.local(self.values, chunk), inputs)
        return out

    def residual(self, image=None):
        """Data minus model, shape of the image."""
        image = self.image if image is None else image
        return image.data - self.predict(image)

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

    def _finite_values(self):
        return [np.nan_to_num(v) for v in self.values]

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
        problem, values, parts = self.problem(), self._finite_values(), []
        for chunk in problem.chunks(len(self.form.linear) + 3):
            inputs, _, weights = problem.pixels(chunk)
            given = np.asarray(variance[:, chunk], dtype=float)
            squared = np.where(weights > 0, weights**2 * given, 0.0)
            _, columns = self.form.columns(problem.local(values, chunk), inputs)
            columns = [as_image(columns[k], weights.shape) for k in self.form.linear]
            none = np.zeros(weights.shape)
            parts.append(NormalEquations.from_columns(columns, none, squared).matrix)
        middle = np.concatenate(parts, axis=-1)
        if self.batch is None:
            middle = middle.sum(axis=-1, keepdims=True)
        inner = self.held_covariance
        return np.einsum("kib,ijb,kjb->kb", inner, middle, inner, optimize=True)

    def _check_shape(self, variance):
        if np.shape(variance) != self.image.shape:
            raise ValueError(f"variance: expected {self.image.shape}, got {np.shape(variance)}")

    @cached_property
    def held_covariance(self):
        """Covariance of the linear parameters with all others held; shape as `covariance`."""
        return self.problem().solve(self._finite_values()).covariance

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        return replace(self, **changes)


def _model_set(template, values, n_columns):
    """Rebuild the tree of `template` with one model per column where any value is per column."""
    per_column = any(np.ndim(v) for v in values)
    values = list(values)

    def rebuild(model):
        if hasattr(model, "op"):
            left = rebuild(model.left)
            right = rebuild(model.right)
            compound = type(model)(model.op, left, right, name=model.name)
            return compound
        own = dict(zip(model.param_names, values[: len(model.param_names)], strict=True))
        del values[: len(model.param_names)]
        new = model.copy()
        if per_column:
            own = {n: np.broadcast_to(v, (n_columns,)).copy() for n, v in own.items()}
            new._initialize_parameters((), {**own, "n_models": n_columns})
            new._initialize_slices()
        else:
            for n, v in own.items():
                setattr(new, n, v)
        return new

    return rebuild(template)
