"""Entries of pixels: made a few rows at a time, whatever their number."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import specmodels as sm
from specmodels.fitters.system import entries
from specmodels.fitters.system.entries import Entries

from .test_dense import TERMS, image, system_fit


@pytest.mark.parametrize("pixels", [1, 70, 10**6])
def test_the_same_bits_however_many_are_made_at_once(pixels, monkeypatch):
    model = TERMS["source"]() + TERMS["sky"]() + TERMS["ghost"]()
    whole = system_fit(model, [image(1), image(2)])
    monkeypatch.setattr(entries, "MADE_AT_ONCE", pixels)
    fit = system_fit(model, [image(1), image(2)])
    assert_array_equal(fit.coefficients, whole.coefficients)
    assert_array_equal(fit.equations.variances, whole.equations.variances)
    assert_array_equal(fit.chi2, whole.chi2)


def test_pixels_of_later_rows_may_have_more_entries(monkeypatch):
    monkeypatch.setattr(entries, "MADE_AT_ONCE", 4)

    def make(number, rows):
        width = rows.stop
        index = np.tile(np.arange(width), (4, 1)).astype(np.int32)
        return index, np.full((4, width), rows.stop + 10.0 * number)

    made = Entries(make, [(3, 4), (1, 4)], 5)
    assert made.held
    assert made.value.shape == (16, 3)
    total = np.repeat([1.0, 4.0, 9.0, 11.0], 4)
    assert_array_equal(made.image(np.ones(5)), total)
    assert_array_equal(made.of_image(1).image(np.ones(5)), total[12:])


def test_sums_of_pixels_are_those_of_their_entries():
    from scipy import sparse

    fit = sm.LinearFitter()(TERMS["source"]() + TERMS["sky"](), image())
    sums = sparse.random_array((5, fit.image.data.size), density=0.1, rng=1).tocsr()
    unit = np.eye(fit.equations.n)
    wanted = np.stack([sums @ fit.equations.image(one) for one in unit], axis=1)
    found = fit.equations.entries.of_sums(sums)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
