"""Light on one side of a source in some columns is an error of its flux there."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.one_sided import one_sided_error


def test_only_a_change_of_sides_that_is_significant_is_an_error():
    rng = np.random.default_rng(1)
    flux, variance = np.full(400, 1000.0), np.full(400, 100.0)
    lopsided = 30 + rng.normal(0, 10, 400)
    assert not one_sided_error(lopsided, variance, flux).any()
    order = np.where(np.arange(400) < 200, 0.0, 50.0)
    error = one_sided_error(lopsided + order, variance, flux)
    assert not error[:200].any()
    np.testing.assert_allclose(error[200:], 50, atol=10)


@pytest.mark.parametrize(("part", "row"), [(0.06, 34.5), (0.1, 33.5), (0.04, 34.0)])
def test_another_order_that_runs_into_a_source_is_within_errors(part, row):
    """Profile and sums have its light, which lies beyond a full width from the trace."""
    shape, rng = (60, 400), np.random.default_rng(3)
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    gaussian = sm.GaussianProfile()
    order = part * 4000 * np.clip((x - 250) / 100, 0, 1)
    mean = 4000 * gaussian.evaluate(y, 30.2, 1.2) + 10
    mean = mean + order * gaussian.evaluate(y, row + 0 * x, 1.4)
    data = mean + rng.normal(size=shape) * np.sqrt(mean + 9)
    result = sm.OptimalExtraction(n_sources=1)(sm.SpectralImage(data, variance=mean + 9))
    last, flux = slice(300, 400), result.source_fluxes["source"].flux
    off = np.sum(flux[last] - 4000)
    assert off > 0.02 * 4000 * 100
    assert off < 3 * np.sqrt(result.covariance("source")[last, last].sum())


def test_columns_without_light_have_no_sides():
    flux, variance = np.zeros(400), np.full(400, 1e30)
    flux[200:] = 1000.0
    difference = np.where(np.arange(400) < 200, 1e20, 30.0)
    error = one_sided_error(difference, variance, flux)
    assert np.isfinite(error).all()
    assert not error[:200].any()
