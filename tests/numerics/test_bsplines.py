"""Banded spline fits against dense ones, how smooth a spline gets, the level of a known sky."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import BSpline

from specmodels.numerics.adaptive_smoothing import SmoothnessPrior
from specmodels.numerics.bsplines import BandedEquations, EquationStack, LocalBasis, padded_knots
from specmodels.numerics.cloud import bin_medians, cloud_outliers, huber_level


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def dense(x, breaks):
    return BSpline.design_matrix(x, padded_knots(breaks), 3).toarray()


class TestBandedFit:
    @pytest.fixture(params=[4, 31, 32, 150])
    def fit(self, request, rng):
        breaks = np.sort(np.concatenate([[0, 1], rng.uniform(0, 1, request.param)]))
        x = np.concatenate([[0.0, 1.0], rng.uniform(0, 1, 4000)])
        data, weights = rng.normal(size=x.size), rng.uniform(0.5, 2, x.size)
        return x, breaks, data, weights

    def test_basis_is_that_of_scipy(self, fit):
        x, breaks, _, _ = fit
        coefficients = np.cos(np.arange(breaks.size + 2.0))
        expected = BSpline(padded_knots(breaks), coefficients, 3)(x)
        assert_allclose(LocalBasis.at(x, breaks)(coefficients), expected, atol=1e-12)

    def test_equations_and_solution_are_those_of_dense_least_squares(self, fit):
        x, breaks, data, weights = fit
        breaks = np.linspace(0, 1, breaks.size)
        matrix = dense(x, breaks)
        equations = LocalBasis.at(x, breaks).equations(data, weights, breaks.size + 2)
        solution = equations.solve()
        normal = matrix.T @ (weights[:, None] * matrix)
        expected = np.linalg.solve(normal, matrix.T @ (weights * data))
        assert_allclose(solution.values, expected, rtol=1e-6, atol=1e-8)
        assert_allclose(equations.product(expected), normal @ expected, atol=1e-9)
        chi2 = np.sum(weights * (data - matrix @ expected) ** 2)
        assert_allclose(equations.chi2(expected), chi2, rtol=1e-9)
        inverse = np.linalg.inv(normal)
        for k in range(4):
            n = breaks.size + 2 - k
            assert_allclose(solution.covariance_band[k, :n], np.diagonal(inverse, -k),
                            rtol=1e-5, atol=1e-7 * inverse.max())  # fmt: skip
        at = LocalBasis.at(x[:50], breaks)
        variance = np.einsum("ij,jk,ik->i", matrix[:50], inverse, matrix[:50], optimize=True)
        assert_allclose(solution.variance_at(at), variance, rtol=1e-5)
        assert_allclose(solution.covariance_times(normal), np.eye(len(normal)), atol=1e-5)

    def test_sum_is_the_joint_fit_and_scaled_the_fit_of_scaled_data(self, fit):
        x, _, data, weights = fit
        breaks = np.linspace(0, 1, 12)
        basis = LocalBasis.at(x, breaks)
        first = basis.equations(data, weights, 14)
        both = first + LocalBasis.at(x, breaks).equations(3 * data, weights, 14).scaled(3.0)
        assert both.n_data == 2 * x.size
        assert_allclose(both.solve().values, first.solve().values, atol=1e-8)

    def test_stack_is_the_sum_of_scaled_systems_and_tells_their_factors(self, fit):
        x, _, data, weights = fit
        breaks, true = np.linspace(0, 1, 12), np.array([0.8, 1.1, 1.1])
        basis = LocalBasis.at(x, breaks)
        single = [basis.equations(factor * data, weights, 14) for factor in true]
        stack = EquationStack(single)
        total = stack.total(true)
        expected = single[0].scaled(0.8) + single[1].scaled(1.1) + single[2].scaled(1.1)
        assert_allclose(total.matrix, expected.matrix, rtol=1e-12)
        assert_allclose(total.vector, expected.vector, rtol=1e-12)
        values = total.solve().values
        factors, errors = stack.factors(values)
        assert_allclose(factors, true / true.mean(), rtol=1e-6)
        norm = values @ single[0].product(values)
        assert_allclose(errors, 1 / np.sqrt(norm), rtol=1e-6)

    def test_unlike_systems_are_not_added(self):
        one, other = (
            BandedEquations(np.zeros((4, n)), np.zeros(n), 0.0, 0) for n in (5, 6)
        )  # fmt: skip
        with pytest.raises(ValueError, match="5 and 6"):
            one + other

    def test_without_data_there_is_no_solution(self):
        with pytest.raises(ValueError, match="no usable data"):
            BandedEquations(np.zeros((4, 5)), np.zeros(5), 0.0, 0).solve()


class TestSmoothness:
    def test_noise_is_smoothed_and_a_line_is_kept(self, rng):
        x = np.sort(rng.uniform(0, 200, 6000))
        truth = 1 + 0.002 * x + 2.0 * np.exp(-0.5 * ((x - 70.3) / 0.8) ** 2)
        breaks = np.linspace(0, 200, 401)
        basis = LocalBasis.at(x, breaks)
        equations = basis.equations(truth + 0.2 * rng.normal(size=x.size),
                                    np.full(x.size, 25.0), 403)  # fmt: skip
        prior = SmoothnessPrior.learnt(equations)
        free, solution = equations.solve(), equations.penalised(prior.band).solve()
        assert prior.n_effective < 60
        smooth = np.abs(x - 70.3) > 6
        errors = [s.values[basis.first] * 0 + basis(s.values) - truth for s in (free, solution)]
        assert np.std(errors[1][smooth]) < 0.4 * np.std(errors[0][smooth])
        assert np.max(np.abs(errors[1][~smooth])) < 0.3
        pulls = errors[1] / np.sqrt(solution.variance_at(basis))
        assert 0.6 < np.std(pulls) < 1.4


class TestCloud:
    def test_medians_are_those_of_numpy(self, rng):
        bins, values = 2 * rng.integers(0, 30, 2000), rng.normal(size=2000)
        expected = [np.median(values[bins == k]) if k % 2 == 0 else 0.0 for k in range(59)]
        assert_allclose(bin_medians(bins, values), expected, rtol=0, atol=0)

    def test_outliers_of_each_bin_are_found(self, rng):
        bins = np.repeat(np.arange(20), 40)
        values = bins + 0.1 * rng.normal(size=bins.size)
        values[[3, 100, 500]] += [5, -3, 2]
        outlier = cloud_outliers(bins, values, np.full(bins.size, 0.1), limit=6)
        assert np.array_equal(np.flatnonzero(outlier), [3, 100, 500])

    def test_a_huge_outlier_hides_no_other(self, rng):
        bins, values = np.zeros(300, dtype=int), rng.normal(size=300)
        values[[7, 9]] = 1e30, 50.0
        outlier = cloud_outliers(bins, values, np.ones(300), limit=6)
        assert np.array_equal(np.flatnonzero(outlier), [7, 9])

    def test_level_is_robust(self, rng):
        groups = np.repeat([0, 2], 500)
        residual = np.where(groups == 2, 0.3, 0.0) + 0.1 * rng.normal(size=1000)
        residual[::50] += 100
        level, error = huber_level(groups, np.full(1000, 10.0), 10 * residual, 3)
        assert_allclose(level[[0, 2]], [0, 0.3], atol=0.02)
        assert np.isinf(error[1])
