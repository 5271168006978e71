"""Covariance as band and low rank: the same as the whole matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.spectrum_covariance import SpectrumCovariance, bin_weights

RNG = np.random.default_rng(3)
N = 12


def example():
    band = RNG.normal(size=(N, 3)) * [0, 0.3, 0.2] + [2.0, 0.0, 0.0]
    low_rank = RNG.normal(size=(N, 2))
    whole = low_rank @ low_rank.T + np.diag(band[:, 0])
    for k in (1, 2):
        part = np.diag(band[: N - k, k], k)
        whole += part + part.T
    return SpectrumCovariance(band, low_rank), whole


def test_dense_variances_and_sums_are_those_of_the_matrix():
    covariance, whole = example()
    assert_allclose(covariance.dense(), whole, atol=1e-12)
    assert_allclose(covariance.variances, np.diagonal(whole))
    weights = RNG.normal(size=(4, N))
    assert_allclose(covariance.of_sums(weights), weights @ whole @ weights.T)


@pytest.mark.parametrize("order", [np.arange(N)[::-1], np.array([2, 3, 5, 9]), np.arange(0, 12, 2)])
def test_samples_can_be_taken_in_another_order(order):
    covariance, whole = example()
    assert_allclose(covariance.selected(order).dense(), whole[np.ix_(order, order)], atol=1e-12)


def test_a_sum_with_an_undetermined_sample_is_infinite():
    covariance, _ = example()
    band = covariance.band.copy()
    band[4, 0] = np.inf
    broken = SpectrumCovariance(band, covariance.low_rank)
    weights = np.eye(N)[[3, 4]]
    found = broken.of_sums(weights)
    assert np.isfinite(found[0, 0])
    assert np.isinf(found[1, 1])
    assert np.isinf(broken.variances[4])


def test_independent_samples_have_a_diagonal():
    assert_allclose(SpectrumCovariance.independent([1.0, 2.0]).dense(), [[1, 0], [0, 4]])


def test_what_all_share_is_taken_out_of_a_band_that_has_it():
    covariance, whole = example()
    band = np.zeros((N, 3))
    for k in range(3):
        band[: N - k, k] = np.diagonal(whole, k)
    assert_allclose(SpectrumCovariance.around(band, covariance.low_rank).dense(), whole, atol=1e-12)


@pytest.mark.parametrize("rank", [3, N])
def test_a_matrix_of_any_rank_becomes_low_rank(rank):
    root = RNG.normal(size=(N, rank))
    whole = root @ root.T
    found = SpectrumCovariance.of_dense(whole)
    assert_allclose(found.dense(), whole, atol=1e-12)
    whole[4, 4] = np.inf
    found = SpectrumCovariance.of_dense(whole)
    assert np.isinf(found.variances[4])
    assert_allclose(found.variances[5:], np.diagonal(whole)[5:])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="band, low_rank"):
        SpectrumCovariance(np.ones((3, 1)), np.ones((4, 1)))
    with pytest.raises(ValueError, match="weights"):
        example()[0].of_sums(np.ones((2, 5)))


@pytest.mark.parametrize("turn", [1, -1])
def test_bins_that_cover_all_take_all_light_once(turn):
    centers = np.cumsum(RNG.uniform(0.5, 1.5, 30))[::turn]
    weights = bin_weights(centers, np.linspace(-3, 40, 9))
    assert_allclose(weights.sum(axis=0), 1)
    half = bin_weights(np.arange(5.0), [1.75, 2.0])
    assert_allclose(half, [[0, 0, 0.25, 0, 0]])
