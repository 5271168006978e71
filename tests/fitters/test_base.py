"""What a fit holds: its model set, predictions, and the parts of its errors."""

import copy
import pickle

import numpy as np
import pytest
from astropy.modeling import models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import Fitter, LinearFitter, SigmaClipFitter, VarProFitter
from tests.fitters.simulated import N_COLUMN, N_ROW, light, observed, scene, spectrum

X, Y = np.meshgrid(np.arange(N_COLUMN, dtype=float), np.arange(N_ROW, dtype=float))
BATCHES = {
    "linear": (LinearFitter(), {}),
    "shared": (VarProFitter(), {}),
    "per column": (VarProFitter(shared=False), {}),
    "robust": (SigmaClipFitter(VarProFitter()), {}),
}


@pytest.fixture(params=BATCHES, scope="module")
def fit(request):
    fitter, options = BATCHES[request.param]
    return fitter(scene(), observed(light(scene(), spectrum()), 0), **options)


def test_model_set_evaluates_to_the_prediction(fit):
    """One model per column: column x of the image is model x."""
    model = fit.model
    assert len(model) == N_COLUMN
    values = model(X.T, Y.T, model_set_axis=0)
    assert_allclose(values.T, fit.predict(), rtol=1e-12, atol=1e-9)
    assert_array_equal(model.flux_0.value, fit["flux_0"])


def test_parts_of_the_model_set_are_those_of_the_prediction(fit):
    parts = fit.components()
    assert list(parts) == ["star", "sky"]
    assert_allclose(parts["star"] + parts["sky"], fit.predict(), rtol=1e-12)
    assert_allclose(fit.model["sky"](X.T, Y.T, model_set_axis=0).T, parts["sky"], rtol=1e-12)


def test_residual_is_data_less_prediction(fit):
    assert_allclose(fit.residual(), fit.image.data - fit.predict())
    other = fit.image.replace(data=fit.image.data + 1)
    assert_allclose(fit.residual(other), fit.residual() + 1, rtol=1e-9)


def test_propagating_the_variance_gives_the_held_covariance(fit):
    variance = fit.propagate(fit.image.variance)
    assert_allclose(variance, np.einsum("kkb->kb", fit.held_covariance), rtol=1e-9)
    third = fit.propagate(fit.image.variance / 3)
    assert_allclose(3 * third, variance, rtol=1e-9)


def test_parts_of_the_variance_add_up(fit):
    rng = np.random.default_rng(0)
    share = rng.random(fit.image.shape)
    read, poisson = share * fit.image.variance, (1 - share) * fit.image.variance
    total = fit.propagate(read) + fit.propagate(poisson)
    assert_allclose(total, np.einsum("kkb->kb", fit.held_covariance), rtol=1e-9)


def test_total_error_is_not_smaller_than_that_of_the_pixels(fit):
    held = np.sqrt(np.einsum("kkb->kb", fit.held_covariance))
    assert (fit.error("flux_0") >= held[0] * (1 - 1e-9)).all()


@pytest.mark.parametrize("clone", [copy.copy, lambda fit: pickle.loads(pickle.dumps(fit))])
def test_clones_predict_the_same(fit, clone):
    other = clone(fit)
    assert_array_equal(other.predict(), fit.predict())
    assert_array_equal(other.error("flux_0"), fit.error("flux_0"))
    assert other.names == fit.names


def test_undetermined_columns_are_nan_and_propagate_as_such():
    image = observed(light(scene(), spectrum()), 1)
    mask = np.zeros(image.shape, dtype=bool)
    mask[:, 7] = True
    fit = VarProFitter()(scene(), image.replace(mask=mask))
    bad = mask.all(axis=0)
    assert_array_equal(np.isnan(fit.predict()), mask)
    assert_array_equal(np.isnan(fit.propagate(fit.image.variance)[0]), bad)
    assert_array_equal(np.isnan(fit.model.flux_0.value), bad)
    assert np.isfinite(fit.reduced_chi2)


def test_single_system_is_a_single_model():
    truth = models.Polynomial2D(1, c0_0=3.0, c1_0=0.1, c0_1=-0.2)
    fit = LinearFitter()(models.Polynomial2D(1), observed(truth(X, Y), 2, 1.0), batch=None)
    assert len(fit.model) == 1
    assert_allclose(fit.model(X, Y), fit.predict(), rtol=1e-12)
    assert fit["c0_0"].shape == ()
    assert fit.error("c0_0").shape == ()
    assert_allclose(
        fit.propagate(fit.image.variance)[:, 0], np.diag(fit.held_covariance[..., 0]), rtol=1e-9
    )


def test_prediction_of_another_image_has_its_columns():
    """Shared parameters carry over; the image must have the columns that were fitted."""
    image = observed(light(scene(), spectrum()), 3)
    fit = VarProFitter()(scene(), image)
    assert_array_equal(fit.predict(image.replace(data=0 * image.data)), fit.predict())
    taller = image.cutout(rows=slice(4, 15))
    assert_array_equal(fit.predict(taller), fit.predict()[4:15])
    with pytest.raises(ValueError, match="image"):
        fit.predict(image.cutout(columns=slice(0, 10)))


def test_wrong_names_and_shapes_are_named():
    fit = LinearFitter()(scene(), observed(light(scene(), spectrum()), 4))
    with pytest.raises(KeyError, match="flux_0"):
        fit["flux"]
    with pytest.raises(KeyError, match="flux_0"):
        fit.error("flux")
    with pytest.raises(ValueError, match="variance"):
        fit.propagate(np.ones(3))


def test_repr_says_how_it_went():
    fit = SigmaClipFitter(VarProFitter())(scene(), observed(light(scene(), spectrum()), 5))
    for part in ("2 linear", "3 other", "chi2/dof", "converged", f"{fit.rejected.sum()} pixels"):
        assert part in repr(fit)
    assert repr(VarProFitter(shared=False)).startswith("VarProFitter(shared=False")


def test_replace_keeps_the_rest():
    fit = LinearFitter()(scene(), observed(light(scene(), spectrum()), 6))
    other = fit.replace(message="looked at")
    assert (other.message, fit.message) == ("looked at", "")
    assert_array_equal(other["flux_0"], fit["flux_0"])


def test_fitter_must_say_how_it_fits():
    class Nothing(Fitter):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Nothing()
