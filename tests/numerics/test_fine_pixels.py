"""Compiled loops over fine pixels against the same in arrays."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.numerics import fine_pixels, fine_variances
from specmodels.numerics.oversample import FineRows

SHAPE = (7, 11)


@pytest.fixture
def pixels():
    """Pixels of a tilted slice: outside at two corners, some bad, some not modelled."""
    rng = np.random.default_rng(4)
    rows, columns = np.indices(SHAPE)
    inside = (rows + columns > 1) & (rows + columns < 15)
    positions = np.where(inside, rows + 0.2 * columns, np.nan)
    available = inside & (rng.random(SHAPE) > 0.2)
    modelled = inside & (rng.random(SHAPE) > 0.3)
    return fine_pixels.NativePixels(inside, available, modelled, positions)


@pytest.fixture
def table():
    profiles = np.random.default_rng(5).normal(size=(3, 90))
    place = np.linspace(0, 2, SHAPE[1])
    interval = np.minimum(place.astype(int), 1)
    return fine_pixels.ProfileTable.of_nodes(profiles, -0.5, 0.11, interval, place - interval)


@pytest.fixture
def model():
    return fine_pixels.ColumnModel(*np.random.default_rng(6).normal(size=(3, SHAPE[1])))


def expected_profile(table, positions):
    """By interpolation along the bins, then between the nodes."""
    nodes = np.concatenate([table.values[:, :, 0], table.values[-1:, :, 2]])
    centers = table.low + table.step * (np.arange(nodes.shape[1]) + 0.5)
    first, second = (
        np.array([
            np.interp(positions[:, x], centers, nodes[table.interval[x] + shift])
            for x in range(positions.shape[1])
        ]).T
        for shift in (0, 1)
    )  # fmt: skip
    return first + table.fraction * (second - first)


def test_profiles_are_interpolated_along_and_between(table):
    positions = np.random.default_rng(7).uniform(-3, 12, size=SHAPE)
    columns = np.broadcast_to(np.arange(SHAPE[1]), SHAPE)
    found = fine_pixels.look_up(table, positions.ravel(), columns.ravel()).reshape(SHAPE)
    assert_allclose(found, expected_profile(table, positions), atol=2e-5)


def test_residuals_are_data_minus_model(table, model, pixels):
    data = np.random.default_rng(8).normal(size=SHAPE)
    data.flags.writeable = False
    profile, residual = fine_pixels.residuals(
        table, model, pixels.positions, data, pixels.available
    )
    known = np.isfinite(pixels.positions)
    expected = np.where(known, expected_profile(table, np.nan_to_num(pixels.positions)), 0)
    assert_allclose(profile, expected, atol=2e-5)
    predicted = model.scale * profile + model.level + model.gradient * pixels.positions
    assert_allclose(residual, np.where(pixels.available, data - predicted, 0))


@pytest.mark.parametrize("factor", [1, 1.5, 2, 3])
def test_values_are_model_plus_residual_or_interpolated(table, model, pixels, factor):
    data, residual = np.random.default_rng(9).normal(size=(2, *SHAPE))
    data.flags.writeable = False
    rows = FineRows.of(SHAPE[0], factor)
    linear = fine_pixels.Linear(rows.native, rows.offset)
    out = np.full((len(rows.native) + 3, SHAPE[1] + 5), np.nan)
    fine_pixels.fill_values(linear, pixels, table, model, data, residual, out, (2, 1))
    own, other = rows.weights(pixels.available)
    places = rows.coordinates(pixels.positions)
    smooth = model.scale * expected_profile(table, np.nan_to_num(places))
    smooth += model.level + model.gradient * places
    # What is left in a pixel without a value has been told by its row.
    has = rows.own(pixels.available)
    smooth += np.where(has, own, 1) * rows.own(residual)
    smooth += np.where(has, other, 0) * rows.other(residual)
    plain = own * rows.own(data) + other * rows.other(data)
    expected = np.where(rows.own(pixels.available), plain, np.nan)
    expected = np.where(rows.own(pixels.modelled), smooth, expected)
    expected[~rows.own(pixels.inside)] = np.nan
    assert_allclose(out[2:-1, 1:-4], expected, atol=1e-4)
    edges = np.ones(out.shape, bool)
    edges[2:-1, 1:-4] = False
    assert np.isnan(out[edges]).all()


def test_variances_are_those_of_the_linear_map(table, model, pixels):
    """Scale, level and slope fitted by hand, column by column."""
    rng = np.random.default_rng(10)
    variance = np.where(pixels.available, rng.uniform(0.5, 2, SHAPE), 0)
    weights = np.where(pixels.available, rng.uniform(0.5, 2, SHAPE), 0)
    kept, extra, share = rng.uniform(size=(3, *SHAPE))
    profile, _ = fine_pixels.residuals(table, model, pixels.positions, kept, pixels.available)
    middle, half = 3.0, 4.0
    height = np.nan_to_num((pixels.positions - middle) / half)
    terms = np.stack([profile, np.ones(SHAPE), height])
    matrix = np.einsum("iyx,yx,jyx->xij", terms, weights, terms)
    covariance = np.linalg.inv(matrix + 1e-3 * np.eye(3))
    prior = rng.uniform(size=SHAPE[1])
    fit = fine_variances.ColumnFit(
        weights, profile, np.ascontiguousarray(covariance.transpose(1, 2, 0)), prior, middle, half
    )
    rows = FineRows.of(SHAPE[0], 2)
    linear = fine_pixels.Linear(rows.native, rows.offset)
    steps = rng.uniform(size=(2, 30, 3))
    spread = fine_pixels.ProfileTable(steps, -0.5, 0.4, table.interval, table.fraction)
    light = rng.uniform(size=SHAPE[1])
    other_profile = rng.normal(size=(3, 90))
    moved = table.of_nodes(other_profile, *table[1:])
    native, _ = fine_pixels.residuals(moved, model, pixels.positions, kept, pixels.available)
    shape = fine_variances.ShapeError(
        rng.uniform(size=(2, SHAPE[1])) * [[1.0], [0.0]], np.array([moved.flat[0]] * 2),
        np.array([native, native]),
    )  # fmt: skip
    out = np.full((2 * SHAPE[0], SHAPE[1]), np.nan)
    fine_variances.fill_variances(
        linear, pixels, table, fit, fine_variances.PixelErrors(variance, kept, extra, light, share),
        spread, shape, out, (0, 0),
    )  # fmt: skip
    own, other = rows.weights(pixels.available)
    places = rows.coordinates(pixels.positions)
    p = expected_profile(table, np.nan_to_num(places))
    shift = expected_profile(moved, np.nan_to_num(places))
    for f, x in np.argwhere(np.isfinite(out)):
        row, near = rows.native[f], np.clip(rows.neighbour[f], 0, SHAPE[0] - 1)
        by_data = np.zeros(SHAPE[0])
        if not pixels.modelled[row, x]:
            by_data[row] += own[f, x]
            by_data[near] += other[f, x]
            assert_allclose(out[f, x], np.sum(by_data**2 * variance[:, x]))
            continue
        if pixels.available[row, x]:
            by_data[row] += own[f, x] * kept[row, x]
            by_data[near] += other[f, x] * kept[near, x]
        by_shift = shift[f, x] - by_data @ native[:, x]
        fine = np.array([p[f, x], 1, (places[f, x] - middle) / half])
        change = covariance[x] @ (fine - terms[:, :, x] @ by_data)
        by_data = by_data + (change @ terms[:, :, x]) * weights[:, x]
        step = int(np.clip(np.rint((places[f, x] + 0.5) / 0.4), 0, 29))
        part = table.fraction[x]
        mix = np.array([(1 - part) ** 2, 2 * part * (1 - part), part**2])
        expected = np.sum(by_data**2 * variance[:, x])
        expected += change[0] ** 2 * prior[x] + by_shift**2 * shape.variance[0, x]
        expected += light[x] * mix @ steps[table.interval[x], step]
        expected = share[row, x] * expected + extra[row, x]
        assert_allclose(out[f, x], expected, rtol=1e-3)
    values = rows.own(pixels.modelled | pixels.available)
    assert_array_equal(np.isfinite(out), values)
