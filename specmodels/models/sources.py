"""What lies on the detector: sources along their traces, and the sky under them.

These models have two inputs, the column ``x`` (dispersion) and the row ``y``, and give the light in
each pixel. Their fluxes and levels are linear parameters, which fitters solve per column.
"""

import numpy as np
from astropy.modeling import FittableModel, Parameter
from numpy.polynomial import legendre

from .linear import BasisModel, LinearParameter, Outer, TiedTo
from .profiles import Profile
from .traces import PolynomialTrace

__all__ = ["ColumnPolynomial", "Source", "UniformSky"]

# A smaller fraction of the light is none: where all good pixels get less, a flux is undetermined.
LEAST_FRACTION = 1e-13


class Source(FittableModel):
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
    """

    _param_names = ()
    n_inputs = 2
    n_outputs = 1
    linear = False
    col_fit_deriv = True

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
        parts = {"flux": LinearParameter("flux", default=1.0, description="flux of the source")}
        for prefix, model in (("trace_", self.trace), ("width_", self.width)):
            for n in () if model is None else model.param_names:
                parts[prefix + n] = _like(getattr(model, n), prefix + n, prefix)
        for n in shape:
            parts[_own_name(n)] = _like(getattr(self.profile, n), _own_name(n))
        self._param_names = tuple(parts)
        for n, parameter in parts.items():
            parameter.model = self
            self.__dict__[n] = parameter

    def _defaults(self, given):
        """Values of the parts for parameters that are not given; repeated for a model set."""
        n_models = given.get("n_models") or 1
        values = {n: self.__dict__[n].default for n in self._param_names if n not in given}
        if n_models > 1:
            values = {n: np.full(n_models, value) for n, value in values.items()}
        return values

    @property
    def param_names(self):
        """Names of all parameters."""
        return self._param_names

    @property
    def width_parameter(self):
        """Name of the parameter that is the width; None where it is modelled, or there is none."""
        n = self.profile.width_parameter
        return None if n is None or self.width is not None else _own_name(n)

    def with_parts(self, *, profile=None, trace=None, width=None):
        """Return a source with other parts and the values that this one has for the rest."""
        new = Source(
            self.part("profile") if profile is None else profile,
            self.part("trace") if trace is None else trace,
            width=self.part("width") if width is None else width,
            name=self.name,
        )
        new.flux = self.flux.value
        return new

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
                setattr(part, n, getattr(self, own).value)
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
        """Functions of the column for trace and width, and the shape values."""
        values = list(values[1:])
        n_trace = len(self.trace.param_names)
        trace, rest = values[:n_trace], values[n_trace:]
        n_width = 0 if self.width is None else len(self.width.param_names)
        width, shape = rest[:n_width], rest[n_width:]
        return {
            "trace": lambda x: self.trace.evaluate(x, *trace),
            "width": lambda x: self.width.evaluate(x, *width),
            "trace_values": trace, "width_values": width, "shape": shape,
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
        if self.profile.uses_dispersion or np.ndim(center) != 2 or center.shape[0] != 1:
            return False
        constant = all(a is None or np.ptp(a) == 0 for a in (center, width))
        return constant and all(np.size(v) == 1 for v in shape)

    def fraction(self, x, y, values):
        """Fraction of the source's light in each pixel, whatever its flux."""
        inputs, profile_values = self._profile_inputs(x, y, self._split(values))
        return self.profile.evaluate(*inputs, *profile_values)

    def evaluate(self, x, y, *values):
        """Light of the source in each pixel."""
        return values[0] * self.fraction(x, y, values)

    def fit_deriv(self, x, y, *values):
        """Derivatives by all parameters, as a list of arrays."""
        columns = self.selected_derivatives((x, y), values, range(len(self._param_names)))
        shape = np.broadcast_shapes(np.shape(x), np.shape(y))
        return [np.broadcast_to(columns[j], shape) for j in range(len(self._param_names))]

    def linear_columns(self, inputs, values, wanted):
        """Hook of `LinearForm`: the basis image of the flux."""
        fraction = self.fraction(*inputs, values)
        return 0.0, {j: np.where(np.abs(fraction) < LEAST_FRACTION, 0.0, fraction) for j in wanted}

    def selected_derivatives(self, inputs, values, wanted):
        """Hook of `LinearForm`: derivatives by the parameters at the positions in `wanted`."""
        x, y = inputs
        parts = self._split(values)
        profile_inputs, profile_values = self._profile_inputs(x, y, parts)
        derivatives = self.profile.fit_deriv(*profile_inputs, *profile_values)
        by_name = dict(zip(self.profile.param_names, derivatives, strict=True))
        names = [self._param_names[j] for j in wanted]
        out = {}
        if any(n.startswith("trace_") for n in names):
            chain = _derivatives(self.trace, x, parts["trace_values"])
            out |= {"trace_" + n: (by_name["center"], d) for n, d in chain.items()}
        if self.width is not None and any(n.startswith("width_") for n in names):
            chain = _derivatives(self.width, x, parts["width_values"])
            outer = by_name[self.profile.width_parameter]
            out |= {"width_" + n: (outer, d) for n, d in chain.items()}
        out |= {_own_name(n): (by_name[n], 1.0) for n in self._shape_names}
        flux = values[0]
        result = {}
        for j, n in zip(wanted, names, strict=True):
            if n == "flux":
                result[j] = self.fraction(x, y, values)
            else:
                result[j] = _chained(*out[n], flux)
        return result


class UniformSky(FittableModel):
    """A level that is the same in all pixels: what a subtraction of the sky may have left.

    Its level is no linear parameter, so that fitters which solve those per column find one for all
    columns; where each column has its own sky, use `ColumnPolynomial`.
    """

    n_inputs = 2
    n_outputs = 1
    linear = False

    level = Parameter(default=0.0, description="light in each pixel")

    @staticmethod
    def evaluate(x, y, level):
        """Light in each pixel."""
        return level + np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))

    @staticmethod
    def fit_deriv(x, y, level):
        """Derivative by the level: one."""
        return [np.ones(np.broadcast_shapes(np.shape(x), np.shape(y)))]


class ColumnPolynomial(BasisModel):
    r"""Sky of one column: :math:`\sum_j c_j P_j(t)`, with `limits` at :math:`t = \mp1`.

    Parameters
    ----------
    degree : int
        Degree of the polynomial in ``y``.
    limits : tuple of float
        First and last row.
    **parameters : float
        Coefficients ``c0``, ``c1``, …: ``c0`` is the mean level over the limits.

    Raises
    ------
    ValueError
        If the degree is negative or the limits are equal.
    """

    n_inputs = 2

    def __init__(self, degree, *, limits=(0.0, 63.0), **parameters):
        if int(degree) != degree or degree < 0:
            raise ValueError(f"degree: expected a whole number from 0, got {degree!r}")
        low, high = (float(value) for value in limits)
        if not low != high:
            raise ValueError(f"limits: expected two different rows, got {limits!r}")
        self.degree, self.limits = int(degree), (low, high)
        super().__init__(int(degree) + 1, **parameters)

    def basis(self, x, y):
        """Legendre polynomials of the row, shape (..., degree + 1); the column plays no part."""
        low, high = self.limits
        t = (2 * np.asarray(y, dtype=float) - low - high) / (high - low)
        return legendre.legvander(t, self.degree)


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


def _chained(outer, inner, flux):
    """Derivative through the profile times that of trace or width; a column and a row if it can."""
    row = flux * inner
    if np.ndim(outer) == 2 and outer.shape[1] == 1 and np.shape(row)[:-1] in ((), (1,)):
        return Outer(outer, row)
    return outer * row


def _like(parameter, name, prefix=""):
    """A parameter of the same value and constraints under another name."""
    return Parameter(
        name, default=parameter.value, description=parameter.__doc__ or "", bounds=parameter.bounds,
        fixed=parameter.fixed, tied=_renamed(parameter.tied, "", prefix), prior=parameter.prior,
    )  # fmt: skip


def _derivatives(model, x, values):
    """Derivatives of a one-dimensional model by its parameters, by name."""
    if isinstance(model, BasisModel):
        columns = np.moveaxis(np.asarray(model.basis(x)), -1, 0)
        return dict(zip(model.param_names, columns, strict=True))
    out = {}
    for j, n in enumerate(model.param_names):
        step = 1e-6 * np.maximum(np.abs(values[j]), 1.0)
        ends = [model.evaluate(x, *[*values[:j], values[j] + s, *values[j + 1 :]])
                for s in (step, -step)]  # fmt: skip
        out[n] = (ends[0] - ends[1]) / (2 * step)
    return out
