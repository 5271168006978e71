"""Factors of banded matrices with a border, against dense algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.bordered_band import BorderedBand

N, WIDTH = 40, 3


def dense(n_border, seed=0):
    """A positive matrix whose first N rows are banded."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(N + n_border, N + n_border))
    i = np.arange(N + n_border)
    root[(np.abs(i[:, None] - i) > WIDTH // 2) & (i[:, None] < N) & (i < N)] = 0.0
    root[N:, :N] = 0.0  # the product of the band alone stays banded
    matrix = root.T @ root + np.eye(N + n_border)
    far = (np.abs(i[:, None] - i) > WIDTH) & (i[:, None] < N) & (i < N)
    matrix[far] = 0.0
    return matrix


def factored(matrix):
    band = np.zeros((N, WIDTH + 1))
    for d in range(WIDTH + 1):
        band[: N - d, d] = np.diagonal(matrix[:N, :N], d)
    return BorderedBand.of(band, matrix[:N, N:], matrix[N:, N:])


@pytest.mark.parametrize("n_border", [0, 4])
@pytest.mark.parametrize("width", [1, 12, 60])
def test_diagonals_of_the_inverse_beyond_the_band_are_exact(n_border, width):
    matrix = dense(n_border)
    inverse = np.linalg.inv(matrix)
    found = factored(matrix).inverse_within(width)
    assert found.shape == (N, max(width, WIDTH + 1))
    for d in range(min(found.shape[1], N)):
        assert_allclose(found[: N - d, d], np.diagonal(inverse[:N, :N], d), atol=1e-12)
