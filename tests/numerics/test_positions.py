import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import BSpline

from specmodels.numerics.positions import (
    finite,
    legendre_terms,
    nearer,
    spline_terms,
    where_known,
)


def test_positions_that_are_finite_are_not_copied():
    x = np.arange(3.0)
    assert finite(x) is x
    assert_array_equal(finite([1, np.inf, -np.inf, np.nan]), [1, np.nan, np.nan, np.nan])


def test_infinite_positions_are_brought_nearer():
    near = nearer([np.inf, -np.inf, np.nan, 2])
    assert_array_equal(np.isfinite(near**3), [True, True, False, True])
    assert near[3] == 2


def test_values_are_nan_where_a_position_is():
    value, x = np.ones((2, 1)), np.array([[0.0, np.nan, 0.0]])
    assert where_known(value, np.zeros(3)) is value
    assert_array_equal(where_known(value, x), [[1, np.nan, 1]] * 2)


def test_legendre_terms_are_the_polynomials():
    x = np.array([10.0, 15.0, 20.0, np.nan, np.inf])
    terms = legendre_terms(x, (10, 20), 2)
    assert_allclose(terms[:3], [[1, -1, 1], [1, 0, -0.5], [1, 1, 1]])
    assert np.isnan(terms[3:]).all()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spline_terms_are_b_splines_constant_beyond_the_ends(degree):
    knots = [0.0, 1.0, 3.0, 4.0]
    x = np.array([[-5.0, 0.0, 0.3], [2.2, np.inf, np.nan]])
    terms = spline_terms(x, knots, degree)
    padded = np.pad(knots, degree, mode="edge")
    assert terms.shape == (2, 3, 3 + degree)
    for j in range(3 + degree):
        element = BSpline(padded, np.eye(3 + degree)[j], degree)
        assert_allclose(terms[..., j].ravel()[[1, 2, 3]], element([0, 0.3, 2.2]))
    assert_array_equal(terms[0, 0], terms[0, 1])
    assert_array_equal(terms[1, 1], spline_terms(4.0, knots, degree))
    assert np.isnan(terms[1, 2]).all()
    assert spline_terms(np.zeros((0, 2)), knots, degree).shape == (0, 2, 3 + degree)
