"""How any compound model is split into linear and other parameters, whatever it is made of.

`LinearForm` walks the expression tree of an astropy model and gives what fitters need: the basis
image of each linear parameter and the derivative by each other one. No data and no fitting here.
"""

import numpy as np
from astropy.modeling import CompoundModel, Model, models

from .linear import LinearParameter, Outer

__all__ = ["LinearForm", "design_matrix", "linear_parameters"]

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
