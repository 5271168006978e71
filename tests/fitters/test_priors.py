"""Gaussian priors: they matter where the data say nothing, and nowhere else."""

import pickle

import numpy as np
import pytest

from specmodels import (
    GaussianPrior,
    GaussianProfile,
    PolynomialTrace,
    Source,
    SpectralImage,
    VarProFitter,
)


def slit(flux, seed=3):
    rng = np.random.default_rng(seed)
    profile = GaussianProfile().evaluate(np.arange(24)[:, None], 11.6, 1.5)
    image = np.broadcast_to(flux * profile, (24, 100))
    return SpectralImage(image + rng.normal(size=image.shape), variance=np.ones(image.shape))


def source(prior=None):
    model = Source(GaussianProfile(stddev=1.3), PolynomialTrace(0, c0=11.5))
    model.stddev.prior = prior
    return model


def test_prior_and_data_are_weighted_by_their_information():
    image = slit(50.0)
    free = VarProFitter()(source(), image)
    error = float(free.error("stddev"))
    prior = GaussianPrior(float(free["stddev"]) + 4 * error, error)
    both = VarProFitter(tolerance=1e-8)(source(prior), image)
    assert both["stddev"] == pytest.approx(float(free["stddev"]) + 2 * error, abs=0.3 * error)
    assert both.error("stddev") == pytest.approx(error / np.sqrt(2), rel=0.1)


def test_prior_rules_where_there_is_no_light():
    result = VarProFitter()(source(GaussianPrior(2.0, 0.05)), slit(0.0))
    assert result["stddev"] == pytest.approx(2.0, abs=0.15)


def test_wide_prior_changes_nothing():
    image = slit(500.0)
    free, with_prior = (VarProFitter()(source(p), image) for p in (None, GaussianPrior(1.3, 10.0)))
    assert with_prior["stddev"] == pytest.approx(float(free["stddev"]), abs=1e-4)


def test_prior_survives_copy_pickle_and_composition():
    prior = GaussianPrior(1.4, 0.2)
    model = source(prior)
    for other in (model.copy(), pickle.loads(pickle.dumps(model)), (model + source())[0]):
        assert other.stddev.prior == prior
    assert model.part("profile").stddev.prior == prior


@pytest.mark.parametrize("values", [(0.0, 0.0), (0.0, -1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_prior_must_be_a_distribution(values):
    with pytest.raises(ValueError, match="sigma"):
        GaussianPrior(*values)


def test_other_kinds_of_prior_are_refused():
    with pytest.raises(TypeError, match="GaussianPrior"):
        VarProFitter()(source(lambda value: 0.0), slit(50.0))
