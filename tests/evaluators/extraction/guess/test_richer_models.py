"""What a model may have more of, and what is no reason for it."""

from types import SimpleNamespace

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.guess import richer_models


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
    assert bool(richer_models.is_worth_more(bowed, level, None)) is worth
