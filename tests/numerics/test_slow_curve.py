"""Slow curves under flicker noise, against what was put in."""

import numpy as np
import pytest
from scipy import fft

from specmodels.numerics.slow_curve import LENGTH, N_MODE, slow_curve

N = 512
K = np.arange(1, N)


def series(rng, variance):
    """A curve and the same with flicker noise, both drawn from what they are taken to be."""
    modes = np.zeros((2, N))
    modes[0, 1:] = rng.normal(size=N - 1) * np.sqrt(30 / K + 0.5)
    k = np.arange(1, N_MODE + 1)
    prior = np.exp(-0.5 * (np.pi * k * LENGTH) ** 2)
    modes[1, k] = rng.normal(size=N_MODE) * np.sqrt(N * variance * prior / prior.sum())
    noise, curve = fft.idct(modes, norm="ortho")
    return curve, curve + noise


@pytest.mark.parametrize("variance", [0.01, 0.3])
def test_error_is_smaller_than_without_and_as_said(variance):
    rng = np.random.default_rng(4)
    known = rng.random(N) > 0.01
    errors, without, said = [], [], []
    for _ in range(800):
        curve, data = series(rng, variance)
        found, left = slow_curve(data, known, variance)
        errors.append(np.mean((found - curve) ** 2))
        without.append(np.mean(curve**2))
        said.append(left)
    assert np.mean(errors) < np.mean(without)
    assert 0.85 < np.mean(errors) / np.mean(said) < 1.2


def test_without_variance_or_values_there_is_no_curve():
    for known, variance in ((np.ones(N, dtype=bool), 0.0), (np.zeros(N, dtype=bool), 1.0)):
        curve, left = slow_curve(np.arange(N, dtype=float), known, variance)
        np.testing.assert_array_equal(curve, 0)
        assert left == variance
