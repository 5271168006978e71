"""Hits in one integration are told from light by the columns beside them."""

from types import SimpleNamespace

import numpy as np
import pytest

from specmodels.evaluators.time_series.integration import IntegrationFitter

SHAPE = 60, 20
SOURCE = np.exp(-0.5 * (np.arange(SHAPE[1]) - 9.3) ** 2)


def outliers(data, weights):
    """Those of a fit of one source, the sky known."""
    variance = 1 / np.sum(weights * SOURCE**2, axis=1)
    fit = SimpleNamespace(
        level=0.0, basis=np.tile(SOURCE, (1, SHAPE[0], 1)), covariance=variance[None, None],
        particular=variance[None] * np.sum(weights * SOURCE * data, axis=1),
    )  # fmt: skip
    return IntegrationFitter(None)._outliers(fit, SimpleNamespace(data=data), weights)


@pytest.mark.parametrize("seed", range(4))
def test_hits_in_scattered_columns_stand_alone_and_lines_do_not(seed):
    hits = np.zeros(SHAPE, dtype=bool)
    hits[10::10, 9:11] = True
    data, weights = np.random.default_rng(seed).normal(size=SHAPE), np.ones(SHAPE)
    data[hits] += 150.0
    out = outliers(data, weights)
    assert out[hits].all()
    assert not (out & ~hits).any()
    for step in (-1, 1):  # the flanks of lines, known too badly to be suspects
        flank = np.roll(hits, step, axis=0)
        data[flank], weights[flank] = 100.0, 1e-4
    assert np.mean(outliers(data, weights)[hits]) < 0.8


def test_hits_at_the_ends_of_the_detector_stand_alone():
    hits = np.zeros(SHAPE, dtype=bool)
    hits[[0, -1], 9:11] = True
    data = np.random.default_rng(9).normal(size=SHAPE) + 150.0 * hits
    np.testing.assert_array_equal(outliers(data, np.ones(SHAPE)), hits)
