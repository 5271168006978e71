"""How much light a profile misses, as sums of pixels tell it."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.profile_scale import profile_scale


@pytest.mark.parametrize("missed", [-0.04, 0.0, 0.06])
def test_scale_is_what_sums_have_in_excess(missed):
    rng = np.random.default_rng(1)
    flux = 100 + 50 * np.sin(np.arange(400) / 9)
    difference = missed * flux + rng.normal(0, 10, 400)
    scale = profile_scale(flux, difference, np.full(400, 100.0), 400, np.arange(400), 0.1)
    error = np.sqrt(np.sum(scale.errors**2, axis=0))
    assert np.abs((scale.factor - 1 - missed) / error).max() < 4
    assert error.max() < 0.03


def test_light_that_is_no_sources_is_not_taken_for_that_of_the_profile():
    flux, columns = np.full(400, 100.0), np.arange(400)
    arguments = (flux, np.full(400, 6.0), np.full(400, 100.0), 400, columns, 0.1)
    without, known = profile_scale(*arguments), profile_scale(*arguments, stray=10.0)
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
