"""The system against dense linear algebra: every pair of terms, masks, priors, ties and bounds."""

from itertools import combinations

import numpy as np
import pytest
from astropy.modeling.models import Const2D, Gaussian2D, Planar2D
from numpy.testing import assert_allclose
from scipy.optimize import lsq_linear

import specmodels as sm
from specmodels.fitters.system import SystemProblem
from specmodels.models import RidgePrior, SmoothnessPrior

NY, NX = 14, 30
WAVES = np.linspace(0.95, 1.55, 18)


def image(seed=1, masked=0.1, **settings):
    """Noise on a grid with every coordinate."""
    rng = np.random.default_rng(seed)
    x, y = np.arange(NX), np.arange(NY)[:, None]
    return sm.SpectralImage(
        rng.normal(size=(NY, NX)) + 5, variance=rng.uniform(0.5, 2, (NY, NX)),
        mask=rng.random((NY, NX)) < masked, wavelength=1.0 + 0.5 * (x + 0.3 * (y - 7)) / NX,
        spatial=y + 0.02 * x, readout=sm.Readout(n_outputs=2, fast_axis=-1), **settings,
    )  # fmt: skip


TERMS = {
    "source": lambda: sm.Source(sm.GaussianProfile(stddev=1.5), trace_c0=6.3, name="source"),
    "neighbour": lambda: sm.Source(sm.MoffatProfile(), trace_c0=9.1, name="neighbour"),
    "column sky": lambda: sm.ColumnPolynomial(1, limits=(0, NY - 1), name="column sky"),
    "sky": lambda: sm.MasterBackgroundSpectrum(WAVES, name="sky"),
    "seen sky": lambda: sm.MasterBackgroundSpectrum(WAVES, name="seen")
    * sm.BarShadow(3, pitch=5.0, height=4.0, center=7.0, sigma=0.5, fixed={"transmission": True}),
    "flicker": lambda: sm.FourierNoise(n_harmonics=2, period=15.0, name="flicker"),
    "offsets": lambda: sm.LineOffset(name="offsets"),
    "ghost": lambda: Gaussian2D(1.0, 20.0, 4.0, 3.0, 2.0, name="ghost"),
    "plane": lambda: Planar2D(0.1, 0.2, 1.0, name="plane"),
    "level": lambda: Const2D(1.0, name="level"),
    "spline trace": lambda: sm.BSplineTrace(3, 10, knot_spacing=2, columns=(0, NX - 1), name="spl"),
}  # fmt: skip


def dense(equations):
    """Design matrix, weights and precision of the priors of a system."""
    design = np.zeros((len(equations.index), equations.n))
    for index, value in zip(equations.index.T, equations.value.T, strict=True):
        np.add.at(design, (np.arange(len(design)), index), value)
    precision = np.zeros((equations.n, equations.n))
    for penalty, strength in zip(equations.penalties.all, equations.strengths, strict=True):
        for i, j, v in zip(penalty.first, penalty.second, penalty.value, strict=True):
            precision[i, j] += strength * v
            precision[j, i] += strength * v * (i != j)
    return design, equations.weights, precision


def assert_is_dense(fit, data):
    """Coefficients and covariance of a fit are those of dense algebra where it can tell."""
    equations = fit.equations
    design, weights, precision = dense(equations)
    rows = design * np.sqrt(weights)[:, None]
    rows = np.concatenate([rows, _root(precision)])
    data = np.concatenate([np.sqrt(weights) * data, np.zeros(len(precision))])
    size = np.linalg.norm(rows, axis=0)
    scale = np.where(size > 0, 1 / np.where(size > 0, size, 1), 1.0)
    left, singular, right = np.linalg.svd(rows * scale, full_matrices=False)
    good = singular > 1e-6 * singular[0]
    lost = 1 - np.sum(right[good] ** 2, axis=0) > 1e-12
    assert_allclose(equations.determined, ~lost)
    half = right[good].T / singular[good] * scale[:, None]
    expected = half @ (left[:, good].T @ data)
    known, variance = ~lost, np.sum(half**2, axis=1)
    wrong = np.abs(fit.coefficients - expected)[known] / np.sqrt(variance[known])
    condition = (singular[0] / singular[good].min()) ** 2
    assert np.max(wrong, initial=0.0) < 1e-9
    assert_allclose(equations.variances[known], variance[known], rtol=1e-10 + 1e-15 * condition)
    assert np.isinf(equations.variances[lost]).all()
    leverage = np.sum((rows[: len(weights)] @ half) ** 2, axis=1)
    assert_allclose(equations.leverages(), leverage, atol=1e-9 + 1e-14 * condition)


def _root(precision):
    values, vectors = np.linalg.eigh(precision)
    return (vectors * np.sqrt(np.clip(values, 0, None))).T


@pytest.mark.parametrize("pair", list(combinations(TERMS, 2)), ids=" + ".join)
@pytest.mark.parametrize("masked", [0.0, 0.3])
def test_any_two_terms_are_solved_as_dense_algebra_does(pair, masked):
    given = image(masked=masked)
    fit = system_fit(TERMS[pair[0]]() + sm.on_pixels(TERMS[pair[1]]()), given)
    assert_is_dense(fit, given.filled.ravel())


def system_fit(model, given, **settings):
    """Fit by the system even where columns alone would do."""
    from specmodels.fitters.system.fit import system_result

    problem = SystemProblem(model, np.atleast_1d(given).tolist(), hold=True, **settings)
    return system_result(problem, problem.parameters.initial)


def test_all_terms_at_once():
    given = image()
    model = TERMS["source"]()
    for name in ("neighbour", "column sky", "sky", "flicker", "ghost"):
        model = model + TERMS[name]()
    assert_is_dense(system_fit(model, given), given.filled.ravel())


def test_priors_are_part_of_the_equations():
    given = image()
    sky = TERMS["sky"]()
    sky.coefficient_prior = SmoothnessPrior(strength=3.0)
    flicker = TERMS["flicker"]()
    flicker.coefficient_prior = RidgePrior(strength=0.7)
    source = TERMS["source"]()
    source.flux.prior = sm.GaussianPrior(0.0, 10.0)
    fit = system_fit(source + sky + flicker, given)
    assert fit.equations.penalties.all
    assert_is_dense(fit, given.filled.ravel())


def test_a_prior_draws_towards_its_mean():
    given = image(masked=0)
    level = Const2D(1.0)
    level.amplitude.prior = sm.GaussianPrior(9.0, 0.05)
    fit = sm.LinearFitter()(level, given)
    weights = given.weights.sum()
    mean = (np.sum(given.weights * given.data) + 9 / 0.05**2) / (weights + 1 / 0.05**2)
    assert_allclose(fit["amplitude"], mean)
    assert_allclose(fit.error("amplitude"), (weights + 1 / 0.05**2) ** -0.5)


def test_ties_between_linear_parameters():
    given = image(masked=0)
    model = sm.Source(sm.GaussianProfile(stddev=1), trace_c0=4.0, name="a") + sm.Source(
        sm.GaussianProfile(stddev=1), trace_c0=10.0, name="b"
    )
    model.flux_1.tied = sm.TiedTo("flux_0", factor=0.5, offset=2.0)
    fit = sm.LinearFitter()(model, given)
    one, two = (sm.GaussianProfile(stddev=1, center=c)(np.arange(NY)) for c in (4.0, 10.0))
    shape, data = (one + 0.5 * two)[:, None], given.data - 2 * two[:, None]
    flux = np.sum(given.weights * shape * data, axis=0) / np.sum(given.weights * shape**2, axis=0)
    assert_allclose(fit["flux_0"], flux)
    assert_allclose(fit["flux_1"], 0.5 * flux + 2)
    assert_allclose(fit.error("flux_1"), 0.5 * fit.error("flux_0"))


def test_a_tie_to_something_else_is_refused():
    model = TERMS["source"]() + TERMS["column sky"]()
    model.flux_0.tied = sm.TiedTo("trace_c0_0")
    with pytest.raises(ValueError, match="flux_0 cannot be tied to 'trace_c0_0'"):
        sm.LinearFitter()(model, image())
    model.flux_0.tied = lambda one: one.trace_c0_0
    with pytest.raises(ValueError, match=r"tied by TiedTo, not by other functions.*flux_0"):
        sm.LinearFitter()(model, image())


def test_bounds_are_those_of_bounded_least_squares():
    given = image(masked=0)
    given = given.replace(data=given.data - 5)
    model = TERMS["source"]() + TERMS["neighbour"]() + TERMS["sky"]()
    for name in ("flux_0", "flux_1"):
        getattr(model, name).bounds = (0, None)
    fit = sm.LinearFitter()(model, given)
    design, weights, _ = dense(fit.equations)
    low = np.where(np.arange(fit.equations.n) < 2 * NX, 0, -np.inf)
    root = np.sqrt(weights)
    best = lsq_linear(design * root[:, None], given.data.ravel() * root, (low, np.inf), tol=1e-14)
    assert_allclose(np.sum(fit.chi2), 2 * best.cost, rtol=1e-9)
    assert (fit["flux_0"] >= 0).all()
    assert (fit["flux_0"] == 0).any()


@pytest.mark.parametrize("fitter", [sm.LinearFitter(), sm.VarProFitter()])
def test_errors_at_bounds_are_those_without_them(fitter):
    given, model = image(masked=0.05), TERMS["source"]() + TERMS["sky"]()
    flux = np.where(np.arange(NX) < NX // 2, 80.0, -4.0)
    light = flux * sm.GaussianProfile(stddev=1.5)(given.y[:, None] - 6.3)
    given = given.replace(data=given.data + light)
    free = fitter(model, given)
    model.flux_0.bounds = (0, None)
    fit = fitter(model, given)
    at_bound = fit["flux_0"] == 0
    assert 5 < np.count_nonzero(at_bound) < NX
    assert_allclose(fit.error("flux_0"), free.error("flux_0"), rtol=0.05)
    sums = np.eye(NX)[at_bound].sum(axis=0)
    found = [one.covariance_of({"flux_0": sums}, "flux_0") for one in (fit, free)]
    assert_allclose(*found, rtol=0.1, atol=0.01 * np.max(found))
    assert (fit.prediction_error()[~given.mask] > 0).all()
    if fit.theta.size:
        assert_allclose(fit.error("trace_c0_0"), free.error("trace_c0_0"), rtol=0.05)


def test_errors_of_fluxes_that_may_not_be_negative_are_never_too_small():
    model = TERMS["source"]() + TERMS["sky"]()
    model.flux_0.bounds = (0, None)
    pulls = []
    for seed in range(30):
        given = image(seed, masked=0)
        noise = np.random.default_rng(seed + 100).normal(size=given.shape)
        given = given.replace(data=5 + noise * np.sqrt(given.variance))
        fit = sm.LinearFitter()(model, given)
        pulls.append(fit["flux_0"] / fit.error("flux_0"))
    assert np.mean(np.square(pulls)) < 1
    assert np.mean(np.array(pulls) == 0) > 0.3


def test_several_images_are_stacked_pixels():
    images = [image(seed, name=f"image {seed}") for seed in (1, 2, 3)]
    model = TERMS["source"]() + TERMS["column sky"]() + TERMS["sky"]()
    fit = system_fit(model, images)
    assert fit["flux_0"].shape == (NX,)
    assert fit["c0_1"].shape == (3, NX)
    assert_is_dense(fit, np.concatenate([i.filled.ravel() for i in images]))


def test_covariance_of_sums_is_that_of_dense_algebra():
    given = image()
    flicker = TERMS["flicker"]()
    flicker.coefficient_prior = RidgePrior(strength=0.7)
    fit = system_fit(TERMS["source"]() + TERMS["sky"]() + flicker, given)
    design, weights, precision = dense(fit.equations)
    matrix = (design * weights[:, None]).T @ design + precision
    inverse = np.linalg.pinv(matrix, rcond=1e-12, hermitian=True)
    row = np.zeros(fit.equations.n)
    row[3:23] = 1
    found = fit.covariance_of({"flux_0": (np.arange(NX) > 2) & (np.arange(NX) < 23)}, "flux_0")
    assert_allclose(found[0, 0], row @ inverse @ row, rtol=1e-8)
    assert_allclose(found[1:, 1:], inverse[:NX, :NX], rtol=1e-7, atol=1e-9)


def test_noiseless_data_give_back_the_truth():
    given = image(masked=0.1)
    model = TERMS["source"]() + TERMS["sky"]() + TERMS["flicker"]()
    problem = SystemProblem(model, [given], hold=True)
    equations = problem.solve(problem.parameters.initial)[0]
    truth = np.random.default_rng(4).normal(size=equations.n)
    data = equations.image(truth).reshape(given.shape)
    fit = system_fit(model, given.replace(data=data))
    assert_allclose(fit.coefficients[equations.determined], truth[equations.determined], atol=1e-9)
    assert_allclose(fit.predict()[~given.mask], data[~given.mask], atol=1e-9)


def test_the_same_data_give_the_same_bits():
    given = image()
    model = TERMS["source"]() + TERMS["sky"]() + TERMS["flicker"]()
    one, two = (sm.VarProFitter()(model, given) for _ in range(2))
    assert np.array_equal(one.coefficients, two.coefficients)
    assert np.array_equal(one.theta, two.theta)


def test_a_strength_that_data_would_have_infinite_leaves_the_rest_as_it_is():
    """A sky that is constant agrees with a smooth one to all digits: fluxes are as without it."""
    given, row = image(masked=0.0), np.arange(NY)[:, None]
    light = 50 * sm.GaussianProfile(stddev=1.5, center=6.3)(row) + 5
    given = given.replace(data=given.data - 5 + light)
    sky = TERMS["sky"]()
    sky.coefficient_prior = SmoothnessPrior()
    fit = sm.LinearFitter()(TERMS["source"]() + sky, given)
    assert fit.success
    flat = sm.LinearFitter()(TERMS["source"]() + TERMS["level"](), given)
    assert_allclose(fit["flux_0"], flat["flux_0"], atol=0.5 * np.median(flat.error("flux_0")))
    assert_allclose(fit.error("flux_0"), flat.error("flux_0"), rtol=0.1)


def test_pixels_whose_position_is_not_known_have_no_model():
    given = image(masked=0.0)
    wave = np.array(given.wavelength)
    wave[5, 10:14] = wave[:, 20] = np.nan
    lost = np.isnan(wave)
    fit = sm.LinearFitter()(TERMS["source"]() + TERMS["sky"](), given.replace(wavelength=wave))
    assert fit.success
    assert_allclose(np.isnan(fit.predict()), lost)
    assert np.isinf(fit.error("flux_0")[20])
    masked = sm.LinearFitter()(TERMS["source"]() + TERMS["sky"](), given.replace(mask=lost))
    assert_allclose(fit.coefficients, masked.coefficients, atol=1e-9)
    assert_allclose(fit.chi2, masked.chi2)


@pytest.mark.parametrize("bounds", [(5, -5), (np.nan, 600), (0, np.nan)])
@pytest.mark.parametrize("name", ["flux_0", "stddev_0"])
def test_bounds_that_are_none_are_named(bounds, name):
    model = TERMS["source"]() + TERMS["sky"]()
    getattr(model, name).bounds = bounds
    with pytest.raises(ValueError, match=f"{name}: expected a lower and an upper bound, got"):
        sm.VarProFitter()(model, image())


def test_wrong_questions_are_named():
    model = TERMS["source"]() + TERMS["sky"]()
    with pytest.raises(TypeError, match="share: expected a bool, or a mapping"):
        sm.VarProFitter()(model, [image(1), image(2, name="b")], share="trace_*")
    fit = sm.LinearFitter()(model, image())
    with pytest.raises(ValueError, match="flux_0: expected weights"):
        fit.covariance_of({"flux_0": np.ones(7)})


def test_an_image_without_pixels_is_no_success():
    given = image()
    fit = sm.LinearFitter()(
        TERMS["source"]() + TERMS["sky"](), given.replace(mask=np.ones(given.shape, dtype=bool))
    )
    assert not fit.success
    assert "no pixel can be used" in fit.reasons
