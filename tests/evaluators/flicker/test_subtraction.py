"""Flicker noise of simulated detectors, against the noise that was put in."""

import copy
import threading

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData, NDData, StdDevUncertainty
from astropy.utils.exceptions import AstropyUserWarning
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.numerics.correlated import CorrelatedSystem, TimeGrid
from specmodels.numerics.noise_spectrum import PowerLaws
from specmodels.numerics.readout import Readout
from specmodels.ramp import Ramp

SHAPE = (128, 512)
ORDER = Readout(fast_axis=-1, n_outputs=4, line_overhead=12)
LAWS = PowerLaws((0.1, 1.0), (0.03, 1.0), (0.005, 1.0), 1.0)
MODELS = {
    "fourier": sm.FourierNoise(),
    "sections": sm.FourierNoise(section=4, n_harmonics=8),
    "median": sm.LineMedian(),
    "mean": sm.LineOffset(),
    "correlated": sm.CorrelatedNoise(),
}


def flicker(rng, shape=SHAPE, order=ORDER):
    """Correlated noise with zero mean."""
    n_output, n_line, width = order.frame_shape(shape)
    grid = TimeGrid(n_line, width, order.line_overhead)
    system = CorrelatedSystem(*LAWS.spectra(grid.frequency), LAWS.white, n_output, grid.size)
    noise = order.image(grid.frames(system.draw(rng)))
    return noise - noise.mean()


def light():
    """A few round sources."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = ((30, 80, 300), (70, 300, 900), (100, 450, 100), (20, 400, 500))
    return sum(h * np.exp(-0.5 * ((y - b) ** 2 + (x - a) ** 2) / 2.5**2) for b, a, h in places)


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.fixture
def scene(rng):
    """Ramp of an image, and the noise in it."""
    noise = flicker(rng)
    data = light() + 5 + noise + rng.normal(size=SHAPE)
    bad = rng.random(SHAPE) < 0.01
    return Ramp(np.where(bad, np.nan, data).astype("f4"), ORDER, mask=bad), noise


def groups(rng, n_int=1, n_group=4):
    """A ramp with jumps, saturation and bad pixels, and the noise of each group."""
    noise = np.array([[flicker(rng) for _ in range(n_group)] for _ in range(n_int)])
    steps = rng.normal(3, 0.5, (n_int, n_group, *SHAPE)) + light()
    data = np.cumsum(steps, axis=1) + noise
    jumped = rng.random(data.shape) < 1e-3
    jumped[:, 0] = False
    data += 500 * np.cumsum(jumped, axis=1)
    saturated = np.zeros(data.shape, dtype=bool)
    saturated[:, 2:, 40:44, 100:110] = True
    data[saturated] = 6e4
    return Ramp(data.astype("f4"), ORDER, jumped=jumped, saturated=saturated), noise


def left(result, noise):
    """RMS of noise left and before, in unmasked pixels; a constant is free."""
    error = (noise - result.noise)[..., result.background_mask]
    return error.std(), noise[..., result.background_mask].std()


class TestImages:
    # Part of the noise left at most: the part below one line, or all that can be known.
    limits = {"fourier": 0.75, "sections": 0.8, "median": 0.85, "mean": 0.85, "correlated": 0.6}

    @pytest.mark.parametrize("name", MODELS)
    def test_noise_is_removed_and_light_kept(self, scene, name):
        ramp, noise = scene
        result = sm.FlickerNoiseSubtraction(MODELS[name])(ramp)
        after, before = left(result, noise)
        assert after < self.limits[name] * before
        source = light() > 5
        lost = np.nansum((result.noise - noise)[source]) / light()[source].sum()
        assert abs(lost) < 0.003
        assert_allclose(np.nanmean(result.noise[result.background_mask]), 0, atol=0.02)

    def test_correlated_noise_is_at_its_limit_and_says_how_much_is_left(self, scene):
        ramp, noise = scene
        flat = sm.SmoothBackground(variation=0)  # as the sky of this scene is
        result = sm.FlickerNoiseSubtraction(background=flat)(ramp)
        error = noise - result.noise
        error -= np.nanmean(error[result.background_mask])
        # Under the sources there are few independent pixels.
        for where, least, most in ((result.background_mask, 0.88, 1.12), (light() > 5, 0.6, 1.6)):
            ratio = np.nanmean(error[where] ** 2) / result.variance[where].mean()
            assert least < ratio < most
        system = result.scenes[0].plan.system
        assert np.nanstd(error[result.background_mask]) < 1.1 * system.full_variance**0.5

    def test_variance_holds_what_the_sky_may_hide(self, scene):
        ramp, _ = scene
        flat, default, rough = (
            sm.FlickerNoiseSubtraction(background=sm.SmoothBackground(variation=v))(ramp).variance
            for v in (0, 0.05, 1e3)
        )
        # What is expected of the sky, as far as the lines do not tell.
        assert 0.2 * (0.05 * 5) ** 2 < np.mean(default - flat) < (0.05 * 5) ** 2
        # Lines do not differ more than they are seen to.
        assert np.mean(rough) < 2

    def test_slow_sky_and_noise_are_told_apart_by_what_they_are_likely_to_be(self, scene):
        ramp, noise = scene
        sky = 0.6 * np.cos(np.linspace(0, np.pi, SHAPE[0]))[:, None]
        bright = ramp.replace(data=ramp.data + sky.astype("f4"))
        errors = {}
        for variation in (0, 0.1):
            background = sm.SmoothBackground(variation=variation)
            result = sm.FlickerNoiseSubtraction(background=background)(bright)
            errors[variation] = left(result, noise)[0]
        assert errors[0.1] < 0.98 * errors[0]

    @pytest.mark.parametrize("name", ["correlated", "fourier"])
    def test_covariance_along_lines_is_that_of_the_errors(self, scene, name):
        ramp, noise = scene
        result = sm.FlickerNoiseSubtraction(MODELS[name])(ramp)
        error = np.nan_to_num(noise - result.noise)
        error -= error.mean()
        covariance = result.covariance(40).to_dense()
        assert_allclose(np.diag(covariance), result.scenes[0]._variance_of_noise[40], rtol=1e-4)
        assert np.linalg.eigvalsh(covariance).min() > -1e-3 * covariance.max()
        same, other = np.s_[10:100], np.s_[20:110]
        expected = np.mean(error[:, same] * error[:, other])
        lags = np.arange(10, 100)
        assert abs(covariance[lags, lags + 10].mean() - expected) < 0.25 * np.mean(error**2)
        with pytest.raises(ValueError, match="line: expected one of 128"):
            result.covariance(128)

    def test_given_spectra_are_taken_as_they_are(self, scene):
        ramp, noise = scene
        spectra = {k: sm.FlickerSpectrum(*getattr(LAWS, k))
                   for k in ("common", "separate", "alternating")}  # fmt: skip
        result = sm.FlickerNoiseSubtraction(sm.CorrelatedNoise(**spectra, white=1.0))(ramp)
        assert result.scenes[0].plan.laws == LAWS
        after, before = left(result, noise)
        assert after < 0.6 * before

    def test_nothing_given_is_changed(self, scene):
        ramp, _ = scene
        before = copy.deepcopy((ramp.data, ramp.mask))
        sm.FlickerNoiseSubtraction()(ramp)
        np.testing.assert_array_equal(ramp.data, before[0])
        np.testing.assert_array_equal(ramp.mask, before[1])

    def test_every_run_gives_the_same(self, scene):
        one, two = (sm.FlickerNoiseSubtraction()(scene[0]) for _ in range(2))
        np.testing.assert_array_equal(one.cleaned, two.cleaned)
        np.testing.assert_array_equal(one.variance, two.variance)

    def test_background_with_a_step_is_kept(self, rng):
        order = Readout(fast_axis=-2, line_overhead=12)
        noise = flicker(rng, order=order)
        step = 6 / (1 + np.exp((np.arange(SHAPE[1]) - 200) / 6))
        ramp = Ramp((noise + step + rng.normal(size=SHAPE)).astype("f4"), order)
        smooth = sm.SmoothBackground(degree=0, max_steps=8)
        result = sm.FlickerNoiseSubtraction(background=smooth)(ramp)
        after, before = left(result, noise)
        assert after < 0.75 * before
        assert np.std(result.background - step) < 0.5

    def test_stripes_across_the_lines_are_removed(self, rng):
        order = Readout(fast_axis=-1, n_outputs=4, interleaved=True, stripes="slow")
        stripes = np.cumsum(rng.normal(size=SHAPE[1])) * 0.1
        noise = np.broadcast_to(stripes - stripes.mean(), SHAPE)
        ramp = Ramp((noise + rng.normal(size=SHAPE)).astype("f4"), order)
        for model in (sm.LineMedian(), sm.LineOffset()):
            background = sm.MedianBackground()
            result = sm.FlickerNoiseSubtraction(model, background=background)(ramp)
            after, before = left(result, noise)
            assert after < 0.15 * before + 1.6 / np.sqrt(SHAPE[0])

    def test_stripes_do_not_spoil_the_spectrum(self, rng):
        order = Readout(fast_axis=-1, n_outputs=4, interleaved=True, stripes="slow")
        stripes = 3 * rng.normal(size=SHAPE[1])
        noise = flicker(rng, order=order)
        data = noise + stripes + rng.normal(size=SHAPE)
        data[30:70, 100:300] += 500
        background = sm.MedianBackground()
        result = sm.FlickerNoiseSubtraction(background=background)(Ramp(data.astype("f4"), order))
        found = result.scenes[0].plan.laws.common
        assert 0.5 < found[0] / LAWS.common[0] * 10 ** (found[1] - 1) < 2

    def test_flat_is_divided_out_and_restored(self, scene, rng):
        ramp, noise = scene
        flat = 1 + 0.1 * rng.normal(size=SHAPE)
        flat[3, 4] = 0
        bright = ramp.replace(data=ramp.data + 100 * np.where(flat == 0, 1, flat))
        plain = sm.FlickerNoiseSubtraction(sm.FourierNoise())(bright)
        better = sm.FlickerNoiseSubtraction(
            sm.FourierNoise(), flat=flat, background=sm.MedianBackground()
        )(bright)
        assert left(better, noise)[0] < 0.8 * left(plain, noise)[0]


class TestBackgrounds:
    @pytest.mark.parametrize(
        "background",
        [
            sm.NoBackground(),
            sm.MedianBackground(),
            sm.MeshBackground((64, 64)),
            sm.GivenBackground(np.linspace(0, 1, SHAPE[1]) * np.ones((SHAPE[0], 1))),
            sm.SmoothBackground(),
        ],
        ids=lambda b: type(b).__name__,
    )
    def test_level_is_restored(self, scene, background):
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise(), background=background)(scene[0])
        use = result.background_mask
        assert abs(np.mean((result.cleaned - scene[0].data)[use])) < 0.02

    @pytest.mark.parametrize("in_threads", [False, True])
    def test_threads_ask_for_backgrounds_that_allow_it(self, in_threads):
        class Watched(sm.MedianBackground):
            seen = set()

            def __call__(self, frame, use, ramp):
                self.seen.add(threading.current_thread())
                return super().__call__(frame, use, ramp)

        Watched.in_threads = in_threads
        frames = np.random.default_rng(1).normal(size=(6, 40, 64)).astype("f4")
        clean = sm.FlickerNoiseSubtraction(sm.LineMedian(), background=Watched(), n_jobs=2)
        clean(sm.Ramp(frames, Readout(fast_axis=-1)))
        assert Watched.seen
        assert (Watched.seen != {threading.main_thread()}) == in_threads

    def test_error_of_a_step_enters_the_variance(self, rng):
        order = Readout(fast_axis=-2, line_overhead=12)
        step = 6 / (1 + np.exp((np.arange(SHAPE[1]) - 200) / 6))
        data = (flicker(rng, order=order) + step + rng.normal(size=SHAPE)).astype("f4")
        smooth = sm.SmoothBackground(degree=0, max_steps=8)
        extra = smooth.variance(data, np.ones(SHAPE, dtype=bool), Ramp(data, order))
        assert extra.shape == SHAPE
        assert 0 < extra.mean() < 0.3
        assert np.ptp(extra, axis=0).max() == 0

    def test_template_of_another_shape_is_refused(self, scene):
        clean = sm.FlickerNoiseSubtraction(background=sm.GivenBackground(np.ones((3, 3))))
        with pytest.raises(ValueError, match="shape: expected"):
            clean(scene[0])


class TestMasks:
    def test_clipped_mask_keeps_the_background(self, scene):
        mask = sm.ClippedMask(fit_histogram=True)(scene[0].data, scene[0])
        assert not mask.use[light() > 6].any()
        assert 0.9 < mask.use[light() < 0.01].mean() < 0.99
        assert set(mask.reasons) == {"flagged", "signal", "too low"}

    def test_reasons_add_up_to_what_is_left_out(self, scene):
        result = sm.FlickerNoiseSubtraction(mask=sm.DetectedMask(regions=light() > 1))(scene[0])
        mask = result.scenes[0].mask
        assert sum(mask.reasons.values()) == np.count_nonzero(~mask.use)
        assert "science regions" in mask.reasons
        assert result.report()["left_out"][0] == np.count_nonzero(~mask.use)

    def test_given_mask_is_used_as_it_is(self, scene):
        sources = light() > 0.1
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise(), mask=sources)(scene[0])
        np.testing.assert_array_equal(result.background_mask, ~sources & ~scene[0].mask)

    def test_mask_of_the_wrong_polarity_is_warned_of(self, scene):
        with pytest.warns(AstropyUserWarning, match="if True meant background"):
            sm.FlickerNoiseSubtraction(sm.LineMedian(), mask=light() < 5)(scene[0])

    def test_mask_of_another_shape_is_refused(self, scene):
        with pytest.raises(ValueError, match="sources: expected shape"):
            sm.FlickerNoiseSubtraction(mask=np.ones((2, 2)))(scene[0])


class TestRamps:
    @pytest.mark.parametrize("name", ["fourier", "median", "correlated"])
    def test_noise_of_each_group_is_removed(self, rng, name):
        ramp, noise = groups(rng)
        result = sm.FlickerNoiseSubtraction(MODELS[name])(ramp)
        assert result.cleaned.shape == ramp.data.shape
        np.testing.assert_array_equal(result.cleaned[:, 0], ramp.data[:, 0])
        steps = np.diff(noise, axis=1)
        error = steps - np.diff(result.noise, axis=1)
        use = result.background_mask
        assert error[..., use].std() < {"median": 0.85}.get(name, 0.75) * steps[..., use].std()

    def test_jumps_do_not_leak_into_their_lines(self, rng):
        ramp, _ = groups(rng)
        with_jumps = sm.FlickerNoiseSubtraction(sm.FourierNoise())(ramp)
        clean = ramp.replace(data=ramp.data - 500 * np.cumsum(ramp.jumped, axis=1))
        without = sm.FlickerNoiseSubtraction(sm.FourierNoise())(clean)
        assert np.std(with_jumps.noise - without.noise) < 0.1

    def test_draft_rate_leaves_out_jumps_and_saturation(self, rng):
        ramp, _ = groups(rng)
        rate = ramp.draft_rate(0)
        assert abs(np.median(rate) - 3) < 0.3
        assert np.isfinite(rate).all()
        assert np.abs(rate[40:44, 100:110] - 3 - light()[40:44, 100:110]).max() < 10

    def test_one_integration_after_the_other_gives_the_same(self, rng, tmp_path):
        ramp, _ = groups(rng, n_int=2, n_group=3)
        clean = sm.FlickerNoiseSubtraction(sm.FourierNoise())
        whole = clean(ramp)
        np.save(tmp_path / "ramp.npy", ramp.data)
        mapped = ramp.replace(data=np.load(tmp_path / "ramp.npy", mmap_mode="r"))
        for i, part in enumerate(clean.integrations(mapped)):
            np.testing.assert_allclose(part.cleaned, whole.cleaned[i], atol=1e-5)
            assert part.noise.shape == part.cleaned.shape
        assert i == 1

    def test_integrations_may_have_masks_of_their_own(self, rng):
        ramp, _ = groups(rng, n_int=2, n_group=3)
        result = sm.FlickerNoiseSubtraction(sm.LineMedian(), per_integration=True)(ramp)
        assert result.background_mask.shape == (2, *SHAPE)
        assert len(result.report()) == 2

    def test_cube_of_rates_is_cleaned_by_integration(self, rng):
        noise = np.array([flicker(rng) for _ in range(3)])
        cube = Ramp((noise + 2 + rng.normal(size=noise.shape)).astype("f4"), ORDER)
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise())(cube)
        after, before = left(result, noise)
        assert after < 0.75 * before

    def test_pixels_bad_or_missing_in_one_integration_do_not_count(self, rng):
        noise = np.array([flicker(rng) for _ in range(3)])
        data = (noise + 2 + rng.normal(size=noise.shape)).astype("f4")
        spoiled, flagged = data.copy(), np.zeros(data.shape, dtype=bool)
        spoiled[1, 30:34, 40:60], flagged[2, 50:55, 70:90] = np.nan, True
        spoiled[flagged] = 1e5
        clean = sm.FlickerNoiseSubtraction(sm.LineOffset(), mask=np.zeros(SHAPE, dtype=bool))
        found = clean(Ramp(spoiled, ORDER, frame_mask=flagged)).scenes[0].use
        result = clean(Ramp(spoiled, ORDER, frame_mask=flagged, mask=np.zeros(SHAPE, dtype=bool)))
        assert found.all()
        error = np.where(flagged | ~np.isfinite(spoiled), 0, result.noise - noise)
        assert np.std(error) < 0.9 * np.std(noise)

    def test_median_over_integrations_takes_what_stays(self, rng):
        noise = np.array([flicker(rng) for _ in range(12)])
        data = noise + 300 * light() + 5 + rng.normal(size=noise.shape)
        cube = Ramp(data.astype("f4"), ORDER)
        background = sm.MedianOverIntegrations()
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise(), background=background)(cube)
        assert result.background_mask.mean() > 0.7
        # Light of which a change would be noise is left out.
        assert not result.background_mask[light() > 50].any()
        assert "light that may change" in result.scenes[0].mask.reasons
        after, before = left(result, noise)
        assert after < 0.8 * before
        with pytest.raises(ValueError, match="at least three integrations"):
            sm.FlickerNoiseSubtraction(background=background)(cube.data[0])

    @pytest.mark.parametrize(("axis", "most"), [(-2, 0.05), (-1, 0.15)])
    def test_median_over_integrations_keeps_a_transit(self, rng, axis, most):
        """Also one whose depth depends on the wavelength, across the stripes and along them."""
        star = 400 * np.exp(-0.5 * ((np.arange(96) - 48) / 3) ** 2)[:, None] * np.ones(256)
        depth = 0.01 * (1 + 0.3 * np.cos(np.arange(256) / 9))
        curve = np.ones((12, 1, 1)) - np.isin(np.arange(12), range(4, 8))[:, None, None] * depth
        noise = rng.normal(size=(12, 1, 256) if axis == -2 else (12, 96, 1))
        data = star * curve + 2 + noise + rng.normal(size=(12, 96, 256))
        clean = sm.FlickerNoiseSubtraction(background=sm.MedianOverIntegrations())
        result = clean(Ramp(data, Readout(fast_axis=axis), dispersion_axis=-1))
        flux = np.einsum("yx,iyx->ix", star, result.cleaned - 2) / np.sum(star**2, axis=0)
        found = np.delete(flux, range(4, 8), axis=0).mean(axis=0) - flux[4:8].mean(axis=0)
        assert abs(found.mean() / 0.01 - 1) < most
        cosine = np.cos(np.arange(256) / 9)
        assert abs(np.polyfit(cosine, found, 1)[0] / 0.003 - 1) < 0.2

    def test_dask_array_is_read_one_integration_at_a_time(self, rng):
        array = pytest.importorskip("dask.array", reason="is the input")
        ramp, _ = groups(rng, n_int=2, n_group=3)
        lazy = array.from_array(ramp.data, chunks=(1, 3, *SHAPE))
        clean = sm.FlickerNoiseSubtraction(sm.FourierNoise())
        expected = clean(ramp.replace(jumped=None, saturated=None))
        parts = list(clean.integrations(Ramp(lazy, ORDER)))
        for part, cleaned in zip(parts, expected.cleaned, strict=True):
            assert_allclose(part.cleaned, cleaned, atol=1e-3)
        assert_allclose(clean(Ramp(lazy, ORDER)).cleaned, expected.cleaned, atol=1e-3)

    def test_noisy_pixels_count_less(self, rng):
        noise = flicker(rng)
        spread = np.where(rng.random(SHAPE) < 0.5, 1.0, 6.0)
        data = (noise + spread * rng.normal(size=SHAPE)).astype("f4")
        ramp = Ramp(data, ORDER, variance=spread**2)
        clean = sm.FlickerNoiseSubtraction(mask=np.zeros(SHAPE, dtype=bool))
        weighted = left(clean(ramp), noise)[0]
        assert weighted < 0.9 * left(clean(ramp.replace(variance=None)), noise)[0]


class TestBadInput:
    @pytest.mark.parametrize("per_integration", [False, True])
    def test_no_usable_pixel_is_refused(self, scene, per_integration):
        blind = scene[0].replace(mask=np.ones(SHAPE, dtype=bool))
        clean = sm.FlickerNoiseSubtraction(sm.LineMedian(), per_integration=per_integration)
        with pytest.raises(ValueError, match=r"mask: .* got none \(flagged: 65536"):
            clean(blind)
        with pytest.raises(ValueError, match=r"mask: .* got none \(missing data: 2048"):
            sm.FlickerNoiseSubtraction()(np.full((32, 64), np.nan))

    def test_one_group_has_nothing_to_fit(self, rng):
        ramp = Ramp(rng.normal(size=(1, 1, 16, 32)))
        with pytest.raises(ValueError, match="two groups"):
            sm.FlickerNoiseSubtraction(sm.LineMedian())(ramp)

    def test_saturated_from_the_first_group(self, rng):
        ramp, _ = groups(rng)
        always = np.array(ramp.saturated)
        always[..., 90:95, 60:80] = True
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise())(ramp.replace(saturated=always))
        assert not result.background_mask[90:95, 60:80].any()
        assert np.isfinite(result.cleaned).all()

    def test_subarray_of_one_line(self, rng):
        data = rng.normal(3, 1, (1, 256))
        result = sm.FlickerNoiseSubtraction(sm.FourierNoise())(data)
        assert np.isfinite(result.cleaned).all()

    @pytest.mark.parametrize(
        ("fields", "error", "name"),
        [
            ({"data": np.ones(5)}, ValueError, "data"),
            ({"data": np.ones((4, 0))}, ValueError, "data"),
            ({"data": np.ones((2, 2), dtype=complex)}, TypeError, "data"),
            ({"data": np.ones((4, 4)), "mask": np.ones((2, 4))}, ValueError, "mask"),
            ({"data": np.ones((1, 3, 4, 4)), "jumped": np.ones((3, 4, 4))}, ValueError, "jumped"),
        ],
    )
    def test_arrays_that_do_not_fit_are_named(self, fields, error, name):
        with pytest.raises(error, match=f"{name}: expected"):
            Ramp(**fields)

    @pytest.mark.parametrize(
        ("settings", "error", "name"),
        [
            ({"noise_model": "median"}, TypeError, "noise_model"),
            ({"background": "median"}, TypeError, "background"),
        ],
    )
    def test_settings_of_another_kind_are_named(self, settings, error, name):
        with pytest.raises(error, match=f"{name}: expected"):
            sm.FlickerNoiseSubtraction(**settings)

    def test_flat_of_another_shape_is_refused(self, scene):
        with pytest.raises(ValueError, match="flat: expected shape"):
            sm.FlickerNoiseSubtraction(flat=np.ones((3, 3)))(scene[0])


class TestErrors:
    """Errors of cleaned pixels, against the truth: pixels that told of the noise lost some."""

    @pytest.mark.parametrize(
        ("name", "most"), [("correlated", 0.04), ("fourier", 0.06), ("median", 0.06)]
    )
    def test_pulls_are_of_unit_width(self, name, most):
        pulls = {True: [], False: []}
        for seed in range(4):
            ramp, truth = sm.datasets.make_flicker(seed=seed, separate=0.1)
            result = sm.FlickerNoiseSubtraction(MODELS[name])(ramp)
            error = result.cleaned - truth.light - truth.background
            error -= np.nanmedian(error)
            pull = error / np.sqrt(result.cleaned_variance(ramp.variance))
            use = result.background_mask
            for told, own in ((True, pull[use]), (False, pull[~use & ~ramp.mask])):
                middle = np.median(own)
                pulls[told].append(1.4826 * np.median(np.abs(own - middle)))
        assert abs(np.mean(pulls[True]) - 1) < most
        assert abs(np.mean(pulls[False]) - 1) < most

    def test_noisy_pixels_lose_little(self, rng):
        noise = flicker(rng)
        spread = np.where(rng.random(SHAPE) < 0.5, 1.0, 4.0)
        data = (noise + spread * rng.normal(size=SHAPE)).astype("f4")
        ramp = Ramp(data, ORDER, variance=spread**2)
        result = sm.FlickerNoiseSubtraction(mask=np.zeros(SHAPE, dtype=bool))(ramp)
        after = result.cleaned_variance(spread**2)
        for own in (1.0, 4.0):
            where = spread == own
            assert abs(np.var(result.cleaned[where]) / after[where].mean() - 1) < 0.05

    def test_every_integration_has_its_own(self, rng):
        frames = rng.normal(size=(3, 64, 128)) + rng.normal(size=(3, 64, 1))
        variance = np.array([1.0, 2.0, 4.0])[:, None, None] * np.ones((3, 64, 128))
        for own in (False, True):
            clean = sm.FlickerNoiseSubtraction(sm.LineOffset(), per_integration=own)
            result = clean(Ramp(frames, variance=variance))
            after = result.cleaned_variance(variance)
            assert after.shape == frames.shape
            assert (after > 0).all()
            assert np.all(np.diff(after.mean(axis=(1, 2))) > 0)


class TestResult:
    def test_power_at_low_frequencies_falls(self, scene):
        result = sm.FlickerNoiseSubtraction()(scene[0])
        spectra = result.spectra
        low = slice(1, 20)
        before, after = (spectra[k].flux[low].value.mean() for k in ("before", "after"))
        assert after < 0.1 * before
        assert spectra["after"].spectral_axis.unit == u.Hz

    def test_figure_shows_all(self, scene):
        figure = sm.FlickerNoiseSubtraction(sm.LineMedian())(scene[0]).plot()
        titles = {axes.get_title("left") for axes in figure.axes}
        assert {"before", "after", "noise", "pixels used (white)"} <= titles

    def test_kind_is_kept(self, rng):
        data = rng.normal(size=(32, 64)) + rng.normal(size=(32, 1))
        clean = sm.FlickerNoiseSubtraction(sm.LineMedian(by_output=False))
        kinds = [data, data * u.adu, CCDData(data, unit="adu"), NDData(data)]
        for kind in kinds:
            out = clean(kind).to_source()
            assert type(out) is type(kind)
            assert getattr(out, "unit", None) == getattr(kind, "unit", None)

    def test_variance_of_the_model_enters_the_uncertainty(self, rng):
        data = CCDData(rng.normal(size=(32, 64)), unit="adu",
                       uncertainty=StdDevUncertainty(np.ones((32, 64))))  # fmt: skip
        result = sm.FlickerNoiseSubtraction(sm.LineOffset(by_output=False))(data)
        expected = np.sqrt(result.cleaned_variance(np.ones((32, 64))))
        assert_allclose(result.to_source().uncertainty.array, expected, rtol=1e-5)
        assert 0.8 / 64 < result.variance.mean() < 4 / 64


def test_blank_sky_of_a_small_frame_is_not_taken_for_light():
    """Few boxes of 63 pixels fit into it; their scatter is not known to 4.5 of itself."""
    ramp, truth = sm.datasets.make_flicker(n_groups=4, n_integrations=2)
    result = sm.FlickerNoiseSubtraction(sm.LineMedian())(ramp)
    assert result.background_mask[truth.light < 0.1].mean() > 0.93
    image, _ = sm.datasets.make_flicker(seed=1, n_sources=0)
    empty = sm.FlickerNoiseSubtraction(sm.LineMedian())(image)
    assert empty.background_mask.mean() > 0.93
