"""Peaks of collapsed profiles."""

import numpy as np
import pytest
from scipy import signal

from specmodels.evaluators.extraction.guess.peaks import _prominence


@pytest.mark.parametrize("seed", range(5))
def test_prominence_of_every_peak_is_that_of_scipy(seed):
    light = np.random.default_rng(seed).normal(size=60).cumsum()
    peaks, _ = signal.find_peaks(light)
    expected = signal.peak_prominences(np.pad(light, 1, constant_values=light.min()), peaks + 1)[0]
    np.testing.assert_allclose([_prominence(light, k) for k in peaks], expected)


def test_prominence_of_a_peak_at_the_end_is_that_above_the_lowest_valley():
    assert _prominence(np.array([5.0, 1.0, 3.0, 2.0]), 0) == 4.0
