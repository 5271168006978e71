"""Profiles from windows of columns, against the truth of simulated slits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr

import specmodels as sm
from specmodels.fitters.columns.first_scales import first_scales
from specmodels.fitters.sky.positions import regular_positions
from specmodels.fitters.windowed.pixels import WindowPixels
from specmodels.fitters.windowed.profile_errors import bend


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_undersampled_slit(seed=1, shape=(26, 400))


@pytest.fixture(scope="module")
def fit(slit):
    return sm.WindowedFitter()(None, slit[0])


def test_residual_is_noise_where_no_hit_fell(slit, fit):
    image, truth = slit
    good = ~image.mask & ~truth.hits
    pulls = fit.residual()[good] * np.sqrt(image.weights[good])
    n_free = fit.freedom + 3 * image.shape[1]
    expected = np.sqrt(1 - n_free / good.sum())
    assert abs(np.std(pulls) / expected - 1) < 0.03
    assert abs(fit.reduced_chi2 - 1) < 0.06


def test_scale_is_the_light_of_each_column(slit, fit):
    _, truth = slit
    ratio = fit.scale / truth.flux[0]
    assert abs(np.median(ratio) - 1) < 0.03
    error = np.sqrt(fit.column_covariance[0, 0]) / truth.flux[0]
    assert np.std(ratio / np.median(ratio)) < 1.6 * np.median(error)


def test_profile_predicts_half_pixels_by_integration(slit, fit):
    image, _truth = slit
    at = np.linspace(-6, 6, 200)[:, None]
    thin = fit.profile(at, image.x, 0.5)
    wide = 0.5 * (fit.profile(at - 0.25, image.x, 0.5) + fit.profile(at + 0.25, image.x, 0.5))
    assert_allclose(fit.profile(at, image.x, 1.0), wide, atol=2e-4)
    assert thin.max() > 1.05 * wide.max()


def test_hits_are_rejected_and_little_else(slit, fit):
    image, truth = slit
    visible = truth.hits & ~image.mask
    assert visible.any()
    assert fit.rejected[visible].all()
    assert np.count_nonzero(fit.rejected & ~truth.hits) <= 3


def test_order_of_columns_does_not_matter(slit, fit):
    image, _ = slit
    turned = image.replace(
        data=image.data[:, ::-1], variance=image.variance[:, ::-1], mask=image.mask[:, ::-1],
        spatial=image.spatial[:, ::-1], wavelength=image.wavelength[::-1],
    )  # fmt: skip
    other = sm.WindowedFitter()(None, turned)
    assert_allclose(other.scale[::-1], fit.scale, rtol=1e-6)
    assert_allclose(other.predict()[:, ::-1], fit.predict(), rtol=1e-5, atol=1e-6)


def test_same_answer_in_every_run(slit, fit):
    again = sm.WindowedFitter()(None, slit[0])
    assert_array_equal(again.coefficients, fit.coefficients)
    assert_array_equal(again.values, fit.values)


def test_settings_of_the_user_win(slit):
    fit = sm.WindowedFitter(window=100, knot_spacing=0.8)(None, slit[0])
    assert len(fit.layout.nodes) == 5
    assert fit.layout.grid.spacing == 0.8


def test_windows_knots_and_penalty_are_as_coarse_as_the_data_allow(fit):
    sampled, _ = sm.datasets.make_undersampled_slit(seed=2, shape=(30, 400), fwhm=(3.0, 3.0))
    wide = sm.WindowedFitter()(None, sampled)
    assert wide.layout.grid.spacing > 2 * fit.layout.grid.spacing
    assert wide.smoothing > 20 * fit.smoothing
    assert len(wide.layout.nodes) <= 3


@pytest.mark.parametrize("tilt", [0.3, 2.2, 4.0])
def test_structure_within_pixels_is_not_made_up_from_errors_of_the_flat(tilt):
    """Where sky fills a slit with hardly a tilt, each row shows few phases, with its own error."""
    rng = np.random.default_rng(3)
    n_row, n_column = 22, 340
    place = np.arange(n_row)[:, None] - 10.5 - np.linspace(-0.5, 0.5, n_column) * tilt
    lit = ndtr((place + 8) / 0.6) - ndtr((place - 7) / 0.6)
    flat = 1 + 0.05 * rng.normal(size=(n_row, 1))
    data = lit * flat * np.linspace(0.5, 2, n_column) + 0.05 * rng.normal(size=(n_row, n_column))
    image = sm.SpectralImage(data, variance=np.full(data.shape, 0.05**2), spatial=0.1 * place)
    fit = sm.WindowedFitter()(None, image)
    at = np.arange(-6, 5, 0.25)
    profile = fit.profile(at[:, None], fit.layout.nodes, 0.5)
    ripple = profile[1:-1] - 0.5 * (profile[2:] + profile[:-2])
    assert np.sqrt(np.mean(ripple**2)) < 0.02 * profile.mean()


@pytest.mark.parametrize(("drift", "pitch"), [(6.0, 5.0), (8.0, 7.0), (4.0, 4.0)])
def test_light_that_changes_along_a_slit_is_not_structure_within_its_pixels(drift, pitch):
    """Wide knots follow it in short windows; fine ones could, but with a comb between pixels."""
    rng = np.random.default_rng(int(pitch))
    n_row, n_column = 46, 1000
    along = np.linspace(0, 1, n_column)
    shift = drift * (2 * (along - 0.5) ** 2 + 0.3 * along)
    place = np.arange(n_row)[:, None] - 23 - shift + np.rint(shift)

    def light(at):
        wave = np.cos(2 * np.pi / pitch * at + along)
        return (1 + 0.35 * wave) * (ndtr((at + 19) / 0.6) - ndtr((at - 19) / 0.6)) * (0.3 + along)

    def mean(at, size):
        return np.mean([light(at + size * d) for d in (np.arange(8) - 3.5) / 8], axis=0)

    flat = 1 + 0.015 * np.repeat(rng.normal(size=(n_row, 20)), 50, axis=1)
    true = mean(place, 1.0)
    variance = true / 40**2 + 1e-5
    data = true * flat + np.sqrt(variance) * rng.normal(size=true.shape)
    fit = sm.WindowedFitter()(None, sm.SpectralImage(data, variance=variance, spatial=place))
    halves = [fit.scale * fit.profile(place + d, fit.image.x, 0.5) for d in (-0.25, 0.25)]
    wrong = 0.5 * np.diff(halves, axis=0)[0] - 0.5 * (
        mean(place + 0.25, 0.5) - mean(place - 0.25, 0.5)
    )
    inside = (np.abs(place) < 16).all(axis=1)
    for part in np.array_split(np.arange(n_column), 5):
        comb = np.median(wrong[inside][:, part] / true[inside][:, part].mean(axis=0), axis=1)
        assert comb.std() < 0.03


def test_model_is_the_profile_in_the_unit_of_the_positions(slit, fit):
    image, _ = slit
    found = fit.model(image.x[None, ::50], image.spatial[:, ::50])
    expected = fit.profile(image.spatial[:, ::50] / fit.unit, image.x[::50])
    assert_allclose(found, expected, atol=2e-4)
    covariance = fit.model.meta["covariance"]
    assert covariance.shape == (fit.model.n_terms,) * 2
    assert_allclose(covariance, covariance.T, rtol=1e-6, atol=1e-12)


def test_template_gives_knots_and_nodes(slit, fit):
    again = sm.WindowedFitter()(fit.model, slit[0])
    assert_allclose(again.layout.nodes, fit.layout.nodes)
    assert_allclose(again.scale, fit.scale, rtol=0.02)


def test_source_parts_extract_the_light(slit, fit):
    image, truth = slit
    profile, trace = fit.source_parts()
    model = sm.Source(profile, trace, name="star") + sm.ColumnPolynomial(1, name="sky")
    result = sm.OptimalExtraction(model, fitter=sm.SigmaClipFitter(sm.LinearFitter()))(image)
    flux = result.spectrum.flux.value
    assert abs(np.nanmedian(flux / truth.flux[0]) - 1) < 0.03


def test_source_parts_of_a_source_at_the_edge_keep_its_other_side():
    image, truth = sm.datasets.make_undersampled_slit(seed=5, positions=(0.9,), tilt=4.0)
    profile, trace = sm.WindowedFitter()(None, image).source_parts()
    model = sm.Source(profile, trace, name="star") + sm.ColumnPolynomial(1, name="sky")
    result = sm.OptimalExtraction(model, fitter=sm.SigmaClipFitter(sm.LinearFitter()))(image)
    assert profile.offsets[0] < -15 < -10 < profile.offsets[-1]
    assert abs(np.nanmedian(result.spectrum.flux.value / truth.flux[0]) - 1) < 0.03


def test_negative_nod_beside_the_source():
    image, truth = sm.datasets.make_undersampled_slit(
        seed=3, positions=(-0.62, 0.58), fluxes=(1.0, -0.9), fwhm=(1.6, 1.6)
    )
    fit = sm.WindowedFitter()(None, image)
    good = ~image.mask & ~truth.hits
    error = (fit.predict() - truth.image)[good] * np.sqrt(image.weights[good])
    assert np.sqrt(np.mean(error**2)) < 0.9


def test_positions_that_leap_repeat_or_turn_back_are_left_out(slit):
    image, _ = slit
    spatial = np.array(image.spatial)
    spatial[10, 50] = spatial[9, 50]
    spatial[5, 60] += 5
    spatial[3, 70] = np.nan
    _, unit, sign, regular = regular_positions(image.replace(spatial=spatial))
    assert_allclose(unit, 0.1)
    assert sign == 1
    # What goes on from the row before stays.
    assert regular[[4, 6], 60].all()
    assert not regular[[9, 10], 50].any()
    assert not regular[5, 60]
    assert not regular[3, 70]
    assert np.count_nonzero(~regular) == 4
    fit = sm.WindowedFitter()(None, image.replace(spatial=spatial))
    assert abs(fit.reduced_chi2 - 1) < 0.06


def test_first_scales_make_up_for_a_row_that_is_missing_in_all_columns(slit):
    image, truth = slit
    mask = np.array(image.mask)
    mask[12] = True
    (scale, _, _), _ = first_scales(WindowPixels.of(image.replace(mask=mask)))
    ratio = scale / truth.flux[0]
    # 0.2 is what the light in the other rows alone would give.
    assert np.std(ratio / np.median(ratio)) < 0.13


def test_windows_are_so_long_that_each_sees_the_core_where_a_row_is_missing(slit):
    image, truth = slit
    mask = np.array(image.mask)
    mask[12] = True
    fit = sm.WindowedFitter()(None, image.replace(mask=mask))
    ratio = fit.scale / truth.flux[0]
    assert np.std(ratio / np.median(ratio)) < 0.02


def test_errors_with_few_columns_are_those_of_the_profile():
    """Of cores that are sharper than a pixel, structure within is known by the penalty alone."""
    pulls = []
    for seed in range(6):
        image, truth = sm.datasets.make_undersampled_slit(
            seed=seed, shape=(26, 60), fwhm=(0.8, 0.8), hit_fraction=0
        )
        result = sm.TraceOversampling()(image)
        pulls.append(((result.data - truth.oversampled) / result.error)[truth.core])
    assert 0.8 < np.sqrt(np.mean(np.concatenate(pulls) ** 2)) < 1.15


def test_bend_is_what_lines_between_nodes_leave_of_a_parabola(fit):
    """Where the profile changes by the square of the column, and its coefficients are known."""
    nodes = np.array([0.0, 1.0, 2.0])
    shape = np.ones(fit.coefficients.shape[1])
    known = replace(fit, coefficients=nodes[:, None] ** 2 * shape, pixels=fit.pixels)
    known.__dict__["covariance"] = np.zeros((3, shape.size, 3, shape.size))
    x = np.linspace(0, 2, 2001)
    hats = np.maximum(0, 1 - np.abs(x[:, None] - nodes))
    left = x**2 - hats @ np.linalg.lstsq(hats, x**2)[0]
    expected = np.sqrt(np.mean(left**2))
    assert_allclose(bend(known, np.eye(shape.size)), expected, rtol=1e-2)
    straight = replace(known, coefficients=nodes[:, None] * shape)
    straight.__dict__["covariance"] = known.covariance
    assert_allclose(bend(straight, np.eye(shape.size)), 0, atol=1e-12)


class TestSlitsThatHardlyMove:
    """Of a profile, few phases are seen, and those in another order than its change."""

    @pytest.mark.parametrize("fwhm", [(1.0, 1.5), (3.0, 3.0)])
    @pytest.mark.parametrize("tilt", [0.0, 0.2, 0.5])
    def test_scales_are_the_light(self, fwhm, tilt):
        image, truth = sm.datasets.make_undersampled_slit(seed=7, tilt=tilt, fwhm=fwhm)
        fit = sm.WindowedFitter()(None, image)
        assert abs(np.median(fit.scale / truth.flux[0]) - 1) < 0.02

    @pytest.mark.parametrize("fwhm", [(3.0, 6.0), (2.0, 3.0)])
    @pytest.mark.parametrize("tilt", [0.1, 0.5, 1.0])
    def test_change_with_the_wavelength_is_not_taken_for_structure(self, fwhm, tilt):
        image, truth = sm.datasets.make_undersampled_slit(seed=7, tilt=tilt, fwhm=fwhm)
        result = sm.TraceOversampling()(image)
        error = (result.data - truth.oversampled) / truth.oversampled.max(axis=0)
        assert np.sqrt(np.mean(error[truth.core] ** 2)) < 0.01


@pytest.mark.parametrize("keep", [3, 10])
def test_columns_without_neighbours(keep):
    image, truth = sm.datasets.make_undersampled_slit(seed=4)
    mask = np.array(image.mask)
    mask[:, np.arange(600) % keep != 0] = True
    result = sm.TraceOversampling()(image.replace(mask=mask))
    pulls = ((result.data - truth.oversampled) / result.error)[truth.core]
    assert np.sqrt(np.nanmean(pulls**2)) < 1.3


class TestBadInput:
    @pytest.mark.parametrize(
        "settings", [{"window": 0}, {"knot_spacing": -1}, {"sigma": 0}, {"n_rounds": 0}]
    )
    def test_settings_out_of_range(self, settings):
        with pytest.raises(ValueError, match="expected"):
            sm.WindowedFitter(**settings)

    def test_model_of_another_kind(self, slit):
        with pytest.raises(TypeError, match="BSplineTrace"):
            sm.WindowedFitter()(sm.GaussianProfile(), slit[0])

    def test_batch_of_another_kind(self, slit):
        with pytest.raises(ValueError, match="columns"):
            sm.WindowedFitter()(None, slit[0], batch=None)

    @pytest.mark.parametrize("settings", [{"knot_spacing": 0.01}, {"window": 4}])
    def test_more_coefficients_than_pixels_determine(self, slit, settings):
        with pytest.raises(ValueError, match="coefficients, expected at most 25"):
            sm.WindowedFitter(**settings)(None, slit[0])

    def test_model_of_other_positions(self, slit, fit):
        image = slit[0]
        with pytest.raises(ValueError, match="its knots cover positions"):
            sm.WindowedFitter()(fit.model, image.replace(spatial=100 * image.spatial))

    def test_positions_that_repeat_in_pairs(self, slit):
        spatial = np.array(slit[0].spatial)
        spatial[1::2] = spatial[::2]
        with pytest.raises(ValueError, match="no good pixels with positions"):
            sm.WindowedFitter()(None, slit[0].replace(spatial=spatial))

    def test_few_columns_or_rows(self):
        for shape in ((6, 8), (8, 5), (4, 30), (4, 600), (40, 4)):
            image, _ = sm.datasets.make_undersampled_slit(shape=shape, tilt=0.5)
            with pytest.raises(ValueError, match="do not determine"):
                sm.WindowedFitter()(None, image)

    def test_no_good_pixel(self, slit):
        image = slit[0]
        with pytest.raises(ValueError, match="no good pixels"):
            sm.WindowedFitter()(None, image.replace(mask=np.ones(image.shape, bool)))

    def test_one_usable_column(self, slit):
        image = slit[0]
        mask = np.ones(image.shape, bool)
        mask[:, 100] = False
        with pytest.raises(ValueError, match="do not determine"):
            sm.WindowedFitter()(None, image.replace(mask=mask | image.mask))

    def test_positions_that_do_not_change(self, slit):
        image = slit[0]
        with pytest.raises(ValueError, match="do not change"):
            sm.WindowedFitter()(None, image.replace(spatial=np.ones(image.shape)))


@pytest.mark.parametrize("seed", range(4))
def test_hits_in_scattered_columns_stand_alone(seed):
    """What lies beside a hit in the image counts, and not the next column that has one."""
    shape, hits = (20, 60), np.zeros((20, 60), dtype=bool)
    hits[9:11, 10::10] = True
    data = np.random.default_rng(seed).normal(size=shape) + 150.0 * hits
    pixels = WindowPixels.of(sm.SpectralImage(data, variance=np.ones(shape)))
    profile = np.exp(-0.5 * (pixels.rows - 9.3) ** 2)
    found = pixels.scales(profile, np.ones(data.size, dtype=bool))
    kept = pixels.image_of(pixels.judged(profile, *found, 4.5, 0.01), True)
    assert not kept[hits].any()
    assert np.count_nonzero(~kept & ~hits) <= 2
