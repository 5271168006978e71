"""Throughput along a slit."""

import numpy as np

from specmodels.models.slits import SlitFunction

ROWS = np.arange(0.0, 201.0)
BREAKS = np.linspace(0, 200, 41)


def test_slit_function_has_its_first_coefficient_for_mean_whatever_the_others():
    rng = np.random.default_rng(1)
    slit = SlitFunction(BREAKS, **{f"c{k}": rng.normal() for k in range(1, 43)})
    assert abs(slit(ROWS).mean() - 1) < 1e-12
    assert np.ptp(slit(ROWS)) > 0.5


def test_coefficients_of_a_slit_function_are_seen_by_few_rows():
    """Their derivatives cost as many pixels as see them, however tall the slit is."""
    terms = SlitFunction(BREAKS).basis(ROWS)[:, 1:]
    seen = np.abs(terms) > 0
    assert seen.sum(axis=0).max() <= 2 * 20
    assert np.median(seen.sum(axis=1)) <= 5
