"""The branches of an expression tree: what operators make of the linear parts of two models.

Each has the methods of a `~specmodels.models.linear_leaf.Leaf`: value, columns, rows, components,
derivatives and expansion, and says which parameters are linear.
"""

import numpy as np
from astropy.modeling import CompoundModel, models

from .composition import bound
from .linear_leaf import DERIVATIVE_STEP, Leaf, with_one
from .linear_rows import rows_within

__all__ = ["node"]

# Stock models that pass on what comes in times a factor, or with a constant added.
STOCK_AFFINE = (models.Identity, models.Multiply, models.Scale, models.Shift)


def node(model, first, image=None):
    """The tree of a model whose first parameter has the position `first`, bound to an image."""
    if isinstance(model, CompoundModel):
        if model.op == "fix_inputs":
            return _FixedInputs(node(model.left, first, image), model)
        kinds = {"+": _Sum, "-": _Difference, "*": _Product, "/": _Quotient, "|": _Pipe}
        if model.op in kinds:
            left = node(model.left, first, image)
            return kinds[model.op](left, node(model.right, left.stop, image))
    return Leaf(model if image is None else bound(model, image), first)


class _Branch:
    """Two subtrees and an operator."""

    def __init__(self, left, right):
        self.left, self.right = left, right
        self.first, self.stop = left.first, right.stop

    def leaves(self):
        yield from self.left.leaves()
        yield from self.right.leaves()

    def linear_positions(self, fixed):
        return self.left.linear_positions(fixed) | self.right.linear_positions(fixed)

    @property
    def repeated(self):
        return self.left.repeated or self.right.repeated

    def window(self, inputs):
        """Rows and columns of the pixels outside of which the value is zero; None: nowhere."""
        return None

    def select(self, linear):
        self.left.select(linear)
        self.right.select(linear)

    def expansion(self, values, inputs, wanted):
        inside = any(self.first <= k < self.stop for k in wanted)
        return *self.columns(values, inputs), None if inside else {}

    def _difference(self, values, inputs, k):
        step = DERIVATIVE_STEP * np.maximum(np.abs(values[k]), 1.0)
        ends = []
        for moved in (values[k] + step, values[k] - step):
            ends.append(self.value(with_one(values, k, moved), inputs))
        return (ends[0] - ends[1]) / (2 * step)


def _times(derivative, factor):
    """Product of both; what is nothing in all pixels, one number, stays so."""
    nothing = isinstance(derivative, np.ndarray) and derivative.size == 1 and not derivative.any()
    return derivative if nothing else derivative * factor


class _Sum(_Branch):
    sign = 1

    def value(self, values, inputs):
        return self.left.value(values, inputs) + self.sign * self.right.value(values, inputs)

    def columns(self, values, inputs):
        left_offset, left = self.left.columns(values, inputs)
        right_offset, right = self.right.columns(values, inputs)
        return left_offset + self.sign * right_offset, {**left, **self._signed(right)}

    def rows(self, values, inputs):
        left_offset, left = self.left.rows(values, inputs)
        right_offset, right = self.right.rows(values, inputs)
        right = right if self.sign > 0 else [rows.times(-1.0) for rows in right]
        return left_offset + self.sign * right_offset, left + right

    def components(self, values, inputs):
        yield from self.left.components(values, inputs)
        for model, positions, image in self.right.components(values, inputs):
            yield model, positions, self.sign * image

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
    """The factor whose free linear parameters are many is linear; the other is none of them."""

    def linear_positions(self, fixed):
        sides = [(side, side.linear_positions(fixed)) for side in (self.left, self.right)]
        free = [side for side in sides if side[1] - fixed]
        chosen = free if free else [side for side in sides if side[1]]
        chosen = [side for side in chosen if side[0].repeated] or chosen
        self.carrier = self.left if not chosen else chosen[0][0]
        return chosen[0][1] if chosen else set()

    @property
    def factor(self):
        """The side that is not linear."""
        return self.right if self.carrier is self.left else self.left

    def value(self, values, inputs):
        return self.left.value(values, inputs) * self.right.value(values, inputs)

    def columns(self, values, inputs):
        offset, columns = self.carrier.columns(values, inputs)
        factor = self.factor.value(values, inputs)
        return offset * factor, {k: column * factor for k, column in columns.items()}

    def window(self, inputs):
        found = [side.window(inputs) for side in (self.left, self.right)]
        found = [window for window in found if window is not None]
        if not found:
            return None
        return tuple(slice(max(p.start for p in parts), min(p.stop for p in parts))
                     for parts in zip(*found, strict=True))  # fmt: skip

    def rows(self, values, inputs):
        window = self.window(inputs)
        if window is not None:
            return rows_within(window, inputs, lambda own: self._rows(values, own))
        return self._rows(values, inputs)

    def _rows(self, values, inputs):
        offset, rows = self.carrier.rows(values, inputs)
        factor = self.factor.value(values, inputs)
        return offset * factor, [one.times(factor) for one in rows]

    def components(self, values, inputs):
        factor = self.factor.value(values, inputs)
        for model, positions, image in self.carrier.components(values, inputs):
            yield model, positions, image * factor

    def derivatives(self, values, inputs, wanted):
        left = self.left.derivatives(values, inputs, wanted)
        right = self.right.derivatives(values, inputs, wanted)
        factor = self.right.value(values, inputs) if left else None
        out = {k: _times(d, factor) for k, d in left.items()}
        factor = self.left.value(values, inputs) if right else None
        return out | {k: _times(d, factor) for k, d in right.items()}


class _Quotient(_Branch):
    """Linear in what is above the line."""

    def linear_positions(self, fixed):
        self.right.linear_positions(fixed)
        return self.left.linear_positions(fixed)

    def value(self, values, inputs):
        return self.left.value(values, inputs) / self.right.value(values, inputs)

    def columns(self, values, inputs):
        offset, columns = self.left.columns(values, inputs)
        factor = 1 / self.right.value(values, inputs)
        return offset * factor, {k: column * factor for k, column in columns.items()}

    def rows(self, values, inputs):
        offset, rows = self.left.rows(values, inputs)
        factor = 1 / self.right.value(values, inputs)
        return offset * factor, [one.times(factor) for one in rows]

    def components(self, values, inputs):
        factor = 1 / self.right.value(values, inputs)
        for model, positions, image in self.left.components(values, inputs):
            yield model, positions, image * factor

    def derivatives(self, values, inputs, wanted):
        right = self.right.value(values, inputs)
        left = self.left.derivatives(values, inputs, wanted)
        out = {k: d * (1 / right) for k, d in left.items()}
        below = self.right.derivatives(values, inputs, wanted)
        if below:
            slope = -self.left.value(values, inputs) / right**2
            out |= {k: d * slope for k, d in below.items()}
        return out


class _Pipe(_Branch):
    """Linear in what comes out; where that passes a factor and a constant only, in what goes in."""

    def linear_positions(self, fixed):
        left, right = self.left.linear_positions(fixed), self.right.linear_positions(fixed)
        affine = isinstance(self.right, Leaf) and isinstance(self.right.model, STOCK_AFFINE)
        self.through = affine and bool(left - fixed)
        return left if self.through else right

    def _between(self, values, inputs):
        between = self.left.value(values, inputs)
        return between if isinstance(between, tuple) else (between,)

    def _ends(self, values):
        """What the right side makes of zero and of one."""
        return (self.right.value(values, (np.float64(number),)) for number in (0.0, 1.0))

    def value(self, values, inputs):
        return self.right.value(values, self._between(values, inputs))

    def columns(self, values, inputs):
        if not self.through:
            return self.right.columns(values, self._between(values, inputs))
        offset, columns = self.left.columns(values, inputs)
        zero, one = self._ends(values)
        factor = one - zero
        return zero + factor * offset, {k: column * factor for k, column in columns.items()}

    def rows(self, values, inputs):
        if not self.through:
            return self.right.rows(values, self._between(values, inputs))
        offset, rows = self.left.rows(values, inputs)
        zero, one = self._ends(values)
        return zero + (one - zero) * offset, [each.times(one - zero) for each in rows]

    def components(self, values, inputs):
        if not self.through:
            yield from self.right.components(values, self._between(values, inputs))
            return
        zero, one = self._ends(values)
        for number, (model, positions, image) in enumerate(self.left.components(values, inputs)):
            yield model, positions, image * (one - zero) + (0.0 if number else zero)

    def derivatives(self, values, inputs, wanted):
        if self.through:
            zero, one = self._ends(values)
            left = self.left.derivatives(values, inputs, wanted)
            out = {k: d * (one - zero) for k, d in left.items()}
            inside = [k for k in wanted if self.right.first <= k < self.right.stop]
            return out | {k: self._difference(values, inputs, k) for k in inside}
        between = self._between(values, inputs)
        out = self.right.derivatives(values, between, wanted)
        inside = [k for k in wanted if self.first <= k < self.left.stop]
        if not inside:
            return out
        if len(between) > 1:
            return out | {k: self._difference(values, inputs, k) for k in inside}
        slope = self._slope(values, between[0])
        found = self.left.derivatives(values, inputs, wanted)
        return out | {k: slope * np.asarray(found[k]) for k in inside}

    def _slope(self, values, between):
        """Derivative of the right side by its one input."""
        known = np.asarray(between)[np.isfinite(between)]
        spread = np.ptp(known) if known.size else 0.0
        step = DERIVATIVE_STEP * (spread or np.max(np.abs(known), initial=0.0) or 1.0)
        ends = [self.right.value(values, (between + s,)) for s in (step, -step)]
        return (ends[0] - ends[1]) / (2 * step)


class _FixedInputs:
    """A model some of whose inputs have a value."""

    def __init__(self, inner, model):
        self.inner, self.first, self.stop = inner, inner.first, inner.stop
        names = list(model.left.inputs)
        self.given = {names.index(key) if isinstance(key, str) else int(key): np.float64(value)
                      for key, value in model.right.items()}  # fmt: skip
        self.n_inputs = model.left.n_inputs

    def __getattr__(self, name):
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def _all(self, inputs):
        rest = iter(inputs)
        return tuple(self.given[j] if j in self.given else next(rest) for j in range(self.n_inputs))

    def window(self, inputs):
        return None

    def value(self, values, inputs):
        return self.inner.value(values, self._all(inputs))

    def columns(self, values, inputs):
        return self.inner.columns(values, self._all(inputs))

    def rows(self, values, inputs):
        return self.inner.rows(values, self._all(inputs))

    def components(self, values, inputs):
        return self.inner.components(values, self._all(inputs))

    def derivatives(self, values, inputs, wanted):
        return self.inner.derivatives(values, self._all(inputs), wanted)

    def expansion(self, values, inputs, wanted):
        return self.inner.expansion(values, self._all(inputs), wanted)
