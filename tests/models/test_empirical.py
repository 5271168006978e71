"""Learnt profiles: columns of adjoining pixels have the light and derivatives of single ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import BSplineProfile

ROWS = np.arange(30.0)[:, None]


def profile(falling):
    """A profile whose sides differ."""
    own = BSplineProfile(falling=falling)
    for j, name in enumerate(own.param_names[2:]):
        setattr(own, name, getattr(own, name).value * (1 + 0.03 * j) + 1e-3)
    return own


def values_of(own, center, scale):
    return [center, scale, *own.parameters[2:]]


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("scale", [1.7, np.linspace(0.8, 3, 25)[None]])
def test_columns_have_the_light_and_derivatives_of_single_pixels(falling, scale):
    own = profile(falling)
    values = values_of(own, np.linspace(-3, 33, 25)[None], scale)
    light, slopes = own.value_and_derivatives(ROWS, *values)
    image = np.broadcast_to(ROWS, light.shape)
    assert_allclose(light, own.evaluate(image, *values), atol=1e-14)
    for found, expected in zip(slopes, own.fit_deriv(image, *values), strict=True):
        assert_allclose(found, expected, atol=1e-13)


def test_unknown_places_have_no_light_and_others_theirs():
    own = profile(True)
    centers = np.array([[12.0, np.nan, 15.0, np.inf]])
    light, slopes = own.value_and_derivatives(ROWS, *values_of(own, centers, 2.0))
    known, other = own.value_and_derivatives(ROWS, *values_of(own, centers[:, ::2], 2.0))
    for found, expected in zip([light, *slopes], [known, *other], strict=True):
        assert np.isnan(found[:, 1]).all()
        assert_array_equal(found[:, :3:2], expected)
    assert_array_equal(light[:, 3], 0.0)
