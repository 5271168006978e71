"""Levels of the sky under sources, and values that are drawn to each other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.shrinkage import shrunk
from specmodels.numerics.sky_levels import sky_levels
from specmodels.numerics.source_sums import block_sums, first_sums
from specmodels.numerics.source_wings import profile_at


@pytest.fixture
def rng():
    return np.random.default_rng(5)


SHAPE = (21, 250)


def point(y, center):
    core = 0.9 * np.exp(-0.5 * ((y - center) / 1.1) ** 2) / 2.76
    return core + 0.1 * np.exp(-0.5 * ((y - center) / 3.3) ** 2) / 8.27


def power_law(y, center):
    profile = (1 + ((y - center) / 1.5) ** 2) ** -2.0
    return profile / profile.sum(axis=0)


def pair(y, center):
    profile = np.exp(-0.5 * ((y - center) / 1.1) ** 2)
    profile += 0.4 * np.exp(-0.5 * ((y - center - 5) / 1.1) ** 2)
    return profile / profile.sum(axis=0)


def image(rng, level, strength, profile=point, shape=SHAPE, center=None):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    sky = (1 + 0.5 * np.exp(-0.5 * ((x % 50 - 25) / 1.2) ** 2)) * (0.8 + 0.2 * np.cos(1.3 * y))
    center = shape[0] / 2 + rng.uniform(-2, 2) if center is None else center
    source = strength * (1 + 0.3 * np.sin(x / 30)) * profile(y, center + 0.3 * x / shape[1])
    error = np.sqrt(sky + source) / 20
    data = level * sky + source + error * rng.normal(size=shape)
    return data, sky, 1 / error**2, 2 * x / (shape[1] - 1) - 1


def found(rng, n, strength, **settings):
    true = 1 + 0.01 * rng.normal(size=n)
    levels, errors = sky_levels([image(rng, level, strength, **settings) for level in true])
    return levels - true, errors


class TestSkyLevels:
    @pytest.mark.parametrize("strength", [0.0, 1.0, 20.0])
    @pytest.mark.parametrize("n", [2, 16])
    def test_are_found_under_sources_within_their_errors(self, rng, strength, n):
        off, errors = np.concatenate([found(rng, n, strength) for _ in range(16 // n)], axis=1)
        assert np.all(errors < 0.005)
        assert np.sqrt(np.mean((off / errors) ** 2)) < 1.5

    @pytest.mark.parametrize("strength", [0.0, 1.0])
    def test_throughputs_that_are_off_by_rows_are_in_their_errors(self, rng, strength):
        off, errors = [], []
        for _ in range(24):
            data, sky, weights, place = image(rng, 1.0, strength)
            data = data + sky * rng.normal(0, 0.08, (len(sky), 1))
            level, error = sky_levels([(data, sky, weights, place)], error=0.08)
            off.append(level[0] - 1)
            errors.append(error[0])
        assert 0.6 < np.sqrt(np.mean((np.array(off) / errors) ** 2)) < 1.4

    def test_are_better_known_where_sources_are_alike(self, rng):
        _, together = found(rng, 16, 20.0)
        alone = np.concatenate([found(rng, 1, 20.0)[1] for _ in range(8)])
        assert np.median(together) < 0.75 * np.median(alone)

    @pytest.mark.parametrize("profile", [power_law, pair])
    def test_of_other_profiles_are_less_sure(self, rng, profile):
        off, errors = np.concatenate([found(rng, 1, 20.0, profile=profile) for _ in range(8)],
                                     axis=1)  # fmt: skip
        assert np.sqrt(np.mean((off / errors) ** 2)) < 1.7
        assert np.max(np.abs(off)) < 0.03

    @pytest.mark.parametrize("strength", [5.0, 20.0])
    def test_of_bright_sources_alike_but_of_another_form_have_honest_errors(self, rng, strength):
        off, errors = found(rng, 16, strength, profile=power_law)
        assert np.sqrt(np.mean((off / errors) ** 2)) < 1.4
        assert np.max(errors) < 0.02

    @pytest.mark.parametrize(("shape", "center"), [((5, 250), 2), ((200, 60), 50), ((21, 6), 10)])
    def test_of_slits_of_any_shape(self, rng, shape, center):
        off, errors = found(rng, 6, 5.0, shape=shape, center=center)
        assert np.all(np.isfinite(errors))
        assert np.sqrt(np.mean((off / errors) ** 2)) < 1.8

    def test_images_may_differ_in_shape(self, rng):
        images = [image(rng, 1.02, 2.0), image(rng, 0.98, 2.0, shape=(15, 180))]
        levels, errors = sky_levels(images)
        assert np.all(np.abs(levels - [1.02, 0.98]) < 4 * errors)

    def test_hits_and_missing_pixels_make_no_difference(self, rng):
        data, sky, weights, place = image(rng, 1.02, 5.0)
        clean = sky_levels([(data, sky, weights, place)])
        hit = rng.random(SHAPE) < 0.003
        sky = np.where(rng.random(SHAPE) < 0.02, np.nan, sky)
        place = np.where(np.isnan(sky), np.nan, place)
        weights = np.where(rng.random(SHAPE) < 0.02, 0.0, weights)
        spoilt = sky_levels([(data + 50 * hit, sky, weights, place)])
        assert abs(spoilt[0][0] - clean[0][0]) < clean[1][0]

    def test_without_pixels_are_not_known(self, rng):
        data, sky, weights, place = image(rng, 1.0, 1.0)
        levels, errors = sky_levels([(data, sky, 0 * weights, place), (data, sky, weights, place)])
        assert levels[0] == 1
        assert np.isinf(errors[0])
        assert np.isfinite(errors[1])
        assert sky_levels([])[0].size == 0

    def test_arguments_are_not_changed(self, rng):
        arrays = image(rng, 1.0, 5.0)
        copies = [array.copy() for array in arrays]
        sky_levels([arrays])
        for array, copy in zip(arrays, copies, strict=True):
            assert np.array_equal(array, copy)


class TestBlockSums:
    EDGES, COLUMNS = np.array([0, 20, 50]), np.linspace(1.0, 2.0, 50)

    def test_are_sums_without_outliers(self, rng):
        sky, weights = np.ones((4, 50)), np.full((4, 50), 100.0)
        data = 1 + 0.1 * rng.normal(size=sky.shape)
        data[2, 7] += 30
        source = np.zeros((4, 3)), np.array([0, 25, 50]), np.zeros(50)
        sums = block_sums((data, sky, weights), self.COLUMNS, self.EDGES, source, 1.0, 5.0, 0.1)
        use = np.ones(sky.shape)
        use[2, 7] = 0
        for number, values in ((0, data), (1, sky), (2, np.ones(sky.shape))):
            expected = np.add.reduceat(use * self.COLUMNS * values, [0, 20], axis=1)
            assert_allclose(sums[number], expected)
        noise = np.add.reduceat(use * self.COLUMNS**2 / 100, [0, 20], axis=1)
        assert_allclose(sums[3], noise)

    def test_first_ones_leave_out_a_hit(self, rng):
        sky, weights = np.ones((4, 50)), np.full((4, 50), 100.0)
        data = 1 + 0.1 * rng.normal(size=sky.shape)
        clean = first_sums(data, sky, weights, self.COLUMNS, self.EDGES)
        data[2, 7] += 1000
        spoilt = first_sums(data, sky, weights, self.COLUMNS, self.EDGES)
        assert np.all(np.abs(spoilt[0] - clean[0]) < 3 * np.sqrt(clean[3]))

    def test_profile_has_a_gaussian_core_and_halo(self):
        shape = np.array([10.0, 1.0, 0.0, np.log(1.5), 0, 0, np.log(0.1), np.log(3.0), 1e-9])
        rows = np.arange(21)
        square = (rows - np.array([[9.0], [10.5]])) ** 2
        expected = np.exp(-square / (2 * 1.5**2)) + 0.1 * np.exp(-square / (2 * 4.5**2))
        found = profile_at(shape[None], np.array([[-1.0, 0.5]]), 21)
        assert_allclose(found, expected[None], rtol=1e-5)


class TestShrunk:
    def test_expected_error_is_lower_and_known(self, rng):
        off = {"measured": [], "drawn": [], "pull": []}
        for _ in range(200):
            true = 1.01 + 0.01 * rng.normal(size=12)
            errors = rng.uniform(0.004, 0.03, 12)
            values = true + errors * rng.normal(size=12)
            drawn, own = shrunk(values, errors)
            off["measured"].append(values - true)
            off["drawn"].append(drawn - true)
            off["pull"].append((drawn - true) / own)
        rms = {key: np.sqrt(np.mean(np.square(value))) for key, value in off.items()}
        assert rms["drawn"] < 0.55 * rms["measured"]
        assert_allclose(rms["pull"], 1, atol=0.12)

    def test_exact_values_stay(self):
        values = np.array([0.9, 1.0, 1.2])
        assert_allclose(shrunk(values, np.full(3, 1e-6))[0], values, atol=1e-6)

    def test_what_was_not_measured_is_the_mean(self):
        values, errors = shrunk([1.0, 1.02, 1.04, 5.0], [0.001, 0.001, 0.001, np.inf])
        assert_allclose(values[3], 1.02, atol=2e-3)
        assert 0.01 < errors[3] < 0.1

    def test_equal_values_stay_equal(self):
        values, errors = shrunk(np.ones(20), np.full(20, 0.01))
        assert_allclose(values, 1)
        assert np.all(errors < 0.005)

    def test_without_values_nothing_is_known(self):
        values, errors = shrunk([1.0], [np.inf])
        assert values[0] == 1
        assert errors[0] == 0.03
