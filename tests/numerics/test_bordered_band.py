"""Bands with a border: what is given is left as it is, unless it may be overwritten."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.numerics.bordered_band import BorderedBand

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
    factor = BorderedBand.of(*given, taken_out, overwrite=True)
    vector = np.random.default_rng(1).normal(size=N + M)
    assert_array_equal(factor.solve(vector), kept.solve(vector))
    free = np.diagonal(whole) > 0
    free &= ~taken_out if taken_out is not None else True
    wanted = np.zeros(N + M)
    wanted[free] = np.linalg.solve(whole[np.ix_(free, free)], vector[free])
    assert_allclose(factor.solve(vector), wanted, atol=1e-12)
