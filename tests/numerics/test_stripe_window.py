"""Bins of lines and their covariance, against simulated noise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.correlated import CorrelatedSystem, TimeGrid
from specmodels.numerics.noise_spectrum import PowerLaws
from specmodels.numerics.stripe_window import BinCovariance, BinnedLines
from specmodels.numerics.trace_terms import TraceShape

LAWS = PowerLaws((0.1, 1.0), (0.03, 1.0), (0.0, 1.0), 1.0)
GRID = TimeGrid(24, 32, 8)
SPECTRA = LAWS.spectra(GRID.frequency)


def bins(weights=None, n_bin=2):
    return BinnedLines(np.ones((2, 24, 32)) if weights is None else weights, GRID.line, n_bin)


def test_covariance_is_that_of_simulated_noise():
    system = CorrelatedSystem(*SPECTRA, LAWS.white, 2, GRID.size)
    rng, own = np.random.default_rng(1), bins()
    means = np.array([own.mean(GRID.frames(system.draw(rng))) for _ in range(400)])
    matrix = BinCovariance(*SPECTRA, GRID.size, 16).between(own, own)
    assert_allclose(means.T @ means / len(means), matrix, atol=0.25 * matrix[0, 0])
    assert_allclose(np.mean(means**2), matrix[0, 0], rtol=0.05)


@pytest.mark.parametrize("n_line", [5, 24])
def test_covariance_is_positive_also_over_the_whole_frame(n_line):
    weights = np.ones((2, n_line, 32))
    weights[:, 2:4, 5:] = 0
    own = bins(weights, n_bin=4)
    assert own.known.sum() == own.known.size - 2 * 2 * 3
    assert np.isfinite(BinCovariance(*SPECTRA, GRID.size, 8).factor(own)).all()


def test_means_are_weighted_and_spread_in_time():
    weights = np.ones((1, 3, 8))
    weights[0, 1, :3] = 0
    own = BinnedLines(weights, 10, 2)
    times = np.arange(3)[:, None] * 10 + np.arange(8.0)[None]
    assert_allclose(own.mean(times[None]), own.time)
    inner = own.spread(own.every.time)[0]
    assert_allclose(inner[:, 2:-2], times[:, 2:-2])


def test_profile_of_a_trace_follows_its_centre_and_ends_with_it():
    along, across = np.meshgrid(np.linspace(-1.5, 1.5, 31), np.arange(20.0))
    shape = TraceShape(np.array([9.0, 2.0, 0.0, np.log(1.5), 0.0]), along, across)
    assert_allclose(shape.light[9, 15], 1)
    assert_allclose(shape.light[11, 25], 1)
    assert not shape.light[:, np.abs(along[0]) > 1].any()
    assert_allclose(shape.light[12, 15], np.exp(-0.5 * 4), rtol=1e-4)
    step = np.array([0, 0, 0, 0, 1e-3])
    change = (shape.moved(step).light - shape.light) / 1e-3
    assert_allclose(shape.derivatives[-1], change, atol=1e-2)
