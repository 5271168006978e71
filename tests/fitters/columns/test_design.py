"""Basis images of a fit are made once, and are those of the model."""

import pickle

import numpy as np
import pytest

import specmodels as sm
from specmodels.fitters.columns import design as module
from specmodels.fitters.columns import problem


@pytest.fixture(scope="module")
def fit():
    slit, _ = sm.datasets.make_slit()
    model = sm.Source(sm.GaussianProfile(stddev=2.0), sm.PolynomialTrace(0, c0=20.0), name="star")
    model = model + sm.ColumnPolynomial(0, name="sky")
    return sm.LinearFitter()(model, slit)


def test_columns_are_those_of_the_model(fit):
    offset, images = fit.design.of(slice(30, 50))
    inputs = (fit.image.x[None, 30:50], fit.image.y[:, None])
    wanted, expected = fit.form.columns(fit.form.values, inputs)
    assert offset == wanted
    for k, image in expected.items():
        np.testing.assert_allclose(images[k], np.broadcast_to(image, np.shape(images[k])))


def test_images_are_made_once(fit, monkeypatch):
    fit.design.of(slice(0, 10))
    made = []
    monkeypatch.setattr(fit.form, "columns", lambda *inputs: made.append(inputs))
    fit.predict()
    fit.leverages()
    fit.replace(success=False).propagate(np.ones(fit.image.shape))
    assert not made


def test_fit_of_other_values_has_another_design(fit):
    values = list(fit.values)
    values[fit.position("trace_c0_0")] = np.asarray(5.0)
    moved = fit.replace(values=tuple(values))
    assert np.argmax(moved.predict()[:, 100]) == 5


def test_images_of_many_pixels_are_not_kept(fit, monkeypatch):
    kept = fit.design.model(fit.values, slice(0, 7))
    monkeypatch.setattr(module, "CHUNK_BYTES", 0)
    other = fit.problem().design(fit.known_values)
    assert not other.is_kept
    np.testing.assert_array_equal(other.model(fit.values, slice(0, 7)), kept)


def test_pickle_of_a_design_has_no_images(fit):
    fit.design.of(slice(0, 10))
    copy = pickle.loads(pickle.dumps(fit.design))
    assert copy._kept is None
    np.testing.assert_array_equal(
        copy.model(fit.values, slice(0, 9)), fit.design.model(fit.values, slice(0, 9))
    )


def test_pickle_of_a_fit_has_no_image_of_the_model(fit):
    expected = fit.predict()
    assert "_own_image" in vars(fit)
    copy = pickle.loads(pickle.dumps(fit))
    assert "_own_image" not in vars(copy)
    np.testing.assert_array_equal(copy.predict(), expected)


def test_hits_are_told_from_images_that_are_made_once(fit, monkeypatch):
    """Of many pixels, in chunks: each is asked for its threshold, and for its outliers."""
    for where in (module, problem):
        monkeypatch.setattr(where, "CHUNK_BYTES", 0)
    other = fit.replace(values=fit.values)
    assert not other.design.is_kept
    made, of = [], other.form.columns
    monkeypatch.setattr(other.form, "columns", lambda *args: made.append(1) or of(*args))
    sm.SigmaClipFitter().outliers(other, other.image)
    n_chunks = len(list(other.problem().chunks(8)))
    assert n_chunks > 5
    assert len(made) == 2 * n_chunks


def test_design_keeps_the_values_that_it_was_made_of():
    slit, _ = sm.datasets.make_slit()
    model = sm.Source(sm.GaussianProfile(stddev=2.0), sm.PolynomialTrace(0, c0=20.0), name="star")
    fit = sm.LinearFitter()(model, slit)
    flux = fit.form.linear[0]
    assert np.ndim(fit.values[flux]) == 1
    assert np.ndim(fit.design.values[flux]) == 0
