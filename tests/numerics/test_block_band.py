"""Matrices in blocks with a border, against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics import block_band
from specmodels.numerics.block_band import BlockBand, BlockLayout

N, BORDER = 100, 5


def made(seed=1, border=BORDER):
    """A matrix of cliques of neighbours and the border, and how far each reaches."""
    rng = np.random.default_rng(seed)
    reach = np.minimum(np.arange(N) + rng.integers(0, 12, N), N - 1)
    matrix = 0.1 * np.eye(N + border)
    for j in range(N):
        own = np.concatenate([np.arange(j, reach[j] + 1), np.arange(N, N + border)])
        vector = rng.normal(size=len(own))
        matrix[np.ix_(own, own)] += np.outer(vector, vector)
    scale = 1 / np.sqrt(np.diagonal(matrix))
    return matrix * np.outer(scale, scale), reach


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(block_band, "LEAST_BLOCK", 8)


def filled(matrix, reach, border=BORDER):
    blocks = BlockBand(BlockLayout.of(reach, border))
    low, high = np.nonzero(np.triu(matrix))
    blocks.add_pairs(low, high, matrix[low, high])
    return blocks


@pytest.mark.parametrize("border", [0, BORDER])
def test_solution_and_inverse(border):
    matrix, reach = made(border=border)
    blocks = filled(matrix, reach, border)
    assert len(blocks.diagonal) > 5
    assert not blocks.factorise(np.zeros(len(matrix), dtype=bool), 0.0).any()
    vectors = np.random.default_rng(2).normal(size=(len(matrix), 3))
    assert_allclose(blocks.solve(vectors), np.linalg.solve(matrix, vectors), rtol=1e-9, atol=1e-12)
    inverse = np.linalg.inv(matrix)
    assert_allclose(blocks.variances(), np.diagonal(inverse), rtol=1e-10)
    which = np.concatenate([np.arange(30, reach[30] + 1), np.arange(N, N + border)])
    assert_allclose(blocks.inverse_of(which), inverse[np.ix_(which, which)], rtol=1e-8, atol=1e-12)


def test_dense_parts_are_added_where_pairs_are():
    matrix, reach = made()
    one, two = filled(matrix, reach), BlockBand(BlockLayout.of(reach, BORDER))
    which = np.array([*range(30, reach[30] + 1), N + 2])
    part = matrix[np.ix_(which, which)]
    two.add_part(which, which[:5], part[:, :5])
    two.add_part(which, which[5:], part[:, 5:])
    low, high = np.triu_indices(len(which))
    one.add_pairs(which[low], which[high], -part[low, high])
    assert_allclose(one.numbers + two.numbers, filled(matrix, reach).numbers, atol=1e-15)


def test_coefficients_taken_out_have_no_part():
    matrix, reach = made()
    out = np.zeros(len(matrix), dtype=bool)
    out[[3, 40, 41, N + 1]] = True
    blocks = filled(matrix, reach)
    assert np.array_equal(blocks.factorise(out, 0.0), out)
    vector = np.where(out, 0.0, 1.0)
    expected = np.zeros(len(matrix))
    expected[~out] = np.linalg.solve(matrix[~out][:, ~out], vector[~out])
    found = blocks.solve(vector[:, None])[:, 0]
    assert_allclose(found[~out], expected[~out], rtol=1e-9)


def test_small_pivots_are_taken_out():
    matrix, reach = made()
    matrix[11] = matrix[10]
    matrix[:, 11] = matrix[:, 10]
    matrix[11, 11] = matrix[10, 10]
    reach[10:12] = max(reach[:12])
    out = filled(matrix, np.maximum.accumulate(reach)).factorise(np.zeros(len(matrix), bool), 1e-7)
    assert np.flatnonzero(out).tolist() in ([10], [11])
