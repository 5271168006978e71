"""Fits of scenes: what was put in comes out, with errors that say how well."""

import numpy as np
import pytest
from astropy.modeling import fitting

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism
from specmodels.numerics.blocks import Blocks


@pytest.fixture(scope="module")
def field():
    return sm.datasets.make_slitless(seed=3)


def flat(truth):
    """The scene before the fit: all spectra flat."""
    entries = truth.scene.entries
    return truth.scene.with_coefficients(
        np.concatenate([e.spectrum.flat_terms(e.stop - e.first) for e in entries])
    )


def without_noise(exposure, truth):
    return sm.SlitlessExposure(truth.image, np.full(truth.image.shape, 1e-2),
                               cutouts=exposure.cutouts)  # fmt: skip


def test_single_isolated_source_is_recovered_exactly_without_noise():
    exposure, truth = sm.datasets.make_slitless(seed=1, n_sources=1)
    for joint in (True, False):
        fit = sm.SceneFitter(joint=joint, ridge=0)(flat(truth), without_noise(exposure, truth))
        np.testing.assert_allclose(fit.values, truth.scene.coefficients, atol=1e-7)


def test_blended_sources_are_recovered_exactly_without_noise(field):
    exposure, truth = field
    fit = sm.SceneFitter(ridge=0)(flat(truth), without_noise(exposure, truth))
    np.testing.assert_allclose(fit.values, truth.scene.coefficients, atol=1e-4)
    assert fit.converged
    assert fit.dof == np.count_nonzero(truth.image) - len(fit.values)


@pytest.mark.parametrize("spectrum", [sm.LegendreSpectrum(3), sm.BSplineSpectrum(10)])
def test_pulls_have_unit_width(spectrum):
    pulls, chi2 = [], []
    for seed in range(6):
        exposure, truth = sm.datasets.make_slitless(seed=seed, spectrum=spectrum, scatter=0.2)
        fit = sm.SceneFitter(ridge=0)(flat(truth), exposure)
        pulls.append((fit.values - truth.scene.coefficients) / fit.errors)
        chi2.append(fit.chi2 / fit.dof)
    pulls = np.concatenate(pulls)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * len(pulls)))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls))
    assert np.mean(chi2) == pytest.approx(1, abs=0.01)


def test_pulls_with_a_true_prior_have_unit_width():
    pulls = []
    for seed in range(6):
        exposure, truth = sm.datasets.make_slitless(seed=seed, noise=5.0, scatter=0.3)
        fit = sm.SceneFitter(ridge=1 / 0.3**2)(flat(truth), exposure)
        pulls.append((fit.values - truth.scene.coefficients) / fit.errors)
    pulls = np.concatenate(pulls)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * len(pulls)))


def test_passes_one_after_the_other_approach_the_joint_fit(field):
    exposure, truth = field
    joint = sm.SceneFitter()(flat(truth), exposure)
    change = [np.abs(sm.SceneFitter(joint=False, n_iterations=n)(flat(truth), exposure).values
                     - joint.values).max() for n in (1, 5, 200)]  # fmt: skip
    assert change[0] > change[1] > change[2]
    assert change[2] < 1e-3


def test_covariance_with_neighbours_held_is_smaller(field):
    exposure, truth = field
    whole = sm.SceneFitter()(flat(truth), exposure)
    blocks = sm.SceneFitter(dense_limit=1)(flat(truth), exposure)
    assert isinstance(blocks.covariance, Blocks)
    assert np.all(blocks.errors <= whole.errors * (1 + 1e-6))
    np.testing.assert_allclose(blocks.values, whole.values, rtol=1e-6)
    key = truth.scene.entries[0].key
    assert whole.coefficient_covariance(key).shape == (4, 4)
    assert blocks.coefficient_covariance(key).shape == (4, 4)


def test_ridge_does_not_depend_on_the_scale_of_the_data(field):
    exposure, truth = field
    reference = sm.SceneFitter(ridge=5)(flat(truth), exposure)
    for known in (True, False):
        scaled = sm.SlitlessExposure(
            exposure.data * 1e-3, exposure.variance * 1e-6 if known else None
        )
        small = flat(truth)
        small = sm.GrismScene(small.columns * 1e-3, small.entries, small.shape, small.coefficients)
        fit = sm.SceneFitter(ridge=5)(small, scaled)
        np.testing.assert_allclose(fit.values, reference.values, atol=1e-6 if known else 0.02)


def test_noise_is_estimated_where_none_is_known(field):
    exposure, truth = field
    fit = sm.SceneFitter()(flat(truth), sm.SlitlessExposure(exposure.data))
    assert fit.noise == pytest.approx(0.1, rel=0.03)
    assert fit.chi2 / fit.dof == pytest.approx(1, rel=0.06)


def test_prior_of_a_parameter_replaces_the_ridge(field):
    exposure, truth = field
    spectrum = sm.LegendreSpectrum(3)
    spectrum.c1.prior = sm.GaussianPrior(0.5, 1e-6)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism, spectrum=spectrum)
    fit = sm.SceneFitter(ridge=0)(scene, exposure)
    np.testing.assert_allclose(fit.values[1::4], 0.5, atol=1e-4)


def test_bad_pixels_do_not_matter(field):
    exposure, truth = field
    data, variance = np.array(exposure.data), np.array(exposure.variance)
    rng = np.random.default_rng(0)
    bad = rng.random(data.shape) < 0.1
    data[bad] = 1e6
    flagged = sm.SceneFitter()(flat(truth), sm.SlitlessExposure(data, variance, bad))
    data[bad] = np.nan
    missing = sm.SceneFitter()(flat(truth), sm.SlitlessExposure(data, variance))
    np.testing.assert_allclose(flagged.values, missing.values, atol=1e-10)
    np.testing.assert_allclose(flagged.values, truth.scene.coefficients, atol=0.3)


def test_several_orientations_are_fitted_together():
    across = analytic_grism((140, 280))
    along = analytic_grism((140, 280), vertical=True)
    exposure, truth = sm.datasets.make_slitless(seed=5, grism=across, n_sources=6)
    second = sm.GrismScene.from_direct_image(truth.direct, grism=along)
    values = {e.label: truth.scene.coefficients[e.terms] for e in truth.scene.entries}
    second = second.with_coefficients(np.concatenate([values[e.label] for e in second.entries]))
    rng = np.random.default_rng(5)
    turned = sm.SlitlessExposure(second.simulated_image + 0.1 * rng.normal(size=(140, 280)),
                                 np.full((140, 280), 0.01))  # fmt: skip
    scenes = [flat(truth), sm.GrismScene.from_direct_image(truth.direct, grism=along)]
    one = sm.SceneFitter(ridge=0)(scenes[0], exposure)
    both = sm.SceneFitter(ridge=0)(scenes, [exposure, turned])
    assert len(both.values) == len(one.values)
    assert np.all(both.errors < one.errors)
    pulls = (both.values - truth.scene.coefficients) / both.errors
    assert np.abs(pulls).max() < 5
    np.testing.assert_array_equal(both.scenes[1].coefficients[:4],
                                  both.values[both.index[1][:4]])  # fmt: skip


def test_orders_with_one_spectrum_are_fitted_together():
    grism = analytic_grism((140, 420), orders=(1, 2))
    _, truth = sm.datasets.make_slitless(seed=2, grism=grism, n_sources=4)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=grism, share_orders=True)
    values = np.random.default_rng(1).normal(1, 0.3, scene.n_parameters)
    image = scene.with_coefficients(values[scene.parameters]).simulated_image
    exposure = sm.SlitlessExposure(image, np.ones(image.shape))
    fit = sm.SceneFitter(ridge=0)(scene, exposure)
    np.testing.assert_allclose(fit.values, values, atol=1e-5)
    np.testing.assert_allclose(fit.scene.simulated_image, image, atol=1e-4)
    window = slice(0, 140), slice(0, 420)
    key = scene.entries[0].key
    dense = fit.contamination_variance(key, window)
    single = sm.SceneFitter(ridge=0, dense_limit=1)(scene, exposure)
    assert np.all(dense >= 0)
    assert np.all(single.contamination_variance(key, window) >= 0)


def test_source_that_cannot_be_fitted_keeps_its_spectrum(field):
    exposure, truth = field
    mask = np.array(exposure.mask)
    first = truth.scene.entries[0]
    image = truth.scene.image(first.key)
    mask[image > 0] = True
    masked = sm.SlitlessExposure(exposure.data, exposure.variance, mask)
    fit = sm.SceneFitter(ridge=0)(flat(truth), masked)
    assert fit.source(first.key).reason == "no usable pixel"
    np.testing.assert_array_equal(fit.scene.coefficients[first.terms], [1, 0, 0, 0])
    np.testing.assert_array_equal(fit.errors[first.terms], np.inf)
    assert np.isfinite(fit.values).all()
    assert not fit.source(first.key).success
    np.testing.assert_array_equal(np.diagonal(fit.coefficient_covariance(first.key)), np.inf)


def test_singular_source_without_ridge_is_held_and_named(field):
    exposure, truth = field
    first = truth.scene.entries[0]
    mask = np.ones(exposure.shape, bool)
    pixels = np.flatnonzero(truth.scene.image(first.key).ravel() > 1)[:2]
    mask.ravel()[pixels] = False
    masked = sm.SlitlessExposure(exposure.data, exposure.variance, mask)
    fit = sm.SceneFitter(ridge=0)(flat(truth), masked)
    assert fit.source(first.key).reason == "not determined by its pixels"
    assert np.isfinite(fit.values).all()
    held = sm.SceneFitter(ridge=0.1)(flat(truth), masked)
    assert held.source(first.key).success


def test_level_far_from_the_direct_image_is_rejected(field):
    exposure, truth = field
    first = truth.scene.entries[0]
    data = exposure.data + 5 * truth.scene.image(first.key)
    fit = sm.SceneFitter(rejection=1.0)(flat(truth), sm.SlitlessExposure(data, exposure.variance))
    source = fit.source(first.key)
    assert not source.success
    assert "of the direct image" in source.reason
    np.testing.assert_array_equal(fit.scene.coefficients[first.terms], [1, 0, 0, 0])
    report = fit.report()
    assert report["reason"][0] == source.reason
    assert len(report) == len(fit.sources)


def test_degree_zero_fits_the_level(field):
    _, truth = field
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism,
                                            spectrum=sm.LegendreSpectrum(0))  # fmt: skip
    image = scene.with_coefficients(np.full(len(scene), 1.3)).simulated_image
    fit = sm.SceneFitter(ridge=0)(scene, sm.SlitlessExposure(image, np.ones(image.shape)))
    np.testing.assert_allclose(fit.values, 1.3, atol=1e-6)


def test_single_source_may_be_fitted_by_other_fitters(field):
    _, truth = field
    first = truth.scene.entries[0]
    model = flat(truth)[first.key]
    alone = truth.scene.image(first.key)
    y, x = np.mgrid[: alone.shape[0], : alone.shape[1]]
    lit = alone != 0
    fitted = fitting.LinearLSQFitter()(model, x[lit], y[lit], alone[lit])
    np.testing.assert_allclose(fitted.parameters, truth.scene.coefficients[first.terms], atol=1e-8)


def test_relative_error_of_shapes_weakens_bright_pixels(field):
    exposure, truth = field
    plain = sm.SceneFitter()(flat(truth), exposure)
    careful = sm.SceneFitter(model_error=0.1)(flat(truth), exposure)
    assert np.all(careful.errors >= plain.errors)
    assert np.mean(careful.errors) > 1.5 * np.mean(plain.errors)


@pytest.mark.parametrize(
    "settings",
    [{"ridge": -1}, {"n_iterations": 0}, {"rejection": -1}, {"model_error": -0.1}, {"clip": 0}],
)
def test_bad_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        sm.SceneFitter(**settings)


def test_scenes_and_exposures_must_fit(field):
    exposure, truth = field
    with pytest.raises(TypeError, match="scene"):
        sm.SceneFitter()("scene", exposure)
    with pytest.raises(ValueError, match="one for each scene"):
        sm.SceneFitter()([flat(truth)] * 2, [exposure])
    with pytest.raises(ValueError, match="shape"):
        sm.SceneFitter()(flat(truth), sm.SlitlessExposure(np.ones((5, 5))))


def test_hits_that_are_not_flagged_are_clipped_and_counted(field):
    exposure, truth = field
    rng = np.random.default_rng(1)
    lit = np.flatnonzero((truth.image > 0.5) & ~exposure.mask)
    hit = np.sort(rng.choice(lit, 40, replace=False))
    data = exposure.data.copy()
    data.flat[hit] += 200.0
    struck = sm.SlitlessExposure(data, exposure.variance, exposure.mask, exposure.cutouts)
    scene = flat(truth)
    clean = sm.SceneFitter()(scene, exposure)
    clipped = sm.SceneFitter(clip=6)(scene, struck)
    plain = sm.SceneFitter()(scene, struck)
    assert set(hit) <= set(clipped.clipped[0])
    assert len(clipped.clipped[0]) < 45
    assert sum(source.n_clipped for source in clipped.sources) >= 40
    assert clipped.report()["n_clipped"].sum() >= 40
    shift = [np.abs(fit.values - clean.values).max() for fit in (clipped, plain)]
    assert shift[0] < 0.1 * shift[1]


def test_nothing_is_clipped_where_no_pixel_is_off(field):
    exposure, truth = field
    fit = sm.SceneFitter(clip=6)(flat(truth), exposure)
    np.testing.assert_array_equal(fit.values, sm.SceneFitter()(flat(truth), exposure).values)
    assert fit.clipped[0].size == 0


@pytest.mark.parametrize("spectrum", [sm.LegendreSpectrum(3), sm.BSplineSpectrum(20)])
@pytest.mark.parametrize("joint", [True, False])
def test_scale_of_the_direct_image_does_not_matter(field, spectrum, joint):
    exposure, truth = field
    images = []
    for factor in (1.0, 10.0, 1e-3):
        direct = sm.DirectImage(truth.direct.data * factor, truth.direct.segmentation)
        scene = sm.GrismScene.from_direct_image(direct, grism=truth.grism, spectrum=spectrum)
        fit = sm.SceneFitter(ridge=6, joint=joint)(scene, exposure)
        images.append(fit.scene.simulated_image)
    np.testing.assert_allclose(images[1:], [images[0]] * 2, atol=1e-5 * images[0].max())


def test_spectra_with_other_limits_in_other_scenes_are_refused(field):
    exposure, truth = field
    scenes = [
        sm.GrismScene.from_direct_image(
            truth.direct, grism=truth.grism, spectrum=sm.LegendreSpectrum(2, limits=limits)
        ) for limits in ((1.0, 2.0), (1.0, 3.0))
    ]  # fmt: skip
    with pytest.raises(ValueError, match="limits"):
        sm.SceneFitter()(scenes, [exposure, exposure])


def test_light_that_is_known_is_no_part_of_the_fit(field):
    exposure, truth = field
    known = 30 + np.linspace(0, 20, exposure.shape[1]) * np.ones(exposure.shape)
    plain = sm.ContaminationSubtraction(flat(truth))(exposure)
    other = sm.ContaminationSubtraction(flat(truth))(
        sm.SlitlessExposure(exposure.data + known, exposure.variance, exposure.mask,
                            cutouts=exposure.cutouts, known_light=known)
    )  # fmt: skip
    np.testing.assert_allclose(other.fit.values, plain.fit.values, rtol=1e-6, atol=1e-8)
    for one, two in zip(plain.slits, other.slits, strict=True):
        np.testing.assert_allclose(one.corrected, two.corrected, atol=1e-6)


def test_spectrum_of_a_source_without_pixels_is_not_known(field):
    exposure, truth = field
    first = truth.scene.entries[0]
    mask = np.array(exposure.mask) | (truth.scene.image(first.key) > 0)
    result = sm.ContaminationSubtraction(flat(truth))(
        sm.SlitlessExposure(exposure.data, exposure.variance, mask, cutouts=exposure.cutouts)
    )
    assert not np.isfinite(result.spectrum(first.key).uncertainty.array).any()
    assert np.isfinite(result.spectrum(truth.scene.entries[1].key).uncertainty.array).all()


def test_scene_without_sources_says_nothing(field, capfd):
    exposure, truth = field
    direct = sm.DirectImage(np.zeros(exposure.shape), np.zeros(exposure.shape, int))
    scene = sm.GrismScene.from_direct_image(direct, grism=truth.grism)
    fit = sm.SceneFitter()(scene, exposure)
    assert not fit.sources
    assert capfd.readouterr() == ("", "")
