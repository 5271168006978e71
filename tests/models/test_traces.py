"""Traces: rows as a function of the column."""

import numpy as np
import pytest
from astropy.modeling import fitting
from numpy.testing import assert_allclose
from scipy.interpolate import make_lsq_spline

from specmodels.models.traces import PolynomialTrace, SplineTrace, TabulatedTrace

X = np.linspace(0, 2047, 300)


class TestPolynomialTrace:
    def test_first_coefficient_is_the_mean_and_second_half_the_tilt(self):
        trace = PolynomialTrace(2, c0=20, c1=3, c2=0)
        assert_allclose(trace([0.0, 1023.5, 2047.0]), [17, 20, 23])

    def test_limits_set_the_domain(self):
        assert_allclose(PolynomialTrace(1, limits=(100, 200), c1=1)([100.0, 150, 200]), [-1, 0, 1])

    def test_fits_a_curved_trace_with_noise_within_its_scatter(self):
        truth = PolynomialTrace(3, c0=20, c1=3, c2=-2, c3=0.5)
        data = truth(X) + np.random.default_rng(1).normal(0, 0.1, X.size)
        fitter = fitting.LinearLSQFitter(calc_uncertainties=True)
        fitted = fitter(PolynomialTrace(3), X, data)
        deviation = (fitted.parameters - truth.parameters) / fitted.stds.stds
        assert np.abs(deviation).max() < 4

    @pytest.mark.parametrize("degree", [-1, 1.5])
    def test_refuses_a_degree_that_is_none(self, degree):
        with pytest.raises(ValueError, match="degree"):
            PolynomialTrace(degree)

    def test_refuses_equal_limits(self):
        with pytest.raises(ValueError, match="limits"):
            PolynomialTrace(1, limits=(5, 5))


class TestSplineTrace:
    knots = np.array([0.0, 500, 1200, 2047])

    def test_equals_the_spline_of_scipy(self):
        data = 20 + np.sin(X / 300)
        padded = np.pad(self.knots, 3, mode="edge")
        expected = make_lsq_spline(X, data, padded, k=3)
        fitted = fitting.LinearLSQFitter()(SplineTrace(self.knots), X, data)
        assert_allclose(fitted.coefficients, expected.c, rtol=1e-8)
        assert_allclose(fitted(X), expected(X))

    def test_basis_sums_to_one(self):
        basis = SplineTrace(self.knots, degree=2).basis(X)
        assert basis.shape == (300, 5)
        assert_allclose(basis.sum(axis=-1), 1)

    def test_is_constant_beyond_its_ends(self):
        trace = SplineTrace(self.knots, c0=1, c5=7)
        assert_allclose(trace([-100.0, 0.0, 2047.0, 5000.0]), [1, 1, 7, 7])

    @pytest.mark.parametrize("knots", [[1.0], [0, 2, 1], [[0, 1], [1, 2]], [0, 0, 1]])
    def test_refuses_knots_that_do_not_increase(self, knots):
        with pytest.raises(ValueError, match="knots"):
            SplineTrace(knots)


class TestTabulatedTrace:
    def test_goes_through_its_points_and_keeps_its_ends(self):
        trace = TabulatedTrace([10, 20, 40], [5.0, 6.0, 4.0])
        assert_allclose(trace([0.0, 10, 15, 20, 30, 99]), [5, 5, 5.5, 6, 5, 4])

    def test_shift_is_fixed_unless_freed(self):
        assert TabulatedTrace([0, 1], [2, 3]).c0.fixed
        trace = TabulatedTrace(X, 20 + np.cos(X / 500), fixed={"c0": False})
        fitted = fitting.LinearLSQFitter()(trace, X, 20.3 + np.cos(X / 500))
        assert_allclose(fitted.c0, 0.3)

    def test_table_is_a_copy(self):
        y = np.array([2.0, 3.0])
        trace = TabulatedTrace([0, 1], y)
        y[:] = 9
        assert_allclose(trace(0.0), 2)

    @pytest.mark.parametrize(
        ("x", "y"),
        [([0, 1], [1]), ([1, 0], [1, 2]), ([0, 1], [1, np.nan]), ([], []), ([[0]], [[1]])],
    )
    def test_refuses_what_is_no_table(self, x, y):
        with pytest.raises(ValueError, match="x, y"):
            TabulatedTrace(x, y)
