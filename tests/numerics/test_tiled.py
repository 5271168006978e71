"""Symmetric matrices in tiles, against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics import tiling
from specmodels.numerics.tiled import TiledMatrix
from specmodels.numerics.tiling import Tiling
from tests.numerics.threads import answers

N, BORDER = 100, 13


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiling, "TILE", 8)


def made(border=BORDER, far=()):
    """A matrix of cliques of neighbours, some pairs that are far apart, and a border."""
    rng = np.random.default_rng(1)
    matrix = 0.1 * np.eye(N + border)
    for j in range(N):
        own = np.concatenate(
            [
                np.arange(j, min(j + rng.integers(1, 12), N)),
                np.arange(N, N + border),
                *[pair for pair in far if j in pair],
            ]
        )
        own = np.unique(own).astype(int)
        vector = rng.normal(size=len(own))
        matrix[np.ix_(own, own)] += np.outer(vector, vector)
    scale = 1 / np.sqrt(np.diagonal(matrix))
    return matrix * np.outer(scale, scale)


def filled(matrix, border=BORDER):
    tiles = TiledMatrix(Tiling(len(matrix), border))
    low, high = np.nonzero(np.triu(matrix))
    tiles.add_pairs(low, high, matrix[low, high])
    return tiles


def dense(tiles):
    """The lower triangle of what is held."""
    starts = tiles.tiling.starts
    out = np.zeros((starts[-1], starts[-1]))
    for (i, j), tile in tiles.tiles.items():
        own = out[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
        own[:] = tile[: own.shape[0], : own.shape[1]]
    return np.tril(out)


@pytest.mark.parametrize("border", [0, BORDER])
@pytest.mark.parametrize("far", [(), ((3, 90), (50, 20))])
def test_solution_and_inverse(border, far):
    matrix = made(border, far)
    tiles = filled(matrix, border)
    assert len(tiles.tiles) < len(tiles.tiling) ** 2 / 3
    assert not tiles.factorise(np.zeros(len(matrix), dtype=bool), 0.0).any()
    vectors = np.random.default_rng(2).normal(size=(len(matrix), 3))
    assert_allclose(tiles.solve(vectors), np.linalg.solve(matrix, vectors), rtol=1e-9, atol=1e-11)
    inverse = np.linalg.inv(matrix)
    assert_allclose(tiles.variances(), np.diagonal(inverse), rtol=1e-10)
    which = np.array([*range(30, 36), *range(N, N + border)])
    ranges = [(30, 36), (N, N + border)]
    assert_allclose(tiles.inverse_of(ranges), inverse[np.ix_(which, which)], rtol=1e-8, atol=1e-12)
    first, second = np.nonzero(np.triu(matrix))
    assert_allclose(tiles.covariances(second, first), inverse[first, second], rtol=1e-8, atol=1e-12)


def test_pairs_of_tiles_that_never_meet_are_not_known():
    tiles = filled(made(border=0), border=0)
    tiles.factorise(np.zeros(N, dtype=bool), 0.0)
    assert np.isnan(tiles.covariances(np.array([0]), np.array([N - 1]))).all()
    assert tiles.inverse_of([(0, 1), (N - 1, N)])[0, 1] == 0


def test_parts_and_squares_of_rows_are_added_where_pairs_are():
    matrix, ranges = made(), [(30, 41), (N + 2, N + 9)]
    rows = np.random.default_rng(3).normal(size=(5, 18))
    which = np.array([*range(30, 41), *range(N + 2, N + 9)])
    one, two = filled(matrix), filled(matrix)
    one.take_square(ranges, rows)
    two.add_part(ranges, -np.tril(rows.T @ rows))
    expected = matrix.copy()
    expected[np.ix_(which, which)] -= rows.T @ rows
    for tiles in (one, two):
        assert_allclose(dense(tiles), np.tril(expected), atol=1e-14)


def test_coefficients_taken_out_have_no_part():
    matrix = made()
    out = np.zeros(len(matrix), dtype=bool)
    out[[3, 40, 41, N + 1]] = True
    tiles = filled(matrix)
    assert np.array_equal(tiles.factorise(out, 0.0), out)
    vector = np.where(out, 0.0, 1.0)
    expected = np.zeros(len(matrix))
    expected[~out] = np.linalg.solve(matrix[~out][:, ~out], vector[~out])
    found = tiles.solve(vector[:, None])[:, 0]
    assert_allclose(found[~out], expected[~out], rtol=1e-9)


def test_small_pivots_are_taken_out():
    matrix = made()
    matrix[11] = matrix[10]
    matrix[:, 11] = matrix[:, 10]
    matrix[11, 11] = matrix[10, 10]
    out = filled(matrix).factorise(np.zeros(len(matrix), bool), 1e-7)
    assert np.flatnonzero(out).tolist() in ([10], [11])


def test_too_many_numbers_are_refused():
    tiles = TiledMatrix(Tiling(N), most=20 * 16**2)
    with pytest.raises(ValueError, match=f"{N} coefficients .* too many to be factorised"):
        tiles.add_part([(0, N)], np.eye(N))


THREADS = """
import hashlib
import numpy as np
from specmodels.numerics.tiled import TiledMatrix
from specmodels.numerics.tiling import Tiling
rng, n = np.random.default_rng(1), 700
tiles = TiledMatrix(Tiling(n, 90))
for first in range(0, n, 10):
    values = rng.normal(size=(50, min(333, n - first)))
    tiles.add_part([(first, first + values.shape[1])], np.einsum('ki,kj->ij', values, values))
tiles.add_pairs(np.arange(n), np.arange(n), np.full(n, 30.0))
tiles.rescale(1 / np.sqrt(tiles.diagonal()))
tiles.take_square([(3, 180), (620, 690)], 0.01 * rng.normal(size=(64, 247)))
tiles.factorise(np.arange(n) == 5, 1e-9)
found = tiles.solve(rng.normal(size=(n, 2))), tiles.variances()
print(hashlib.md5(found[0].tobytes() + found[1].tobytes()).hexdigest())
"""


def test_bits_are_the_same_for_any_number_of_threads():
    assert len(answers(THREADS)) == 1
