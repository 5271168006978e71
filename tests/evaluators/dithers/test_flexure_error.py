"""Errors of shifts of exposures in the errors of their joint spectrum, against other shifts."""

from dataclasses import replace

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.dithers.flexure_error import flexure_response
from specmodels.evaluators.extraction.fluxes.hidden_wings import NOTHING_HIDDEN
from tests.evaluators.dithers.test_joint import NX, nods

STEP = 0.01


def night(p):
    centers = np.random.default_rng(1).uniform(0, NX, 25)
    return 1 + 20 * sum(np.exp(-0.5 * ((p - c) / 1.1) ** 2) for c in centers)


@pytest.fixture(scope="module")
def result():
    return sm.OptimalExtraction(n_sources=1)(nods(5, night=night, level=3000.0))


def refitted(fit, number, shift):
    """Coefficients of the same models on data without noise, an exposure moved by a shift."""
    images = [image.replace(data=np.where(image.mask, 0.0, own), variance=image.variance)
              for image, own in zip(fit.images, fit.predict(), strict=True)]  # fmt: skip
    step = shift * np.gradient(images[number].wavelength)
    images[number] = images[number].replace(wavelength=images[number].wavelength + step)
    options = {"share": fit.fitted.parameters.share}
    return sm.VarProFitter(tolerance=1e-6)(list(fit.templates), images, **options).coefficients


def test_coefficients_respond_as_refits_do(result):
    fit = result.fit
    both = [refitted(fit, 1, sign * STEP) for sign in (1, -1)]
    expected = (both[0] - both[1]) / (2 * STEP)
    found = flexure_response(fit, [0.0, 1.0, 0.0])[:, 0]
    error = np.sqrt(fit.equations.variances)
    assert np.max(np.abs(expected) / error) > 5  # of a column
    assert np.max(np.abs(found - expected) / error) < 0.02 * np.max(np.abs(expected) / error)


def test_errors_of_shifts_are_part_of_those_of_sums(result):
    errors = np.array(result.joint.shift_errors)
    assert errors[0] == 0
    assert np.all(errors[1:] > 0)
    spectra = replace(result.first, wings=NOTHING_HIDDEN).seen_spectra  # whose errors are others
    covariance = spectra.covariances["source"]
    slope = np.gradient(np.nan_to_num(spectra.fluxes["source"][0]))
    slope[:8] = slope[-8:] = 0.0  # a sum of the spectrum that a shift changes most
    moved = slope @ spectra.rows("source") @ flexure_response(result.fit, errors)
    own = type(covariance)(covariance.band, result.fit.shared_part(spectra.rows("source")))
    total, without = (float(one.of_sums(slope[None])[0, 0]) for one in (covariance, own))
    assert total - without == pytest.approx(np.sum(moved**2), rel=1e-6)
    assert np.sum(moved**2) > 0


def test_exposures_that_are_not_moved_bring_none():
    result = sm.OptimalExtraction(n_sources=1)(nods(1, n=2, grid=0.37))
    assert result.joint.shift_errors == [0.0, 0.0]
    assert result.joint.flexure.shape[1] == 0
