"""A model is made again from its settings, a user's own as well."""

import numpy as np
import pytest
from astropy.modeling import models

from specmodels.models.profiles import GaussianProfile
from specmodels.models.settings import constructor_settings
from specmodels.models.sources import Source
from specmodels.models.traces import PolynomialTrace, TabulatedTrace


class NamedTrace(PolynomialTrace):
    """A subclass with an argument of its own, which passes others on."""

    def __init__(self, degree, colour="blue", **parameters):
        self.colour = colour
        super().__init__(degree, **parameters)


class StraightTrace(PolynomialTrace):
    """A subclass which decides on the degree."""

    def __init__(self, **parameters):
        super().__init__(1, **parameters)


class ForgetfulTrace(PolynomialTrace):
    def __init__(self, degree, colour="blue", **parameters):
        super().__init__(degree, **parameters)


def test_settings_are_arguments_that_are_no_parameters():
    assert constructor_settings(GaussianProfile(1, 2)) == {}
    expected = {"degree": 2, "limits": (0, 9)}
    assert constructor_settings(PolynomialTrace(2, limits=(0, 9), c1=3)) == expected
    assert set(constructor_settings(Source(GaussianProfile()))) == {"profile", "trace", "width"}


def test_subclass_inherits_settings_that_it_passes_on():
    trace = NamedTrace(1, colour="red", limits=(0, 9))
    expected = {"degree": 1, "colour": "red", "limits": (0, 9)}
    assert constructor_settings(trace) == expected


def test_subclass_keeps_to_itself_what_it_decides():
    assert constructor_settings(StraightTrace(limits=(0, 9))) == {"limits": (0, 9)}
    StraightTrace(**constructor_settings(StraightTrace()))


def test_property_takes_precedence():
    settings = constructor_settings(TabulatedTrace([0, 1], [5, 6]))
    np.testing.assert_array_equal(settings["y"], [5, 6])


def test_argument_without_attribute_is_named():
    with pytest.raises(TypeError, match="colour"):
        constructor_settings(ForgetfulTrace(1))


def test_stock_models_have_settings_too():
    settings = constructor_settings(models.Legendre1D(2, domain=(0, 9)))
    assert settings["degree"] == 2
    assert tuple(settings["domain"]) == (0, 9)
