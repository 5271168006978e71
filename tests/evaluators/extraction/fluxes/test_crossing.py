"""Errors of light that sources exchange where their traces cross."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.crossing import crossing_pairs, exchanged_light

SHAPE = (50, 300)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def light(flux, row, sigma=1.5):
    profile = np.exp(-0.5 * ((Y - row) / sigma) ** 2)
    return flux * profile / np.sum(profile, axis=0)


def errors(rows, chi2_dof=2.05):
    lights = np.array([light(flux, row) for flux, row in zip((1000.0, 200.0), rows, strict=True)])
    traces = np.array([np.broadcast_to(row, SHAPE[1]) for row in rows])
    return exchanged_light(lights, crossing_pairs(np.array(traces), 3.5), chi2_dof)


def test_all_of_the_fainter_may_be_the_others_where_they_cross():
    found = errors((20.0, 10 + X[0] / 10))
    assert_allclose(found[:, 100], 200.0, rtol=1e-6)
    assert np.all(found[:, 250] < 1e-3)


def test_only_what_exceeds_the_noise_counts():
    assert_allclose(errors((20.0, 10 + X[0] / 10), 1.30)[:, 100], 100.0, rtol=1e-6)
    assert_array_equal(errors((20.0, 10 + X[0] / 10), 1.04), 0.0)


def test_parallel_sources_exchange_nothing():
    row = 20 + 3 * (X[0] / 300) ** 2
    assert_array_equal(errors((row, row + 2)), 0.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_flux_crossed_by_an_order_of_another_shape_is_within_its_errors(seed):
    """Twice as wide, and with wings that the source does not have."""
    flux, order = 2e4 * (1 + 0.2 * np.sin(X[0] / 20)), 3e3
    row, other = 25 + 2 * (X[0] / 300) ** 2, 8 + X[0] / 13
    wide = 0.7 * light(order, other, 3.0) + 0.3 * light(order, other, 6.0)
    mean = light(flux, row) + wide + 20
    data = np.random.default_rng(seed).poisson(mean).astype(float)
    result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=mean))
    assert len(result.spectra) == 2
    name = min(result.spectra, key=lambda n: np.ptp(result.trace(n)))
    off = result.table(name)["flux"].value - flux
    covariance = result.covariance(name)
    for part in np.array_split(np.arange(SHAPE[1]), 6):
        error = np.sqrt(np.sum(covariance[np.ix_(part, part)]))
        assert abs(np.sum(off[part])) < 3.5 * error
        assert error < 0.1 * np.sum(flux[part])
