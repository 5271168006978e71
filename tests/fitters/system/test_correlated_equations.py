"""Correlated noise as a term of a fit, against dense linear algebra and against truth."""

import copy
import pickle
from itertools import combinations

import numpy as np
import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.system import SystemProblem, iterated_equations
from specmodels.fitters.system.noise_strengths import _badness, _score
from specmodels.models import FlickerSpectrum, RidgePrior, SmoothnessPrior
from specmodels.numerics.exponentials import decays, power_law_amplitudes
from tests.fitters.system.test_dense import NX, NY, TERMS, dense, image, system_fit

LAWS = {"common": (0.8, 1.1), "separate": (0.4, 0.9), "alternating": (0.3, 0.9)}
PAUSE = 3
PAIRED = ["source", "sky", "flicker", "offsets", "level"]


def given_noise():
    return sm.CorrelatedNoise(**{k: FlickerSpectrum(*law) for k, law in LAWS.items()}, name="noise")


def read(seed=1, masked=0.1, **settings):
    readout = sm.Readout(n_outputs=2, fast_axis=-1, line_overhead=PAUSE)
    return image(seed, masked).replace(readout=readout, coordinates={}, **settings)


def kernel(given, laws=LAWS):
    """Covariance of the noise of all pixels, from the exponentials that are documented."""
    clock, output, time = (given.coordinate(key).ravel() for key in ("clock", "output", "time"))
    lag, span = np.abs(np.subtract.outer(clock, clock)), clock.max() + 1
    sign = 1 - 2 * (time % 2)
    same = np.equal.outer(output, output).astype(float)
    where = {"common": 1.0, "separate": same, "alternating": same * np.multiply.outer(sign, sign)}
    phi, out = decays(span), 0.0
    for part, (amplitude, exponent) in laws.items():
        unit = power_law_amplitudes(phi, span, exponent)
        series = sum(a * f**lag for a, f in zip(unit, phi, strict=True))
        out = out + amplitude * where[part] * series
    return out


def block_diagonal(blocks):
    n = sum(len(block) for block in blocks)
    out, start = np.zeros((n, n)), 0
    for block in blocks:
        stop = start + len(block)
        out[start:stop, start:stop] = block
        start = stop
    return out


def assert_is_dense(fit, images, laws=LAWS):
    """A fit is that of dense algebra with the noise in the covariance of the data."""
    equations = fit.equations
    design, weights, precision = dense(equations)
    good = weights > 0
    noise = block_diagonal([kernel(one, laws) for one in images])
    root = np.linalg.cholesky(noise[np.ix_(good, good)] + np.diag(1 / weights[good]))
    data = np.concatenate([one.filled.ravel() for one in images])[good]
    values, vectors = np.linalg.eigh(precision)
    prior = (vectors * np.sqrt(np.clip(values, 0, None))).T
    rows = np.concatenate([np.linalg.solve(root, design[good]), prior])
    data = np.concatenate([np.linalg.solve(root, data), np.zeros(len(prior))])
    size = np.linalg.norm(rows, axis=0)
    scale = np.where(size > 0, 1 / np.where(size > 0, size, 1), 1.0)
    left, singular, right = np.linalg.svd(rows * scale, full_matrices=False)
    large = singular > 1e-6 * singular[0]
    lost = 1 - np.sum(right[large] ** 2, axis=0) > 1e-12
    assert_allclose(equations.determined, ~lost)
    half = right[large].T / singular[large] * scale[:, None]
    expected, known = half @ (left[:, large].T @ data), ~lost
    variance = np.sum(half**2, axis=1)
    wrong = np.abs(fit.coefficients - expected)[known] / np.sqrt(variance[known])
    assert np.max(wrong, initial=0.0) < 1e-9
    assert_allclose(equations.variances[known], variance[known], rtol=1e-8)
    assert np.isinf(equations.variances[lost]).all()
    residual = (data - rows @ expected)[: len(root)]
    assert_allclose(np.sum(fit.chi2), residual @ residual, rtol=1e-9)
    # The residual without the noise: its covariance is that of the white noise less the leverages.
    white = 1 / weights[good]
    inverse = np.linalg.inv(root)
    free = inverse.T @ (
        np.eye(len(root)) - (rows @ half @ half.T @ rows.T)[: len(root), : len(root)]
    )
    free = free @ inverse
    assert_allclose(equations.leverages()[good], 1 - white * np.diag(free), atol=1e-9)
    found = np.concatenate(
        [np.ravel(fit.residual() if len(images) == 1 else np.stack(fit.residual()))]
    )
    assert_allclose(found[good], white * (inverse.T @ residual), atol=1e-8)
    return noise[:, good] @ (inverse.T @ residual)


@pytest.mark.parametrize("name", list(TERMS))
@pytest.mark.parametrize("masked", [0.0, 0.3])
def test_any_term_with_noise_is_solved_as_dense_algebra_does(name, masked):
    given = read(masked=masked)
    fit = system_fit(sm.on_pixels(TERMS[name]()) + given_noise(), given)
    mean = assert_is_dense(fit, [given])
    assert_allclose(fit.components()["noise"].ravel(), mean, atol=1e-8)


@pytest.mark.parametrize("pair", list(combinations(PAIRED, 2)),
                         ids=" + ".join)  # fmt: skip
def test_two_terms_with_noise(pair):
    given = read(seed=2, masked=0.2)
    terms = [sm.on_pixels(TERMS[name]()) for name in pair]
    assert_is_dense(system_fit(terms[0] + terms[1] + given_noise(), given), [given])


def test_priors_and_noise():
    given = read()
    sky, flicker, source = TERMS["sky"](), TERMS["flicker"](), TERMS["source"]()
    sky.coefficient_prior = SmoothnessPrior(strength=3.0)
    flicker.coefficient_prior = RidgePrior(strength=0.7)
    source.flux.prior = sm.GaussianPrior(0.0, 10.0)
    fit = system_fit(source + sky + flicker + given_noise(), given)
    assert_is_dense(fit, [given])
    assert fit.success


def test_several_images_have_noise_of_their_own():
    images = [read(seed, name=f"image {seed}") for seed in (1, 2)]
    fit = system_fit(TERMS["source"]() + TERMS["column sky"]() + given_noise(), images)
    assert_is_dense(fit, images)
    assert_allclose(fit.dof.sum(), sum((~i.mask).sum() for i in images) - fit.equations.n)
    assert [part.shape for part in fit.components()["noise"]] == [(NY, NX)] * 2


def test_covariance_of_sums():
    given = read()
    fit = system_fit(TERMS["source"]() + TERMS["sky"]() + given_noise(), given)
    design, weights, _ = dense(fit.equations)
    good = weights > 0
    covariance = kernel(given)[np.ix_(good, good)] + np.diag(1 / weights[good])
    matrix = design[good].T @ np.linalg.solve(covariance, design[good])
    inverse = np.linalg.pinv(matrix, rcond=1e-12, hermitian=True)
    row = np.zeros(len(matrix))
    row[3:23] = 1
    found = fit.covariance_of({"flux_0": (np.arange(NX) > 2) & (np.arange(NX) < 23)})
    assert_allclose(found[0, 0], row @ inverse @ row, rtol=1e-8)
    assert found[0, 0] > 2 * np.sum(fit.error("flux_0")[3:23] ** 2)


def test_parts_add_up_and_the_model_evaluates_alone():
    given = read()
    fit = sm.LinearFitter()(TERMS["source"]() + TERMS["level"]() + given_noise(), given)
    predicted = fit.predict()
    assert_allclose(sum(fit.components().values()), predicted, atol=1e-12)
    assert_allclose(given.data - fit.residual(), predicted)
    y, x = np.mgrid[:NY, :NX].astype(float)
    assert_allclose(fit.model(x, y), predicted, atol=1e-12)
    errors = fit.prediction_error()
    assert (errors[~given.mask] < 1 / np.sqrt(given.weights[~given.mask])).all()
    assert "exponentials" in fit.solver


def test_shape_parameters_are_those_of_generalised_least_squares():
    from scipy.optimize import least_squares

    given = read(masked=0.1)
    model = TERMS["source"]()
    light = 200 * sm.GaussianProfile(stddev=1.5, center=6.6)(np.arange(NY))[:, None]
    given = given.replace(data=given.data - 5 + light)
    fit = sm.VarProFitter(tolerance=1e-6)(model + given_noise(), given)
    assert fit.success
    good = ~given.mask.ravel()
    covariance = kernel(given)[np.ix_(good, good)] + np.diag(1 / given.weights.ravel()[good])
    root = np.linalg.cholesky(covariance)
    data = np.linalg.solve(root, given.data.ravel()[good])

    def left(theta):
        shape = sm.GaussianProfile(stddev=theta[1], center=theta[0])(np.arange(NY))
        design = np.kron(shape[:, None], np.eye(NX))[good]
        rows = np.linalg.solve(root, design)
        return data - rows @ np.linalg.lstsq(rows, data, rcond=None)[0]

    best = least_squares(left, [6.4, 1.5], x_scale=0.1, xtol=1e-12, ftol=1e-12)
    names = ["trace_c0_0", "stddev_0"]
    error = np.sqrt(np.diag(np.linalg.inv(best.jac.T @ best.jac)))
    assert_allclose([fit[name] for name in names], best.x, atol=2e-3 * error.min())
    assert_allclose([fit.error(name) for name in names], error, rtol=0.05)


def power_law_noise(given, laws, seed):
    """Pieces of longer series whose spectra are these power laws, in the pixels of an image."""
    rng = np.random.default_rng(seed)
    clock, output, time = (given.coordinate(k).astype(int) for k in ("clock", "output", "time"))
    size = 2 * (4 * (clock.max() + 1) // 2)
    frequency = np.fft.rfftfreq(size)
    frequency[0] = np.inf

    def series(amplitude, exponent):
        root = np.sqrt(amplitude * (2 * frequency) ** -exponent)
        return np.fft.irfft(np.fft.rfft(rng.normal(size=size)) * root, size)[size // 3 :]

    out = np.zeros(given.shape)
    for part, law in laws.items():
        draws = [series(*law) for _ in range(output.max() + 1)]
        if part == "common":
            draws = [draws[0]] * len(draws)
        sign = 1 - 2 * (time % 2) if part == "alternating" else 1
        out += sign * np.stack(draws)[output, clock]
    return out


def frame(laws, seed, *, n_outputs=1, shape=(40, 128), fast_axis=-1):
    """A star on a sky with noise, and the true fluxes."""
    rng = np.random.default_rng(seed)
    y, flux = np.arange(shape[0])[:, None], 300 + np.arange(shape[1])
    empty = sm.SpectralImage(
        np.zeros(shape), variance=np.ones(shape), mask=rng.random(shape) < 0.05,
        readout=sm.Readout(fast_axis=fast_axis, n_outputs=n_outputs, line_overhead=5),
    )  # fmt: skip
    light = flux * sm.GaussianProfile(stddev=1.5, center=20.2)(y)
    noise = power_law_noise(empty, laws, seed + 1000)
    return empty.replace(data=light + noise + rng.normal(size=shape)), flux


def star():
    return sm.Source(sm.GaussianProfile(stddev=1.4), trace_c0=20.0, name="star")


@pytest.mark.parametrize("fast_axis", [-1, -2], ids=["lines are rows", "lines are columns"])
def test_spectra_are_learnt_and_errors_are_right(fast_axis):
    model = star() + sm.ColumnPolynomial(0, limits=(0, 39)) + sm.CorrelatedNoise(name="noise")
    pulls, chi2, found = [], [], []
    for seed in range(8):
        given, flux = frame({"separate": (0.3, 1.2)}, seed, fast_axis=fast_axis)
        fit = sm.VarProFitter()(model, given)
        assert fit.success
        pulls.append((fit["flux_0"] - flux) / fit.error("flux_0"))
        chi2.append(fit.reduced_chi2)
        found.append(list(fit.strengths.values()))
    assert list(fit.strengths) == ["noise separate amplitude", "noise separate exponent"]
    assert_allclose(np.mean(found, axis=0), [0.3, 1.2], rtol=0.1)
    assert_allclose(np.mean(chi2), 1, atol=0.02)
    assert 0.85 < np.std(pulls) < 1.15


def test_what_outputs_share_is_told_from_what_they_do_not():
    truth = {"common": (0.5, 1.0), "separate": (0.2, 1.3), "alternating": (0.3, 1.3)}
    given, _ = frame(truth, 3, n_outputs=4, shape=(64, 256))
    fit = sm.VarProFitter()(star() + sm.CorrelatedNoise(name="noise"), given)
    for part, (amplitude, exponent) in truth.items():
        assert_allclose(fit.strengths[f"noise {part} amplitude"], amplitude, rtol=0.3)
        assert_allclose(fit.strengths[f"noise {part} exponent"], exponent, atol=0.2)
    assert_allclose(fit.reduced_chi2, 1, atol=0.03)


def test_a_slope_of_the_likelihood_is_that_of_its_differences():
    given, _ = frame({"separate": (0.3, 1.2)}, 1)
    model = star() + TERMS["level"]() + sm.CorrelatedNoise(name="noise")
    problem = SystemProblem(model, [given])
    theta = problem.parameters.initial
    equations = problem.solve(theta)[0]
    data = problem.data
    score, information = _score(equations, data)
    numbers = equations.noise.numbers
    for k in range(2):
        ends = []
        for step in (1e-3, -1e-3):
            moved = numbers + step * (np.arange(2) == k)
            other = equations.of(equations, equations.noise.with_laws(moved))
            ends.append(_badness(other, data))
        slope = -0.5 * (ends[0] - ends[1]) / 2e-3
        assert abs(slope - score[k]) < 0.3 * np.sqrt(information[k, k])  # of the simulated trace


def test_likelihood_is_that_of_dense_algebra():
    given = read()
    values = []
    for amplitude in (0.2, 0.9):
        laws = LAWS | {"separate": (amplitude, 0.9)}
        spectra = {k: FlickerSpectrum(*law) for k, law in laws.items()}
        model = TERMS["source"]() + TERMS["level"]() + sm.CorrelatedNoise(**spectra)
        fit = system_fit(model, given)
        design, weights, _ = dense(fit.equations)
        good = weights > 0
        covariance = kernel(given, laws)[np.ix_(good, good)] + np.diag(1 / weights[good])
        matrix = design[good].T @ np.linalg.solve(covariance, design[good])
        expected = sum(np.linalg.slogdet(m)[1] for m in (covariance, matrix)) + fit.chi2.sum()
        values.append((_badness(fit.equations, given.filled.ravel()), expected))
    assert_allclose(values[1][0] - values[0][0], values[1][1] - values[0][1], rtol=1e-9)


@pytest.mark.parametrize("fast_axis", [-1, -2], ids=["lines are rows", "lines are columns"])
def test_conjugate_gradients_give_what_factors_give(fast_axis, monkeypatch):
    given, _ = frame({"separate": (0.6, 1.1)}, 7, fast_axis=fast_axis, shape=(24, 96))
    model = star() + sm.ColumnPolynomial(1, limits=(0, 39)) + sm.CorrelatedNoise(name="noise")
    exact = sm.LinearFitter()(model, given)
    monkeypatch.setattr(iterated_equations, "MOST_DENSE", 10)
    fit = sm.LinearFitter()(model, given)
    assert fit.solver.startswith("conjugate gradients, preconditioned: banded")
    assert exact.solver.startswith("dense")
    for name in ("noise separate amplitude", "noise separate exponent"):
        assert_allclose(fit.strengths[name], exact.strengths[name], rtol=0.02)
    laws = {"separate": FlickerSpectrum(*exact.strengths.values())}
    known = star() + sm.ColumnPolynomial(1, limits=(0, 39)) + sm.CorrelatedNoise(**laws)
    fit = sm.LinearFitter()(known, given)
    error = exact.error("flux_0")
    assert_allclose(fit["flux_0"], exact["flux_0"], atol=1e-4 * error.min())
    assert_allclose(fit.error("flux_0"), error, rtol=1e-6)
    assert_allclose(fit.covariance_of("flux_0"), exact.covariance_of("flux_0"), atol=1e-5)
    assert_allclose(fit.chi2, exact.chi2, rtol=1e-6)
    assert_allclose(fit.dof, exact.dof)
    leverages = fit.equations.leverages(), exact.equations.leverages()
    assert_allclose(*leverages, atol=0.35)
    assert_allclose(*(one.sum() for one in leverages), rtol=0.02)


def test_directions_without_information_are_named_by_conjugate_gradients_too(monkeypatch):
    given = read()
    twice = TERMS["source"]() + Const2D(1.0, name="one") + Const2D(1.0, name="two")
    model = twice + given_noise()
    exact = sm.LinearFitter()(model, given)
    monkeypatch.setattr(iterated_equations, "MOST_DENSE", 10)
    fit = sm.LinearFitter()(model, given)
    assert not fit.success
    assert fit.message == exact.message
    assert_allclose(fit["flux_0"], exact["flux_0"], atol=1e-6)
    assert np.isinf(fit.error("amplitude_1"))


def test_simulated_leverages_are_refused_with_priors(monkeypatch):
    monkeypatch.setattr(iterated_equations, "MOST_DENSE", 10)
    source = TERMS["source"]()
    source.flux.prior = sm.GaussianPrior(0.0, 10.0)
    fit = sm.LinearFitter()(source + given_noise(), read())
    with pytest.raises(ValueError, match="expected no priors and no ridge for leverages"):
        fit.prediction_error()


def test_white_noise_is_not_taken_for_correlated_noise():
    given, _ = frame({}, 4)
    alone = sm.VarProFitter()(star() + TERMS["level"](), given)
    fit = sm.VarProFitter()(star() + TERMS["level"]() + sm.CorrelatedNoise(name="noise"), given)
    assert fit.strengths["noise separate amplitude"] < 0.01
    assert_allclose(fit["flux_0"], alone["flux_0"], atol=0.3 * alone.error("flux_0").mean())
    assert_allclose(fit.error("flux_0"), alone.error("flux_0"), rtol=0.05)


def test_hits_are_found_under_correlated_noise():
    given, _ = frame({"separate": (0.3, 1.2)}, 5, shape=(40, 64))
    data = np.array(given.data)
    hits = ([26, 5, 33], [10, 40, 50])
    data[hits] += 40
    fitter = sm.SigmaClipFitter(sm.VarProFitter())
    fit = fitter(star() + TERMS["level"]() + sm.CorrelatedNoise(), given.replace(data=data))
    assert fit.rejected[hits][~given.mask[hits]].all()
    assert fit.rejected.sum() <= 6


def test_a_cutout_remembers_when_its_pixels_were_read():
    given = read(masked=0)
    part = given.cutout(columns=slice(5, 20))
    assert_allclose(part.coordinate("clock"), given.coordinate("clock")[:, 5:20])
    fit = system_fit(TERMS["source"]() + given_noise(), part)
    assert np.isfinite(fit.error("flux_0")).all()


def test_it_is_a_model_like_any_other():
    noise = given_noise()
    for same in (copy.deepcopy(noise), pickle.loads(pickle.dumps(noise)), noise.copy()):
        assert same.name == "noise"
        assert_allclose(same.common.parameters, noise.common.parameters)
    assert (Const2D(3.0) + noise)(np.ones(2), np.zeros(2)).tolist() == [3.0, 3.0]
    assert repr(noise).startswith("CorrelatedNoise(common=<FlickerSpectrum")


def test_the_same_data_give_the_same_bits():
    given, _ = frame({"separate": (0.3, 1.2)}, 6, shape=(40, 64))
    model = star() + TERMS["level"]() + sm.CorrelatedNoise()
    one, two = (sm.VarProFitter()(model, given) for _ in range(2))
    assert np.array_equal(one.coefficients, two.coefficients)
    assert one.strengths == two.strengths


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (lambda: star() + sm.CorrelatedNoise() * Const2D(2), {}, "expected a term of a sum"),
        (lambda: star() + sm.CorrelatedNoise() + sm.CorrelatedNoise(), {}, "got several"),
        (lambda: star() + sm.CorrelatedNoise(white=2.0), {}, "white: expected None"),
        (lambda: star() + sm.CorrelatedNoise(), {"variance": None}, "with variances"),
        (lambda: star() + sm.CorrelatedNoise(), {"readout": None}, "coordinate 'clock'"),
        (lambda: star() + sm.CorrelatedNoise(), {"readout": sm.Readout(stripes="slow")}, "stripes"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused(model, changes, message):
    given = read().replace(coordinates={}, **changes)
    with pytest.raises(ValueError, match=message):
        sm.LinearFitter()(model(), given)
