"""Whether a model with more in it is worth it, whatever rows it was fitted to."""

from types import SimpleNamespace

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction import optimal
from specmodels.evaluators.extraction.guess import richer_models
from specmodels.evaluators.extraction.guess.richer_models import is_worth_more
from specmodels.fitters import LinearFitter
from specmodels.models import GaussianProfile, PolynomialTrace, Source

N_ROW, N_COLUMN, STDDEV = 60, 200, 1.5


def source(row, name):
    trace = PolynomialTrace(0, c0=row, limits=(0, N_COLUMN - 1))
    return Source(GaussianProfile(stddev=STDDEV), trace, name=name)


def scene(second, seed):
    """A source, and one with a flux of so many standard deviations of a pixel beside it."""
    data = np.random.default_rng(seed).normal(size=(N_ROW, N_COLUMN))
    for row, flux in ((30.0, 300.0), (40.0, second)):
        data += flux * GaussianProfile().evaluate(np.arange(N_ROW)[:, None], row, STDDEV)
    return sm.SpectralImage(data, variance=np.ones(data.shape))


@pytest.mark.parametrize("rows", [slice(0, 60), slice(20, 50)])
@pytest.mark.parametrize(("second", "is_worth"), [(0.0, False), (3.0, True)])
def test_pixels_that_only_one_of_two_fits_has_are_no_terms(rows, second, is_worth):
    image, fitter = scene(second, seed=1), LinearFitter()
    simple = fitter(source(30.0, "one"), image)
    richer = fitter(source(30.0, "one") + source(40.0, "two"), image.cutout(rows=rows))
    assert is_worth_more(richer, simple, None) == is_worth


def test_a_model_with_another_order_is_judged_where_that_lies(monkeypatch):
    guesses = []

    def judged(richer, fit, guess):
        guesses.append(guess)
        return is_worth_more(richer, fit, guess)

    monkeypatch.setattr(optimal, "is_worth_more", judged)
    x, y = np.arange(320), np.arange(48)[:, None]
    light = 3000 * GaussianProfile().evaluate(y, np.full(320, 20.0), 1.5) + 30.0
    light += 900 * GaussianProfile().evaluate(y, 34 - 8 * x / 320, 1.8)
    data = np.random.default_rng(3).poisson(light).astype(float)
    sm.OptimalExtraction()(sm.SpectralImage(data, variance=light))
    assert any(guess.further for guess in guesses)


def fit_of(reduced_chi2, degree):
    sky = sm.ColumnPolynomial(degree, name="sky")
    image = sm.SpectralImage(np.zeros((40, 400)), variance=np.ones((40, 400)))
    dof = np.full(400, 39.0 - degree)
    return SimpleNamespace(
        reduced_chi2=reduced_chi2, dof=dof, template=sky, image=image, success=True
    )


@pytest.mark.parametrize(("rest", "worth"), [(0.0, True), (0.03, True), (0.09, False)])
def test_bow_that_leaves_much_of_the_misfit_is_no_sky(monkeypatch, rest, worth):
    """Wings of a disk are no parabola: chi-square falls, but not to that of noise."""
    monkeypatch.setattr(richer_models, "sky_is_told", lambda fit, guess: True)
    level, bowed = fit_of(1.23, 0), fit_of(1 + rest, 2)
    assert bool(is_worth_more(bowed, level, None)) is worth
