"""What part of the sky dark ends see, against what was put in."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.evaluators.master_background.end_throughputs import EndPixels, end_throughputs

SHAPE, PART, SIGMA = (12, 960), 0.5, 2.5
GAP = slice(400, 500)


def slit(seed, gap=None, n_dark=1):
    """Pixels of a slit under a level sky, of which the outer rows see a part."""
    rng = np.random.default_rng(seed)
    dark = np.zeros(SHAPE, dtype=bool)
    if n_dark:
        dark[:n_dark] = dark[-n_dark:] = True
    sky, weights, hidden = np.full(SHAPE, 100.0), np.full(SHAPE, SIGMA**-2), np.zeros(SHAPE, bool)
    data = np.where(dark, PART, 1.0) * sky + rng.normal(0, SIGMA, SHAPE)
    if gap is not None:
        weights[:, gap], hidden[:, gap], data[:, gap] = 0.0, True, 0.0
    return EndPixels(data, sky, weights, dark, hidden)


def same_wavelengths(name):
    return np.ones(SHAPE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_blocks_beside_masked_columns_are_as_well_known_as_others(seed):
    whole = end_throughputs({"a": slit(seed)}, same_wavelengths)["a"]
    found = end_throughputs({"a": slit(seed, GAP)}, same_wavelengths)["a"]
    measured = found.error[0] > 0
    assert not measured[GAP].all()
    assert measured[: GAP.start].all()
    assert measured[GAP.stop :].all()
    assert found.error[0].max() < 3 * whole.error[0].max()
    pulls = (found.value[0, measured] - PART) / found.error[0, measured]
    assert np.abs(pulls).max() < 5
    assert found.unknown[0, ~measured].all()


def test_steps_between_blocks_that_are_known_count_as_before():
    pixels = slit(4)
    pixels.data[0, 480:] += 0.3 * pixels.sky[0, 480:]
    error = end_throughputs({"a": pixels}, same_wavelengths)["a"].error[0]
    assert error[470] > 0.05
    assert error[490] > 0.05
    assert error[100] < 0.02


def test_nods_of_a_slit_share_what_is_hidden_in_one_of_them():
    nods = {"a": slit(5), "b": slit(6, GAP), "other": slit(7, GAP)}
    waves = {"a": np.zeros(SHAPE), "b": -np.zeros(SHAPE), "other": np.ones(SHAPE)}
    for number, sign in (("a", 1), ("b", -1)):  # the kind of NaN does not matter
        waves[number][:, 0] = np.copysign(np.nan, sign)
    found = end_throughputs(nods, waves.get)
    assert_allclose(found["b"].value[0, GAP], PART, atol=0.05)
    assert not found["b"].unknown.any()
    assert found["other"].unknown[0, GAP].any()


def test_wavelengths_are_not_asked_for_where_no_end_is_dark():
    found = end_throughputs({"a": slit(8, n_dark=0)}, None)["a"]
    assert_array_equal(found.value, 1.0)
    assert_array_equal(found.error, 0.0)
    assert not found.unknown.any()
