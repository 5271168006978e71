"""Errors of fitted profiles, against errors that were put in."""

from dataclasses import replace

import numpy as np
import pytest

import specmodels as sm
from specmodels.numerics.fine_pixels import look_up


@pytest.fixture(scope="module")
def fit():
    slit, _ = sm.datasets.make_undersampled_slit(seed=1, shape=(26, 400), hit_fraction=0)
    return sm.WindowedFitter()(None, slit)


def disturbed(fit, which, size, seed=0):
    """The fit to noise about its model, with random errors of place or of squared width."""
    rng = np.random.default_rng(seed)
    pixels = fit.pixels
    table = fit.derivative_tables(fit.image.x)[which]
    light = fit.scale * rng.normal(size=fit.scale.size) * size
    wrong = light[pixels.columns] * look_up(table, pixels.positions, pixels.columns)
    noise = rng.normal(size=wrong.size) / np.sqrt(pixels.weights)
    model = fit.scale[pixels.columns] * fit.shape + pixels.ground(fit.values)
    whole = replace(pixels, data=model + wrong + noise)
    return replace(fit, pixels=whole, kept=np.ones(wrong.size, bool))


# What noise at a signal-to-noise ratio of 100 looks like over the columns that are taken together.
FLOOR = (0.0055, 0.0045)


def test_noise_alone_shows_hardly_any(fit):
    found = np.sqrt(disturbed(fit, 0, 0.0).shape_errors.mean(axis=1))
    assert np.all(found < FLOOR)


@pytest.mark.parametrize(("which", "size"), [(0, 0.01), (0, 0.02), (1, 0.006)])
def test_errors_of_place_and_width_are_told_apart(fit, which, size):
    found = np.sqrt(disturbed(fit, which, size).shape_errors.mean(axis=1))
    assert 0.8 < found[which] / size < 1.2
    assert found[1 - which] < 1.2 * FLOOR[1 - which]


def test_errors_are_never_negative_nor_unknown(fit):
    errors = fit.shape_errors
    assert errors.shape == (2, 400)
    assert np.isfinite(errors).all()
    assert (errors >= 0).all()


def test_too_wide_windows_show_in_the_errors():
    slit, truth = sm.datasets.make_undersampled_slit(seed=3, fwhm=(1.0, 1.8), hit_fraction=0)
    settings = {"native_response": True, "residual": sm.NoResidual()}
    wide = sm.WindowedFitter(window=600, knot_spacing=0.5)
    found = sm.TraceOversampling(fitter=wide, **settings)(slit)
    chosen = sm.TraceOversampling(**settings)(slit)
    core = truth.core & ~found.estimated & ~chosen.estimated
    assert np.mean(found.variance[core]) > 1.1 * np.mean(chosen.variance[core])
    for one in (found, chosen):
        pulls = (one.data - truth.native_response)[core] / one.error[core]
        assert 0.85 < np.std(pulls) < 1.3
