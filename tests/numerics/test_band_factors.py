"""Factors of banded matrices, against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.band_factors import MANY, WIDE, band_factor, band_solve, inverse_in_band


def made(n, width, seed=1):
    """The band of a positive matrix, and the matrix."""
    band = np.random.default_rng(seed).normal(size=(n, width + 1))
    band[:, 0] = 4 * width + 4
    matrix = np.zeros((n, n))
    for d in range(width + 1):
        band[max(n - d, 0) :, d] = 0
        own = np.arange(max(n - d, 0))
        matrix[own + d, own] = matrix[own, own + d] = band[own, d]
    return band, matrix


@pytest.mark.parametrize(("n", "width"), [(50, 3), (300, WIDE + 10), (130, 200), (1, 1), (61, 60)])
def test_inverse_in_a_narrow_and_a_wide_band(n, width):
    band, matrix = made(n, width)
    factor, out = band_factor(band, np.zeros(n, dtype=bool), 0.0)
    assert not out.any()
    found, inverse = inverse_in_band(factor), np.linalg.inv(matrix)
    for d in range(min(width + 1, n)):
        assert_allclose(found[: n - d, d], np.diagonal(inverse, d), rtol=1e-9, atol=1e-15)
        assert (found[n - d :, d] == 0).all()


@pytest.mark.parametrize("n_vector", [0, 1, 3, MANY, 40])
def test_solutions_for_few_and_many_vectors(n_vector):
    band, matrix = made(60, 7)
    factor, _ = band_factor(band, np.zeros(60, dtype=bool), 0.0)
    vectors = np.random.default_rng(2).normal(size=(60, n_vector))
    before = vectors.copy()
    assert_allclose(band_solve(factor, vectors), np.linalg.solve(matrix, vectors), rtol=1e-10)
    assert np.array_equal(vectors, before)


def test_what_is_taken_out_has_no_part():
    band, matrix = made(80, 6)
    out = np.zeros(80, dtype=bool)
    out[[0, 17, 18, 79]] = True
    before = band.copy()
    factor, left = band_factor(band, out, 1e-7)
    assert np.array_equal(left, out)
    assert np.array_equal(band, before)
    vector = np.where(out, 0.0, 1.0)
    found = band_solve(factor, vector[:, None])[:, 0]
    assert_allclose(found[~out], np.linalg.solve(matrix[~out][:, ~out], vector[~out]), rtol=1e-10)


def test_small_pivots_are_taken_out():
    band, _ = made(40, 1)
    band[:] = [1.0, 0.0]
    band[10] = [1.0, 1.0]  # the same as the next one
    factor, left = band_factor(band, np.zeros(40, dtype=bool), 1e-7)
    assert np.flatnonzero(left).tolist() == [11]
    assert_allclose(factor[:, 0], 1)
