"""The trace along which most light adds up."""

import numpy as np
import pytest
from numpy.polynomial import legendre

from specmodels.evaluators.extraction.guess.trace_search import brightest_trace

N_ROW, N_BIN, N_COLUMN = 40, 25, 400
COLUMNS = np.arange(N_BIN) * 16 + 7.5


def bins(coefficients, height, seed, row=18.6, sigma=1.3):
    rng = np.random.default_rng(seed)
    t = 2 * COLUMNS / (N_COLUMN - 1) - 1
    offset = np.arange(N_ROW)[:, None] - row - legendre.legval(t, [0.0, *coefficients])
    return height * np.exp(-0.5 * (offset / sigma) ** 2) + rng.normal(size=(N_ROW, N_BIN))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("coefficients", [(0.0, 1.5), (2.0, 0.0), (-1.5, -1.5)])
def test_slope_and_bow_are_found_where_no_bin_shows_them(coefficients, seed):
    mean = bins(coefficients, 1.6, seed)
    found = brightest_trace(COLUMNS, mean, np.ones(mean.shape), N_COLUMN)
    truth = legendre.legval(np.linspace(-1, 1, N_COLUMN), [0.0, *coefficients])
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.7


@pytest.mark.parametrize("seed", range(6))
def test_noise_bends_no_trace(seed):
    mean = bins((0.0, 0.0), 1.6, seed)
    found = brightest_trace(COLUMNS, mean, np.ones(mean.shape), N_COLUMN)
    assert np.sqrt(np.mean(found**2)) < 0.5
