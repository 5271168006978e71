"""Simulated inputs: the same for the same seed, and what the truth says of them is true."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels import SpectralImage
from specmodels.datasets import make_flicker, make_nods, make_slit, make_slitlets


def test_same_seed_gives_the_same_pixels_and_another_seed_others():
    first, second, other = (make_slit(seed=s)[0].data for s in (3, 3, 4))
    assert_array_equal(first, second)
    assert not np.array_equal(first, other, equal_nan=True)


@pytest.mark.parametrize("n_sources", [1, 3])
def test_truth_is_what_the_image_was_drawn_from(n_sources):
    image, truth = make_slit(n_sources=n_sources, seed=1)
    assert isinstance(image, SpectralImage)
    assert image.unit == u.count
    assert truth.flux.shape == truth.trace.shape == truth.smallest_error.shape
    assert truth.flux.shape == (n_sources, image.shape[1])
    total = np.einsum("kx,kyx->yx", truth.flux, truth.profiles) + truth.sky
    assert_allclose(truth.image, total)
    good = ~image.mask & ~truth.hits
    chi2 = np.mean((image.data - truth.image)[good] ** 2 / image.variance[good])
    assert abs(chi2 - 1) < 5 * np.sqrt(2 / good.sum())


def test_profiles_sum_to_one_and_lie_on_the_trace():
    image, truth = make_slit(seed=2, n_sources=2)
    rows = np.arange(image.shape[0])[:, None]
    assert_allclose(truth.profiles.sum(axis=1), 1, atol=1e-3)
    assert_allclose(np.sum(rows * truth.profiles, axis=1), truth.trace, atol=0.02)
    assert_allclose(np.diff(truth.trace, axis=0), 5.0)


def test_parts_of_the_variance_are_kept_apart():
    image, truth = make_slit(read_noise=7.0)
    assert_allclose(image.components["read"], 49.0)
    assert_allclose(image.components["poisson"], truth.image)
    assert_allclose(image.variance, 49 + truth.image)


def test_brightest_pixel_has_the_signal_to_noise_ratio_asked_for():
    _, truth = make_slit(snr=50.0, read_noise=5.0, sky=20.0)
    peak = np.median((truth.flux[0] * truth.profiles[0]).max(axis=0))
    assert_allclose(peak / np.sqrt(peak + 20 + 25), 50, rtol=0.3)


def test_smallest_error_is_that_of_a_fit_with_the_true_profiles():
    image, truth = make_slit(seed=5, n_sources=2)
    good = ~image.mask & ~truth.hits
    for x in (0, 150, 399):
        matrix = np.column_stack([*truth.profiles[:, :, x], np.ones(image.shape[0])])[good[:, x]]
        weighted = matrix / image.variance[good[:, x], x, None]
        covariance = np.linalg.inv(weighted.T @ matrix)
        assert_allclose(truth.smallest_error[:, x], np.sqrt(np.diag(covariance))[:2])


def test_hits_are_unflagged_and_bad_pixels_flagged():
    image, truth = make_slit(hit_fraction=0.01, bad_fraction=0.02)
    assert_allclose(truth.hits.mean(), 0.01, rtol=0.4)
    assert_allclose(image.mask.mean(), 0.02, rtol=0.4)
    struck = truth.hits & ~image.mask
    assert struck.any()
    excess = (image.data - truth.image)[struck] / np.sqrt(image.variance[struck])
    assert np.median(excess) > 5
    clean, no_hits = make_slit(hit_fraction=0, bad_fraction=0)
    assert not clean.mask.any()
    assert not no_hits.hits.any()


def test_shape_and_wavelengths_are_those_asked_for():
    image, _ = make_slit(shape=(30, 64))
    assert image.shape == (30, 64)
    assert image.wavelength_unit == u.um
    assert (np.diff(image.wavelength) > 0).all()


class TestFlicker:
    def test_image_is_light_sky_and_noise(self):
        ramp, truth = make_flicker(shape=(64, 128), n_sources=3)
        good = ~ramp.mask
        rest = (ramp.data - truth.light - truth.background - truth.noise)[good]
        assert abs(np.mean(rest**2 / ramp.variance[good]) - 1) < 0.1
        assert abs(truth.noise.mean()) < 1e-5

    def test_ramp_grows_and_is_flagged(self):
        ramp, truth = make_flicker(shape=(64, 128), n_integrations=2, n_groups=4, saturation=60.0)
        assert ramp.data.shape == truth.noise.shape == (2, 4, 64, 128)
        change = np.diff(ramp.data - truth.noise, axis=1)
        good = ~(truth.hits | ramp.saturated)[:, 1:] & ~ramp.mask
        expected = np.broadcast_to(truth.light + truth.background, change.shape)
        assert abs(np.median((change - expected)[good])) < 0.1
        assert ramp.saturated.any()
        assert_array_equal(ramp.jumped, truth.hits)
        again, _ = make_flicker(shape=(64, 128), n_integrations=2, n_groups=4, saturation=60.0)
        assert_array_equal(ramp.data, again.data)


def test_slitlets_are_drawn_from_their_truth():
    exposure, truth = make_slitlets(seed=1, contaminated=1)
    again, _ = make_slitlets(seed=1, contaminated=1)
    assert list(exposure) == [f"BKG_{k}" for k in range(1, 6)] + [f"target_{k}" for k in (1, 2, 3)]
    for name, image in exposure.items():
        assert_array_equal(image.data, again[name].data)
        light = truth.backgrounds[name] + truth.sources[name]
        residual = ((image.data - light) * np.sqrt(image.weights))[~image.mask]
        residual = residual[np.abs(residual) < 5]
        assert abs(np.std(residual) - 1) < 0.05
        sky = truth.levels[name] * truth.throughputs[name] * truth.sky(image.wavelength)
        assert_allclose(truth.backgrounds[name], sky)
    assert truth.sources["BKG_1"].max() > 0
    assert truth.sources["BKG_2"].max() == 0


class TestNods:
    def test_same_seed_gives_the_same_exposures(self):
        (first, _), (second, _) = make_nods(seed=2), make_nods(seed=2)
        for one, other in zip(first.values(), second.values(), strict=True):
            assert np.array_equal(one.single.data, other.single.data, equal_nan=True)

    def test_light_lies_where_the_truth_says(self):
        nods, truth = make_nods(seed=3, snr=200.0, hit_fraction=0.0, bad_fraction=0.0)
        for number, exposure in enumerate(nods.values()):
            image = exposure.single
            light = image.data - np.median(image.data, axis=0)
            rows = np.round(truth.rows[number]).astype(int) + np.arange(-5, 6)
            row = np.sum(light[rows] * rows[:, None]) / np.sum(light[rows])
            assert abs(row - truth.rows[number]) < 0.6  # the trace rises by 0.8 rows
            ratio = np.sum(light[rows]) / truth.flux.sum()
            assert abs(ratio - 1) < 0.03  # lines that tilt out of the ends


MAKERS = [make_slit, make_flicker, make_slitlets, sm.datasets.make_slitless,
          sm.datasets.make_undersampled_slit, sm.datasets.make_time_series]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_random_numbers_may_be_given(make):
    def data(**options):
        made = make(**options)[0]
        made = next(iter(made.values())) if isinstance(made, sm.Exposure) else made
        made = next(iter(made)) if isinstance(made, sm.TimeSeries) else made
        return np.asarray(made.data)

    first, second = data(rng=np.random.default_rng(8)), data(rng=8)
    assert_array_equal(first, second)
    assert not np.array_equal(first, data(seed=0), equal_nan=True)
