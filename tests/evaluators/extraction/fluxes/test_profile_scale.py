"""What sums of pixels tell of the light that a profile misses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.profile_scale import Differences, profile_scale

N, EXPECTED = 200, 0.1
COLUMNS = np.arange(N)
PRIOR = EXPECTED / np.arange(1, 4)


def scale(flux, difference, error, columns=COLUMNS, expected=EXPECTED):
    sums = Differences(flux, difference, np.full(len(flux), error**2), columns, N)
    return profile_scale(sums, expected)


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_missing_light_is_found_within_errors_in_any_unit(unit):
    truth = 1.05 + 0.02 * np.linspace(-1, 1, N)
    pulls = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        flux = 100 * unit * (2 + np.sin(COLUMNS / 9))
        found = scale(flux, (truth - 1) * flux + rng.normal(0, 30 * unit, N), 30 * unit)
        error = np.sqrt(np.sum(found.errors**2, axis=0))
        pulls.append(((found.factor - truth) / error)[[0, N // 2, N - 1]])
    assert_allclose(np.sqrt(np.mean(np.square(pulls))), 1.0, atol=0.25)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_what_no_sum_tells_is_as_uncertain_as_it_was(n):
    """The variance in all columns of the terms that n columns leave open."""
    found = scale(np.full(n, 1e4), np.zeros(n), 1.0, COLUMNS[:: N // 2][:n])
    covariance = found.errors.T @ found.errors
    assert_allclose(found.factor, 1.0)
    assert np.linalg.matrix_rank(covariance, tol=1e-3 * covariance.max()) == 3 - n
    if n == 0:
        assert_allclose(covariance[-1, -1], np.sum(PRIOR**2))  # where all terms are one


@pytest.mark.parametrize("error", [1e-25, 1e-10, 1e10])
def test_errors_are_sound_however_far_the_sums_are_from_them(error):
    rng = np.random.default_rng(4)
    found = scale(rng.normal(0, 1, N), rng.normal(0, 1e-3, N), error)
    assert np.isfinite(found.factor).all()
    assert np.isfinite(found.errors).all()
    assert (np.sum(found.errors**2, axis=0) > 0).all()


def test_shapes_that_are_given_are_right():
    found = scale(np.ones(N), np.ones(N), 0.1, expected=0.0)
    assert_allclose(found.factor, 1.0)
    assert found.errors.shape == (0, N)


@pytest.mark.parametrize("missed", [-0.04, 0.0, 0.06])
def test_scale_is_what_sums_have_in_excess(missed):
    rng = np.random.default_rng(1)
    flux = 100 + 50 * np.sin(np.arange(400) / 9)
    difference = missed * flux + rng.normal(0, 10, 400)
    sums = Differences(flux, difference, np.full(400, 100.0), np.arange(400), 400)
    scale = profile_scale(sums, 0.1)
    error = np.sqrt(np.sum(scale.errors**2, axis=0))
    assert np.abs((scale.factor - 1 - missed) / error).max() < 4
    assert error.max() < 0.03


def test_light_that_is_no_sources_is_not_taken_for_that_of_the_profile():
    flux, columns = np.full(400, 100.0), np.arange(400)
    sums = Differences(flux, np.full(400, 6.0), np.full(400, 100.0), columns, 400)
    without, known = profile_scale(sums, 0.1), profile_scale(sums, 0.1, stray=10.0)
    error = np.sqrt(np.sum(known.errors**2, axis=0))
    assert np.all(np.abs(known.factor - 1) < np.abs(without.factor - 1))
    assert np.all(np.abs(known.factor - 1) < error)


def test_faint_sources_beside_a_bright_one_are_right_within_their_errors():
    """The wings of the bright one are no Moffat's, and lie in the rows of the others."""
    extract = sm.OptimalExtraction(n_sources=1, profile=sm.MoffatProfile())
    pulls = []
    for seed in (5, 7):
        slit, _ = sm.datasets.make_slit(seed=seed, shape=(60, 150), snr=20)
        table = sm.injection_recovery(
            extract, slit, 8, snr=(5, 60), gain=1.0, progress_bar=False
        ).table
        pulls.extend((table["found_flux"] - table["flux"]) / table["error"])
    assert np.max(np.abs(pulls)) < 4
