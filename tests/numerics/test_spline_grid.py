"""Splines averaged over pixels, and their banded sums, against dense arithmetic."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.interpolate import BSpline

from specmodels.numerics.spline_grid import SplineGrid

RNG = np.random.default_rng(1)


def grid(spacing=0.5, **settings):
    return SplineGrid.over(-3.3, 9.0, spacing, step=0.05, **settings)


@pytest.mark.parametrize("width", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("spacing", [0.4, 0.5, 0.75, 1.0])
def test_terms_add_up_to_one_everywhere(spacing, width):
    own = grid(spacing)
    assert_allclose(own.design(own.centers, width).sum(axis=1), 1, rtol=1e-12)


def test_mean_over_a_pixel_is_the_integral_of_the_spline():
    own = grid()
    coefficients = RNG.normal(size=own.n_terms)
    knots = own.low + own.spacing * (np.arange(own.n_terms + 4) - own.n_before)
    spline = BSpline(knots, coefficients, 3)
    at = np.linspace(-2, 8, 57)
    expected = [spline.integrate(t - 0.35, t + 0.35) / 0.7 for t in at]
    assert_allclose(own.design(at, 0.7) @ coefficients, expected, atol=1e-12)
    assert_allclose(own.design(at, 0.0) @ coefficients, spline(at), atol=1e-12)


def test_centres_of_terms_as_coefficients_give_positions():
    own = grid(0.75)
    for width in (0.0, 1.0):
        assert_allclose(own.profiles(own.term_centers, width), own.centers, atol=1e-12)


def test_banded_sums_are_those_of_the_dense_matrix():
    own = grid()
    dense = own.design(own.centers, 1.0)
    weights = RNG.random((3, own.n_bins))
    bands = own.matrix(weights, 1.0)
    full = np.einsum("mb,bi,bj->mij", weights, dense, dense)
    for d in range(own.n_local):
        expected = np.diagonal(full, d, axis1=1, axis2=2)
        assert_allclose(bands[:, d, : own.n_terms - d], expected, atol=1e-12)
    assert_allclose(np.triu(full[0], own.n_local), 0, atol=1e-15)
    assert_allclose(own.vector(weights, 1.0), weights @ dense, atol=1e-12)


def test_positions_belong_to_the_nearest_bin():
    own = grid()
    index = own.index(own.centers)
    assert_allclose(index, np.arange(own.n_bins))


@pytest.mark.parametrize("width", [0.0, 0.3, 1.0])
def test_design_is_the_spline_of_each_term_also_beyond_the_ends(width):
    own = grid()
    positions = own.low + np.linspace(-4, own.n_cells * own.spacing + 4, 301)
    found = own.design(positions, width)
    starts = own.low + (np.arange(own.n_terms) - own.n_before) * own.spacing
    fine = np.linspace(-width / 2, width / 2, 401) if width else np.zeros(1)
    term = BSpline.basis_element(np.arange(5.0), extrapolate=False)
    at = (positions[:, None, None] + fine - starts[:, None]) / own.spacing
    values = np.nan_to_num(term(at))
    expected = np.trapezoid(values, fine, axis=-1) / width if width else values[..., 0]
    assert_allclose(found, expected, atol=2e-5)
