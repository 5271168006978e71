"""Other statistics than that of Gaussian noise."""

import numpy as np
import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import specmodels as sm


def counts(seed, level=1.5, shape=(40, 300)):
    data = np.random.default_rng(seed).poisson(level, shape).astype(float)
    return sm.SpectralImage(data, variance=np.maximum(data, 1.0))


def test_poisson_level_is_the_mean_of_the_counts():
    """The likelihood of Cash has its maximum there; weights from the counts are far off."""
    image = counts(1)
    fit = sm.ReweightedFitter(sm.PoissonStatistic())(Const2D(1.0), image)
    assert fit.success
    assert_allclose(fit["amplitude"], image.data.mean(), rtol=1e-6)
    assert_allclose(fit.error("amplitude"), np.sqrt(image.data.mean() / image.data.size), rtol=1e-3)
    assert sm.LinearFitter()(Const2D(1.0), image)["amplitude"] < 0.95 * image.data.mean()


ROWS, CENTER, STDDEV = np.arange(24)[:, None], 11.3, 2.0
BASIS = np.hstack([sm.GaussianProfile(stddev=STDDEV)(ROWS - CENTER), np.ones(ROWS.shape)])


def star(*, known=True):
    source = sm.Source(sm.GaussianProfile(stddev=STDDEV if known else 2.3), name="star",
                       trace_c0=CENTER if known else 11.0)  # fmt: skip
    for name in ("trace_c0", "stddev"):
        getattr(source, name).fixed = known
    return source + sm.ColumnPolynomial(0, name="sky")


def few_counts(flux, sky, seed, n_column=100):
    mean = np.tile(BASIS @ [flux, sky], (n_column, 1)).T
    return sm.SpectralImage(np.random.default_rng(seed).poisson(mean).astype(float))


def least_cash(counts):
    """Flux and sky of the greatest likelihood in each column, no pixel negative."""

    def cash(values, own):
        mean = np.maximum(BASIS @ values, 1e-12)
        return np.sum(mean - own * np.log(mean)), BASIS.T @ (1 - own / mean)

    positive = {"type": "ineq", "fun": lambda v: BASIS @ v, "jac": lambda v: BASIS}
    start = [(own.sum() / 2 + 0.1, own.sum() / 48 + 0.01) for own in counts.T]
    return np.transpose([
        minimize(cash, first, (own,), method="SLSQP", jac=True, constraints=positive,
                 options={"ftol": 1e-12, "maxiter": 300}).x
        for first, own in zip(start, counts.T, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize(("flux", "sky"), [(5, 0.05), (1, 0.05), (3, 0.3), (20, 1.0)])
def test_few_counts_have_the_fluxes_of_the_greatest_likelihood(flux, sky):
    image = few_counts(flux, sky, 11)
    fit = sm.ReweightedFitter(sm.PoissonStatistic())(star(), image)
    assert fit.success
    for name, best in zip(("flux_0", "c0_1"), least_cash(image.data), strict=True):
        off = (fit[name] - best) / np.median(fit.error(name))
        assert abs(np.mean(off)) < 0.04
        assert np.sqrt(np.mean(off**2)) < 0.06


@pytest.mark.parametrize(("flux", "sky"), [(5, 0.05), (1, 0.05), (3, 0.3), (20, 1.0)])
def test_few_counts_are_fitted_without_bias(flux, sky):
    image = few_counts(flux, sky, 12, n_column=1000)
    fit = sm.ReweightedFitter(sm.PoissonStatistic())(star(), image)
    for name, truth in (("flux_0", flux), ("c0_1", sky)):
        error = np.sqrt(np.mean(fit.error(name) ** 2))
        assert abs(np.mean(fit[name]) - truth) < 0.1 * error
        assert np.std(fit[name]) / error == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("bounds", [(None, None), (0, None)])
def test_shapes_are_found_with_a_twentieth_of_a_count_in_a_pixel_of_sky(seed, bounds):
    model = star(known=False)
    model.flux_0.bounds = model.c0_1.bounds = bounds
    fitter = sm.ReweightedFitter(sm.PoissonStatistic(), sm.VarProFitter())
    fit = fitter(model, few_counts(5, 0.05, seed, n_column=200))
    assert fit.success
    for name, truth in (("stddev_0", STDDEV), ("trace_c0_0", CENTER)):
        assert abs(fit[name] - truth) < 3.5 * fit.error(name) < 0.4


def test_counts_that_were_given_as_their_variance_are_refused():
    counts = few_counts(1, 0.05, 1).data
    image = sm.SpectralImage(counts, variance=counts)
    with pytest.raises(ValueError, match="pixels without counts are masked"):
        sm.ReweightedFitter(sm.PoissonStatistic())(star(), image)


def test_images_with_models_of_their_own_keep_them():
    models = [star(known=False) for _ in range(2)]
    models[1].stddev_0.fixed = True
    images = [few_counts(50, 1.0, seed).replace(name=str(seed)) for seed in range(2)]
    fit = sm.ReweightedFitter(sm.PoissonStatistic(), sm.VarProFitter())(models, images)
    assert fit.success
    assert fit["stddev_0"][1] == 2.3
    assert abs(fit["stddev_0"][0] - STDDEV) < 4 * fit.error("stddev_0")[0]


@pytest.mark.parametrize("statistic", [sm.StudentStatistic(3), sm.HuberStatistic()])
def test_tails_draw_less(statistic):
    rng = np.random.default_rng(2)
    data = rng.normal(10, 1, (30, 50))
    data[rng.random(data.shape) < 0.05] += 40
    image = sm.SpectralImage(data, variance=np.ones(data.shape))
    plain = sm.LinearFitter()(Const2D(1.0), image)
    robust = sm.ReweightedFitter(statistic)(Const2D(1.0), image)
    assert abs(plain["amplitude"] - 10) > 1
    assert abs(robust["amplitude"] - 10) < 0.2


def test_a_statistic_of_ones_own():
    class Capped(sm.Statistic):
        def weights(self, data, model, weights):
            return np.where(np.abs(data - model) * np.sqrt(weights) > 4, 0.0, weights)

    data = np.full((10, 20), 3.0)
    data[2, 2] = 1e3
    image = sm.SpectralImage(data + np.random.default_rng(0).normal(0, 0.1, data.shape),
                             variance=np.full(data.shape, 100.0))  # fmt: skip
    fit = sm.ReweightedFitter(Capped())(Const2D(3.0), image)
    assert_allclose(fit["amplitude"], 3, atol=0.05)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="statistic: expected a Statistic"):
        sm.ReweightedFitter("cash")
    with pytest.raises(TypeError, match="fitter: expected a Fitter"):
        sm.ReweightedFitter(sm.HuberStatistic(), "linear")
    for wrong in (lambda: sm.HuberStatistic(0), lambda: sm.StudentStatistic(-1),
                  lambda: sm.PoissonStatistic(gain=0)):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            wrong()


@pytest.mark.parametrize("weights", [lambda w: -w, lambda w: w * np.nan, lambda w: 1.0])
def test_weights_that_are_none_are_named(weights):
    class Wrong(sm.Statistic):
        def weights(self, data, model, own):
            return weights(own)

    with pytest.raises(ValueError, match="statistic: expected weights"):
        sm.ReweightedFitter(Wrong())(Const2D(1.0), counts(1))


def test_rounds_and_tolerance_are_checked():
    for wrong in ({"max_rounds": 0}, {"tolerance": 0}):
        with pytest.raises(ValueError, match="expected max_rounds >= 1 and tolerance > 0"):
            sm.ReweightedFitter(sm.HuberStatistic(), **wrong)
