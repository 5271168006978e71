"""Systems of windows against dense least squares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.spline_grid import SplineGrid
from specmodels.numerics.windows import Moments

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
    second = np.diff(np.eye(grid.n_terms), 2, axis=0)
    penalty = np.kron(second.T @ second, np.eye(n_intervals + 1))
    mean = np.diag(matrix).mean()
    return design, matrix + mean * (SMOOTHING * penalty + 1e-10 * np.eye(len(matrix)))


@pytest.mark.parametrize("n_intervals", [1, 2, 4])
def test_solution_chi2_and_covariance_are_those_of_dense_least_squares(pixels, n_intervals):
    system = moments(pixels, n_intervals).system(pixels["grid"], 1.0)
    design, matrix = dense(pixels, n_intervals)
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


def test_effect_of_the_penalty_is_that_of_dense_matrices(pixels):
    system = moments(pixels, 2).system(pixels["grid"], 1.0)
    design, matrix = dense(pixels, 2)
    free = design.T @ (pixels["w"][:, None] * design)
    penalty = matrix - free - 1e-10 * np.diag(free).mean() * np.eye(len(free))
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
        system = moments(pixels, n).system(pixels["grid"], 1.0)
        return system.cross_validation(system.solve(SMOOTHING))

    assert score(1) < score(2) < score(4)


def test_fewer_pixels_than_coefficients_have_no_cross_validation(pixels):
    few = {k: v[:5] if np.ndim(v) else v for k, v in pixels.items() if k != "grid"}
    system = moments({**few, "grid": pixels["grid"]}, 1).system(pixels["grid"], 1.0)
    assert system.cross_validation(system.solve(SMOOTHING)) == np.inf


def test_coarser_grid_than_the_bins_is_refused(pixels):
    narrow = SplineGrid.over(0, 2.0, 0.5, step=1 / 16)
    with pytest.raises(ValueError, match="grid: expected at least"):
        moments(pixels, 1).system(narrow, 1.0)
