"""Fits of one sky to several slits, against the sky that was put in."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.sky.sampling import finest_breaks, gaps_between
from specmodels.numerics.bsplines import LocalBasis


def pixels_of(exposure, truth, names=None):
    names = [name for name in exposure if name.startswith("BKG")] if names is None else names
    return [sm.SkyPixels.of(exposure[n], throughput=truth.throughputs[n]) for n in names]


@pytest.fixture(scope="module")
def scene():
    return sm.datasets.make_slitlets(seed=2)


@pytest.fixture(scope="module")
def slits(scene):
    return pixels_of(*scene)


@pytest.fixture(scope="module")
def fit(slits):
    return sm.SkyFitter()(None, slits)


def mean_level(truth, fit):
    return np.mean([truth.levels[name] for name in fit.used])


GRID = np.linspace(1.1, 4.9, 700)


class TestSpline:
    def test_recovers_the_sky_within_its_errors(self, scene, fit):
        _, truth = scene
        value, variance = fit.curve(GRID)
        pulls = (value - mean_level(truth, fit) * truth.sky(GRID)) / np.sqrt(variance)
        assert fit.success
        assert 0.7 < np.sqrt(np.mean(pulls**2)) < 1.3
        assert np.max(np.abs(value / truth.sky(GRID) - 1)) < 0.1

    def test_recovers_the_throughputs(self, scene, fit):
        _, truth = scene
        for name, slit in fit.slits.items():
            expected = truth.levels[name] / mean_level(truth, fit)
            assert abs(slit.throughput - expected) < 5 * slit.error
        assert_allclose(np.mean([s.throughput for s in fit.slits.values()]), 1)
        assert 0.003 < fit.throughput_scatter < 0.03

    def test_reference_has_a_throughput_of_one(self, slits, fit):
        other = sm.SkyFitter(reference="BKG_2")(None, slits)
        assert other.slits["BKG_2"].throughput == 1
        ratio = fit.slits["BKG_2"].throughput
        value, variance = fit.curve(GRID)
        assert_allclose(other.curve(GRID), [ratio * value, ratio**2 * variance], rtol=1e-9)

    def test_throughputs_can_be_given(self, slits):
        found = sm.SkyFitter(fit_throughput=False)(None, slits)
        assert {slit.throughput for slit in found.slits.values()} == {1.0}

    def test_hits_are_rejected(self, scene, slits, fit):
        _, truth = scene
        for pixels in slits:
            light = truth.backgrounds[pixels.name].ravel()[pixels.index]
            hit = np.abs(pixels.data - light) > 8 * np.sqrt(pixels.variance)
            assert hit.any()
            assert fit.rejected[pixels.name][hit].all()
            assert fit.rejected[pixels.name].mean() < 0.01

    def test_model_and_curve_agree(self, fit):
        assert_allclose(fit.model(GRID), fit.curve(GRID)[0], rtol=1e-9)
        matrix = fit.curve.covariance(GRID[::7])
        assert_allclose(np.diagonal(matrix), fit.curve(GRID[::7])[1], rtol=1e-7)
        assert np.linalg.eigvalsh(matrix).min() > -1e-12 * matrix.max()

    def test_means_over_bins_conserve_flux(self, fit):
        edges = np.linspace(1.2, 4.8, 40)
        value, variance = fit.curve.mean(edges)
        fine, _ = fit.curve.mean(np.linspace(1.2, 4.8, 40 * 39 + 1 - 39))
        assert_allclose(value, fine.reshape(39, -1).mean(axis=1), rtol=1e-9)
        assert np.all(variance > 0)
        assert np.isnan(fit.curve.mean(np.array([0.1, 1.0, 2.0]))[0][0])

    def test_is_unknown_outside_and_in_gaps(self, slits):
        holed = [p.take((p.wavelength < 2.5) | (p.wavelength > 2.8)) for p in slits]
        fit = sm.SkyFitter()(None, holed)
        value, variance = fit.curve(np.array([0.5, 2.65, 9.0, 2.0, np.nan]))
        assert np.array_equal(np.isfinite(value), [False, False, False, True, False])
        assert np.array_equal(np.isfinite(variance), np.isfinite(value))

    def test_breakpoints_of_a_model_are_used(self, slits):
        breaks = np.linspace(0.9, 5.1, 60)
        fit = sm.SkyFitter()(sm.MasterBackgroundSpectrum(breaks), slits)
        assert_allclose(fit.model.breakpoints, breaks)
        numbered = sm.SkyFitter()(sm.MasterBackgroundSpectrum(n_knots=50), slits)
        assert numbered.curve.n_terms == 52

    def test_noisy_poisson_variances_do_not_bias_the_sky(self, scene):
        exposure, truth = scene
        rng = np.random.default_rng(1)
        changed = []
        for name in ("BKG_1", "BKG_2", "BKG_3"):
            image, sky = exposure[name], truth.backgrounds[name]
            counts = rng.poisson(100 * sky / 0.1)
            poisson = np.maximum(counts, 1) * (0.1 / 100) ** 2
            changed.append(image.replace(
                data=counts * 0.1 / 100 + 1e-3 * rng.normal(size=image.shape), variance=None,
                mask=None, components={"read": np.full(image.shape, 1e-6), "poisson": poisson},
            ))  # fmt: skip
        pixels = [sm.SkyPixels.of(i, throughput=truth.throughputs[i.name]) for i in changed]
        plain = sm.SkyFitter()(None, [p.replace(poisson=None) for p in pixels])
        smooth = sm.SkyFitter()(None, pixels)
        level = mean_level(truth, smooth)
        bias = [np.median(f.curve(GRID)[0] / truth.sky(GRID)) / level - 1 for f in (plain, smooth)]
        assert bias[0] < -0.005
        assert abs(bias[1]) < 0.002


class TestSlitsThatDisagree:
    @pytest.mark.parametrize("snr", [5.0, 20.0, 80.0])
    def test_contaminated_one_is_left_out_and_named(self, snr):
        scene = sm.datasets.make_slitlets(seed=4, snr=snr, contaminated=1)
        fit = sm.SkyFitter()(None, pixels_of(*scene))
        assert set(fit.left_out) == {"BKG_1"}
        assert "source" in fit.left_out["BKG_1"]
        assert fit.slits["BKG_1"].misfit > 0.03

    def test_of_two_it_is_the_contaminated_one(self):
        scene = sm.datasets.make_slitlets(seed=4, contaminated=1, n_background=2)
        assert set(sm.SkyFitter()(None, pixels_of(*scene)).left_out) == {"BKG_1"}

    def test_all_contaminated_is_an_error_that_names_them(self):
        scene = sm.datasets.make_slitlets(seed=4, contaminated=3, n_background=3)
        with pytest.raises(ValueError, match=r"no background slit is left.*BKG_"):
            sm.SkyFitter()(None, pixels_of(*scene))

    def test_one_with_negative_data_is_left_out(self, slits):
        spoilt = [p.replace(data=-p.data) if p.name == "BKG_3" else p for p in slits]
        fit = sm.SkyFitter()(None, spoilt)
        assert list(fit.left_out) == ["BKG_3"]
        assert "its level is -" in fit.left_out["BKG_3"]

    def test_a_lone_one_stays_with_a_message(self):
        scene = sm.datasets.make_slitlets(seed=4, contaminated=1, n_background=1)
        fit = sm.SkyFitter()(None, pixels_of(*scene))
        assert fit.used == ["BKG_1"]
        assert "the only slit: rows 7" in fit.message

    def test_rows_of_a_source_are_left_out_of_a_lone_one(self):
        exposure, truth = sm.datasets.make_slitlets(
            seed=4, n_background=0, n_science=1, shape=(60, 256), hit_fraction=0.0
        )
        (pixels,) = pixels_of(exposure, truth, ["target_1"])
        fit = sm.SkyFitter()(None, [pixels])
        assert fit.success
        assert "were left out" in fit.message
        assert "what is left" not in fit.message
        source, sky = truth.sources["target_1"], truth.backgrounds["target_1"]
        bright = (source > 0.2 * sky).ravel()[pixels.index]
        assert fit.rejected["target_1"][bright].mean() > 0.95
        value = fit.curve(GRID)[0] / truth.sky(GRID) / truth.levels["target_1"]
        assert abs(np.median(value) - 1) < 0.01

    def test_none_is_left_out_if_not_asked_for(self):
        scene = sm.datasets.make_slitlets(seed=4, contaminated=1)
        assert not sm.SkyFitter(disagreement=None)(None, pixels_of(*scene)).left_out


class TestPolynomial:
    def test_follows_a_smooth_sky(self):
        exposure, truth = sm.datasets.make_slitlets(seed=3, n_lines=0, level_scatter=0.0)
        fit = sm.LogPolynomialSkyFitter()(None, pixels_of(exposure, truth))
        value, variance = fit.curve(GRID)
        assert 1 <= fit.model.degree <= 6
        assert np.max(np.abs(value / truth.sky(GRID) - 1)) < 0.01
        assert np.sqrt(np.mean((value - truth.sky(GRID)) ** 2 / variance)) < 2.5
        assert_allclose(np.diagonal(fit.curve.covariance(GRID)), variance)
        edges = np.linspace(1.5, 4.5, 20)
        assert_allclose(fit.curve.mean(edges)[0], truth.sky(0.5 * (edges[1:] + edges[:-1])),
                        rtol=0.02)  # fmt: skip

    def test_errors_hold_the_scatter_of_levels_which_are_not_fitted(self):
        pulls = []
        for seed in range(6):
            exposure, truth = sm.datasets.make_slitlets(
                seed=seed, n_lines=0, snr=60.0, level_scatter=0.03, n_background=8
            )
            pixels = pixels_of(exposure, truth)
            fit = sm.LogPolynomialSkyFitter(disagreement=None)(None, pixels)
            value, variance = fit.curve(GRID)
            assert_allclose(np.diagonal(fit.curve.covariance(GRID)), variance)
            for one in pixels:
                wanted = truth.levels[one.name] * truth.sky(GRID)
                pulls.append((value - wanted) / np.sqrt(variance))
        assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.3

    def test_tells_chi2_of_each_degree_and_punishes_more_coefficients(self, slits):
        fit = sm.LogPolynomialSkyFitter(max_degree=8)(None, slits)
        degree, chi2, dof, criterion = np.transpose(fit.degrees)
        assert np.array_equal(degree, np.arange(9))
        assert np.all(np.diff(chi2) <= 1e-6 * chi2[:-1])
        assert np.all(np.diff(dof) == -1)
        assert fit.model.degree == degree[np.argmin(criterion)]

    def test_negative_pixels_do_not_bias(self):
        exposure, truth = sm.datasets.make_slitlets(seed=3, n_lines=0, snr=1.0, level_scatter=0,
                                                    n_background=8)  # fmt: skip
        pixels = pixels_of(exposure, truth)
        assert np.mean(np.concatenate([p.data for p in pixels]) < 0) > 0.1
        fit = sm.LogPolynomialSkyFitter()(None, pixels)
        ratio = np.median(fit.curve(GRID)[0] / truth.sky(GRID))
        assert abs(ratio - 1) < 0.03

    def test_sky_that_is_not_positive_is_an_error(self, slits):
        negative = [p.replace(data=-p.data) for p in slits]
        with pytest.raises(ValueError, match="not positive"):
            sm.LogPolynomialSkyFitter()(None, negative)

    def test_contaminated_slit_is_left_out(self):
        exposure, truth = sm.datasets.make_slitlets(seed=4, contaminated=2, n_lines=0)
        fit = sm.LogPolynomialSkyFitter()(None, pixels_of(exposure, truth))
        assert list(fit.left_out) == ["BKG_1", "BKG_2"]
        value, expected = fit.curve(GRID)[0], mean_level(truth, fit) * truth.sky(GRID)
        assert abs(np.median(value / expected) - 1) < 0.005
        kept = sm.LogPolynomialSkyFitter(disagreement=None)(None, pixels_of(exposure, truth))
        assert not kept.left_out

    def test_degree_of_a_model_is_kept(self, slits):
        fit = sm.LogPolynomialSkyFitter()(sm.LogPolynomialSpectrum(3), slits)
        assert fit.model.degree == 3
        assert len(fit.degrees) == 1


class TestSampling:
    def test_tilted_slits_get_finer_breakpoints(self, slits):
        straight, truth = sm.datasets.make_slitlets(tilt=0.0, n_background=1)
        fine, coarse = finest_breaks(slits), finest_breaks(pixels_of(straight, truth))
        assert 1.7 < fine.size / coarse.size < 2.3

    def test_gaps_are_found(self):
        breaks = np.linspace(0, 10, 101)
        x = np.concatenate([np.linspace(0, 4, 200), np.linspace(6, 10, 200)])
        places = LocalBasis.at(x, breaks).first
        assert_allclose(gaps_between([places], breaks), [[4.1, 5.9]], atol=0.11)


@pytest.mark.parametrize("fitter", [sm.SkyFitter(), sm.LogPolynomialSkyFitter()])
class TestBadInput:
    def test_no_pixels(self, fitter, slits):
        empty = [p.take(np.zeros(p.size, dtype=bool)) for p in slits]
        with pytest.raises(ValueError, match="no background slit has a usable pixel"):
            fitter(None, empty)

    def test_a_slit_without_pixels_is_left_out(self, fitter, slits):
        fit = fitter(None, [slits[0].take(slice(0)), *slits[1:]])
        assert fit.left_out == {"BKG_1": "no usable pixel"}

    def test_one_wavelength(self, fitter, slits):
        with pytest.raises(ValueError, match="expected a range"):
            fitter(None, [p.replace(wavelength=np.ones(p.size)) for p in slits])

    def test_another_model(self, fitter, slits):
        with pytest.raises(TypeError, match="expected a"):
            fitter(sm.GaussianProfile(), slits)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sm.SkyFitter(sigma=0), "sigma > 0"),
        (lambda: sm.SkyFitter(disagreement=-1), "disagreement"),
        (lambda: sm.LogPolynomialSkyFitter(criterion="r2"), "criterion"),
        (lambda: sm.LogPolynomialSkyFitter(max_degree=-1), "max_degree"),
        (lambda: sm.MasterBackgroundSpectrum(), "either breaks or n_knots"),
        (lambda: sm.MasterBackgroundSpectrum([1, 0]), "increasing"),
        (lambda: sm.MasterBackgroundSpectrum(n_knots=1.5), "n_knots"),
        (lambda: sm.LogPolynomialSpectrum(-1), "degree"),
        (lambda: sm.LogPolynomialSpectrum(1, limits=(1, 1)), "limits"),
        (lambda: sm.BarShadow(0), "n_shutters"),
        (lambda: sm.SlitThroughput(limits=(2, 1)), "limits"),
    ],
)
def test_settings_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_reference_must_be_used(slits):
    with pytest.raises(ValueError, match="reference"):
        sm.SkyFitter(reference="elsewhere")(None, slits)


def test_pixels_need_wavelengths():
    image = sm.SpectralImage(np.ones((3, 4)), name="one")
    with pytest.raises(ValueError, match="'one': expected wavelengths"):
        sm.SkyPixels.of(image)


def test_bar_shadow_is_a_top_hat_convolved_with_the_psf():
    from scipy.ndimage import gaussian_filter1d

    y = np.linspace(-3, 3, 6001)
    step, sigma = y[1] - y[0], 0.12
    hat = sum((np.abs(y - i) < 0.45).astype(float) for i in (-1, 0, 1))
    expected = gaussian_filter1d(hat, sigma / step)
    found = sm.BarShadow(3, height=0.9, sigma=sigma)(y)
    assert_allclose(found, expected, atol=3e-3)
    assert_allclose(np.sum(found) * step, 3 * 0.9, rtol=1e-3)
