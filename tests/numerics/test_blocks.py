"""Sparse least squares of sources that overlap, against dense algebra."""

import numpy as np
import pytest
from scipy import sparse

from specmodels.numerics.blocks import Blocks, conjugate_gradients, normal_matrix, sweep
from specmodels.numerics.scene_pixels import (
    chi2_by_block,
    lit_pixels,
    pixel_variance,
    window_image,
)

START = np.array([0, 3, 5, 9])


@pytest.fixture
def problem():
    rng = np.random.default_rng(2)
    columns = sparse.random_array((200, 9), density=0.3, rng=rng, format="csc")
    truth = rng.normal(size=9)
    weights = rng.uniform(0, 2, 200) * (rng.random(200) > 0.2)
    data = columns @ truth + 0.1 * rng.normal(size=200)
    precision, mean = rng.uniform(0, 1, 9), rng.normal(size=9)
    return columns, data, weights, precision, mean


def dense_solution(columns, data, weights, precision, mean):
    matrix = columns.toarray()
    normal = matrix.T @ (weights[:, None] * matrix) + np.diag(precision)
    right = matrix.T @ (weights * data) + precision * mean
    return np.linalg.solve(normal, right), normal


def test_blocks_are_those_of_the_normal_matrix(problem):
    columns, _, weights, precision, _ = problem
    blocks = Blocks.of(columns, weights, START, precision)
    normal = normal_matrix(columns, weights, precision)
    np.testing.assert_allclose(normal, dense_solution(*problem)[1], atol=1e-12)
    for b in range(3):
        part = slice(START[b], START[b + 1])
        n = part.stop - part.start
        own = slice(blocks.offset[b], blocks.offset[b + 1])
        np.testing.assert_allclose(blocks.matrices[own].reshape(n, n), normal[part, part])
        np.testing.assert_allclose(blocks.inverses[own].reshape(n, n) @ normal[part, part],
                                   np.eye(n), atol=1e-9)  # fmt: skip
    assert not blocks.singular.any()


def test_joint_solution_is_that_of_dense_algebra(problem):
    columns, data, weights, precision, mean = problem
    blocks = Blocks.of(columns, weights, START, precision)
    values, _, converged = conjugate_gradients(columns, data, weights, blocks, precision, mean,
                                               tol=1e-12)  # fmt: skip
    assert converged
    np.testing.assert_allclose(values, dense_solution(*problem)[0], atol=1e-8)


def test_sweeps_converge_to_the_joint_solution(problem):
    columns, data, weights, precision, mean = problem
    blocks = Blocks.of(columns, weights, START, precision)
    values, residual, change = sweep(
        columns, data, weights, blocks, precision, mean, np.array([2, 0, 1]), 300
    )
    assert change < 1e-10
    np.testing.assert_allclose(values, dense_solution(*problem)[0], atol=1e-8)
    np.testing.assert_allclose(residual, data - columns @ values, atol=1e-12)


def test_held_terms_keep_their_mean(problem):
    columns, data, weights, precision, mean = problem
    blocks = Blocks.of(columns, weights, START, precision)
    held = np.repeat([False, True, False], np.diff(START))
    values, *_ = conjugate_gradients(columns, data, weights, blocks, precision, mean, held=held,
                                     tol=1e-12)  # fmt: skip
    np.testing.assert_array_equal(values[held], mean[held])
    rest = columns[:, ~held]
    expected, _ = dense_solution(rest, data - columns[:, held] @ mean[held], weights,
                                 precision[~held], mean[~held])  # fmt: skip
    np.testing.assert_allclose(values[~held], expected, atol=1e-8)


def test_singular_blocks_are_marked():
    columns = sparse.csc_array(np.array([[1.0, 1, 0], [2, 2, 0], [0, 0, 1]]))
    blocks = Blocks.of(columns, np.ones(3), np.array([0, 2, 3]), np.zeros(3))
    np.testing.assert_array_equal(blocks.singular, [True, False])
    np.testing.assert_array_equal(blocks.inverses, [0, 0, 0, 0, 1])


def test_variance_of_a_pixel_leaves_out_one_source(problem):
    columns, _, weights, precision, _ = problem
    rows = columns.tocsr()
    rows.sort_indices()
    covariance = np.linalg.inv(normal_matrix(columns, weights, precision))
    others = np.r_[0:3, 5:9]
    part = columns.toarray()[:, others]
    expected = np.einsum("pi,ij,pj->p", part, covariance[np.ix_(others, others)], part)
    chosen = np.arange(len(expected))
    found = pixel_variance(rows, chosen, covariance, slice(3, 5))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    blocks = Blocks.of(columns, weights, START, precision)
    dense = np.zeros((9, 9))
    for b in range(3):
        cut = slice(START[b], START[b + 1])
        n = cut.stop - cut.start
        dense[cut, cut] = blocks.inverses[blocks.offset[b] : blocks.offset[b + 1]].reshape(n, n)
    expected = np.einsum("pi,ij,pj->p", part, dense[np.ix_(others, others)], part)
    found = pixel_variance(rows, chosen, blocks, slice(3, 5))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    found = pixel_variance(rows, np.array([7, -1, 3]), blocks, slice(3, 5))
    np.testing.assert_allclose(found, [expected[7], 0, expected[3]], atol=1e-12)
    np.testing.assert_allclose(blocks.variances, np.diagonal(dense))


def test_chi_square_counts_each_pixel_of_a_source_once(problem):
    columns, data, weights, *_ = problem
    n_pixels, chi2 = chi2_by_block(columns, START, weights, data)
    for b in range(3):
        reached = (columns.toarray()[:, START[b] : START[b + 1]] != 0).any(axis=1) & (weights > 0)
        assert n_pixels[b] == reached.sum()
        assert chi2[b] == pytest.approx(np.sum((weights * data**2)[reached]))


def test_window_shows_a_part_of_some_columns(problem):
    columns = problem[0]
    values = np.array([1.0, -2.0, 0.5])
    whole = (columns.toarray()[:, 3:6] @ values).reshape(10, 20)
    window = slice(2, 7), slice(5, 20)
    np.testing.assert_allclose(window_image(columns, values, 3, 20, window), whole[window],
                               atol=1e-14)  # fmt: skip


def test_lit_pixels_hold_all_columns(problem):
    columns = sparse.csc_array(sparse.vstack([sparse.csc_array((50, 9)), problem[0]]))
    pixels, short = lit_pixels(columns)
    assert len(np.unique(pixels)) == len(pixels)
    np.testing.assert_array_equal(short.toarray(), columns.toarray()[pixels])
    assert short.nnz == columns.nnz
