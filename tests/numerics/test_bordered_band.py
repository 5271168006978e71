"""Bands with a border: what is given is left as it is, unless it may be overwritten."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.numerics.bordered_band import BorderedBand
from tests.numerics.threads import answers

N, M, WIDTH = 30, 6, 3


def matrix(seed=0, unseen=False):
    """Band, coupling and border, and the whole matrix."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((120, N + M))
    for k, row in enumerate(rows):
        row[k % (N - WIDTH + 1) + np.arange(WIDTH)] = rng.normal(size=WIDTH)
        row[N:] = rng.normal(size=M)
    if unseen:
        rows[:, [0, N - 1, N + 2]] = 0.0
    whole = rows.T @ rows
    band = np.zeros((N, WIDTH))
    for d in range(WIDTH):
        band[: N - d, d] = np.diagonal(whole[:N, :N], -d)
    return (band, whole[:N, N:].copy(), whole[N:, N:].copy()), whole


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("taken_out", [None, np.arange(N + M) % 7 == 3])
def test_solutions_are_dense_whether_or_not_arrays_are_overwritten(unseen, taken_out):
    parts, whole = matrix(unseen=unseen)
    given = [part.copy() for part in parts]
    kept = BorderedBand.of(*parts, taken_out)
    for part, before in zip(parts, given, strict=True):
        assert_array_equal(part, before)
    factor = BorderedBand.of(*given, taken_out, again=lambda: [part.copy() for part in parts])
    vector = np.random.default_rng(1).normal(size=N + M)
    assert_array_equal(factor.solve(vector), kept.solve(vector))
    free = np.diagonal(whole) > 0
    free &= ~taken_out if taken_out is not None else True
    wanted = np.zeros(N + M)
    wanted[free] = np.linalg.solve(whole[np.ix_(free, free)], vector[free])
    assert_allclose(factor.solve(vector), wanted, atol=1e-12)


@pytest.mark.parametrize("columns", [slice(0, 4), slice(4, 6)])
def test_block_of_the_inverse_between_band_and_border_is_dense(columns):
    parts, whole = matrix(2)
    found = BorderedBand.of(*parts).cross_inverse(columns)
    assert_allclose(found, np.linalg.inv(whole)[:N, N:][:, columns], atol=1e-14)


def test_nothing_as_large_as_the_coupling_is_made_beside_it():
    n, m = 3000, 150
    rng = np.random.default_rng(3)

    def parts():
        return (np.tile([float(m), 0.3, 0.1], (n, 1)), rng.normal(size=(n, m)), 9 * n * np.eye(m))

    given = parts()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    factor = BorderedBand.of(*given, again=parts)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.reset_peak()
    _ = factor.inverse_band
    later = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert factor.reduced is given[1]
    assert peak < 0.5 * given[1].nbytes
    assert later < 1.0 * given[1].nbytes


THREADS = """
import hashlib
import numpy as np
from specmodels.numerics.bordered_band import BorderedBand
rng, n = np.random.default_rng(1), 3000
for m in (37, 128, 203):
    band = np.tile([float(m), 0.3, 0.1], (n, 1))
    factor = BorderedBand.of(band, rng.normal(size=(n, m)), 9 * n * np.eye(m))
    print(hashlib.md5(factor.solve(rng.normal(size=n + m)).tobytes()).hexdigest())
"""


def test_bits_of_a_solution_are_the_same_for_any_number_of_threads():
    assert len(answers(THREADS)) == 1
