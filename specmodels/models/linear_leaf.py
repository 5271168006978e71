"""The leaves of an expression tree: elementary models, with basis images, rows and derivatives.

What operators make of them is in `linear_branches`; what fitters see, in `linear_form`.
"""

from copy import copy
from functools import cached_property

import numpy as np
from astropy.modeling import CompoundModel, Model, models

from .composition import cut_to
from .linear import LinearParameter, Outer
from .linear_rows import Rows, inside, is_empty, is_grid, rows_within

__all__ = ["DERIVATIVE_STEP", "Leaf", "LocalValues", "repeats", "with_one"]

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


def repeats(leaf):
    """What the linear parameters of an elementary model repeat over: a tuple of names."""
    return tuple(getattr(leaf, "over", ()))


def _or_nothing(derivative):
    """A derivative; one zero where it is zero in all pixels, which then take no time any more."""
    image = derivative.image if isinstance(derivative, Outer) else derivative
    return derivative if np.any(image) else np.zeros((1, 1))


class LocalValues(list):
    """Values of all parameters, many of which differ from pixel to pixel.

    Attributes
    ----------
    terms : dict of int to callable
        For elementary models of which a pixel sees a few of many terms, by the position of their
        first parameter: a function of the numbers of terms, shape (n_y, n_x, n_entry), that gives
        their values in each pixel. Images of all of them would be as many as there are terms.
    """

    def __init__(self, values, terms):
        super().__init__(values)
        self.terms = terms


def with_one(values, k, value):
    """The same values but for that of one parameter."""
    new = [*values[:k], value, *values[k + 1 :]]
    return LocalValues(new, values.terms) if isinstance(values, LocalValues) else new


class Leaf:
    """An elementary model, or a compound whose operator keeps no linearity."""

    def __init__(self, model, first):
        self.model = model
        self.first = first
        self.stop = first + len(model.param_names)
        self.selected = ()

    def without_box(self):
        """The same model without limits."""
        new = copy(self)
        new._box = None
        return new

    def leaves(self):
        yield self.model, range(self.first, self.stop)

    def linear_positions(self, fixed):
        model = self.model
        if not isinstance(model, CompoundModel) and model.linear and model.fittable:
            return set(range(self.first, self.stop))
        return {self.first + j for j, name in enumerate(model.param_names)
                if self._declared_linear(name)}  # fmt: skip

    @property
    def repeated(self):
        """Whether the linear parameters repeat over something within an image."""
        return any(name != "exposure" for name in repeats(self.model))

    def _declared_linear(self, name):
        model = self.model
        if isinstance(model, CompoundModel):
            return False
        if isinstance(getattr(model, name), LinearParameter):
            return True
        return STOCK_LINEAR.get(type(model)) == name

    def select(self, linear):
        self.selected = tuple(k - self.first for k in range(self.first, self.stop) if k in linear)

    def _own(self, values):
        return values[self.first : self.stop]

    def value(self, values, inputs):
        own = self._own(values)
        if own and self.first in getattr(values, "terms", ()):
            image = self._sum_of_terms(own, inputs, values.terms[self.first])
            return image if self._box is None else image * self._inside(inputs)
        if isinstance(self.model, CompoundModel):
            own = [np.atleast_1d(v) if np.ndim(v) else v for v in own]
        if self._box is None:
            return self.model.evaluate(*inputs, *own)
        window = self.window(inputs)
        if window is None:
            return self.model.evaluate(*inputs, *own) * self._inside(inputs)
        shape = np.broadcast_shapes(*(np.shape(v) for v in (*inputs, *own)))
        if is_empty(window):
            return 0.0
        out = np.zeros(shape)
        inner = [cut_to(v, window) for v in (*inputs, *own)]
        out[window] = self.model.evaluate(*inner)
        return out

    def _sum_of_terms(self, own, inputs, terms):
        """Value of a model of which each pixel sees a few terms, those that are fixed included."""
        index, value = self.model.local_basis(*inputs)
        held = ~np.isin(np.arange(len(own)), self.selected)
        known = np.array([np.squeeze(v) if h else 0.0 for v, h in zip(own, held, strict=True)])
        return np.sum(value * np.where(held[index], known[index], terms(index)), axis=-1)

    @cached_property
    def _box(self):
        """Limits by input that a user has set, outside of which the model is zero, or None."""
        if getattr(self.model, "_user_bounding_box", None) is None:
            return None
        box = self.model.bounding_box
        return [tuple(getattr(end, "value", end) for end in box[name])
                for name in self.model.inputs]  # fmt: skip

    def window(self, inputs):
        """Rows and columns of the pixels within the bounding box; None where there is none.

        None as well where the inputs are not a row of columns and a column of rows.
        """
        if self._box is None or not is_grid(inputs):
            return None
        across, along = (inside(values.ravel(), ends)
                         for values, ends in zip(inputs, self._box, strict=True))  # fmt: skip
        return along, across

    def _inside(self, inputs):
        inside = 1.0
        for (low, high), values in zip(self._box, inputs, strict=True):
            inside = inside * ((values >= low) & (values <= high))
        return inside

    def components(self, values, inputs):
        yield self.model, range(self.first, self.stop), self.value(values, inputs)

    def rows(self, values, inputs):
        if not self.selected:
            return self.value(values, inputs), []
        window = self.window(inputs)
        if window is not None:
            inner = self.without_box()
            return rows_within(window, inputs, lambda own: inner.rows(values, own))
        if hasattr(self.model, "local_basis") and self._box is None:
            return self._local_rows(values, inputs)
        offset, columns = self.columns(values, inputs)
        positions = sorted(columns)
        images = np.broadcast_arrays(*(np.asarray(columns[k], dtype=float) for k in positions))
        value = np.stack(images, axis=-1)
        index = np.broadcast_to(np.arange(len(positions)), value.shape)
        return offset, [Rows(self.model, np.array(positions), index, value, inputs)]

    def _local_rows(self, values, inputs):
        """Rows of a basis of which each pixel sees a few terms."""
        index, value = self.model.local_basis(*inputs)
        n_terms, offset = self.stop - self.first, 0.0
        if len(self.selected) < n_terms:
            held = np.ones(n_terms, dtype=bool)
            held[list(self.selected)] = False
            known = np.where(held, [np.squeeze(v) for v in self._own(values)], 0.0)
            offset = np.sum(value * known[index], axis=-1)
            value = np.where(held[index], 0.0, value)
        positions = np.arange(self.first, self.stop)
        return offset, [Rows(self.model, positions, index, value, inputs)]

    def columns(self, values, inputs):
        if not self.selected:
            return self.value(values, inputs), {}
        offset, columns = self._columns(values, inputs)
        if self._box is None:
            return offset, columns
        inside = self._inside(inputs)
        return offset * inside, {k: column * inside for k, column in columns.items()}

    def _columns(self, values, inputs):
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
        own, window = self._own(values), self.window(inputs)
        if window is None:
            found = {k: _or_nothing(d) for k, d in self._derivatives(own, inputs, mine).items()}
            if self._box is not None:
                inside = self._inside(inputs)
                found = {k: np.asarray(d) * inside for k, d in found.items()}
            return found
        shape = np.broadcast_shapes(*(np.shape(v) for v in (*inputs, *own)))
        if is_empty(window):
            return {self.first + j: np.zeros((1, 1)) for j in mine}
        inner = [cut_to(v, window) for v in own], [cut_to(v, window) for v in inputs]
        found = {k: np.zeros(shape) for k in (self.first + j for j in mine)}
        for k, derivative in self._derivatives(*inner, mine).items():
            found[k][window] = derivative
        return found

    def _derivatives(self, own, inputs, mine):
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
        if self._box is not None:
            return *self.columns(values, inputs), None
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
