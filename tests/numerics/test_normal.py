"""Batched normal equations against numpy's solver, one system at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.numerics import NormalEquations
from specmodels.numerics.normal import factorise

N_PIXEL, N_TERM, N_BATCH = 12, 3, 7


def systems(seed=0, n_pixel=N_PIXEL, n_term=N_TERM, n_batch=N_BATCH):
    """Columns (n_term, n_pixel, n_batch), data and weights of well-conditioned systems."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n_term, n_pixel, n_batch))
    data = rng.normal(size=(n_pixel, n_batch))
    weights = rng.uniform(0.5, 2.0, size=(n_pixel, n_batch))
    weights[rng.random(weights.shape) < 0.1] = 0.0
    return columns, data, weights


def reference(columns, data, weights, b):
    """Values, covariance and chi-square of one system by QR, without normal equations."""
    root = np.sqrt(weights[:, b])
    matrix = columns[:, :, b].T * root[:, None]
    values = np.linalg.lstsq(matrix, root * data[:, b], rcond=None)[0]
    covariance = np.linalg.pinv(matrix) @ np.linalg.pinv(matrix).T
    return values, covariance, np.sum((matrix @ values - root * data[:, b]) ** 2)


def assert_solves(solution, equations, columns, data, weights):
    chi2 = equations.chi2(solution.particular)
    for b in range(data.shape[1]):
        values, covariance, expected = reference(columns, data, weights, b)
        assert_allclose(solution.values[:, b], values, rtol=1e-9, atol=1e-12)
        assert_allclose(solution.covariance[..., b], covariance, rtol=1e-9, atol=1e-12)
        assert_allclose(chi2[b], expected, rtol=1e-9)


def test_every_system_is_solved_as_by_lstsq():
    columns, data, weights = systems()
    equations = NormalEquations.from_columns(columns, data, weights)
    solution = equations.solve()
    assert_solves(solution, equations, columns, data, weights)
    assert solution.determined.all()
    assert_array_equal(solution.particular, solution.values)
    assert_allclose(solution.variances, np.einsum("kkb->kb", solution.covariance))
    assert_array_equal(equations.n_data, np.count_nonzero(weights, axis=0))


def test_batch_is_the_loop_of_single_systems():
    columns, data, weights = systems(1)
    batched = NormalEquations.from_columns(columns, data, weights).solve()
    for b in range(N_BATCH):
        one = slice(b, b + 1)
        single = NormalEquations.from_columns(columns[..., one], data[:, one], weights[:, one])
        assert_allclose(batched.values[:, one], single.solve().values, rtol=1e-12)
        assert_allclose(batched.covariance[..., one], single.solve().covariance, rtol=1e-12)


def test_columns_shared_by_all_systems_may_be_given_once():
    columns, data, weights = systems(2)
    narrow = [columns[0], columns[1][:, :1], columns[2][:, :1]]
    for order in ([0, 1, 2], [1, 0, 2], [1, 2, 0]):
        shared = [narrow[k] for k in order]
        broadcast = [np.ascontiguousarray(np.broadcast_to(c, data.shape)) for c in shared]
        one = NormalEquations.from_columns(shared, data, weights)
        other = NormalEquations.from_columns(broadcast, data, weights)
        assert_allclose(one.matrix, other.matrix, rtol=1e-12, atol=1e-12)
        assert_allclose(one.vector, other.vector, rtol=1e-12, atol=1e-12)


def test_sum_is_the_joint_fit():
    parts = [systems(seed) for seed in (3, 4)]
    first, second = (NormalEquations.from_columns(*part) for part in parts)
    joint = tuple(np.concatenate(pair, axis=-2) for pair in zip(*parts, strict=True))
    total = first + second
    assert_solves(total.solve(), total, *joint)
    assert_array_equal(total.n_data, np.count_nonzero(joint[2], axis=0))


def test_total_is_the_fit_of_all_systems_with_the_same_values():
    columns, data, weights = systems(5)
    joint = (columns.reshape(N_TERM, -1, 1), data.reshape(-1, 1), weights.reshape(-1, 1))
    total = NormalEquations.from_columns(columns, data, weights).total()
    assert_solves(total.solve(), total, *joint)


def test_refuses_to_add_other_shapes():
    first = NormalEquations.from_columns(*systems())
    with pytest.raises(ValueError, match="cannot add"):
        first + NormalEquations.from_columns(*systems(n_term=2))
    with pytest.raises(TypeError):
        first + 1


class TestSingular:
    def partly_singular(self):
        """Third system: two equal columns. Fifth: no data. Sixth: a column of zeros."""
        columns, data, weights = systems(6)
        columns[1, :, 2] = columns[0, :, 2]
        weights[:, 4] = 0.0
        columns[2, :, 5] = 0.0
        return columns, data, weights

    def test_others_are_solved_and_undetermined_terms_flagged(self):
        columns, data, weights = self.partly_singular()
        equations = NormalEquations.from_columns(columns, data, weights)
        solution = equations.solve()
        expected = np.ones((N_TERM, N_BATCH), dtype=bool)
        expected[:2, 2] = expected[:, 4] = expected[2, 5] = False
        assert_array_equal(solution.determined, expected)
        assert_array_equal(np.isfinite(solution.values), expected)
        assert_array_equal(np.isfinite(solution.variances), expected)
        assert np.isfinite(solution.particular).all()
        for b in (0, 1, 3, 6):
            values, covariance, _ = reference(columns, data, weights, b)
            assert_allclose(solution.values[:, b], values, rtol=1e-9)
            assert_allclose(solution.covariance[..., b], covariance, rtol=1e-9)

    def test_determined_terms_are_those_of_the_reduced_system(self):
        columns, data, weights = self.partly_singular()
        solution = NormalEquations.from_columns(columns, data, weights).solve()
        for b, kept, determined in ((2, [0, 2], [2]), (5, [0, 1], [0, 1])):
            values, covariance, _ = reference(columns[kept], data, weights, b)
            own = [kept.index(k) for k in determined]
            assert_allclose(solution.values[determined, b], values[own], rtol=1e-7)
            block = solution.covariance[np.ix_(determined, determined, [b])][..., 0]
            assert_allclose(block, covariance[np.ix_(own, own)], rtol=1e-7)

    def test_particular_solution_reaches_the_least_chi_square(self):
        columns, data, weights = self.partly_singular()
        equations = NormalEquations.from_columns(columns, data, weights)
        particular = equations.solve().particular
        residual = data - np.einsum("kyb,kb->yb", columns, particular)
        expected = [reference(columns, data, weights, b)[2] for b in range(N_BATCH)]
        assert_allclose(np.sum(weights * residual**2, axis=0), expected, rtol=1e-7, atol=1e-12)
        assert_allclose(equations.chi2(particular), expected, rtol=1e-7, atol=1e-12)

    def test_scale_of_the_columns_does_not_decide(self):
        columns, data, weights = systems(7)
        columns *= np.array([1e-30, 1.0, 1e30])[:, None, None]
        solution = NormalEquations.from_columns(columns, data, weights).solve()
        assert solution.determined.all()
        plain = NormalEquations.from_columns(*systems(7)).solve()
        scaled = plain.values * np.array([1e30, 1.0, 1e-30])[:, None]
        assert_allclose(solution.values, scaled, rtol=1e-9)

    def test_ridge_determines_equal_columns_alike(self):
        columns, data, weights = self.partly_singular()
        solution = NormalEquations.from_columns(columns, data, weights).solve(ridge=0.01)
        assert_allclose(solution.values[0, 2], solution.values[1, 2], rtol=1e-9)
        assert not solution.determined[:, 4].any()


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_ridge_does_not_depend_on_the_scale(scale):
    columns, data, weights = systems(8)
    plain = NormalEquations.from_columns(columns, data, weights).solve(ridge=0.1)
    of_data = NormalEquations.from_columns(columns, scale * data, weights / scale**2)
    assert_allclose(of_data.solve(ridge=0.1).values, scale * plain.values, rtol=1e-9)
    of_basis = NormalEquations.from_columns(scale * columns, data, weights)
    assert_allclose(of_basis.solve(ridge=0.1).values * scale, plain.values, rtol=1e-9)


def test_ridge_adds_to_the_diagonal_relative_to_it():
    columns, data, weights = systems(9)
    equations = NormalEquations.from_columns(columns, data, weights)
    values = equations.solve(ridge=0.1).values
    for b in range(N_BATCH):
        matrix = equations.matrix[..., b] * (1 + 0.1 * np.eye(N_TERM))
        assert_allclose(values[:, b], np.linalg.solve(matrix, equations.vector[:, b]), rtol=1e-9)


def test_factors_multiply_to_the_scaled_matrix():
    matrix = NormalEquations.from_columns(*systems(10)).matrix
    factor, scale, bad = factorise(matrix)
    assert not bad.any()
    assert_allclose(np.triu(np.moveaxis(factor, -1, 0), 1), 0)
    product = np.einsum("ikb,jkb->ijb", factor, factor)
    assert_allclose(product, matrix * scale[:, None] * scale[None], rtol=1e-12, atol=1e-14)
    assert_allclose(np.einsum("kkb->kb", product), 1.0)


def test_matrix_that_is_not_finite_is_marked_bad():
    matrix = NormalEquations.from_columns(*systems(11)).matrix
    matrix[0, 1, 3] = matrix[1, 0, 3] = np.nan
    _, _, bad = factorise(matrix)
    assert_array_equal(bad, np.arange(N_BATCH) == 3)


def test_inputs_stay_as_they_are():
    arrays = systems(12)
    originals = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    equations = NormalEquations.from_columns(*arrays)
    kept = equations.matrix.copy()
    equations.solve(ridge=0.1)
    for array, original in zip(arrays, originals, strict=True):
        assert_array_equal(array, original)
    assert_array_equal(equations.matrix, kept)
