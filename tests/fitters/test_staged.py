"""The staged fit against the fit of all columns at once."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.fitters.levenberg import damped_step
from specmodels.fitters.paths import checked_model
from specmodels.fitters.staged import _runs, _told
from specmodels.fitters.system import SystemProblem
from specmodels.fitters.varpro import State


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_slit(seed=4, shape=(40, 600))


def model(image):
    limits = (image.x[0], image.x[-1])
    return sm.Source(
        sm.MoffatProfile(alpha=3.0), sm.PolynomialTrace(2, limits=limits, c0=20.0),
        width=sm.PolynomialTrace(1, limits=limits, c0=2.0), name="star",
    ) + sm.ColumnPolynomial(0, name="sky")  # fmt: skip


def test_fluxes_and_errors_are_those_of_the_fit_of_all_columns(slit):
    image, truth = slit
    staged = sm.StagedFitter(100)(model(image), image)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model(image), image)
    error = whole.error("flux_0")
    both = np.isfinite(staged["flux_0"]) & np.isfinite(whole["flux_0"])
    same = (staged.rejected == whole.rejected).all(axis=0) & both
    assert same.mean() > 0.9
    assert np.max(np.abs(staged["flux_0"] - whole["flux_0"])[same] / error[same]) < 0.3
    assert np.allclose(staged.error("flux_0")[same], error[same], rtol=0.03)
    assert staged.success
    found = staged.rejected[truth.hits & ~image.mask].mean()
    assert found > 0.9


def test_few_columns_are_fitted_at_once(slit):
    part = slit[0].cutout(columns=slice(0, 150))
    staged = sm.StagedFitter(100)(model(part), part)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model(part), part)
    assert np.array_equal(staged["flux_0"], whole["flux_0"], equal_nan=True)


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match="n_columns"):
        sm.StagedFitter(0)


def tilted_slit(seed=0, shape=(24, 600)):
    """A source in a slit whose lines are tilted, hits, and its model in the neighbourhood."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    p = x - 2.0 * (y / shape[0] - 0.5)
    lines = rng.uniform(0, shape[1], 40)
    sky = 40 + sum(400 * np.exp(-0.5 * ((p - c) / 1.3) ** 2) for c in lines)
    trace, width = 11.0 + 2.0 * x / shape[1], 1.4
    profile = np.exp(-0.5 * ((y - trace) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    flux = 600 * (1 + 0.3 * np.sin(p / 20))
    variance = sky + flux * profile + 9
    data = sky + flux * profile + rng.normal(size=shape) * np.sqrt(variance)
    hits = rng.random(shape) < 0.003
    data[hits] += 80 * np.sqrt(variance[hits])
    image = sm.SpectralImage(data, variance=variance, wavelength=1 + 0.001 * p)
    limits = (0.0, shape[1] - 1.0)
    source = sm.Source(
        sm.GaussianProfile(), sm.PolynomialTrace(1, limits=limits, c0=12.3),
        width=sm.PolynomialTrace(1, limits=limits, c0=1.8), name="star",
    )  # fmt: skip
    source.flux = 1.0
    source.flux.fixed = True
    breaks = [np.linspace(image.wavelength.min(), image.wavelength.max(), n) for n in (620, 900)]
    spectrum, sky = (sm.MasterBackgroundSpectrum(own, name=name)
                     for own, name in zip(breaks, ("spectrum", "sky"), strict=True))  # fmt: skip
    return image, source * spectrum + sky, hits


def test_runs_of_columns_start_the_fit_of_a_system():
    image, model, hits = tilted_slit()
    staged = sm.StagedFitter(150)(model, image)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model, image)
    assert staged.success
    assert not staged.independent_columns
    names = ("trace_c0_0", "trace_c1_0", "width_c0_0")
    for name in names:
        assert abs(staged[name] - whole[name]) < 0.1 * whole.error(name)
        assert np.isclose(staged.error(name), whole.error(name), rtol=0.02)
    assert staged.total_chi2 - whole.total_chi2 < 0.005 * whole.total_chi2
    assert staged.rejected[hits].mean() > 0.95
    assert np.mean(staged.rejected & ~hits) < 2e-3


def test_a_step_that_falls_short_is_followed_by_others():
    image, model, hits = tilted_slit(seed=1, shape=(24, 200))
    image = image.replace(mask=hits)
    problem = SystemProblem(checked_model(model, [image]), [image])
    stepped = sm.VarProFitter().stepped(problem)  # from a start that is far away
    whole = sm.VarProFitter()(model, image)
    for name in ("trace_c0_0", "width_c0_0"):
        assert abs(stepped[name] - whole[name]) < 0.1 * whole.error(name)


def test_coefficients_that_moved_shapes_let_be_seen_do_not_widen_the_band():
    image, model, _ = tilted_slit(seed=2, shape=(24, 200))
    problem = SystemProblem(checked_model(model, [image]), [image])
    theta, at = problem.parameters.initial.copy(), problem.parameters.names.index("trace_c0_0")
    width = problem.parameters.names.index("width_c0_0")
    theta[width] = 0.4  # far from the trace there is no light at all
    widths = []
    for row in (1.0, 22.0):  # lines are tilted: rows at the other end see other wavelengths
        theta[at] = row
        widths.append(problem.solve(theta)[0].structure.width)
    assert widths[1] < 2 * widths[0]


def test_first_fit_is_not_stopped_by_what_wings_alone_see():
    """At the ends of runs tilted lines leave coefficients to the wings, which begin at zero."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :600].astype(float)
    p = x - 6.0 * (y / 40 - 0.5)
    star = np.exp(-0.5 * ((y - 19 - x / 300) / 1.4) ** 2) / (1.4 * np.sqrt(2 * np.pi))
    variance = 49 + 600 * star
    image = sm.SpectralImage(variance - 9 + rng.normal(size=p.shape) * np.sqrt(variance),
                             variance=variance, wavelength=p)  # fmt: skip
    source = sm.Source(
        sm.BSplineProfile(falling=True), sm.PolynomialTrace(1, limits=(0, 599), c0=19.0, c1=1.5),
        width=sm.PolynomialTrace(1, limits=(0, 599), c0=1.3), flux=1.0, name="star",
    )  # fmt: skip
    largest = max((n for n in source.param_names if n[0] == "c"),
                  key=lambda name: getattr(source, name).value)  # fmt: skip
    for name in ("trace_c0", "width_c0", "flux", largest):
        getattr(source, name).fixed = True
    breaks = np.linspace(p.min(), p.max(), 620)
    model = source * sm.MasterBackgroundSpectrum(breaks, name="spectrum")
    model = checked_model(model + sm.MasterBackgroundSpectrum(breaks, name="sky"), [image])
    problem, part = (SystemProblem(model, [one]) for one in
                     (image, image.cutout(columns=_runs(600, 150))))  # fmt: skip
    theta = sm.StagedFitter(150)._shapes(part, _told(part))
    _, promise = damped_step(problem.parameters, State(theta, problem.linearise(theta)),
                                np.full(1, 1e-6))  # fmt: skip
    assert promise[0] < 10 * len(theta)  # four times the part's noise: it has a quarter of the data
