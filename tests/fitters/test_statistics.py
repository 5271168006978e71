"""Other statistics than that of Gaussian noise."""

import numpy as np
import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose

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
