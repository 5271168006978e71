"""Correlated noise on a small grid of time, against dense linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import fft
from scipy.linalg import toeplitz

from specmodels.numerics.correlated import CorrelatedSystem, TimeGrid
from specmodels.numerics.noise_spectrum import (
    PowerLaws,
    fit_power_laws,
    lag_variogram,
    line_spectrum,
    power_law,
)

GRID = TimeGrid(n_line=6, width=10, overhead=2, pause=2)
LAWS = PowerLaws((0.3, 1.0), (0.1, 1.2), (0.02, 1.0), 1.0)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def system():
    return CorrelatedSystem(*LAWS.spectra(GRID.frequency), LAWS.white, 2, GRID.size)


def dense_covariance():
    """Covariance of two series, output after output."""
    common, separate = (toeplitz(fft.irfft(s, GRID.size)) for s in LAWS.spectra(GRID.frequency))
    return np.kron(np.ones((2, 2)), common) + np.kron(np.eye(2), separate)


def test_series_come_back_as_frames():
    frames = np.arange(2 * 6 * 10.0).reshape(2, 6, 10)
    series = GRID.series(frames, fill=-1)
    assert series.shape == (2, GRID.size)
    assert np.count_nonzero(series == -1) == series.size - frames.size
    np.testing.assert_array_equal(GRID.frames(series), frames)


def test_precision_is_the_inverse_of_the_covariance(system, rng):
    series = rng.normal(size=(2, GRID.size)).astype("f4")
    total = dense_covariance() + LAWS.white * np.eye(2 * GRID.size)
    expected = np.linalg.solve(total, series.ravel()).reshape(series.shape)
    assert_allclose(system.precision(series), expected, atol=2e-5)


def test_mean_is_the_conditional_mean_given_the_unmasked_pixels(system, rng):
    used = GRID.series(rng.random((2, 6, 10)) > 0.4, False)
    series = np.where(used, rng.normal(size=used.shape), 0).astype("f4")
    extra = np.where(used, 0, np.inf).astype("f4")
    mean, n = system.conditional_mean(series.copy(), extra, tolerance=1e-5)
    covariance, where = dense_covariance(), used.ravel()
    total = covariance[np.ix_(where, where)] + LAWS.white * np.eye(where.sum())
    expected = covariance[:, where] @ np.linalg.solve(total, series.ravel()[where])
    assert_allclose(mean.ravel(), expected, atol=1e-3)
    assert 1 < n < 40


def test_pixels_of_other_variance_are_weighted_by_it(system, rng):
    extra = GRID.series(rng.choice([0.0, 0.5, 3.0], (2, 6, 10)).astype("f4"), np.inf)
    series = np.where(np.isfinite(extra), rng.normal(size=extra.shape), 0).astype("f4")
    mean, _ = system.conditional_mean(series.copy(), extra.astype("f4"), tolerance=1e-5)
    where = np.isfinite(extra.ravel())
    covariance = dense_covariance()
    total = covariance[np.ix_(where, where)] + np.diag(LAWS.white + extra.ravel()[where])
    expected = covariance[:, where] @ np.linalg.solve(total, series.ravel()[where])
    assert_allclose(mean.ravel(), expected, atol=1e-3)


def test_a_good_start_saves_iterations(system, rng):
    used = GRID.series(rng.random((2, 6, 10)) > 0.4, False)
    series = np.where(used, rng.normal(size=used.shape), 0).astype("f4")
    extra = np.where(used, 0, np.inf).astype("f4")
    mean, n = system.conditional_mean(series.copy(), extra, tolerance=1e-3)
    again, fewer = system.conditional_mean(series.copy(), extra, start=mean, tolerance=1e-3)
    assert fewer < n
    assert_allclose(again, mean, atol=5e-3)


def test_variance_without_a_mask_is_that_of_the_error(rng):
    grid = TimeGrid(n_line=400, width=100)
    system = CorrelatedSystem(*LAWS.spectra(grid.frequency), LAWS.white, 2, grid.size)
    noise = system.draw(rng)
    error = system.mean(noise + rng.normal(size=noise.shape).astype("f4")) - noise
    assert_allclose(np.mean(error**2), system.full_variance, rtol=0.03)


@pytest.mark.parametrize("exponents", [(1.0, 1.0), (1.4, 1.0), (0.8, 1.2)])
def test_spectrum_is_found_through_a_mask(exponents, rng):
    grid = TimeGrid(n_line=500, width=128, overhead=12)
    law = PowerLaws((0.05, exponents[0]), (0.02, exponents[1]), (0.01, exponents[1]), 1.0)
    system = CorrelatedSystem(*law.spectra(grid.frequency), 1.0, 4, grid.size)
    use = grid.series(rng.random((4, 500, 128)) > 0.3, False)
    data = system.draw(rng) + rng.normal(size=use.shape)
    data = np.where(use, data - data[use].mean(), 0).astype("f4")
    found = fit_power_laws(*lag_variogram(data, use, 8 * grid.line), grid.frequency)
    assert_allclose(found.white, 1.0, rtol=0.02)
    assert_allclose([found.common[1], found.separate[1]], exponents, atol=0.15)
    frequency = np.array([0.002, 0.01, 0.05])
    for name, accuracy in (("common", 0.2), ("separate", 0.25)):
        powers = power_law(frequency, *getattr(found, name))
        assert_allclose(powers, power_law(frequency, *getattr(law, name)), rtol=accuracy)
    assert_allclose(found.alternating[0], law.alternating[0], rtol=0.5)


def test_what_changes_slowly_cancels_in_a_variogram(rng):
    grid = TimeGrid(n_line=200, width=64, overhead=4)
    use = grid.series(rng.random((2, 200, 64)) > 0.3, False)
    white = rng.normal(size=use.shape).astype("f4")
    slow = np.linspace(-3, 3, grid.size, dtype="f4")
    without, with_slow = (
        lag_variogram(np.where(use, data, np.float32(0)), use, 40) for data in (white, white + slow)
    )
    assert_allclose(with_slow[0][1:], without[0][1:], atol=1e-3)
    assert_allclose(with_slow[1][1:], without[1][1:], atol=1e-5)
    assert_allclose(without[0][1:], 1.0, atol=0.05)


@pytest.mark.parametrize("n_used", [0, 1, 2, 40])
def test_few_pixels_tell_of_no_spectrum(n_used, rng):
    grid = TimeGrid(n_line=40, width=64)
    use = np.zeros((4, grid.size), dtype=bool)
    use.ravel()[:: use.size // max(n_used, 1)] = n_used > 0
    data = np.where(use, rng.normal(size=use.shape), 0).astype("f4")
    found = fit_power_laws(*lag_variogram(data, use, 8 * grid.line), grid.frequency)
    assert np.isfinite([*found.common, *found.separate, *found.alternating, found.white]).all()


def test_line_spectrum_of_white_noise_is_its_variance(rng):
    frames = rng.normal(0, 2, (2, 160, 50)).astype("f4")
    frequency, power = line_spectrum(frames, np.ones(frames.shape, dtype=bool), overhead=6)
    assert frequency[-1] == 0.5
    assert_allclose(power[1:].mean(), 4.0, rtol=0.05)


def test_power_law_is_one_at_the_highest_frequency():
    assert_allclose(power_law(np.array([0, 0.005, 0.5]), 1.0, 1.0), [100, 100, 1])
