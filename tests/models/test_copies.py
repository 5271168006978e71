"""Copies of models know nothing of the models they are of."""

from copy import deepcopy

import numpy as np
import pytest
from astropy.modeling import models

import specmodels as sm


def slit_model():
    star = sm.Source(
        sm.MoffatProfile(),
        sm.PolynomialTrace(1),
        width=sm.PolynomialTrace(0, c0=2.0),
        name="star",
        trace_c0=20.0,
    )
    star.alpha.prior = sm.GaussianPrior(3.0, 1.0)
    star.alpha.bounds = (1.0, 9.0)
    return star + sm.ColumnPolynomial(1, name="sky") + models.Const2D(0.5)


@pytest.mark.parametrize("copied", [lambda model: model.copy(), deepcopy], ids=["copy", "deepcopy"])
def test_copy_has_the_same_values_and_constraints(copied):
    model = slit_model()
    copy = copied(model)
    x, y = np.meshgrid(np.arange(5.0), np.arange(40.0))
    np.testing.assert_array_equal(copy(x, y), model(x, y))
    for constraint in ("fixed", "tied", "bounds"):
        assert getattr(copy, constraint) == getattr(model, constraint)
    assert copy.alpha_0.prior == model.alpha_0.prior
    assert [leaf.name for leaf in copy] == [leaf.name for leaf in model]


def test_what_is_set_in_a_copy_is_not_set_in_the_model():
    model = slit_model()
    copy = model.copy()
    copy.trace_c0_0, copy.flux_0.fixed = 5.0, True
    copy.alpha_0.bounds, copy.alpha_0.prior = (2.0, 3.0), None
    copy.meta["seen"] = True
    star = model.left.left
    assert (model.trace_c0_0, star.trace_c0) == (20.0, 20.0)
    assert (model.flux_0.fixed, model.alpha_0.bounds) == (False, (1.0, 9.0))
    assert model.alpha_0.prior is not None
    assert "seen" not in model.meta


def test_parameters_of_a_copy_are_those_of_its_parts():
    copy = slit_model().copy()
    copy.trace_c0_0 = 7.0
    assert copy.left.left.trace_c0 == 7.0
    assert copy.left.left.trace_c0.model is copy.left.left
