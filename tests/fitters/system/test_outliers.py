"""Hits among pixels that depend on one another: judged by the fit without them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.system.answers import prediction_variances
from specmodels.fitters.system.outliers import _judged, _standing_out

NX, NY = 96, 22
Y = np.arange(float(NY))[:, None]
ROW = 11.2
GIVEN = sm.FlickerSpectrum(0.5, 1.0)


def model(noise, stddev, n=NX):
    star = sm.Source(
        sm.GaussianProfile(stddev=stddev), sm.PolynomialTrace(0, limits=(0, n - 1)),
        trace_c0=ROW, name="star", fixed={"trace_c0": True, "stddev": True},
    )  # fmt: skip
    star = star + sm.ColumnPolynomial(0, name="sky")
    if noise == "correlated":
        return star + sm.CorrelatedNoise(GIVEN, GIVEN, name="noise")
    lines = sm.FourierNoise(n_harmonics=1, period=n, name="lines")
    lines.coefficient_prior = sm.FlickerPrior(1.0, offset=1.0)
    return star + lines


def image(data):
    return sm.SpectralImage(data, variance=np.ones(data.shape), readout=sm.Readout(fast_axis=-1))


def frame(noise, stddev, seed):
    """A star with hits of 40 standard deviations, most of them on its peak, and where they are."""
    rng = np.random.default_rng(seed)
    light = 400 * sm.GaussianProfile(stddev=stddev, center=ROW)(Y) + 20 + np.zeros(NX)
    equations = sm.LinearFitter()(model(noise, stddev), image(light)).equations
    if noise == "correlated":
        draw = rng.normal(size=NX * NY)
        data = light + equations.covariance_of_data.coloured(draw).reshape(NY, NX)
    else:
        data = light + rng.normal(size=light.shape) + rng.normal(size=(NY, 1))
    hits = np.zeros(light.shape, dtype=bool)
    rows = np.array([11, 11, 11, 11, 12, 10, 4, 17])
    hits[rows, rng.choice(np.arange(3, NX - 3), len(rows), replace=False)] = True
    return image(data + 40 * hits), hits


@pytest.mark.parametrize("noise", ["correlated", "lines"])
@pytest.mark.parametrize("stddev", [0.7, 1.2])
def test_hits_on_the_peak_are_found_and_nothing_else(noise, stddev):
    """Where two pixels have most of the light, both look alike: the larger one was the hit."""
    found = missed = wrong = 0
    for seed in range(3):
        given, hits = frame(noise, stddev, seed)
        rejected = sm.SigmaClipFitter(sm.LinearFitter())(model(noise, stddev), given).rejected
        found += np.count_nonzero(rejected & hits)
        missed += np.count_nonzero(hits & ~rejected)
        wrong += np.count_nonzero(rejected & ~hits)
    assert (found, missed, wrong) == (24, 0, 0)


@pytest.mark.parametrize("strengths", [(32, 194), (194, 32), (60, 60), (20, 1000)])
def test_hit_of_two_pixels_does_not_reject_the_others_of_its_column(strengths):
    """Both draw the flux up: what one of them does to the others is not all that was done."""
    profile = sm.GaussianProfile(stddev=1.3, center=ROW)(Y)
    leverage = profile**2 / np.sum(profile**2)
    data = np.zeros((NY, 7))
    hits = np.zeros(data.shape, dtype=bool)
    data[12:14, 3], hits[12:14, 3] = strengths, True
    left = data - profile * np.sum(profile * data, axis=0) / np.sum(profile**2)
    student = left / np.sqrt(1 - leverage)
    pull = np.sqrt(leverage / (1 - leverage)) + np.zeros(data.shape)
    first = _standing_out(student, pull, 4.5)
    assert first.any()
    assert not np.any(first & ~hits)


def test_hits_are_found_where_equations_are_not_factorised(monkeypatch):
    given, hits = frame("correlated", 1.2, 3)
    monkeypatch.setattr("specmodels.fitters.system.iterated_equations.MOST_DENSE", 10)
    fit = sm.SigmaClipFitter(sm.LinearFitter())(model("correlated", 1.2), given)
    assert "conjugate gradients" in fit.solver
    assert (fit.rejected == hits).all()


@pytest.mark.parametrize("noise", ["correlated", "lines"])
def test_residuals_and_predictions_are_those_of_dense_algebra(noise):
    rng = np.random.default_rng(1)
    n = 16
    data = rng.normal(20, 1, (NY, n))
    mask = np.zeros(data.shape, dtype=bool)
    left_out = np.array([3 * n + 2, 11 * n + 5, 11 * n + 6])
    mask.ravel()[left_out] = True
    fit = sm.LinearFitter()(model(noise, 1.2, n), image(data).replace(mask=mask))
    equations, values = fit.equations, np.where(mask, 0.0, data).ravel()
    basis = np.stack([equations.image(unit) for unit in np.eye(equations.n)], axis=1)
    prior = np.stack([equations.product(u) - equations.data_product(u)
                      for u in np.eye(equations.n)])  # fmt: skip
    kernel = np.zeros((data.size,) * 2)
    if noise == "correlated":
        kernel = equations.covariance_of_data.correlated(np.eye(data.size))
    seen = ~mask.ravel()
    own = basis[seen]
    inverse = np.linalg.inv(kernel[np.ix_(seen, seen)] + np.eye(seen.sum()))
    covariance = np.linalg.inv(own.T @ inverse @ own + prior)
    precision = inverse - inverse @ own @ covariance @ own.T @ inverse
    wanted = precision @ values[seen] / np.sqrt(np.diagonal(precision))
    student, _ = _judged(equations, values, fit.coefficients)
    assert_allclose(student[seen], wanted, atol=1e-7)
    across = kernel[np.ix_(left_out, seen)] @ inverse
    net = basis[left_out] - across @ own
    wanted = kernel[np.ix_(left_out, left_out)] - across @ kernel[np.ix_(seen, left_out)]
    wanted = np.diagonal(wanted + net @ covariance @ net.T)
    assert_allclose(prediction_variances(equations, left_out), wanted, rtol=1e-8)


def test_variances_of_pixels_left_out_are_those_of_sums_of_coefficients():
    fit = sm.LinearFitter()(model("lines", 1.2), frame("lines", 1.2, 3)[0])
    equations = fit.equations
    pixels = np.array([5, 700, 1500])
    equations = equations.reweighted(np.where(np.isin(np.arange(NX * NY), pixels), 0.0, 1.0))
    rows = np.zeros((3, equations.n))
    for row, pixel in zip(rows, pixels, strict=True):
        np.add.at(row, equations.index[pixel], equations.value[pixel])
    wanted = np.sum(rows * equations.covariance_times(rows).T, axis=1)
    assert_allclose(prediction_variances(equations, pixels), wanted, rtol=1e-9)
    lost = equations.reweighted(np.where(np.arange(NX * NY) % NX == 5, 0.0, 1.0))
    assert prediction_variances(lost, np.array([5, 6]))[0] == np.inf


def test_fitting_again_with_other_pixels_masked_is_a_new_fit():
    given, hits = frame("lines", 1.2, 4)
    masked = given.replace(mask=hits)
    fitter = sm.LinearFitter(ridge=1e-3)
    again = fitter.refit(fitter(model("lines", 1.2), given), [masked])
    new = fitter(model("lines", 1.2), masked)
    assert_allclose(again["flux_0"], new["flux_0"], rtol=1e-10)
    assert_allclose(again.error("flux_0"), new.error("flux_0"), rtol=1e-10)
    assert_allclose(again.dof, new.dof)
    assert again.image is masked
