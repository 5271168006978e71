"""Damped steps within bounds, against the minimum of the same quadratic found otherwise."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import lsq_linear

from specmodels.fitters.levenberg import damped_step, next_damping

UNDAMPED = np.full(1, 1e-9)


def problem(seed, n=6, n_system=1, upper=np.inf):
    """Parameters that are not below zero, and a quadratic in them with its minimum elsewhere."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n_system, 3 * n, n)) + 2.0
    data = rng.normal(size=(n_system, 3 * n))
    theta = np.where(rng.random((n, n_system)) < 0.3, 0.0, rng.uniform(0, 1, (n, n_system)))
    left = data - np.einsum("bij,jb->bi", roots, theta)
    parameters = SimpleNamespace(
        lower=np.zeros((n, 1)), upper=np.full((n, 1), upper),
        with_priors=lambda theta, gradient, information: (gradient, information),
    )  # fmt: skip
    solved = SimpleNamespace(
        gradient=np.einsum("bij,bi->jb", roots, left),
        information=np.einsum("bij,bik->jkb", roots, roots),
    )
    return parameters, SimpleNamespace(theta=theta, solved=solved), roots, data


def chi2(root, data, theta):
    return np.sum((data - root @ theta) ** 2)


@pytest.mark.parametrize("seed", range(20))
def test_step_stays_within_the_bounds_and_brings_what_it_promises(seed):
    parameters, state, roots, data = problem(seed, upper=1.0)
    step, promise = damped_step(parameters, state, UNDAMPED)
    end = (state.theta + step)[:, 0]
    assert np.all(end > -1e-12)
    assert np.all(end < 1 + 1e-12)
    gain = chi2(roots[0], data[0], state.theta[:, 0]) - chi2(roots[0], data[0], end)
    assert promise[0] > 0
    assert_allclose(gain, promise[0], rtol=1e-6)


def test_steps_lead_to_the_minimum_within_the_bounds():
    for seed in range(20):
        parameters, state, roots, data = problem(seed)
        for _ in range(4):
            step, _ = damped_step(parameters, state, UNDAMPED)
            state.theta = state.theta + step
            left = data[0] - roots[0] @ state.theta[:, 0]
            state.solved.gradient = (roots[0].T @ left)[:, None]
        wanted = lsq_linear(roots[0], data[0], (0, np.inf)).x
        assert_allclose(state.theta[:, 0], wanted, atol=1e-5)


def test_bound_in_the_way_does_not_spoil_the_step_of_the_others():
    """A step that is cut at the bound would raise chi-square here."""
    information = np.array([[1.0, 0.99], [0.99, 1.0]])[..., None]
    state = SimpleNamespace(
        theta=np.array([[0.01], [1.0]]),
        solved=SimpleNamespace(gradient=np.array([[-0.2], [0.0]]), information=information),
    )
    parameters = SimpleNamespace(lower=np.zeros((2, 1)), upper=np.full((2, 1), np.inf),
                                 with_priors=lambda theta, *both: both)  # fmt: skip
    step, promise = damped_step(parameters, state, UNDAMPED)
    assert_allclose(step[:, 0], [-0.01, 0.0099], rtol=1e-6)
    assert promise[0] > 0
    cut = np.linalg.solve(information[..., 0], state.solved.gradient[:, 0])
    cut[0] = -0.01
    assert 2 * cut @ state.solved.gradient[:, 0] - cut @ information[..., 0] @ cut < 0


def test_many_systems_take_the_steps_that_each_takes_alone():
    parameters, state, *_ = problem(3, n=3, n_system=7)
    step, promise = damped_step(parameters, state, np.full(7, 1e-3))
    for b in range(7):
        own = SimpleNamespace(
            theta=state.theta[:, [b]],
            solved=SimpleNamespace(gradient=state.solved.gradient[:, [b]],
                                   information=state.solved.information[..., [b]]),
        )  # fmt: skip
        alone, gain = damped_step(parameters, own, np.full(1, 1e-3))
        assert_allclose(step[:, b], alone[:, 0], rtol=1e-9, atol=1e-12)
        assert_allclose(promise[b], gain[0], rtol=1e-9)


def test_damping_falls_with_success_and_grows_ever_faster_without():
    damping, growth = next_damping(np.array([1e-3, 1e-3]), np.array([2.0, 4.0]),
                                   np.array([1.0, -1.0]))  # fmt: skip
    assert_allclose(damping, [1e-4, 4e-3])
    assert_allclose(growth, [2.0, 8.0])
