"""Non-linear parameters on frames of slits: derivatives in parts, and the truth within errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.system import SystemProblem, derivatives, entries, structure
from tests.fitters.system.slits import frame_of_slits

SLITS, SHAPE = 3, (45, 60)


@pytest.fixture(autouse=True)
def as_large(monkeypatch):
    """Small frames are handled as large ones are: in blocks, and some rows at a time."""
    monkeypatch.setattr(structure, "MUCH_WORK", 0)
    monkeypatch.setattr(structure.Structure, "is_small", False)
    monkeypatch.setattr(entries, "MOST_HELD", 0)
    monkeypatch.setattr(entries, "PIXELS_AT_ONCE", 500)
    monkeypatch.setattr(derivatives, "MOST_SLOPES", 5000)


def frame(seed=1, **settings):
    """A model of which the middles and widths of sources are free, and a frame of known light.

    The noise of the frame is that of its variance; returned are the true values as well.
    """
    model, image = frame_of_slits(SHAPE, SLITS, seed=seed, ridge=1e-6, **settings)
    names = [name for name in model.param_names if name.startswith("trace_c")]
    for name in names:
        getattr(model, name).fixed = not name.startswith("trace_c0")
    system = SystemProblem(model, [image])
    truth = system.parameters.initial
    values = [system.parameters.of(0, truth)[0]]
    found, offset, _ = system._entries(values)
    rng = np.random.default_rng(seed)
    coefficients = np.zeros(found.n)
    for group, size, noise in zip(system.layout.groups, (400, 100, 0), (80, 20, 1), strict=True):
        for term in range(len(group.positions)):
            numbers = group.numbers(term)
            coefficients[numbers] = size + noise * rng.normal(size=len(numbers))
    light = (found.image(coefficients) + offset).reshape(SHAPE)
    data = light + rng.normal(size=SHAPE) * np.sqrt(image.variance)
    return model, image.replace(data=data), system.parameters.names, truth[:, 0]


@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize("one_sky", [True, False])
def test_derivatives_are_those_of_finite_differences(along, one_sky):
    model, image, _, truth = frame(along=along, one_sky=one_sky)
    system = SystemProblem(model, [image])
    start = (truth + 0.02)[:, None]
    found = system.linearise(start)
    assert system.structure.kind.startswith("arrow")
    for k in range(len(start)):
        step = np.zeros_like(start)
        step[k] = 1e-4
        ends = [system.linearise(start + sign * step) for sign in (1, -1)]
        slope = (ends[0].chi2 - ends[1].chi2) / 2e-4
        assert_allclose(-2 * found.gradient[k], slope, rtol=1e-5, atol=1e-3)


def test_parts_of_rows_add_up(monkeypatch):
    model, image, _, truth = frame()
    system = SystemProblem(model, [image])
    one = system.linearise(truth[:, None])
    monkeypatch.setattr(derivatives, "MOST_SLOPES", 1e9)
    two = system.linearise(truth[:, None])
    for name in ("gradient", "information", "response"):
        expected = getattr(two, name)
        assert_allclose(getattr(one, name), expected, atol=1e-10 * np.max(np.abs(expected)))


@pytest.mark.parametrize(("along", "one_sky"), [(True, True), (False, False)])
def test_truth_is_found_within_the_errors(along, one_sky):
    pulls = []
    for seed in range(3):
        model, image, names, truth = frame(seed + 10, along=along, one_sky=one_sky)
        for number, name in enumerate(names):
            shift = 0.1 * (-1) ** number
            getattr(model, name).value = truth[number] + shift
        fit = sm.VarProFitter()(model, image)
        assert fit.success, fit.message
        assert fit.solver.startswith("arrow")
        assert abs(fit.reduced_chi2 - 1) < 5 * np.sqrt(2 / fit.dof.sum())
        own = [(fit[name] - value) / fit.error(name)
               for name, value in zip(names, truth, strict=True)]  # fmt: skip
        pulls.append(np.ravel(own))
    pulls = np.concatenate(pulls)
    assert np.max(np.abs(pulls)) < 4
    assert 0.5 < np.sqrt(np.mean(pulls**2)) < 1.6


def test_components_add_up_without_images_of_all_coefficients(monkeypatch):
    model, image, _, _ = frame(one_sky=False)
    fit = sm.LinearFitter()(model, image)
    spectra = next(g for g in fit.layout.groups if len(g.positions) > 10)
    monkeypatch.setattr(type(spectra), "put_local", _few(type(spectra).put_local))
    total = sum(fit.components().values())
    seen = ~image.mask
    assert_allclose(total[seen], fit.predict()[seen], atol=1e-9)


def _few(put_local):
    """As the function, for groups of few coefficients alone."""

    def checked(group, *arguments):
        assert len(group.positions) < 10
        return put_local(group, *arguments)

    return checked


def test_gradient_alone_is_that_of_the_whole_pass():
    model, image, _, truth = frame()
    system = SystemProblem(model, [image])
    start = (truth + 0.02)[:, None]
    expected = system.linearise(start).gradient
    assert_allclose(system.gradient(start), expected, atol=1e-10 * np.max(np.abs(expected)))
