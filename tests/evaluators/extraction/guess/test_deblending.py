"""Places of blended sources in a collapsed profile."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.evaluators.extraction.guess.deblending import deblended


@pytest.mark.parametrize("places", [(18.0, 21.1), (15.2, 18.0, 21.3), (14.0, 17.0, 20.0, 31.0)])
def test_places_and_width_are_those_of_the_light(places):
    rows = np.arange(40)
    heights = 100 * (1 + 0.3 * np.cos(np.arange(len(places))))
    light = sum(h * np.exp(-0.5 * ((rows - p) / 1.1) ** 2)
                for h, p in zip(heights, places, strict=True))  # fmt: skip
    noise = np.random.default_rng(1).normal(size=40)
    found, fwhm = deblended(light + noise, np.ones(40), rows, len(places), places[:1], 4.0)
    assert_allclose(np.sort(found), places, atol=0.15)
    assert fwhm == pytest.approx(2.355 * 1.1, rel=0.2)
