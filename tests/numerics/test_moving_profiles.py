"""Fits of integrations by shared images, compared with the truth and with a fit of all pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.models import GaussianProfile
from specmodels.numerics.moving_images import (
    padua_points,
    powers,
    principal_images,
    slopes_of_powers,
)
from specmodels.numerics.moving_profiles import MovingProfiles

N_ROW, N_COLUMN, SIGMA, CENTER = 30, 60, 1.6, 14.3
Y = np.arange(N_ROW)[:, None]


def light(shift=0.0, stretch=0.0):
    profile = GaussianProfile().evaluate(Y, CENTER + shift, SIGMA * (1 + stretch))
    return np.broadcast_to(profile, (N_ROW, N_COLUMN))


def moving_images(reach=(0.15, 0.15), snr=2000.0):
    images = np.array([light(*place) for place in padua_points(reach)])
    return principal_images(images, reach, np.full((N_ROW, N_COLUMN), snr))


def profiles(spread=(1.0, 1.0)):
    sky = np.ones((1, N_ROW, N_COLUMN))
    weights = np.full((N_ROW, N_COLUMN), 0.25)
    return MovingProfiles((moving_images(),), sky, np.zeros((0, N_ROW, N_COLUMN)), weights,
                          np.array(spread), np.array([0.5, 0.5]))  # fmt: skip


@pytest.mark.parametrize("snr", [20.0, 2000.0])
def test_few_images_are_an_image_at_any_movement_to_within_the_noise(snr):
    reach = 0.6, 0.2
    few, rng = moving_images(reach, snr), np.random.default_rng(5)
    assert len(few.images) < 17
    for place in rng.uniform(-1, 1, (9, 2)) * reach:
        image = np.tensordot(few.factors @ powers(place), few.images, (0, 0))
        assert np.sum(((image - light(*place)) * snr) ** 2) < 1.0


def test_slopes_are_those_of_the_powers():
    place, step = np.array([0.3, -0.2]), 1e-6
    for k, slope in enumerate(slopes_of_powers(place).T):
        ends = [powers(place + sign * step * np.eye(2)[k]) for sign in (1, -1)]
        assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), atol=1e-8)


def scene(rng, shift=0.06, stretch=-0.04):
    flux = rng.uniform(300, 900, N_COLUMN)
    return flux, flux * light(shift, stretch) + 7.0


def test_noiseless_fluxes_and_movements_come_back():
    flux, data = scene(np.random.default_rng(1))
    moving = profiles()
    fit = moving.fit(moving.sums(data, moving.weights))
    assert_allclose(fit.values[0], flux, rtol=2e-4)
    assert_allclose(fit.theta, [0.06, -0.04], atol=2e-4)


def test_errors_are_right():
    rng, moving, pulls, sums = np.random.default_rng(2), profiles(), [], []
    for _ in range(60):
        flux, data = scene(rng)
        data = data + rng.normal(0, 2, data.shape)
        fit = moving.fit(moving.sums(data, moving.weights))
        common = fit.common[:, 0]
        error = np.sqrt(fit.covariance[0, 0] + np.sum(common**2, axis=0))
        pulls.append((fit.values[0] - flux) / error)
        total = np.sqrt(fit.covariance[0, 0].sum() + np.sum(common.sum(axis=1) ** 2))
        sums.append((fit.values[0] - flux).sum() / total)
    assert abs(np.std(pulls) - 1) < 0.05
    assert abs(np.std(sums) - 1) < 0.3
    assert abs(np.mean(sums)) < 0.45


def test_sums_are_put_right_where_weights_differ():
    rng, moving = np.random.default_rng(3), profiles()
    data = scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN))
    weights = 0.5 * np.array(moving.weights)
    lost = rng.random(weights.shape) < 0.05
    weights[lost] = rng.choice([0.0, 0.01], lost.sum())
    data = np.where(weights > 0, data, 0.0)
    found = moving.sums(data, weights, 0.5)
    images = moving.images.astype(float)
    gram = np.einsum("ayx,byx,yx->abx", images, images, weights)
    assert_allclose(found.gram, gram, rtol=1e-6, atol=1e-6 * np.abs(gram).max())


def test_pixels_taken_out_later_are_the_same_as_pixels_without_weight():
    rng, moving = np.random.default_rng(4), profiles()
    data = scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN))
    hits = rng.random(data.shape) < 0.03
    data[hits] += 500
    whole = moving.sums(data, moving.weights)
    one = moving.fit(moving.without(whole, hits, data, moving.weights))
    weights = np.where(hits, 0.0, moving.weights)
    other = moving.fit(moving.sums(np.where(hits, 0.0, data), weights))
    assert_allclose(one.values, other.values, rtol=1e-6)
    assert_allclose([one.chi2, one.dof], [other.chi2, other.dof], rtol=1e-6)


def test_chi_square_is_that_of_the_model():
    rng, moving = np.random.default_rng(5), profiles()
    data = scene(rng)[1] + rng.normal(0, 2, (N_ROW, N_COLUMN))
    fit = moving.fit(moving.sums(data, moving.weights))
    assert_allclose(fit.chi2, np.sum(moving.weights * (data - fit.model) ** 2), rtol=1e-4)


def test_movements_without_room_are_held():
    moving = profiles(spread=(0.0, 0.0))
    data = scene(np.random.default_rng(6))[1]
    fit = moving.fit(moving.sums(data, moving.weights))
    assert not fit.theta.any()
    assert not fit.common.any()


def test_movements_stay_within_their_limits():
    moving = profiles()
    data = scene(np.random.default_rng(7))[1]
    data[5, 3] += 1e7
    fit = moving.fit(moving.sums(data, moving.weights))
    assert (np.abs(fit.theta) <= 0.5).all()
