"""Models that are linear in some of their parameters.

`LinearParameter` declares linearity where a parameter is defined, `BasisModel` is the base of
models that are weighted sums of basis functions. How compounds of such models are split by
linearity is told in `linear_form`.
"""

import numpy as np
from astropy.modeling import FittableModel, Parameter

from ..numerics.positions import finite, where_known
from .composition import Composable
from .parameters import declare, repeated
from .quantities import UnitRules, with_units

__all__ = ["BasisModel", "LinearParameter", "Outer", "TiedTo"]


class LinearParameter(Parameter):
    """A parameter in which its model is linear; else a `~astropy.modeling.Parameter`."""


class TiedTo:
    """A tie to another parameter: ``model.stddev_1.tied = TiedTo("stddev_0")``.

    Unlike a function it can be pickled, compared and saved.

    Parameters
    ----------
    name : str
        Name of the other parameter, as the model to be fitted has it.
    factor, offset : float
        The tied parameter is ``factor`` times the other plus ``offset``: a neighbour at a known
        distance, the lines of a doublet.
    """

    def __init__(self, name, *, factor=1.0, offset=0.0):
        self.name, self.factor, self.offset = str(name), float(factor), float(offset)

    def __call__(self, model):
        """Value of the tied parameter in `model`."""
        value = getattr(model, self.name).value
        return self.factor * np.asarray(value, dtype=float) + self.offset

    def __eq__(self, other):
        return isinstance(other, TiedTo) and vars(self) == vars(other)

    def __hash__(self):
        return hash((self.name, self.factor, self.offset))

    def __repr__(self):
        return f"TiedTo({self.name!r}, factor={self.factor}, offset={self.offset})"


class Outer:
    """An image times a factor of each column, kept apart: ``image * row``.

    Derivatives by the coefficients of a trace all share one image, that by the position, and those
    of a straight trace are one column of pixels only.

    Parameters
    ----------
    image : ndarray, shape (n_pixel, n_column) or (n_pixel, 1)
        What several derivatives have in common.
    row : float or ndarray, shape (n_column,) or (1, n_column)
        Factor of each column.
    amplitude : int, optional
        Position of the linear parameter which is a further factor, where it is not yet known.
    """

    __array_ufunc__ = None

    def __init__(self, image, row=1.0, amplitude=None):
        self.image, self.row, self.amplitude = image, row, amplitude

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.image * self.row, dtype=dtype)

    def __neg__(self):
        return Outer(self.image, -1.0 * self.row, self.amplitude)

    def __mul__(self, other):
        return np.asarray(self) * np.asarray(other)

    __rmul__ = __mul__


class BasisModel(Composable, UnitRules, FittableModel):
    r"""Base of models :math:`f(x) = \sum_j c_j B_j(x)` with scalar parameters ``c0``, ``c1``, …

    A subclass must define `basis`. It may define ``n_inputs`` (default 1) and its own ``__init__``,
    which then passes the number of terms on; ``coordinates``, the names of its inputs; ``over``,
    what its coefficients repeat over (``("column",)``, ``("line",)``, …; by default nothing); and,
    where each input sees a few of many terms, ``local_basis(*inputs)``: the numbers of these terms
    and their values, both of shape (..., n_entry). It need not define ``evaluate`` or
    ``fit_deriv``. Positions that are not finite give NaN; with ``vanishes_far_away = True`` the
    basis itself says what it is at infinite ones.

    Parameters
    ----------
    n_terms : int
        Number of basis functions.
    name : str, optional
        Name of the model in compounds and results.
    **parameters : float
        Values of ``c0``, ``c1``, … (default 0), and the settings of astropy models.

    Raises
    ------
    ValueError
        If `n_terms` is not a positive whole number.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> class Powers(sm.BasisModel):
    ...     def basis(self, x):
    ...         return np.stack([x**j for j in range(self.n_terms)], axis=-1)
    >>> float(Powers(3, c0=1.0, c2=2.0)(3.0))
    19.0
    """

    _param_names = ()
    linear = True
    col_fit_deriv = True
    n_inputs = 1
    n_outputs = 1
    over = ()
    vanishes_far_away = False

    def __init__(self, n_terms, *, name=None, **parameters):
        if int(n_terms) != n_terms or n_terms < 1:
            raise ValueError(f"n_terms: expected a positive whole number, got {n_terms!r}")
        default = repeated(0.0, parameters)
        declare(self, [LinearParameter(f"c{j}", default=default) for j in range(int(n_terms))])
        super().__init__(name=name, **parameters)

    @property
    def param_names(self):
        """Names of the coefficients."""
        return self._param_names

    @property
    def _separable(self):
        return self.n_inputs == 1

    @property
    def data_parameters(self):
        """Names of the parameters in the unit of the model's value: all."""
        return self._param_names

    @property
    def n_terms(self):
        """Number of basis functions."""
        return len(self._param_names)

    @property
    def coefficients(self):
        """Values of ``c0``, ``c1``, …, shape (n_terms,) or (n_terms, n_models)."""
        return np.array([getattr(self, name).value for name in self._param_names])

    def basis(self, *inputs):
        """Values of the basis functions, shape (..., n_terms) for inputs of shape (...)."""
        raise NotImplementedError(f"{type(self).__name__} must define basis(*inputs)")

    def terms(self, *inputs):
        """The `basis`, with NaN at positions that are NaN, or infinite where there is no limit."""
        terms = np.asarray(self.basis(*inputs))
        known = [np.asarray(x) if self.vanishes_far_away else finite(x) for x in inputs]
        return where_known(terms, *(x[..., np.newaxis] for x in known))

    @with_units
    def evaluate(self, *arguments):
        """Sum of the basis functions times the coefficients."""
        inputs, coefficients = arguments[: self.n_inputs], arguments[self.n_inputs :]
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        total = weighted_sum(self.terms(*inputs), coefficients)
        return np.broadcast_to(total, np.broadcast_shapes(shape, np.shape(total)))

    def fit_deriv(self, *arguments):
        """Basis functions as a list of arrays: the derivative by each coefficient.

        Those of images are one-dimensional, as of stock models: fitters of astropy ask for it.
        """
        columns = self.selected_derivatives(arguments[: self.n_inputs], (), range(self.n_terms))
        is_image = self.n_inputs > 1 and columns[0].ndim > 1
        return [c.ravel() if is_image else c for c in columns.values()]

    def selected_derivatives(self, inputs, values, wanted):
        """Hook of `LinearForm`: derivatives by the parameters at the positions in `wanted`."""
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        columns = np.moveaxis(self.terms(*inputs), -1, 0)
        shape = np.broadcast_shapes(columns.shape[1:], shape)
        return {j: np.broadcast_to(columns[j], shape) for j in wanted}

    def linear_columns(self, inputs, values, wanted):
        """Hook of `LinearForm`: basis images of the wanted coefficients."""
        columns = np.moveaxis(self.terms(*inputs), -1, 0)
        fixed = [v * c for j, (v, c) in enumerate(zip(values, columns, strict=True))
                 if j not in wanted and np.any(v)]  # fmt: skip
        return (sum(fixed) if fixed else 0.0), {j: columns[j] for j in wanted}


def one_number_each(coefficients):
    """Coefficients as an array, shape (n_terms,); None where one is more than a number."""
    try:
        return np.array(coefficients, dtype=float).reshape(len(coefficients))
    except ValueError:
        return None


def weighted_sum(basis, coefficients):
    """Sum of basis functions, shape (..., n_terms), times coefficients: scalars, or arrays."""
    if any(np.ndim(c) or hasattr(c, "unit") for c in coefficients):
        columns = np.moveaxis(basis, -1, 0)
        return sum(c * column for c, column in zip(coefficients, columns, strict=True))
    return basis @ np.array(coefficients, dtype=float)
