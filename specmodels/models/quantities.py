"""Models with units: what their positions, parameters and values are measured in.

Models compute with plain numbers. `with_units` strips the units of what comes in, by the rules that
a model declares (`UnitRules`), and gives the value its unit. Models without units pass untouched.
How models with units become plain ones for a fit is told in ``units.py``.
"""

from functools import wraps

import numpy as np
from astropy import units as u

__all__ = ["PIXELS", "UnitRules", "with_units"]

# A plain number of pixels is a number of pixels.
PIXELS = [(u.pix, u.dimensionless_unscaled)]


class UnitRules:
    """What the parameters of a model are measured in: a base of all models of the package.

    A subclass may define ``position_unit`` (None: any, the same for all), ``data_parameters``, the
    names of those in the unit of the model's value, and ``position_parameters``, those in the unit
    of its last input. The others have no unit.
    """

    position_unit = u.pix
    position_parameters = ()
    data_parameters = ()

    def _parameter_units_for_data_units(self, inputs_unit, outputs_unit):
        """Hook of astropy's fitters: the unit of each parameter that has one.

        Raises
        ------
        `~astropy.units.UnitsError`
            If an input cannot be in that unit.
        """
        for name in self.inputs:
            self._position_unit(name, inputs_unit[name])
        units = dict.fromkeys(self.data_parameters, outputs_unit[self.outputs[0]])
        return units | dict.fromkeys(self.position_parameters, inputs_unit[self.inputs[-1]])

    def _position_unit(self, name, unit):
        """Unit in which positions are taken, or an error that names the input."""
        wanted = unit if self.position_unit is None else self.position_unit
        allowed = PIXELS if wanted == u.pix else []
        if not unit.is_equivalent(wanted, allowed):
            raise u.UnitsError(
                f"{type(self).__name__}: {name}: expected positions in {_told(wanted)}, got "
                f"{_told(unit)}"
            )
        return wanted


def with_units(evaluate):
    """Make a method ``evaluate(self, *inputs_and_parameters)`` of plain numbers take quantities.

    Its value has the unit of the first parameter among ``data_parameters`` that has one. What has
    no unit though others of its kind do must be zero.

    Raises
    ------
    `~astropy.units.UnitsError`
        From the method: if a unit cannot be converted, by the name of the input or parameter.
    """

    @wraps(evaluate)
    def evaluate_with_units(self, *arguments):
        if not any(isinstance(value, u.Quantity) for value in arguments):
            return evaluate(self, *arguments)
        plain, unit = _plain_numbers(self, arguments)
        value = evaluate(self, *plain)
        return value if unit is None else u.Quantity(value, unit, copy=False)

    return evaluate_with_units


def _plain_numbers(model, arguments):
    """Inputs and parameters as numbers, and the unit of the value; None where it has none."""
    inputs, values = arguments[: model.n_inputs], arguments[model.n_inputs :]
    named = dict(zip(model.param_names, values, strict=True))
    of_data = [_unit(named[name]) for name in model.data_parameters]
    unit = next((one for one in of_data if one is not None), None)
    places = {
        name: model._position_unit(name, _unit(value) or u.dimensionless_unscaled)
        for name, value in zip(model.inputs, inputs, strict=True)
    }
    data = {name: unit or u.dimensionless_unscaled for name in model.outputs}
    wanted = model._parameter_units_for_data_units(places, data)
    plain = [_number(name, value, places[name])
             for name, value in zip(model.inputs, inputs, strict=True)]  # fmt: skip
    plain += [_number(name, value, wanted.get(name, u.dimensionless_unscaled))
              for name, value in named.items()]  # fmt: skip
    return plain, unit


def _number(name, value, unit):
    """A value in a unit, or an error that names it."""
    given = _unit(value)
    has_none = given is None or given == u.dimensionless_unscaled
    if given is None and (unit in (u.pix, u.dimensionless_unscaled) or not np.any(value)):
        return value
    if given is None or not given.is_equivalent(unit, PIXELS):
        told = "a plain number" if has_none else _told(given)
        raise u.UnitsError(f"{name}: expected {_told(unit)}, got {told}")
    return value.to_value(unit, equivalencies=PIXELS)


def _unit(value):
    return value.unit if isinstance(value, u.Quantity) else None


def _told(unit):
    return "plain numbers" if unit == u.dimensionless_unscaled else str(unit)
