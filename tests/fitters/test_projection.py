"""Chi-square as a function of the non-linear parameters alone, for optimisers of one's own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime, differential_evolution, least_squares

import specmodels as sm
from tests.fitters.simulated import light, observed, scene, spectrum

OPTIONS = {"columns": {}, "system": {"share": {}}}


@pytest.fixture(params=OPTIONS)
def options(request):
    return OPTIONS[request.param]


def start():
    model = scene(stddev=1.6, center=11.8, slope=1.0)
    model.stddev_0.prior = sm.GaussianPrior(1.3, 0.5)
    return model


class LeastSquares(sm.Fitter):
    """The optimiser of scipy, around the linear fit."""

    def __call__(self, model, image, **options):
        inner = sm.Projection(model, image, **options)
        found = least_squares(inner.residuals, inner.initial, bounds=(inner.lower, inner.upper),
                              xtol=1e-12)  # fmt: skip
        return inner.result(found.x, success=found.success, message=found.message)


def test_any_optimiser_finds_what_variable_projection_finds(options):
    image = observed(light(scene(), spectrum()), 1)
    one = LeastSquares()(start(), image, **options)
    two = sm.VarProFitter(tolerance=1e-12)(start(), image, **options)
    assert one.success
    assert type(one) is type(two)
    for name in one.names:
        error = np.atleast_1d(two.error(name))
        assert_allclose(np.atleast_1d(one[name] - two[name]) / error, 0, atol=1e-3)
        assert_allclose(np.atleast_1d(one.error(name)), error, rtol=1e-4)
    assert_allclose(one.reduced_chi2, two.reduced_chi2, rtol=1e-6)


def test_global_optimisers_need_no_start():
    image = observed(light(scene(degree=0), spectrum()), 2)
    model = scene(degree=0, center=3.0)
    model.trace_c0_0.bounds, model.stddev_0.bounds = (2, 22), (0.5, 3)
    inner = sm.Projection(model, image)
    bounds = list(zip(inner.lower, inner.upper, strict=True))
    found = differential_evolution(inner.chi2, bounds, seed=1, maxiter=30, popsize=8, polish=False)
    fit = inner.result(found.x)
    assert fit["trace_c0_0"] == pytest.approx(11.3, abs=5 * fit.error("trace_c0_0"))


def test_chi2_residuals_and_gradient_belong_together(options):
    inner = sm.Projection(start(), observed(light(scene(), spectrum()), 3), **options)
    assert inner.names == ("trace_c0_0", "trace_c1_0", "stddev_0")
    theta = inner.initial + np.array([-0.2, 0.3, 0.1])
    assert inner.chi2(theta) == pytest.approx(np.sum(inner.residuals(theta) ** 2))
    # Kaufman's approximation is exact for the gradient.
    expected = approx_fprime(theta, inner.chi2, 1e-5)
    assert_allclose(inner.gradient(theta), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_an_optimiser_that_gives_up_makes_no_success(options):
    inner = sm.Projection(start(), observed(light(scene(), spectrum()), 4), **options)
    fit = inner.result(inner.initial, success=False, message="out of time")
    assert not fit.success
    assert fit.reasons == ("out of time",)
    assert fit.reduced_chi2 > 1.5


def test_covariance_known_from_elsewhere_is_carried_to_the_fluxes():
    inner = sm.Projection(start(), observed(light(scene(), spectrum()), 6))
    own = inner.result(inner.initial)
    given = inner.result(inner.initial, covariance=4 * own.shared_covariance)
    assert_allclose(given.error("trace_c0_0"), 2 * own.error("trace_c0_0"))
    assert_allclose(np.sum(given.common[0] ** 2, axis=0), 4 * np.sum(own.common[0] ** 2, axis=0))
    assert_allclose(given["flux_0"], own["flux_0"])


def test_what_is_not_determined_elsewhere_has_infinite_errors_and_spoils_no_others():
    inner = sm.Projection(start(), observed(light(scene(), spectrum()), 6))
    own = inner.result(inner.initial)
    covariance = np.array(own.shared_covariance)
    covariance[0], covariance[:, 0] = 0.0, 0.0
    infinite = np.array(covariance)
    infinite[0, 0] = np.inf
    told = inner.result(inner.initial, covariance=covariance,
                        lost=np.arange(len(covariance))[:, None] == 0)  # fmt: skip
    for given in (told, inner.result(inner.initial, covariance=infinite)):
        assert not given.success
        assert inner.names[0] in given.message
        assert np.isinf(given.error(inner.names[0]))
        assert np.isfinite(given.error(inner.names[1]))
        assert np.isfinite(given.error("flux_0")).all()
        assert np.isfinite(given.common).all()


def test_wrong_calls_are_named():
    image = observed(light(scene(), spectrum()), 5)
    with pytest.raises(ValueError, match="theta: expected 3 values"):
        sm.Projection(scene(), image).chi2([1.0])
    with pytest.raises(TypeError, match="model"):
        sm.Projection("model", image)
    with pytest.raises(ValueError, match="free linear parameter"):
        sm.Projection(sm.UniformSky(), image)
