"""What is asked of a fit takes no more memory than a few times its input."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.fitted import FittedModel

SHAPE = 64, 2048
BYTES = 17 * SHAPE[0] * SHAPE[1]  # data, variance and mask


@pytest.fixture(scope="module", params=[False, True], ids=["banded", "bordered"])
def fit(request):
    """A source and a sky of wavelength, in lines of noise with terms of their own or without."""
    (ny, nx), rng = SHAPE, np.random.default_rng(1)
    x, y = np.arange(nx), np.arange(ny)[:, None]
    light = 200 * sm.GaussianProfile(stddev=1.5)(y - 30.2) + 0 * x
    image = sm.SpectralImage(
        light + rng.normal(50, 1, SHAPE), variance=np.ones(SHAPE), mask=rng.random(SHAPE) < 0.02,
        wavelength=x - 6.0 * (y / ny - 0.5), readout=sm.Readout(fast_axis=-1),
    )  # fmt: skip
    source = sm.Source(sm.GaussianProfile(stddev=1.5), trace_c0=30.0, name="star")
    source.flux.fixed = True
    knots = np.arange(-6.0, nx + 6)
    model = source * sm.MasterBackgroundSpectrum(knots, name="spectrum")
    model = model + sm.MasterBackgroundSpectrum(knots, name="sky")
    if request.param:
        flicker = sm.FourierNoise(n_harmonics=3, period=float(nx), name="flicker")
        flicker.coefficient_prior = sm.FlickerPrior(1.0, offset=1.0)
        model = model + flicker
    found = sm.VarProFitter()(model, image)
    assert found.success
    assert ("bordered" in found.solver) == request.param
    return found


@pytest.mark.parametrize("question", ["predict", "residual", "leverages", "prediction_error"])
def test_answers_take_at_most_three_times_the_input(fit, question):
    assert _peak(getattr(fit, question)) < 3.5 * BYTES  # half of it is the answer


def test_the_fitted_model_is_evaluated_in_parts(fit):
    x, y = np.meshgrid(fit.image.x, fit.image.y)
    model = fit.bound_model
    assert _peak(lambda: model(x, y)) < 6 * BYTES
    for way in (np.s_[:], np.s_[:, ::-1], np.s_[::-1]):
        assert_allclose(model(x[way], y[way]), fit.predict()[way], rtol=1e-9)
    assert_allclose(model(x[5], y[5]), fit.predict()[5], rtol=1e-9)
    rows = np.arange(20, 40)  # each of another column: neighbours along no axis
    assert_allclose(model(3 * rows, rows), fit.predict()[rows, 3 * rows], rtol=1e-9)
    if isinstance(model, FittedModel):  # others take a column of consecutive rows for a grid
        assert_allclose(model(3 * rows[:, None], rows[:, None]).ravel(), model(3 * rows, rows))
    assert np.isnan(model(np.array([np.nan, 3.0]), np.array([3.0, 4.0]))).tolist() == [True, False]


def test_a_fit_takes_at_most_three_times_the_input_beyond_what_it_keeps(fit):
    tracemalloc.start()
    again = sm.LinearFitter()(fit.templates[0], fit.image)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert again.success
    assert peak - kept < 3.5 * BYTES


def _peak(question):
    question()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    question()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before
