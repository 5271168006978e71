"""Models without units: parameters as plain numbers in the units of the data, for a fit.

How models are evaluated with units is told in ``quantities.py``.
"""

import numpy as np
from astropy import units as u
from astropy.modeling import CompoundModel

from .priors import GaussianPrior
from .quantities import PIXELS

__all__ = ["without_units"]

ONE = (u.dimensionless_unscaled,)


def without_units(model, *, data_unit=None, wavelength_unit=None):
    """Model whose parameters are plain numbers in the units of the data.

    Values, bounds, priors, errors and ties are converted. What a parameter is measured in follows
    from the place of its model in the compound: terms of a sum have the unit of the data, one
    factor of a product has it, and positions are pixels or wavelengths. Plain numbers stay.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound; it is not changed.
    data_unit : `~astropy.units.Unit` or str, optional
        Of the data; None where they have none.
    wavelength_unit : `~astropy.units.Unit` or str, optional
        Of the wavelengths; None where they have none.

    Returns
    -------
    `~astropy.modeling.Model`
        The model itself where no parameter has a unit, else a copy.

    Raises
    ------
    ValueError
        If a parameter has a unit that cannot be converted, or the data have none.
    """
    units = [getattr(model, name).unit for name in model.param_names]
    if not any(unit is not None for unit in units):
        return model
    outputs = ONE if data_unit is None else (u.Unit(data_unit),)
    places = (u.pix,) if wavelength_unit is None else (u.pix, u.Unit(wavelength_unit))
    try:
        targets = _targets(model, outputs, places)
    except _UnitMismatch as error:
        name, unit = model.param_names[error.position], units[error.position]
        raise ValueError(
            f"{name}: expected {error.expected}, got {unit or 'a plain number'}; "
            f"the data are in {data_unit or 'no unit'}, wavelengths in {wavelength_unit or 'none'}"
        ) from None
    copy = model.copy()
    factors = {
        name: 1.0 if unit is None else unit.to(target, equivalencies=PIXELS)
        for name, unit, target in zip(model.param_names, units, targets, strict=True)
    }
    for name, target in zip(model.param_names, targets, strict=True):
        _strip(name, getattr(copy, name), target, factors)
    return copy


class _UnitMismatch(Exception):
    """The parameter at a position of a model cannot have its unit."""

    def __init__(self, position, expected):
        super().__init__(position, expected)
        self.position, self.expected = position, expected


def _targets(model, outputs, places):
    """Unit of each parameter, for a value in one of `outputs` and positions in one of `places`."""
    if not isinstance(model, CompoundModel):
        trials = [(_leaf, model, out, place) for out in outputs for place in places + ONE]
        return _first_that_fits(trials)
    if model.op == "fix_inputs":
        return _targets(model.left, outputs, places)
    coordinates = places + ONE
    sides = {
        "*": [(outputs, ONE), (ONE, outputs)],
        "/": [(outputs, ONE)],
        "**": [(ONE, ONE)],
        "|": [(coordinates, outputs), (outputs, ONE), (outputs, outputs)],
    }.get(model.op, [(outputs, outputs)])
    return _first_that_fits([(_pair, model, left, right, places) for left, right in sides])


def _first_that_fits(trials):
    """Result of the first trial without mismatch, else the mismatch furthest on."""
    mismatches = []
    for function, *arguments in trials:
        try:
            return function(*arguments)
        except _UnitMismatch as mismatch:
            mismatches.append(mismatch)
    raise max(mismatches, key=lambda mismatch: mismatch.position)


def _pair(model, left, right, places):
    first = _targets(model.left, left, places)
    try:
        return first + _targets(model.right, right, places)
    except _UnitMismatch as error:
        raise _UnitMismatch(error.position + len(first), error.expected) from None


def _leaf(model, output, place):
    """Unit of each parameter of an elementary model, if all can be converted."""
    hook = getattr(model, "_parameter_units_for_data_units", None)
    inputs, outputs = dict.fromkeys(model.inputs, place), dict.fromkeys(model.outputs, output)
    parameters = [getattr(model, name) for name in model.param_names]
    try:
        units = hook(inputs, outputs) if callable(hook) else {}
    except u.UnitsError:
        raise _UnitMismatch(-1, "other positions") from None
    targets = [units.get(p.name, u.dimensionless_unscaled) for p in parameters]
    with_unit = {target for p, target in zip(parameters, targets, strict=True) if p.unit}
    for position, (p, target) in enumerate(zip(parameters, targets, strict=True)):
        plain = target.is_equivalent(u.dimensionless_unscaled, PIXELS) or target not in with_unit
        fits = (plain or not np.any(p.value)) if p.unit is None else _converts(p.unit, target)
        if not fits:
            told = "no unit" if target == u.dimensionless_unscaled else f"a unit like {target}"
            raise _UnitMismatch(position, told)
    return targets


def _converts(unit, target):
    return unit.is_equivalent(target, PIXELS)


def _strip(name, parameter, target, factors):
    """Make a parameter a plain number in another unit, with all that is known of it."""
    factor, tie = factors[name], parameter.tied
    if hasattr(tie, "factor"):
        relative = factor / factors[tie.name] if tie.name in factors else factor
        parameter.tied = type(tie)(
            tie.name, factor=tie.factor * relative, offset=tie.offset * factor
        )
    if parameter.unit is None:
        return
    parameter.bounds = tuple(
        None if bound is None else bound * factor for bound in parameter.bounds
    )
    if isinstance(parameter.prior, GaussianPrior):
        prior = parameter.prior
        parameter.prior = GaussianPrior(prior.mean * factor, prior.sigma * factor)
    if parameter.std is not None:
        parameter.std = np.asarray(parameter.std) * factor
    parameter.value = parameter.quantity.to_value(target, equivalencies=PIXELS)
    parameter._set_unit(None, force=True)  # as astropy does in `without_units_for_data`
