"""Errors of smoothed splines where noise hides lines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.adaptive_smoothing import SmoothnessPrior
from specmodels.numerics.bsplines import LocalBasis
from specmodels.numerics.hidden_lines import as_lines, expected_squares, line_band
from specmodels.numerics.spline_points import variance_at

BREAKS = np.linspace(0, 400, 801)
X = np.sort(np.random.default_rng(1).uniform(0, 400, 12000))
BASIS = LocalBasis.at(X, BREAKS)
NOISE = 0.2


def spectrum(rng, strengths):
    out = 1 + 0.0005 * X
    for center, strength in zip(rng.uniform(5, 395, len(strengths)), strengths, strict=True):
        out += strength * np.exp(-0.5 * ((X - center) / 0.76) ** 2)
    return out


def fitted(rng, strengths):
    """Truth, spline, its variance, and the variance of hidden lines, at all points."""
    truth = spectrum(rng, strengths)
    data = truth + NOISE * rng.normal(size=X.size)
    equations = BASIS.equations(data, np.full(X.size, NOISE**-2.0), BREAKS.size + 2)
    prior = SmoothnessPrior.learnt(equations)
    solution = equations.penalised(prior.band).solve()
    squares = expected_squares(equations, solution, prior)
    hidden = variance_at(BASIS.first, BASIS.values, line_band(squares))
    return truth, BASIS(solution.values), solution.variance_at(BASIS), hidden


def test_weak_lines_are_within_the_errors():
    bare, full = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth, value, variance, hidden = fitted(rng, rng.uniform(-0.25, 0.6, 25))
        near = np.abs(truth - 1 - 0.0005 * X) > 0.03
        bare.append(np.mean((value - truth)[near] ** 2 / variance[near]))
        full.append(np.mean((value - truth)[near] ** 2 / (variance + hidden)[near]))
    assert np.sqrt(np.mean(full)) < 1.25
    assert np.mean(full) < 0.85 * np.mean(bare)


@pytest.mark.parametrize("strengths", [[], [1.0, 0.5, 0.8]])
def test_smooth_spectra_hardly_get_less_sure(strengths):
    _, _, variance, hidden = fitted(np.random.default_rng(3), strengths)
    assert np.median(hidden / variance) < 0.3
    assert np.all(hidden >= 0)


def test_band_is_that_of_independent_lines():
    squares = np.random.default_rng(2).uniform(size=40)
    lines = np.asarray(as_lines(np.eye(40)))
    matrix = (lines * squares) @ lines.T
    band = line_band(squares)
    for k in range(4):
        assert_allclose(band[k, : 40 - k], np.diagonal(matrix, k))
