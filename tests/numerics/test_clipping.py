"""Rejection of outliers per column: hits are found, false alarms taken back, never too many."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.models import GaussianProfile
from specmodels.numerics.clipping import local_scale, reject_by_column, sharp_pixels

N_ROW, N_COLUMN = 20, 60
THRESHOLD = 4.5


def undersampled(seed=0, flux=300.0):
    """A profile of 1.4 pixel full width on a sky; noise of unit variance."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(9, 10, N_COLUMN)
    profile = GaussianProfile().evaluate(np.arange(N_ROW)[:, None], center, 0.6)
    columns = [profile, np.ones((N_ROW, 1))]
    data = flux * profile + 10 + rng.normal(size=(N_ROW, N_COLUMN))
    return columns, data, np.ones(data.shape)


def rejected(columns, data, weights, threshold=THRESHOLD, **options):
    return reject_by_column(columns, data, weights, np.full(data.shape, threshold), **options)


def test_pure_noise_loses_hardly_a_pixel():
    columns, data, weights = undersampled()
    assert rejected(columns, data, weights).sum() <= 1


def test_hit_on_the_peak_of_an_undersampled_profile_is_found():
    columns, data, weights = undersampled()
    peak = np.argmax(columns[0], axis=0)
    every = np.arange(N_COLUMN)
    data[peak, every] += 100.0
    out = rejected(columns, data, weights)
    assert out[peak, every].mean() > 0.95
    others = out.copy()
    others[peak, every] = False
    assert others.sum() <= 2


def test_many_hits_of_all_sizes_are_found_and_nothing_else():
    columns, data, weights = undersampled(1)
    hits = np.zeros(data.shape, dtype=bool)
    rng = np.random.default_rng(2)
    hits[rng.integers(0, N_ROW, N_COLUMN), np.arange(N_COLUMN)] = True
    hits[rng.integers(0, N_ROW, N_COLUMN), np.arange(N_COLUMN)] = True
    data[hits] += 30 * (1 + rng.pareto(1.0, hits.sum()))
    out = rejected(columns, data, weights)
    assert np.count_nonzero(out & ~hits) <= 2
    assert np.count_nonzero(out & hits) > 0.95 * np.count_nonzero(hits)


def two_hits(seed, flux, hit=150.0):
    """Two hits of the same size in the core of a faint source, in each third column."""
    rng = np.random.default_rng(seed)
    profile = GaussianProfile().evaluate(np.arange(N_ROW)[:, None], np.full(N_COLUMN, 9.3), 1.0)
    data = flux * profile + rng.normal(size=(N_ROW, N_COLUMN))
    hits = np.zeros(data.shape, dtype=bool)
    hits[9:11, ::3] = True
    data[hits] += hit * rng.uniform(0.9, 1.1, hits.sum())
    # The sky is given, as it is where it was subtracted: one flux is all that is free.
    return [profile], data, hits


@pytest.mark.parametrize("flux", [0.0, 10.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_hits_on_a_source_are_not_its_light_where_the_rows_beside_them_are_dark(flux, seed):
    columns, data, hits = two_hits(seed, flux)
    out = rejected(columns, data, np.ones(data.shape))
    assert np.mean(out[hits]) > 0.98
    assert np.count_nonzero(out & ~hits) <= 3


def test_what_is_as_bright_in_the_next_column_is_a_line():
    """Whose light is where the model does not have it."""
    columns, data, hits = two_hits(1, 0.0)
    several = np.zeros_like(hits)
    several[9:11, 20:26] = True
    data = np.where(hits, 0.0, data) + 150.0 * several
    out = rejected(columns, data, np.ones(data.shape))
    assert np.mean(out[several]) < 0.8


def beside(data, weights, places):
    """Columns at some places, without weight outside of the image."""
    inside = (places >= 0) & (places < data.shape[1])
    places = np.where(inside, places, 0)
    return data[:, places], np.where(inside, weights[:, places], 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_scattered_columns_are_judged_as_they_are_among_all_others(seed):
    """Hits stand alone, a line does not, though its flanks are not among the columns judged."""
    columns, data, hits = two_hits(seed, 0.0)
    weights, line = np.ones(data.shape), np.zeros_like(hits)
    line[9:11, 10:50:6] = True
    data[line] += 150.0
    for step in (-1, 1):
        flank = np.roll(line, step, axis=1)
        data[flank], weights[flank] = 100.0, 1e-4
    whole = rejected(columns, data, weights)
    some = np.flatnonzero((hits | line).any(axis=0))
    few = [columns[0][:, some]], data[:, some], weights[:, some]
    both = [beside(data, weights, some + step) for step in (-1, 1)]
    assert_array_equal(rejected(*few, beside=both), whole[:, some])
    assert not np.array_equal(rejected(*few), whole[:, some])


@pytest.mark.parametrize("seed", range(3))
def test_a_dark_pixel_on_a_bright_source_is_still_the_one_that_goes(seed):
    rng = np.random.default_rng(seed)
    profile = GaussianProfile().evaluate(np.arange(N_ROW)[:, None], np.full(N_COLUMN, 9.3), 1.0)
    data = 500.0 * profile + rng.normal(size=(N_ROW, N_COLUMN))
    data[9] = 0.0
    out = rejected([profile], data, np.ones(data.shape))
    assert out[9].all()
    assert np.count_nonzero(np.delete(out, 9, axis=0)) <= 3


def test_good_pixel_rejected_first_returns():
    """Each pixel that agrees with the final fit, its variance included, is kept."""
    for seed in range(5):
        columns, data, weights = undersampled(seed)
        rng = np.random.default_rng(seed)
        hits = rng.random(data.shape) < 0.1
        data[hits] += rng.uniform(-200, 200, hits.sum())
        out = rejected(columns, data, weights)
        for b in np.flatnonzero(out.any(axis=0)):
            basis = np.stack([columns[0][:, b], np.ones(N_ROW)], axis=1)
            kept = basis[~out[:, b]]
            values = np.linalg.lstsq(kept, data[~out[:, b], b], rcond=None)[0]
            covariance = np.linalg.inv(kept.T @ kept)
            spread = np.einsum("yi,ij,yj->y", basis, covariance, basis)
            distance = np.abs(data[:, b] - basis @ values) / np.sqrt(1 + spread)
            assert (distance[out[:, b]] > THRESHOLD).all()


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.4])
def test_no_more_than_a_fraction_of_a_column_is_rejected(fraction):
    rng = np.random.default_rng(3)
    data = 1e4 * rng.normal(size=(N_ROW, N_COLUMN))
    out = rejected([np.ones((N_ROW, 1))], data, np.ones(data.shape), max_fraction=fraction)
    counts = out.sum(axis=0)
    assert counts.max() <= fraction * N_ROW
    assert counts.max() > 0


def test_columns_do_not_disturb_one_another():
    columns, data, weights = undersampled(4)
    data[3, ::7] += 50
    whole = rejected(columns, data, weights)
    assert whole[3, ::7].all()
    for b in range(0, N_COLUMN, 7):
        one = slice(b, b + 1)
        alone = rejected([columns[0][:, one], columns[1]], data[:, one], weights[:, one])
        assert_array_equal(whole[:, one], alone)


def test_pixels_without_weight_and_without_freedom_are_never_rejected():
    columns, data, weights = undersampled(5)
    weights[4, :] = 0.0
    data[4, :] = 1e6
    weights[2:, 10] = 0.0  # as many pixels as terms: they fit whatever they are
    data[0, 10] = 1e6
    out = rejected(columns, data, weights)
    assert not out[4].any()
    assert not out[:, 10].any()


def test_nothing_is_rejected_without_data():
    columns, data, _ = undersampled(6)
    assert not rejected(columns, data, np.zeros(data.shape)).any()


def test_inputs_stay_as_they_are():
    columns, data, weights = undersampled(7)
    data[5, 5] += 1000
    arrays = [*columns, data, weights]
    originals = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    assert rejected(columns, data, weights)[5, 5]
    for array, original in zip(arrays, originals, strict=True):
        assert_array_equal(array, original)


class TestLocalScale:
    def test_is_the_standard_deviation_whatever_the_outliers(self):
        rng = np.random.default_rng(0)
        sigma = np.array([1.0, 3.0, 10.0])
        residual = sigma[:, None] * rng.normal(size=(3, 512))
        residual[:, ::40] = 1e6
        scale = local_scale(residual, np.ones(residual.shape, dtype=bool))
        # The median of 128 absolute values scatters by 1.17 sigma / sqrt(128), 10 %.
        assert_allclose(scale / sigma[:, None], 1.0, atol=0.4)
        assert_allclose(scale.mean(axis=1) / sigma, 1.0, atol=0.2)

    def test_differs_from_block_to_block(self):
        residual = np.random.default_rng(1).normal(size=(1, 512)) * np.repeat([1, 5], 256)
        scale = local_scale(residual, np.ones(residual.shape, dtype=bool), block=128)
        assert_array_equal(np.unique(scale[0, :128]).size, 1)
        assert scale[0, 300:].min() > 3 * scale[0, :200].max()

    def test_is_one_where_too_few_pixels_count(self):
        residual = np.full((2, 20), 100.0)
        use = np.zeros((2, 20), dtype=bool)
        use[0, :7] = use[1, :8] = True
        scale = local_scale(residual, use)
        assert_array_equal(scale[0], 1.0)
        assert_allclose(scale[1], 148.26022)


def test_sharp_pixels_are_hits_and_no_lines():
    y, x = np.mgrid[:20, :60]
    line = 40 * np.exp(-0.5 * ((y - 9) / 1.0) ** 2 - 0.5 * ((x - 30) / 1.0) ** 2)
    student = line.copy()
    student[4, 10] = student[15, 50] = 30.0
    good = np.ones(student.shape, dtype=bool)
    good[15, 50] = False
    found = sharp_pixels(student, good)
    assert np.argwhere(found).tolist() == [[4, 10]]
