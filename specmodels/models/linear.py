"""Models that are linear in some of their parameters, and how any compound is split by linearity.

`LinearParameter` declares linearity where a parameter is defined, `BasisModel` is the base of
models that are weighted sums of basis functions, and `LinearForm` walks the expression tree of any
astropy model and gives what fitters need: the basis image of each linear parameter and the
derivative by each other one. No data and no fitting here.
"""

import numpy as np
from astropy.modeling import CompoundModel, FittableModel, Model, Parameter, models

__all__ = [
    "BasisModel",
    "LinearForm",
    "LinearParameter",
    "Outer",
    "TiedTo",
    "design_matrix",
    "linear_parameters",
]

# Stock models that are linear in one parameter only, which they do not declare.
STOCK_LINEAR = {
    models.Gaussian1D: "amplitude",
    models.Moffat1D: "amplitude",
    models.Lorentz1D: "amplitude",
    models.Voigt1D: "amplitude_L",
    models.Box1D: "amplitude",
    models.Trapezoid1D: "amplitude",
    models.Sine1D: "amplitude",
    models.Exponential1D: "amplitude",
    models.PowerLaw1D: "amplitude",
    models.Gaussian2D: "amplitude",
    models.Moffat2D: "amplitude",
    models.Sersic1D: "amplitude",
}
DERIVATIVE_STEP = 1e-6


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


class BasisModel(FittableModel):
    r"""Base of models :math:`f(x) = \sum_j c_j B_j(x)` with scalar parameters ``c0``, ``c1``, …

    A subclass must define `basis`. It may define ``n_inputs`` (default 1) and its own ``__init__``,
    which then passes the number of terms on. It need not define ``evaluate`` or ``fit_deriv``.

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
    """

    _param_names = ()
    linear = True
    col_fit_deriv = True
    n_inputs = 1
    n_outputs = 1

    def __init__(self, n_terms, *, name=None, **parameters):
        if int(n_terms) != n_terms or n_terms < 1:
            raise ValueError(f"n_terms: expected a positive whole number, got {n_terms!r}")
        self._param_names = tuple(f"c{j}" for j in range(int(n_terms)))
        n_models = parameters.get("n_models") or 1
        default = np.zeros(n_models) if n_models > 1 else 0.0
        for parameter_name in self._param_names:
            parameter = LinearParameter(parameter_name, default=default)
            parameter.model = self
            self.__dict__[parameter_name] = parameter
        super().__init__(name=name, **parameters)

    @property
    def param_names(self):
        """Names of the coefficients."""
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

    def evaluate(self, *arguments):
        """Sum of the basis functions times the coefficients."""
        inputs, coefficients = arguments[: self.n_inputs], arguments[self.n_inputs :]
        columns = np.moveaxis(np.asarray(self.basis(*inputs)), -1, 0)
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        total = sum(c * column for c, column in zip(coefficients, columns, strict=True))
        return np.broadcast_to(total, np.broadcast_shapes(shape, np.shape(total)))

    def fit_deriv(self, *arguments):
        """Basis functions as a list of arrays: the derivative by each coefficient."""
        inputs = arguments[: self.n_inputs]
        shape = np.broadcast_shapes(*(np.shape(value) for value in inputs))
        columns = np.moveaxis(np.asarray(self.basis(*inputs)), -1, 0)
        return [np.broadcast_to(c, np.broadcast_shapes(c.shape, shape)) for c in columns]

    def linear_columns(self, inputs, values, wanted):
        """Hook of `LinearForm`: basis images of the wanted coefficients."""
        columns = np.moveaxis(np.asarray(self.basis(*inputs)), -1, 0)
        fixed = [v * c for j, (v, c) in enumerate(zip(values, columns, strict=True))
                 if j not in wanted and np.any(v)]  # fmt: skip
        return (sum(fixed) if fixed else 0.0), {j: columns[j] for j in wanted}


def linear_parameters(model):
    """Names of the parameters in which a model is linear, all at once.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound. In a product of two models that both have linear parameters only the
        left one's are used: together they would not be linear. In ``a | b`` those of ``b`` are.

    Returns
    -------
    tuple of str
        Names as the model has them, without fixed and tied parameters.
    """
    form = LinearForm(model)
    return tuple(form.names[k] for k in form.linear)


def design_matrix(model, *inputs):
    """Derivative of a model by its linear parameters: the columns of the linear fit.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound.
    *inputs : array_like
        One array for each input of the model, broadcast against each other: shape (...).

    Returns
    -------
    ndarray, shape (..., n_linear)
        In the order of `linear_parameters`.
    """
    form = LinearForm(model)
    arrays = [np.asarray(value, dtype=float) for value in inputs]
    shape = np.broadcast_shapes(*(value.shape for value in arrays))
    _, columns = form.columns(form.values, arrays)
    return np.stack([np.broadcast_to(columns[k], shape) for k in form.linear], axis=-1)


class LinearForm:
    """The expression tree of a model, split into linear and other parameters.

    Values of parameters are passed in as a list, so that a fitter never changes a model and may
    give each parameter as a scalar or as an array that broadcasts against the inputs (one value per
    column of an image).

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A single model; its parameter values are taken as the initial ones.

    Attributes
    ----------
    names : tuple of str
        Names of all parameters, as the model has them.
    values : list of float
        Their values in the model.
    linear, nonlinear, tied : list of int
        Positions of the free linear and other free parameters, and of the tied ones.
    declared_linear : frozenset of int
        Positions of all linear parameters, fixed and tied ones included.
    """

    def __init__(self, model):
        if len(model) != 1:
            raise ValueError(f"model: expected a single model, got a set of {len(model)}")
        self.model = model
        self.names = tuple(model.param_names)
        self.values = [np.asarray(getattr(model, n).value, dtype=float) for n in self.names]
        tied, fixed = model.tied, model.fixed  # made anew at each access
        self.tied = [k for k, n in enumerate(self.names) if tied[n]]
        fixed = {k for k, n in enumerate(self.names) if fixed[n]} | set(self.tied)
        self._root = _node(model, 0)
        self.declared_linear = frozenset(self._root.linear_positions())
        self.linear = sorted(self.declared_linear - fixed)
        self._root.select(set(self.linear))
        free = (k for k in range(len(self.names)) if k not in fixed)
        self.nonlinear = [k for k in free if k not in set(self.linear)]

    def value(self, values, inputs):
        """Value of the model, broadcast shape of inputs and values."""
        return self._root.value(values, inputs)

    def columns(self, values, inputs):
        """Offset and basis images: the model is ``offset + sum(a[k] * columns[k])``.

        Returns
        -------
        offset : ndarray or float
            What does not depend on the free linear parameters.
        columns : dict of int to ndarray
            Basis image of each position in `linear`; shapes broadcast to that of the inputs.
        """
        return self._root.columns(values, inputs)

    def derivatives(self, values, inputs, wanted, *, factored=False):
        """Derivative of the model by each parameter whose position is in `wanted`.

        With `factored` those that are an image times a row stay `Outer`; without it all are arrays.
        """
        found = self._root.derivatives(values, inputs, frozenset(wanted))
        return found if factored else {k: np.asarray(image) for k, image in found.items()}

    def expansion(self, values, inputs, wanted):
        """Offset, basis images and derivatives by the parameters in `wanted`, from one evaluation.

        Returns
        -------
        offset, columns
            As from `columns`.
        derivatives : dict of int to `Outer`, or None
            They await the linear parameter named by their ``amplitude``. None where they cannot be
            had before the linear parameters are known.
        """
        return self._root.expansion(values, inputs, frozenset(wanted))

    def leaves(self):
        """Pairs of the elementary models and the positions of their parameters."""
        return list(self._root.leaves())


def _node(model, first):
    if not isinstance(model, CompoundModel):
        return _Leaf(model, first)
    kinds = {"+": _Sum, "-": _Difference, "*": _Product, "|": _Pipe}
    if model.op not in kinds:
        return _Leaf(model, first)
    left = _node(model.left, first)
    return kinds[model.op](left, _node(model.right, left.stop))


class _Leaf:
    """An elementary model, or a compound whose operator keeps no linearity."""

    def __init__(self, model, first):
        self.model = model
        self.first = first
        self.stop = first + len(model.param_names)
        self.selected = ()

    def leaves(self):
        yield self.model, range(self.first, self.stop)

    def linear_positions(self):
        return {self.first + j for j, name in enumerate(self.model.param_names)
                if self._declared_linear(name)}  # fmt: skip

    def _declared_linear(self, name):
        model = self.model
        if isinstance(model, CompoundModel):
            return False
        if isinstance(getattr(model, name), LinearParameter):
            return True
        if type(model) in STOCK_LINEAR:
            return name == STOCK_LINEAR[type(model)]
        return bool(model.linear) and model.fittable

    def select(self, linear):
        self.selected = tuple(k - self.first for k in range(self.first, self.stop) if k in linear)

    def _own(self, values):
        return values[self.first : self.stop]

    def value(self, values, inputs):
        own = self._own(values)
        if isinstance(self.model, CompoundModel):
            own = [np.atleast_1d(v) if np.ndim(v) else v for v in own]
        return self.model.evaluate(*inputs, *own)

    def columns(self, values, inputs):
        if not self.selected:
            return self.value(values, inputs), {}
        own = list(self._own(values))
        if hasattr(self.model, "linear_columns"):
            offset, columns = self.model.linear_columns(inputs, own, self.selected)
        elif self._is_basis():
            images = self._fit_deriv(own, inputs)
            offset, columns = 0.0, {j: images[j] for j in self.selected}
        else:
            offset, columns = self._columns_by_unit_values(own, inputs)
        return offset, {self.first + j: column for j, column in columns.items()}

    def _is_basis(self):
        """Whether all parameters are solved for, and the derivatives by them the basis images."""
        return (
            len(self.selected) == len(self.model.param_names)
            and self.model.linear
            and self.model.n_inputs == 1
            and callable(getattr(self.model, "fit_deriv", None))
            and not self._maps_its_inputs()
            and type(self.model).sum_of_implicit_terms is Model.sum_of_implicit_terms
        )

    def _fit_deriv(self, own, inputs):
        images = self.model.fit_deriv(*inputs, *own)
        return images if self.model.col_fit_deriv else np.moveaxis(np.asarray(images), -1, 0)

    def _columns_by_unit_values(self, own, inputs):
        for j in self.selected:
            own[j] = np.array(0.0)
        offset = self.model.evaluate(*inputs, *own)
        columns = {}
        for j in self.selected:
            one = [*own[:j], np.array(1.0), *own[j + 1 :]]
            columns[j] = self.model.evaluate(*inputs, *one) - offset
        return offset, columns

    def derivatives(self, values, inputs, wanted):
        mine = [j for j in range(self.stop - self.first) if self.first + j in wanted]
        if not mine:
            return {}
        own = self._own(values)
        if getattr(self.model, "fit_deriv", None) is None or self._maps_its_inputs():
            return {self.first + j: self._difference(own, inputs, j) for j in mine}
        if hasattr(self.model, "selected_derivatives"):
            columns = self.model.selected_derivatives(inputs, own, mine)
            return {self.first + j: columns[j] for j in mine}
        columns = self._fit_deriv(own, inputs)
        return {self.first + j: columns[j] for j in mine}

    def expansion(self, values, inputs, wanted):
        mine = [j for j in range(self.stop - self.first) if self.first + j in wanted]
        if not mine:
            return *self.columns(values, inputs), {}
        own = self._own(values)
        if hasattr(self.model, "expansion"):
            offset, columns, derivatives = self.model.expansion(inputs, own, self.selected, mine)
        elif self._has_one_amplitude():
            offset, columns, derivatives = self._unit_expansion(own, inputs, mine)
        else:
            return *self.columns(values, inputs), None
        first = self.first
        for derivative in derivatives.values():
            if derivative.amplitude is not None:
                derivative.amplitude += first
        return (offset, {first + j: column for j, column in columns.items()},
                {first + j: derivative for j, derivative in derivatives.items()})  # fmt: skip

    def _has_one_amplitude(self):
        """Whether this is a stock model with an amplitude, which is to be solved for."""
        return len(self.selected) == 1 and type(self.model) in STOCK_LINEAR and callable(
            getattr(self.model, "fit_deriv", None)
        )  # fmt: skip

    def _unit_expansion(self, own, inputs, mine):
        (amplitude,) = self.selected
        own = [np.array(1.0) if j == amplitude else value for j, value in enumerate(own)]
        images = self._fit_deriv(own, inputs)
        derivatives = {j: Outer(np.asarray(images[j]), amplitude=amplitude) for j in mine}
        return 0.0, {amplitude: np.asarray(images[amplitude])}, derivatives

    def _maps_its_inputs(self):
        """Whether ``fit_deriv`` may leave out a mapping of the inputs, as stock polynomials do."""
        model = self.model
        if isinstance(model, CompoundModel):
            return True
        return any(
            hasattr(model, f"{axis}window")
            and getattr(model, f"{axis}domain") not in (None, getattr(model, f"{axis}window"))
            for axis in ("", "x_", "y_")
        )

    def _difference(self, own, inputs, j):
        step = DERIVATIVE_STEP * np.maximum(np.abs(own[j]), 1.0)
        ends = [self.model.evaluate(*inputs, *[*own[:j], own[j] + s, *own[j + 1 :]])
                for s in (step, -step)]  # fmt: skip
        return (ends[0] - ends[1]) / (2 * step)


class _Branch:
    """Two subtrees and an operator."""

    def __init__(self, left, right):
        self.left, self.right = left, right
        self.stop = right.stop

    def leaves(self):
        yield from self.left.leaves()
        yield from self.right.leaves()

    def linear_positions(self):
        return self.left.linear_positions() | self.right.linear_positions()

    def select(self, linear):
        self.left.select(linear)
        self.right.select(linear)

    def expansion(self, values, inputs, wanted):
        inside = any(k in wanted for _, positions in self.leaves() for k in positions)
        return *self.columns(values, inputs), None if inside else {}


class _Sum(_Branch):
    sign = 1

    def value(self, values, inputs):
        return self.left.value(values, inputs) + self.sign * self.right.value(values, inputs)

    def columns(self, values, inputs):
        left_offset, left = self.left.columns(values, inputs)
        right_offset, right = self.right.columns(values, inputs)
        return left_offset + self.sign * right_offset, {**left, **self._signed(right)}

    def derivatives(self, values, inputs, wanted):
        left = self.left.derivatives(values, inputs, wanted)
        return {**left, **self._signed(self.right.derivatives(values, inputs, wanted))}

    def expansion(self, values, inputs, wanted):
        left_offset, left, left_slopes = self.left.expansion(values, inputs, wanted)
        right_offset, right, right_slopes = self.right.expansion(values, inputs, wanted)
        slopes = None
        if left_slopes is not None and right_slopes is not None:
            slopes = {**left_slopes, **self._signed(right_slopes)}
        return left_offset + self.sign * right_offset, {**left, **self._signed(right)}, slopes

    def _signed(self, columns):
        return columns if self.sign > 0 else {k: -column for k, column in columns.items()}


class _Difference(_Sum):
    sign = -1


class _Product(_Branch):
    def linear_positions(self):
        return self.left.linear_positions() or self.right.linear_positions()

    def value(self, values, inputs):
        return self.left.value(values, inputs) * self.right.value(values, inputs)

    def columns(self, values, inputs):
        left_offset, left = self.left.columns(values, inputs)
        right_offset, right = self.right.columns(values, inputs)
        columns = {k: c * right_offset for k, c in left.items()}
        columns |= {k: c * left_offset for k, c in right.items()}
        return left_offset * right_offset, columns

    def derivatives(self, values, inputs, wanted):
        left = self.left.derivatives(values, inputs, wanted)
        right = self.right.derivatives(values, inputs, wanted)
        factor = self.right.value(values, inputs) if left else None
        out = {k: d * factor for k, d in left.items()}
        factor = self.left.value(values, inputs) if right else None
        return out | {k: d * factor for k, d in right.items()}


class _Pipe(_Branch):
    def linear_positions(self):
        return self.right.linear_positions()

    def _between(self, values, inputs):
        between = self.left.value(values, inputs)
        return between if isinstance(between, tuple) else (between,)

    def value(self, values, inputs):
        return self.right.value(values, self._between(values, inputs))

    def columns(self, values, inputs):
        return self.right.columns(values, self._between(values, inputs))

    def derivatives(self, values, inputs, wanted):
        out = self.right.derivatives(values, self._between(values, inputs), wanted)
        first = next(iter(self.left.leaves()))[1].start
        for k in wanted:
            if first <= k < self.left.stop:
                out[k] = self._difference(values, inputs, k)
        return out

    def _difference(self, values, inputs, k):
        step = DERIVATIVE_STEP * np.maximum(np.abs(values[k]), 1.0)
        ends = []
        for moved in (values[k] + step, values[k] - step):
            ends.append(self.value([*values[:k], moved, *values[k + 1 :]], inputs))
        return (ends[0] - ends[1]) / (2 * step)
