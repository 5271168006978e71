"""Sources along their traces: light in pixels of the column ``x`` (dispersion) and the row ``y``.

The flux is a linear parameter, which fitters solve per column. The sky under them is in ``sky.py``.
"""

import numpy as np
from astropy.modeling import FittableModel, Parameter

from ..numerics.positions import finite, where_known
from .composition import Composable
from .linear import BasisModel, LinearParameter, Outer, TiedTo, weighted_sum
from .parameters import declare, repeated
from .profiles import Profile
from .quantities import UnitRules, with_units
from .traces import PolynomialTrace

__all__ = ["Source"]

# A smaller fraction of the light is none: where all good pixels get less, a flux is undetermined.
LEAST_FRACTION = 1e-13


class Source(Composable, UnitRules, FittableModel):
    r"""Light of one source: :math:`f\,P(y - y_t(x);\, w(x), \ldots)`.

    The parameters are ``flux``; those of the trace, as ``trace_c0``, …; those of the width, as
    ``width_c0``, …, where a model of the width is given; and the other shape parameters of the
    profile under their own names (``profile_width`` where that is ``width``).

    Parameters
    ----------
    profile : `~specmodels.models.Profile`
        How the light is spread across the trace. Its own centre is replaced by the trace.
    trace : `~astropy.modeling.Model`
        Row of the source as a function of the column. Default: a constant.
    width : `~astropy.modeling.Model`, optional
        The profile's ``width_parameter`` as a function of the column.
    name : str, optional
        Name of the source.
    **parameters : float
        Values of parameters that differ from those of `profile`, `trace` and `width`, and the
        settings of astropy models.

    Raises
    ------
    TypeError
        If `profile` is no `Profile`, or `trace` or `width` is no one-dimensional model.
    ValueError
        If a width is given for a profile that has no width parameter.

    Examples
    --------
    >>> import specmodels as sm
    >>> star = sm.Source(sm.MoffatProfile(), sm.PolynomialTrace(1), name="star", trace_c0=20.0)
    >>> star.param_names
    ('flux', 'trace_c0', 'trace_c1', 'gamma', 'alpha')
    >>> model = star + sm.ColumnPolynomial(0, name="sky")
    """

    _param_names = ()
    n_inputs = 2
    n_outputs = 1
    linear = False
    col_fit_deriv = True
    coordinates = ("x", "y")
    over = ("column",)
    _separable = False
    data_parameters = ("flux",)

    def __init__(self, profile, trace=None, *, width=None, name=None, **parameters):
        trace = PolynomialTrace(0) if trace is None else trace
        if not isinstance(profile, Profile):
            raise TypeError(f"profile: expected a Profile, got {type(profile).__name__}")
        for key, model in (("trace", trace), ("width", width)):
            if model is not None and not _is_curve(model):
                raise TypeError(f"{key}: expected a one-dimensional model, got {model!r}")
        if width is not None and profile.width_parameter is None:
            raise ValueError(f"width: {type(profile).__name__} has no width parameter")
        self.profile, self.trace, self.width = profile.copy(), trace.copy(), width and width.copy()
        self._declare_parameters()
        super().__init__(name=name, **self._defaults(parameters), **parameters)

    def _declare_parameters(self):
        """Create the parameters of the parts under their names here."""
        shape = [n for n in self.profile.param_names if n != "center"]
        if self.width is not None:
            shape.remove(self.profile.width_parameter)
        self._shape_names = tuple(shape)
        parts = [LinearParameter("flux", default=1.0, description="flux of the source")]
        for prefix, model in (("trace_", self.trace), ("width_", self.width)):
            for n in () if model is None else model.param_names:
                parts.append(_like(getattr(model, n), prefix + n, prefix))
        parts += [_like(getattr(self.profile, n), _own_name(n)) for n in shape]
        declare(self, parts)

    def _defaults(self, given):
        """Values of the parts for parameters that are not given; repeated for a model set."""
        return {n: repeated(_with_unit(self.__dict__[n], "default"), given)
                for n in self._param_names if n not in given}  # fmt: skip

    @property
    def param_names(self):
        """Names of all parameters."""
        return self._param_names

    def _parameter_units_for_data_units(self, inputs_unit, outputs_unit):
        """Flux as the data, lengths as rows, and what trace and width say of their own."""
        units = super()._parameter_units_for_data_units(inputs_unit, outputs_unit)
        column, row = (inputs_unit[name] for name in self.inputs)
        lengths = set(self.profile.position_parameters) & set(self._shape_names)
        units |= {_own_name(n): row for n in lengths}
        for prefix, part in (("trace_", self.trace), ("width_", self.width)):
            rules = getattr(part, "_parameter_units_for_data_units", None)
            if callable(rules):
                own = rules({part.inputs[0]: column}, {part.outputs[0]: row})
                units |= {prefix + n: unit for n, unit in own.items()}
        return units

    def __deepcopy__(self, memo):
        """Copy that shares the parts: they hold no values, and are never changed."""
        memo |= {id(part): part for part in (self.profile, self.trace, self.width)}
        return super().__deepcopy__(memo)

    @property
    def width_parameter(self):
        """Name of the parameter that is the width; None where it is modelled, or there is none."""
        n = self.profile.width_parameter
        return None if n is None or self.width is not None else _own_name(n)

    def with_parts(self, *, profile=None, trace=None, width=None):
        """Return a source with other parts and the values that this one has for the rest."""
        return Source(
            self.part("profile") if profile is None else profile,
            self.part("trace") if trace is None else trace,
            width=self.part("width") if width is None else width,
            name=self.name,
            flux=_with_unit(self.flux),
        )

    def part(self, which):
        """Copy of the ``"profile"``, ``"trace"`` or ``"width"`` with the values of this source."""
        part = getattr(self, which)
        if part is None:
            return None
        part = part.copy()
        prefix = {"profile": "", "trace": "trace_", "width": "width_"}[which]
        for n in part.param_names:
            own = prefix + n if prefix else _own_name(n)
            if own in self._param_names:
                setattr(part, n, _with_unit(getattr(self, own)))
                for constraint in ("fixed", "tied", "bounds"):
                    value = getattr(self, constraint)[own]
                    getattr(part, constraint)[n] = _renamed(value, prefix, "")
                getattr(part, n).prior = getattr(self, own).prior
        return part

    def trace_position(self, x, values=None):
        """Row of the trace in each column of `x`; `values` are those of all parameters."""
        values = [getattr(self, n).value for n in self._param_names] if values is None else values
        return self._split(values)["trace"](np.asarray(x, dtype=float))

    def fwhm(self, x, values=None):
        """Full width at half maximum in each column of `x`, the pixel not included."""
        values = [getattr(self, n).value for n in self._param_names] if values is None else values
        x = np.asarray(x, dtype=float)
        parts = self._split(values)
        shape = dict(zip(self._shape_names, parts["shape"], strict=True))
        if self.width is not None:
            shape[self.profile.width_parameter] = parts["width"](x)
        ordered = [shape[n] for n in self.profile.param_names if n != "center"]
        return np.broadcast_to(self.profile.fwhm(*ordered), x.shape)

    def _split(self, values):
        """Curves of trace and width at their values, and the shape values."""
        values = list(values[1:])
        n_trace = len(self.trace.param_names)
        trace, rest = values[:n_trace], values[n_trace:]
        n_width = 0 if self.width is None else len(self.width.param_names)
        width, shape = rest[:n_width], rest[n_width:]
        return {
            "trace": _Curve(self.trace, trace), "width": _Curve(self.width, width), "shape": shape
        }  # fmt: skip

    def _profile_inputs(self, x, y, parts):
        """Inputs and values of the profile; one column serves for all where none differs."""
        center = parts["trace"](x)
        width = None if self.width is None else parts["width"](x)
        if self._same_in_all_columns(center, width, parts["shape"]):
            center = center[:, :1]
            width = None if width is None else width[:, :1]
        shape = dict(zip(self._shape_names, parts["shape"], strict=True))
        if width is not None:
            shape[self.profile.width_parameter] = width
        values = [shape[n] for n in self.profile.param_names if n != "center"]
        inputs = (x, y) if self.profile.uses_dispersion else (y,)
        return inputs, [center, *values]

    def _same_in_all_columns(self, center, width, shape):
        """Whether centre, width and shape are constant along a row of columns."""
        is_row = np.ndim(center) == 2 and center.shape[0] == 1 and center.size > 0
        if self.profile.uses_dispersion or not is_row:
            return False
        constant = all(a is None or np.ptp(a) == 0 for a in (center, width))
        return constant and all(np.size(v) == 1 for v in shape)

    def fraction(self, x, y, values):
        """Fraction of the source's light in each pixel, whatever its flux."""
        inputs, profile_values = self._profile_inputs(x, y, self._split(values))
        return self.profile.evaluate(*inputs, *profile_values)

    @with_units
    def evaluate(self, x, y, *values):
        """Light of the source in each pixel."""
        light = values[0] * self.fraction(x, y, values)
        shape = np.broadcast_shapes(np.shape(x), np.shape(y), np.shape(light))
        return np.broadcast_to(light, shape)

    def fit_deriv(self, x, y, *values):
        """Derivatives by all parameters, as a list of arrays."""
        columns = self.selected_derivatives((x, y), values, range(len(self._param_names)))
        shape = np.broadcast_shapes(np.shape(x), np.shape(y))
        return [np.broadcast_to(columns[j], shape) for j in range(len(self._param_names))]

    def linear_columns(self, inputs, values, wanted):
        """Hook of `LinearForm`: the basis image of the flux."""
        fraction = _without_traces(self.fraction(*inputs, values))
        return 0.0, {j: fraction for j in wanted}

    def selected_derivatives(self, inputs, values, wanted):
        """Hook of `LinearForm`: derivatives by the parameters at the positions in `wanted`."""
        fraction, slopes = self._expanded(inputs, values, wanted)
        flux, out = values[0], {}
        for j in wanted:
            out[j] = fraction if j == 0 else _scaled(*slopes[self._param_names[j]], flux)
        return out

    def expansion(self, inputs, values, selected, wanted):
        """Hook of `LinearForm`: basis image of the flux, and derivatives for a flux of one."""
        fraction, slopes = self._expanded(inputs, values, wanted)
        free = 0 in selected
        factor, amplitude = (1.0, 0) if free else (values[0], None)
        derivatives = {}
        for j in wanted:
            image, row = slopes[self._param_names[j]]
            derivatives[j] = Outer(image, factor * row, amplitude)
        if free:
            return 0.0, {0: _without_traces(fraction)}, derivatives
        return values[0] * fraction, {}, derivatives

    def _expanded(self, inputs, values, wanted):
        """Fraction in each pixel, and its derivatives: an image and a row by parameter name."""
        x, y = inputs
        parts = self._split(values)
        profile_inputs, profile_values = self._profile_inputs(x, y, parts)
        fraction, derivatives = self.profile.value_and_derivatives(*profile_inputs, *profile_values)
        images = dict(zip(self.profile.param_names, derivatives, strict=True))
        names = [self._param_names[j] for j in wanted]
        out = {_own_name(n): (images[n], 1.0) for n in self._shape_names}
        if any(n.startswith("trace_") for n in names):
            rows = parts["trace"].derivatives(x)
            out |= {"trace_" + n: (images["center"], row) for n, row in rows.items()}
        if self.width is not None and any(n.startswith("width_") for n in names):
            rows = parts["width"].derivatives(x)
            outer = images[self.profile.width_parameter]
            out |= {"width_" + n: (outer, row) for n, row in rows.items()}
        return fraction, out


def _own_name(name):
    """Name in a source of a profile's parameter: prefixed where it is that of one of the parts."""
    return f"profile_{name}" if name in ("flux", "profile", "trace", "width") else name


def _is_curve(model):
    return (getattr(model, "n_inputs", 0), getattr(model, "n_outputs", 0)) == (1, 1)


def _renamed(tie, old, new):
    """A tie by name, as seen from a model where the other parameter has another prefix."""
    if not isinstance(tie, TiedTo):
        return tie
    return TiedTo(new + tie.name.removeprefix(old), factor=tie.factor, offset=tie.offset)


def _without_traces(fraction):
    """Fractions too small to be light set to zero."""
    return np.where(np.abs(fraction) < LEAST_FRACTION, 0.0, fraction)


def _scaled(image, row, flux):
    """Derivative for a flux: an image and a factor of each column, if they can be told apart."""
    row = flux * row
    is_row = np.ndim(image) == 2 and np.shape(row)[:-1] in ((), (1,))
    return Outer(image, row) if is_row else image * row


def _with_unit(parameter, which="value"):
    """Value or default of a parameter, with its unit where it has one."""
    value = getattr(parameter, which)
    return value if parameter.unit is None else value * parameter.unit


def _like(parameter, name, prefix=""):
    """A parameter of the same value and constraints under another name."""
    return Parameter(
        name, default=parameter.value, unit=parameter.unit,
        description=parameter.__doc__ or "", bounds=parameter.bounds, fixed=parameter.fixed,
        tied=_renamed(parameter.tied, "", prefix), prior=parameter.prior,
    )  # fmt: skip


class _Curve:
    """A one-dimensional model at given values; the basis of a linear one is worked out once."""

    def __init__(self, model, values):
        self.model, self.values = model, values
        self._known = None, None

    def _basis(self, x):
        if self._known[0] is not x:
            self._known = x, self.model.terms(x)
        return self._known[1]

    def __call__(self, x):
        if getattr(type(self.model), "evaluate", None) is BasisModel.evaluate:
            return weighted_sum(self._basis(x), self.values)
        return where_known(self.model.evaluate(x, *self.values), finite(x))

    def derivatives(self, x):
        """Derivatives by the parameters, by name."""
        model, values, out = self.model, self.values, {}
        if isinstance(model, BasisModel):
            return dict(zip(model.param_names, np.moveaxis(self._basis(x), -1, 0), strict=True))
        for j, n in enumerate(model.param_names):
            step = 1e-6 * np.maximum(np.abs(values[j]), 1.0)
            ends = [model.evaluate(x, *[*values[:j], values[j] + s, *values[j + 1 :]])
                    for s in (step, -step)]  # fmt: skip
            out[n] = (ends[0] - ends[1]) / (2 * step)
        return out
