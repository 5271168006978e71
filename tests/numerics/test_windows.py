"""Systems of windows against dense least squares."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.spline_grid import SplineGrid
from specmodels.numerics.window_moments import Moments

N = 4000
SMOOTHING = 1e-4


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    grid = SplineGrid.over(0, 4.0, 0.5, step=1 / 16)
    return {
        "grid": grid, "t": rng.choice(grid.centers, N), "x": rng.random(N),
        "d": rng.normal(size=N), "w": rng.random(N),
    }  # fmt: skip


def moments(pixels, n_intervals):
    grid, place = pixels["grid"], pixels["x"] * n_intervals
    w, d = pixels["w"], pixels["d"]
    return Moments.of_pixels(
        grid.index(pixels["t"]), grid.n_bins, place.astype(int), place % 1, n_intervals, w, w * d,
        np.sum(w * d**2),
    )  # fmt: skip


def dense(pixels, n_intervals):
    """Design matrix, terms of the splines slower than nodes, and normal matrix with penalty."""
    grid = pixels["grid"]
    nodes = np.linspace(0, 1, n_intervals + 1)
    hats = np.maximum(0, 1 - np.abs(pixels["x"][:, None] - nodes) * n_intervals)
    splines = grid.design(pixels["t"], 1.0)
    design = (splines[:, :, None] * hats[:, None, :]).reshape(N, -1)
    matrix = design.T @ (pixels["w"][:, None] * design)
    third = np.diff(np.eye(grid.n_terms), 3, axis=0)
    penalty = np.kron(third.T @ third, np.eye(n_intervals + 1))
    between = np.diff(np.eye(n_intervals + 1), axis=0)
    tie = np.kron(np.eye(grid.n_terms), between.T @ between)
    mean = np.diag(matrix).mean()
    fixed = mean * (1e-6 * tie + 1e-10 * np.eye(len(matrix)))
    return design, matrix + fixed, mean * (n_intervals + 1) / grid.spacing**6 * penalty


@pytest.mark.parametrize("n_intervals", [1, 2, 4])
def test_solution_chi2_and_covariance_are_those_of_dense_least_squares(pixels, n_intervals):
    system = moments(pixels, n_intervals).system(pixels["grid"], 1.0)
    design, fixed, penalty = dense(pixels, n_intervals)
    matrix = fixed + SMOOTHING * penalty
    expected = np.linalg.solve(matrix, design.T @ (pixels["w"] * pixels["d"]))
    found = system.solve(SMOOTHING)
    assert_allclose(found.T.ravel(), expected, atol=1e-9)
    chi2 = np.sum(pixels["w"] * (pixels["d"] - design @ expected) ** 2)
    assert_allclose(system.chi2(found), chi2, rtol=1e-9)
    n_terms = pixels["grid"].n_terms
    inverse = np.linalg.inv(matrix).reshape(n_terms, n_intervals + 1, n_terms, n_intervals + 1)
    assert_allclose(
        system.covariance(SMOOTHING), inverse.transpose(1, 0, 3, 2), rtol=1e-6, atol=1e-8
    )


def test_freedom_is_the_trace_of_the_matrix_of_fitted_data(pixels):
    system = moments(pixels, 2).system(pixels["grid"], 1.0)
    design, fixed, penalty = dense(pixels, 2)
    free = design.T @ (pixels["w"][:, None] * design)
    expected = np.trace(np.linalg.solve(fixed + SMOOTHING * penalty, free))
    assert_allclose(system.freedom(SMOOTHING), expected, rtol=1e-6)


def test_best_smoothing_has_the_greatest_likelihood_of_data_without_their_polynomials(pixels):
    """Against the likelihood of a Gaussian process, drawn with a known strength of its prior."""
    rng, grid = np.random.default_rng(5), pixels["grid"]
    n, true = 600, 1e-3
    t, x, w = pixels["t"][:n], pixels["x"][:n], np.full(n, 4.0)
    small = {**pixels, "t": t, "x": x, "w": w, "d": np.zeros(n)}
    mean = moments(small, 1).system(grid, 1.0).diagonal[:, 0].mean()
    third = np.diff(np.eye(grid.n_terms), 3, axis=0)
    strength = true * mean * 2 / grid.spacing**6
    parts = np.linalg.pinv(third) @ rng.normal(size=(len(third), 2)) / np.sqrt(strength)
    hats = np.stack([1 - x, x], axis=1)
    splines = grid.design(t, 1.0)
    small["d"] = np.sum((splines @ parts) * hats, axis=1) + rng.normal(size=n) / 2
    system = moments(small, 1).system(grid, 1.0)

    # Marginal likelihood of what is orthogonal to the polynomials, which the prior leaves free.
    design = (splines[:, :, None] * hats[:, None, :]).reshape(n, -1)
    free = np.kron(np.vander(np.arange(grid.n_terms), 3), np.eye(2))
    basis = np.linalg.qr(design @ free, mode="complete")[0][:, 6:]
    spread = np.kron(np.linalg.pinv(third) @ np.linalg.pinv(third).T, np.eye(2))

    def criterion(smoothing):
        prior = spread / (smoothing * mean * 2 / grid.spacing**6)
        covariance = basis.T @ (design @ prior @ design.T + np.eye(n) / 4) @ basis
        data = basis.T @ small["d"]
        squares = data @ np.linalg.solve(covariance, data)
        return data.size * np.log(squares) + np.linalg.slogdet(covariance)[1]

    exponents = np.arange(-6.0, 1.0)
    expected = np.array([criterion(10.0**e) for e in exponents])
    found = np.array([system.restricted_criterion(10.0**e) for e in exponents])
    assert_allclose(found - found[0], expected - expected[0], atol=0.05)
    best = np.log10(system.best_smoothing())
    assert abs(best - exponents[np.argmin(expected)]) < 1
    assert abs(best - np.log10(true)) < 1.5


def test_effect_of_the_penalty_is_that_of_dense_matrices(pixels):
    system = moments(pixels, 2).system(pixels["grid"], 1.0)
    _, fixed, penalty = dense(pixels, 2)
    penalty = SMOOTHING * penalty
    matrix = fixed + penalty
    c = system.solve(SMOOTHING)
    once = np.linalg.solve(matrix, penalty @ c.T.ravel())
    twice = np.linalg.solve(matrix, penalty @ (c.T.ravel() + once))
    assert_allclose(system.penalty_effect(c, SMOOTHING).T.ravel(), twice, atol=1e-6)


def test_halved_moments_are_those_of_half_as_many_intervals(pixels):
    for found, expected in zip(
        (moments(pixels, 4).halved(), moments(pixels, 4).halved().halved()),
        (moments(pixels, 2), moments(pixels, 1)), strict=True,
    ):  # fmt: skip
        assert_allclose(found.matrix, expected.matrix, atol=1e-10)
        assert_allclose(found.vector, expected.vector, atol=1e-10)


def test_cross_validation_prefers_no_windows_where_nothing_drifts(pixels):
    def score(n):
        return moments(pixels, n).system(pixels["grid"], 1.0).cross_validation(1e-12)

    assert score(1) < score(2) < score(4)


def test_fewer_pixels_than_parameters_have_no_cross_validation(pixels):
    few = {k: v[:5] if np.ndim(v) else v for k, v in pixels.items() if k != "grid"}
    few = {"w": few["w"], "t": few["t"], "x": few["x"], "d": few["d"], "grid": pixels["grid"]}
    system = moments(few, 1).system(pixels["grid"], 1.0)
    assert 0 < system.freedom(SMOOTHING) < 5
    assert np.isfinite(system.cross_validation(SMOOTHING))
    assert system.cross_validation(SMOOTHING, n_other=5) == np.inf
    assert replace(system, n_data=0).cross_validation(SMOOTHING) == np.inf


def test_coarser_grid_than_the_bins_is_refused(pixels):
    narrow = SplineGrid.over(0, 2.0, 0.5, step=1 / 16)
    with pytest.raises(ValueError, match="grid: expected at least"):
        moments(pixels, 1).system(narrow, 1.0)
