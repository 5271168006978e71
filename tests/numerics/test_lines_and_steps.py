"""Fits along lines, steps in series and light in images: against loops, and against truth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import fft

from specmodels.numerics.detection import detect_excess, lower_mode, robust_location
from specmodels.numerics.fourier import FourierLines, harmonics
from specmodels.numerics.lines import line_means, line_medians, masked_median, median
from specmodels.numerics.steps import curve_variance, fit_steps, smooth_step


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize(("batched", "single"), [(line_medians, np.median), (line_means, np.mean)])
def test_statistics_of_lines_are_those_of_each(batched, single, rng):
    lines, use = rng.normal(size=(3, 20, 15)), rng.random((3, 20, 15)) > 0.5
    use[0, 0] = False
    values, number = batched(lines, use)
    assert values[0, 0] == 0
    assert number[0, 0] == 0
    for index in np.argwhere(number > 0):
        index = tuple(index)
        assert_allclose(values[index], single(lines[index][use[index]]), atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_median_is_that_of_numpy(n, rng):
    values = rng.normal(size=n)
    assert_allclose(median(values), np.median(values))
    assert median(values[:0]) == 0


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8", "i4"])
@pytest.mark.parametrize("values", ["noise", "ties", "slope", "few used"])
def test_median_of_an_image_is_that_of_numpy(dtype, values, rng):
    image = {"ties": rng.integers(0, 3, (300, 300)), "slope": np.arange(90000.0).reshape(300, 300)}
    image = image.get(values, 100 * rng.normal(size=(300, 300))).astype(dtype)
    use = rng.random(image.shape) > (0.999 if values == "few used" else 0.4)
    assert masked_median(image, use) == np.median(image[use].astype(float))
    assert masked_median(image, np.zeros_like(use)) == 0


@pytest.mark.parametrize("values", ["noise", "ties", "two values", "slope"])
def test_medians_of_long_lines_are_those_of_numpy(values, rng):
    lines = {"ties": rng.integers(0, 3, (500, 70)), "two values": rng.integers(0, 2, (500, 70)),
             "slope": np.arange(500.0)[:, None] * np.ones(70)}  # fmt: skip
    lines = lines.get(values, rng.normal(size=(500, 70))).astype("f4").T
    use = rng.random(lines.shape) > rng.random((70, 1))
    use[3] = False
    medians, number = line_medians(lines, use)
    for k in range(70):
        assert number[k] == use[k].sum()
        assert medians[k] == (np.median(lines[k][use[k]]) if use[k].any() else 0)


class TestFourierLines:
    parts = (slice(0, 40), slice(40, 80))
    positions = np.stack([np.arange(40), np.arange(40)[::-1]])
    prior = np.array([3.0, 9.0, 20.0])

    def make(self, use):
        return FourierLines(use, self.positions, self.parts, 3, 37.0, self.prior)

    def test_batch_agrees_with_a_loop_over_lines(self, rng):
        data, use = rng.normal(size=(6, 80)), rng.random((6, 80)) > 0.3
        found = self.make(use).coefficients(np.where(use, data, 0).astype("f4"))
        terms = harmonics(self.positions.ravel(), 3, 37.0)
        offsets = np.repeat(np.eye(2), 40, axis=0)
        design = np.column_stack([offsets, terms])
        penalty = np.diag([0, 0, *self.prior, *self.prior])
        for k in range(6):
            a = design[use[k]]
            expected = np.linalg.solve(a.T @ a + penalty, a.T @ data[k][use[k]])
            assert_allclose(found[k], expected, atol=1e-4)

    def test_line_without_pixels_gets_nothing(self, rng):
        use = np.ones((3, 80), dtype=bool)
        use[1] = False
        fit = self.make(use)
        data = np.where(use, 1 + rng.normal(size=use.shape), 0).astype("f4")
        assert not fit.coefficients(data, level=1.0)[1].any()
        assert list(fit.empty) == [False, True, False]

    def test_variance_is_that_of_many_fits(self, rng):
        use = rng.random((1, 80)) > 0.4
        fits = FourierLines(np.repeat(use, 4000, axis=0), self.positions, self.parts, 3, 37.0,
                            np.zeros(3))  # fmt: skip
        data = np.where(use, rng.normal(size=(4000, 80)), 0).astype("f4")
        out = fits.evaluate(fits.coefficients(data), np.empty((4000, 80), "f4"))
        predicted = fits.variance(np.empty((4000, 80), "f4"))[0]
        assert_allclose(out.var(axis=0), predicted, rtol=0.15)


class TestSteps:
    def noise(self, rng, n=1500):
        k = np.arange(1, n)
        modes = np.zeros(n)
        modes[1:] = rng.normal(size=n - 1) * np.sqrt(0.5 * n / k / 50 + 0.01)
        from scipy import fft

        return fft.idct(modes, norm="ortho")

    def test_no_step_is_found_in_flicker_noise(self, rng):
        for _ in range(4):
            curve, steps = fit_steps(self.noise(rng), np.ones(1500, dtype=bool), sigma=6)
            assert len(steps) == 0
            assert np.ptp(curve) == 0

    def test_step_is_found_with_its_place_and_width(self, rng):
        x = np.arange(1500.0)
        truth = 4 * smooth_step(x, 600, 12)
        known = rng.random(1500) > 0.05
        noise = self.noise(rng)
        curve, steps = fit_steps(np.where(known, truth + noise, 0), known)
        assert len(steps) == 1
        assert_allclose(abs(steps[0, 0]), 4, atol=0.6)
        assert_allclose(steps[0, 1], 600, atol=5)
        assert np.std(curve - truth) < 0.3

    def test_variance_of_the_curve_is_that_of_its_errors(self, rng):
        n = 800
        known = np.ones(n, dtype=bool)
        truth = 8 * smooth_step(np.arange(n), 300, 12)
        k = np.maximum(np.arange(n), 1)
        errors, variances = [], []
        for _ in range(40):
            modes = rng.normal(size=n) * np.sqrt(10 / k + 0.05)
            modes[0] = 0
            series = truth + fft.idct(modes, norm="ortho")
            curve, steps = fit_steps(series, known, max_steps=1)
            errors.append(np.var(curve - truth))
            variances.append(curve_variance(series, known, steps).mean())
        assert 0.6 < np.mean(errors) / np.mean(variances) < 1.6

    def test_curve_without_steps_has_no_variance(self):
        assert not curve_variance(np.zeros(9), np.ones(9, dtype=bool), np.empty((0, 3))).any()

    def test_few_values_give_their_mean(self):
        curve, steps = fit_steps(np.arange(10.0), np.ones(10, dtype=bool))
        assert_allclose(curve, 4.5)
        assert steps.shape == (0, 3)


class TestDetection:
    def test_source_and_its_wings_are_found_and_little_else(self, rng):
        y, x = np.mgrid[:200, :300]
        light = 8 * np.exp(-0.5 * ((x - 140) ** 2 + (y - 90) ** 2) / 5**2)
        image = light + rng.normal(size=light.shape)
        found = detect_excess(image, np.ones(light.shape, dtype=bool))
        assert found[light > 0.6].all()
        assert found[light < 0.01].mean() < 0.02

    def test_low_pixels_are_found_too(self, rng):
        image = rng.normal(size=(50, 60))
        image[20, 30] = -9
        assert detect_excess(image, np.ones(image.shape, dtype=bool))[20, 30]

    def test_mode_holds_where_much_is_contaminated(self, rng):
        values = rng.normal(3, 1, 40000)
        values[:16000] += rng.exponential(5, 16000)
        center, sigma = lower_mode(values)
        assert_allclose(center, 3, atol=0.5)
        assert_allclose(sigma, 1, atol=0.3)

    def test_location_ignores_outliers(self, rng):
        values = rng.normal(2, 1, 5000)
        values[:100] = 50
        center, sigma = robust_location(values)
        assert_allclose(center, 2, atol=0.06)
        assert_allclose(sigma, 1, atol=0.05)

    def test_nothing_has_no_location(self):
        assert np.isnan(robust_location(np.empty(0))).all()
        assert np.isnan(lower_mode(np.empty(0))).all()
