"""Fits of sources that move and widen, compared with the truth and with what pixels say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.models import GaussianProfile
from specmodels.numerics.moving_kernels import (
    Noise,
    Pixels,
    _integral,
    gathered,
    light_of,
    prepared,
)
from specmodels.numerics.moving_profiles import MovingProfiles
from specmodels.numerics.moving_tables import FINE, Shapes, integral_splines

N_ROW, N_COLUMN, SIGMA, MARGIN = 30, 60, 1.6, 12
CENTER = 14.3 + np.linspace(-1, 1, N_COLUMN) ** 2
Y = np.arange(N_ROW)[:, None]


def light(shift=0.0, stretch=0.0, sigma=SIGMA, y=Y):
    return GaussianProfile().evaluate(y, CENTER + shift, sigma * (1 + stretch))


def shapes(sigma=SIGMA):
    rows = np.arange(-MARGIN, N_ROW + MARGIN)[:, None]
    phases = np.array([light(sigma=sigma, y=rows + p / FINE) for p in range(FINE)])
    return Shapes(
        splines=integral_splines(phases)[None], start=-MARGIN - 0.5, centers=CENTER[None],
        sky=np.ones((1, N_COLUMN, N_ROW), np.float32),
    )  # fmt: skip


def profiles(spread=(1.0, 1.0)):
    noise = Noise(np.full((N_COLUMN, N_ROW), 4.0), np.zeros((1, N_COLUMN)))
    return MovingProfiles(shapes(), noise, 0, np.array(spread), np.array([5.0, 0.5]))


def pixels_of(data, variance=0.0, mask=False):
    full = (np.broadcast_to(a, data.shape) for a in (variance, mask, 0.0))
    return Pixels(*prepared(data, *full), 1.0)


def scene(rng, shift=0.06, stretch=-0.04):
    flux = rng.uniform(300, 900, N_COLUMN)
    return flux, flux * light(shift, stretch) + 7.0


@pytest.mark.parametrize("sigma", [0.6, 1.6, 3.0])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.37, 0.0), (-2.8, 0.3), (1.1, -0.25)])
def test_light_is_that_of_the_profile_at_any_movement(sigma, place):
    found = light_of(shapes(sigma), np.array(place), N_ROW)[0].T
    assert_allclose(found, light(*place, sigma=sigma), atol=2e-5)


def test_structure_is_added_where_it_belongs():
    rows, sigma = np.arange(-MARGIN, N_ROW + MARGIN)[:, None], 1.2
    phases = np.array([light(y=rows + p / FINE) for p in range(FINE)])
    places = np.arange(-80, 81) / FINE
    integral = GaussianProfile().cumulative(places, 0.0, sigma)
    table = 0.1 * np.broadcast_to(integral, (N_COLUMN, 161))
    first = FINE * (-MARGIN - 0.5 - CENTER) + 80
    tables = shapes()._replace(splines=integral_splines(phases, table, first)[None])
    found = light_of(tables, np.array([0.3, 0.1]), N_ROW)[0].T
    assert_allclose(found, light(0.3, 0.1) + 0.1 * light(0.3, 0.1, sigma), atol=2e-5)


def test_noiseless_fluxes_and_movements_come_back():
    for movement in [(0.06, -0.04), (3.9, 0.2), (-2.2, -0.3)]:
        flux, data = scene(np.random.default_rng(1), *movement)
        fit = profiles().fit(pixels_of(data))
        assert_allclose(fit.values[0], flux, rtol=2e-4)
        assert_allclose(fit.theta, movement, atol=2e-4)


def test_errors_are_right():
    rng, moving, pulls, sums = np.random.default_rng(2), profiles(), [], []
    for _ in range(60):
        flux, data = scene(rng)
        fit = moving.fit(pixels_of(data + rng.normal(0, 2, data.shape)))
        common = fit.common[:, 0]
        error = np.sqrt(fit.covariance[0, 0] + np.sum(common**2, axis=0))
        pulls.append((fit.values[0] - flux) / error)
        total = np.sqrt(fit.covariance[0, 0].sum() + np.sum(common.sum(axis=1) ** 2))
        sums.append((fit.values[0] - flux).sum() / total)
    assert abs(np.std(pulls) - 1) < 0.05
    assert abs(np.std(sums) - 1) < 0.3
    assert abs(np.mean(sums)) < 0.45


def test_variances_move_with_the_light():
    moving, flux = profiles(), np.full(N_COLUMN, 500.0)
    moving = MovingProfiles(
        moving.shapes, moving.noise._replace(slope=flux[None]), 0, moving.spread, moving.limit
    )
    fit = moving.fit(pixels_of(flux * light(2.5, 0.2) + 7.0))
    assert_allclose(1 / fit.weights.T, 4 + flux * light(2.5, 0.2), rtol=1e-3)


def test_a_variance_that_is_not_expected_is_that_of_a_single_pixel():
    data, variance = scene(np.random.default_rng(3))[1], np.full((N_ROW, N_COLUMN), 4.0)
    variance[14, 7], variance[9, 8] = 100.0, 7.0
    weights = profiles().fit(pixels_of(data, variance)).weights
    assert_allclose(weights[7, 14], 0.01)
    assert_allclose(weights[8, 9], 0.25)


def test_columns_fitted_again_are_the_same_as_pixels_left_out_before():
    rng, moving = np.random.default_rng(4), profiles()
    data = scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN))
    hits = rng.random(data.shape) < 0.03
    data[hits] += 500
    pixels = pixels_of(data)
    left = pixels._replace(least=np.where(hits.T, np.inf, pixels.least))
    changed = np.flatnonzero(hits.any(axis=0))
    one, other = moving.refit(moving.fit(pixels), left, changed), moving.fit(left)
    assert_allclose(one.values, other.values, atol=0.03 * np.sqrt(other.covariance[0, 0].min()))
    assert_allclose([one.chi2, one.dof], [other.chi2, other.dof], rtol=1e-3)


def test_hits_do_not_lead_movements_astray():
    rng, moving = np.random.default_rng(5), profiles()
    data = scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN))
    struck = rng.choice(N_COLUMN, 6, replace=False)
    data[rng.integers(10, 20, 6), struck] += 4000
    assert_allclose(moving.fit(pixels_of(data)).theta, [0.06, -0.04], atol=0.03)


def test_chi_square_is_that_of_the_model():
    rng, moving = np.random.default_rng(5), profiles()
    pixels = pixels_of(scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN)))
    fit = moving.fit(pixels)
    assert_allclose(fit.chi2, np.sum(fit.weights * (pixels.data - fit.model) ** 2), rtol=2e-3)


def test_movements_without_room_are_held():
    fit = profiles(spread=(0.0, 0.0)).fit(pixels_of(scene(np.random.default_rng(6))[1]))
    assert not fit.theta.any()
    assert not fit.common.any()


def test_movements_stay_within_their_limits():
    data = scene(np.random.default_rng(7), 7.0, 0.0)[1]
    fit = profiles().fit(pixels_of(data))
    assert (np.abs(fit.theta) <= [5.0, 0.5]).all()


def test_what_is_left_is_gathered_around_the_trace():
    n_place, flux = 8 * FINE + 1, np.full((1, N_COLUMN), 50.0)
    block, totals = np.zeros(N_COLUMN, dtype=int), np.zeros((2, 1, 1, n_place))
    movement = np.array([0.4, 0.0])
    bump = np.exp(-0.5 * (Y - CENTER - 0.4) ** 2)
    residual, weights = 50.0 * bump.T, np.ones((N_COLUMN, N_ROW))
    pixels = residual, weights, light(0.4).T[None].astype(np.float32)
    gathered(pixels, flux, CENTER[None], movement, block, (totals[0], totals[1]))
    seen = totals[1, 0, 0] > 0
    places = (np.arange(n_place) - 4 * FINE) / FINE
    found = totals[0, 0, 0][seen] / totals[1, 0, 0][seen]
    assert_allclose(found, np.exp(-0.5 * places[seen] ** 2), atol=0.05)


def test_uncompiled_sums_around_the_trace_are_in_double_precision():
    rng, n_place = np.random.default_rng(8), 8 * FINE + 1
    fluxes, block = rng.uniform(20, 50, (2, N_COLUMN)), np.zeros(N_COLUMN, dtype=int)
    pixels = rng.normal(size=(N_COLUMN, N_ROW)), np.ones((N_COLUMN, N_ROW))
    basis = np.zeros((2, N_COLUMN, N_ROW), np.float32)  # as far from the traces as can be
    basis[1] = 1e-9
    found = []
    for kernel in (gathered, getattr(gathered, "py_func", gathered)):
        totals = np.zeros((2, 2, 1, n_place))
        centers = np.array([CENTER, CENTER + 1])
        kernel((*pixels, basis), fluxes, centers, np.zeros(2), block, (totals[0], totals[1]))
        found.append(totals)
    own = fluxes[0] * 1e-9 / (fluxes[0] * 1e-9 + fluxes[1] * (1e-9 + float(np.float32(1e-9))))
    place = np.floor((np.arange(N_ROW) - CENTER[:, None]) * FINE + 0.5) + 4 * FINE
    expected = np.zeros(n_place)
    for i in range(n_place):
        expected[i] = np.sum((fluxes[0] * own)[:, None] * pixels[0], where=place == i)
    assert_allclose(found[0][0, 0, 0], expected, rtol=1e-12, atol=1e-12)
    assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("place", [-3.0, 0.5, 2.25, 40.0])
def test_uncompiled_integrals_are_in_double_precision_also_beyond_the_table(place):
    spline = np.random.default_rng(9).uniform(size=12).astype(np.float32)
    plain = getattr(_integral, "py_func", _integral)
    wide = spline.astype(float)
    assert_allclose(plain(spline, place), plain(wide, place), rtol=1e-14)


def test_a_fit_counts_the_pixels_that_have_weight():
    data, mask = scene(np.random.default_rng(10))[1], np.zeros((N_ROW, N_COLUMN), dtype=bool)
    mask[3, ::4] = True
    fit = profiles().fit(pixels_of(data, mask=mask))
    assert fit.dof == data.size - N_COLUMN // 4 - 2 * N_COLUMN - 2
