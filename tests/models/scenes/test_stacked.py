"""Scenes of several exposures as one: the same sources, one detector above the other."""

import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism

SHAPES = (150, 200), (170, 140)


def rolls(seed=5, **settings):
    """Scenes of one field in two orientations, on detectors of different shapes."""
    scenes, exposures = [], []
    for shape, vertical in zip(SHAPES, (False, True), strict=True):
        exposure, truth = sm.datasets.make_slitless(
            seed=seed, n_sources=3, shape=shape, field=(60, 60),
            grism=analytic_grism(shape, vertical=vertical), **settings,
        )  # fmt: skip
        scenes.append(truth.scene)
        exposures.append(exposure)
    return scenes, exposures


def test_light_is_that_of_each_scene():
    scenes, _ = rolls()
    stacked = sm.StackedScene.of(scenes)
    assert stacked.shape == (320, 200)
    assert stacked.n_parameters == scenes[0].n_parameters
    assert_allclose(stacked.coefficients, scenes[0].coefficients)
    image = stacked.simulated_image
    assert_allclose(image[:150], scenes[0].simulated_image, atol=1e-12)
    turned = scenes[1].with_coefficients(scenes[0].coefficients)
    assert_allclose(image[150:, :140], turned.simulated_image, atol=1e-12)
    assert not image[150:, 140:].any()


def test_one_fit_is_that_of_the_scene_fitter():
    scenes, exposures = rolls(7)
    stacked = sm.StackedScene.of(scenes)
    images = stacked.on(one.to_image(name=f"{k}") for k, one in enumerate(exposures))
    fit = sm.LinearFitter()(stacked.to_model(), images)
    expected = sm.SceneFitter(ridge=0)(scenes, exposures)
    fitted = stacked.fitted(fit)
    assert_allclose(fitted.coefficients, expected.values, rtol=1e-6, atol=1e-7)
    for scene, own in zip(fitted.each, expected.scenes, strict=True):
        assert_allclose(scene.coefficients, own.coefficients, rtol=1e-6, atol=1e-7)
    for key in stacked:
        assert_allclose(stacked.coefficient_covariance(fit, key),
                        expected.coefficient_covariance(key), rtol=1e-6, atol=1e-12)  # fmt: skip


def test_each_exposure_has_its_own_sky():
    scenes, exposures = rolls(8)
    stacked = sm.StackedScene.of(scenes)
    levels = 3.0, -2.0
    images = [one.to_image(name=f"{k}") for k, one in enumerate(exposures)]
    images = [one.replace(data=one.data + level) for one, level in zip(images, levels, strict=True)]
    sky = sm.repeated_over(Const2D(name="sky"), "exposure")
    fit = sm.LinearFitter()(stacked + sky, stacked.on(images))
    assert fit.success, fit.message
    assert_allclose(fit["sky.amplitude"], levels, atol=5 * fit.error("sky.amplitude").max())
    for image, part in zip(images, fit.predict(), strict=True):
        assert part.shape == image.shape


def test_shared_orders_have_their_coefficients_once():
    grism = analytic_grism((150, 280), orders=(1, 2))
    _, truth = sm.datasets.make_slitless(seed=6, n_sources=2, shape=(150, 280), grism=grism)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=grism, share_orders=True)
    stacked = sm.StackedScene.of([scene, scene])
    assert stacked.n_parameters == scene.n_parameters
    assert_allclose(stacked.simulated_image[:150], scene.simulated_image, atol=1e-12)
    assert_array_equal(stacked.each[1].coefficients, scene.coefficients)


def test_images_beyond_the_detector_are_refused():
    scenes, exposures = rolls()
    stacked = sm.StackedScene.of(scenes)
    images = [one.to_image(name=f"{k}") for k, one in enumerate(exposures)]
    assert [one.y[0] for one in stacked.on(images)] == [0, 150]
    part = stacked.on([images[0].cutout(slice(10, 20)), images[1]])[0]
    assert part.y[0] == 10
    with pytest.raises(ValueError, match=r"images\[0\]: expected rows from 0 to 149, got 0 to 169"):
        stacked.on(images[::-1])
    with pytest.raises(ValueError, match="images: expected 2, got 1"):
        stacked.on(images[:1])


def test_scenes_that_do_not_belong_together_are_refused():
    scenes, _ = rolls()
    other, _ = rolls(spectrum=sm.LegendreSpectrum(2))
    with pytest.raises(ValueError, match="4 coefficients in one exposure and 3 in another"):
        sm.StackedScene.of([scenes[0], other[1]])
    with pytest.raises(ValueError, match="expected at least one"):
        sm.StackedScene.of([])
    with pytest.raises(TypeError, match="expected GrismScene objects"):
        sm.StackedScene.of([scenes[0], 3])
