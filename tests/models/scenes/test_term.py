"""A scene of dispersed sources as a term of compositions: fitted with sky and readout, truly."""

import numpy as np
import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism
from tests.fitters.simulated import assert_unit_pulls

SKY, LINES = 2.0, 0.3


def field(seed, **settings):
    """A grism image with a sky and an offset for each line of readout; its scene and the truth."""
    exposure, truth = sm.datasets.make_slitless(seed=seed, n_sources=6, **settings)
    offsets = np.random.default_rng(seed + 500).normal(0, LINES, (exposure.shape[0], 1))
    image = exposure.to_image(readout=sm.Readout(fast_axis=-1))
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    return image.replace(data=image.data + SKY + offsets), scene, truth.scene


def others():
    lines = sm.LineOffset(name="lines")
    lines.coefficient_prior = sm.RidgePrior()
    return lines + Const2D(name="sky")


def pulls(scene, fit, truth):
    fitted, out = scene.fitted(fit), []
    for entry in scene.entries:
        error = np.sqrt(np.diagonal(scene.coefficient_covariance(fit, entry.key)))
        out.append((fitted.coefficients - truth.coefficients)[entry.terms] / error)
    return np.concatenate(out)


def test_scene_sky_and_lines_of_readout_are_fitted_together():
    found, strengths = [], []
    for seed in range(20, 32):
        image, scene, truth = field(seed)
        fit = sm.LinearFitter()(scene + others(), image)
        assert fit.success, fit.message
        assert fit.reduced_chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / image.data.size))
        found.append(pulls(scene, fit, truth))
        found.append([(fit["sky.amplitude"] - SKY) / fit.error("sky.amplitude")])
        strengths.append(fit.strengths["lines"])
    assert_unit_pulls(np.concatenate(found))
    assert np.mean(strengths) == pytest.approx(LINES**-2, rel=0.15)


def test_errors_know_of_the_lines():
    """Without them in the model the fit is bad; with them errors are larger."""
    image, scene, _ = field(3)
    alone = sm.LinearFitter()(scene + Const2D(name="sky"), image)
    assert alone.reduced_chi2 > 3
    fit = sm.LinearFitter()(scene + others(), image)
    errors = [np.sqrt(np.diagonal(scene.coefficient_covariance(one, scene.entries[0].key)))
              for one in (alone, fit)]  # fmt: skip
    assert (errors[1] >= errors[0] * (1 - 1e-9)).all()


def test_a_scene_alone_is_that_of_the_scene_fitter():
    exposure, truth = sm.datasets.make_slitless(seed=4, n_sources=5)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    fit = sm.LinearFitter()(scene, exposure)
    other = sm.SceneFitter(ridge=0)(scene, exposure)
    known = np.sqrt(np.diagonal(other.covariance)) < 10
    assert_allclose(
        scene.fitted(fit).coefficients[known], other.values[known], rtol=1e-5, atol=1e-6
    )
    for entry in scene.entries:
        ours = scene.coefficient_covariance(fit, entry.key)
        assert_allclose(ours, other.coefficient_covariance(entry.key), rtol=1e-6, atol=1e-12)


def test_shared_orders_have_their_coefficients_once():
    grism = analytic_grism((140, 280), orders=(1, 2))
    exposure, truth = sm.datasets.make_slitless(seed=6, n_sources=4, grism=grism)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=grism, share_orders=True)
    model = scene.to_model()
    assert model.n_terms == scene.n_parameters == scene.columns.shape[1] // 2
    fit = sm.LinearFitter()(scene + Const2D(name="sky"), exposure)
    fitted = scene.fitted(fit)
    assert_allclose(fitted.simulated_image, fit.components()["scene"], rtol=1e-9, atol=1e-9)
    first, second = ((label, order) for label, order in list(scene)[:1] for order in (1, 2))
    assert_allclose(scene.coefficient_covariance(fit, first),
                    scene.coefficient_covariance(fit, second))  # fmt: skip


def test_prior_draws_to_the_initial_spectra_relative_to_their_levels():
    image, scene, _ = field(7)
    strong = scene.to_model(prior=scene.prior(1e12)) + others()
    fit = sm.LinearFitter()(strong, image)
    assert_allclose(scene.fitted(fit).coefficients, scene.coefficients, atol=1e-4)
    # The scatter of the coefficients, 0.3 of the level, is learnt.
    found = []
    for seed in range(40, 46):
        image, scene, _ = field(seed)
        learnt = sm.LinearFitter()(scene.to_model(prior=scene.prior()) + others(), image)
        found.append(learnt.strengths["scene"] ** -0.5)
    assert np.mean(found) == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("factor", [1e-12, 1e9])
def test_prior_does_not_know_the_scale_of_the_direct_image(factor):
    scene = field(8)[1]
    bright = scene.with_coefficients(factor * scene.coefficients)
    one, two = scene.prior(3.0), bright.prior(3.0)
    model = scene.to_model()
    assert_allclose(two.matrix(model).toarray(), one.matrix(model).toarray() / factor**2)
    assert_allclose(two.mean(model), one.mean(model) * factor)


def test_scene_is_still_a_mapping_and_composes_by_every_operator():
    image, scene, truth = field(9)
    throughput = Const2D(0.5, name="half", fixed={"amplitude": True})
    fit = sm.LinearFitter()(scene * throughput + others(), image)
    half = 2 * truth.coefficients
    fitted = scene.fitted(fit)
    assert np.corrcoef(fitted.coefficients, half)[0, 1] > 0.9
    assert list(fitted) == list(scene)
    assert len(scene + others() - Const2D()) == 1  # a single model
    with pytest.raises(TypeError):
        scene + 1


def test_a_scene_on_the_right_of_our_own_models():
    image, scene, _ = field(10)
    left, right = (sm.LinearFitter()(model, image)
                   for model in (scene + others(), sm.UniformSky() + scene + others()))  # fmt: skip
    assert_allclose(scene.fitted(left).coefficients, scene.fitted(right).coefficients, rtol=1e-6,
                    atol=1e-6)  # fmt: skip


def test_a_source_without_pixels_keeps_its_spectrum_and_has_infinite_errors():
    image, scene, _ = field(11)
    entry = scene.entries[0]
    dark = np.abs(scene.image(entry.key)) > 0
    fit = sm.LinearFitter()(scene + others(), image.replace(mask=image.mask | dark))
    fitted = scene.fitted(fit)
    assert_allclose(fitted.coefficients[entry.terms], scene.coefficients[entry.terms])
    assert np.isinf(np.diagonal(scene.coefficient_covariance(fit, entry.key))).all()


def test_level_of_a_known_image_is_fitted_with_an_honest_error():
    rows = np.mgrid[:140, :280][0]
    image, found = np.exp(-0.5 * ((rows - 70) / 6) ** 2), []
    for seed in range(30):
        exposure, truth = sm.datasets.make_slitless(seed=seed, n_sources=4)
        level = np.random.default_rng(seed).uniform(0.2, 3)
        more = sm.SlitlessExposure(exposure.data + level * image, exposure.variance,
                                   cutouts=exposure.cutouts)  # fmt: skip
        scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism).with_image(image)
        fit = sm.SceneFitter()(scene, more)
        value = fit.values[scene.entry(0).terms][0]
        found.append((value - level) / np.sqrt(fit.coefficient_covariance(0)[0, 0]))
    assert_unit_pulls(np.array(found))


def test_known_image_is_contamination_and_reported():
    exposure, truth = sm.datasets.make_slitless(seed=3, n_sources=4)
    own = sm.SourceSelection(labels=[2])
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism, selection=own)
    others = truth.image - truth.scene.image(2)
    result = sm.ContaminationSubtraction(scene.with_image(others / 2))(exposure)
    slit = result[2]
    assert_allclose(slit.contamination, others[slit.cutout.window], atol=0.02 * others.max())
    report = result.report()
    assert bool(report["fitted"][report["label"] == 0][0])
    assert np.all(slit.error > 0)


def test_a_known_image_does_not_draw_the_levels_of_sources():
    exposure, truth = sm.datasets.make_slitless(seed=3, n_sources=4)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    alone = sm.SceneFitter(ridge=100)(scene, exposure)
    dark = np.zeros(scene.shape)
    dark[-3:, -3:] = 1e-4  # its level is thousands of those of the sources
    with_image = sm.SceneFitter(ridge=100)(
        scene.with_image(dark, prior=sm.GaussianPrior(1e4, 1e4)), exposure
    )
    assert_allclose(with_image.values[:-1], alone.values, rtol=1e-6)


@pytest.mark.parametrize(("image", "label", "message"), [
    (np.ones((3, 3)), 0, "shape"), (np.full((140, 280), np.nan), 0, "finite"),
    (np.zeros((140, 280)), 0, "zero"), (np.ones((140, 280)), 1, "label"),
])  # fmt: skip
def test_images_that_cannot_be_used_are_refused(image, label, message):
    _, truth = sm.datasets.make_slitless(seed=3, n_sources=2)
    with pytest.raises(ValueError, match=message):
        truth.scene.with_image(image, label)


def test_wrong_calls_name_what_is_wrong():
    image, scene, _ = field(12)
    fit = sm.LinearFitter()(scene + others(), image)
    with pytest.raises(ValueError, match="fit: expected a scene 'field'"):
        scene.fitted(fit, name="field")
    with pytest.raises(ValueError, match="24 coefficients"):
        scene.fitted(sm.LinearFitter()(others(), image))
    with pytest.raises(KeyError, match="99"):
        scene.coefficient_covariance(fit, 99)
    empty = sm.GrismScene(scene.columns[:, :0], (), scene.shape)
    with pytest.raises(ValueError, match="scene: expected at least one source"):
        empty + others()
    with pytest.raises(ValueError, match="scale: expected positive"):
        sm.RidgePrior(scale=[1.0, 0.0])
    with pytest.raises(ValueError, match="mean: expected finite"):
        sm.RidgePrior(mean=np.nan)


def test_images_keep_what_the_exposure_knows():
    exposure, _ = sm.datasets.make_slitless(seed=1, n_sources=2)
    known = sm.SlitlessExposure(
        exposure.data, exposure.variance, known_light=np.ones(exposure.shape)
    )
    image = known.to_image(name="field")
    assert_allclose(image.data, exposure.data - 1)
    assert image.name == "field"
    assert_allclose(image.weights, exposure.weights)
