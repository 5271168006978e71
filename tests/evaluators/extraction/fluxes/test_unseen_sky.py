"""A slope or a parabola of the sky that is not fitted is in the errors."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.coherent_light import CoherentLight
from specmodels.evaluators.extraction.fluxes.unseen_sky import unseen_sky

SHAPE = (40, 300)


def expected(residual, n_terms, mask=False):
    image = sm.SpectralImage(
        residual, variance=np.ones(SHAPE), mask=np.broadcast_to(mask, SHAPE).copy()
    )
    zones = np.zeros(SHAPE, dtype=bool)
    zones[15:25] = True
    light = CoherentLight(zones & False, zones & False, residual)
    return unseen_sky(image, zones, light, n_terms)


@pytest.mark.parametrize("n_terms", [1, 2])
def test_parabola_that_is_there_is_expected_under_the_source(n_terms):
    t = np.linspace(-1, 1, SHAPE[0])
    parabola = np.broadcast_to(0.3 * (1.5 * t**2 - 0.5)[:, None], SHAPE)
    noise = np.random.default_rng(1).normal(size=SHAPE)
    skies = expected(parabola + noise, n_terms)
    assert np.linalg.norm(skies[:, 15:25].sum(axis=1)) == pytest.approx(1.5, rel=0.4)
    assert np.linalg.norm(expected(noise, n_terms)[:, 15:25].sum(axis=1)) < 0.6


def test_rows_that_are_few_tell_nothing():
    mask = np.arange(SHAPE[0])[:, None] > 20
    mask = mask | (np.arange(SHAPE[0])[:, None] < 8)
    assert expected(np.zeros(SHAPE), 1, mask).shape == (0, SHAPE[0])
