"""Several images in one fit: what they share, and what each has for itself."""

import numpy as np
import pytest

import specmodels as sm

NY, NX = 30, 120
FLUX = 300 + 50 * np.sin(np.arange(NX) / 15)


def exposure(seed, row=14.0, width=1.5, level=20.0):
    y = np.arange(NY)[:, None]
    clean = FLUX * sm.GaussianProfile(stddev=width, center=row)(y) + level
    data = np.random.default_rng(seed).normal(clean, 1.0)
    return sm.SpectralImage(data, variance=np.ones(data.shape), name=f"exposure {seed}")


def model():
    source = sm.Source(sm.GaussianProfile(stddev=1.7), sm.PolynomialTrace(0, limits=(0, NX - 1)),
                       trace_c0=14.5, name="star")  # fmt: skip
    return source + sm.ColumnPolynomial(0, limits=(0, NY - 1), name="sky")


def test_one_spectrum_from_three_exposures():
    images = [exposure(seed, level=10.0 * seed) for seed in (1, 2, 3)]
    fit, alone = sm.VarProFitter()(model(), images), sm.VarProFitter()(model(), images[0])
    assert fit.success
    assert fit["flux_0"].shape == (NX,)
    assert fit["c0_1"].shape == (3, NX)
    assert fit.repeats_over("c0_1")["exposure"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(fit["c0_1"].mean(axis=1), [10, 20, 30], atol=0.2)
    ratio = np.median(alone.error("flux_0") / fit.error("flux_0"))
    assert ratio == pytest.approx(3**0.5, rel=0.03)
    pulls = (fit["flux_0"] - FLUX) / fit.error("flux_0")
    assert 0.85 < pulls.std() < 1.15
    assert len(fit.predict()) == len(fit.residual()) == 3
    assert fit.chi2.shape == fit.dof.shape == (3,)
    np.testing.assert_allclose(fit.chi2 / fit.dof, 1, atol=0.12)


def test_nods_have_their_own_traces_and_seeing():
    images = [exposure(1, row=13.0), exposure(2, row=16.0, width=1.9)]
    fit = sm.VarProFitter()(model(), images, share={"trace_*": False, "stddev_0": False})
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.06)
    np.testing.assert_allclose(fit["trace_c0_0"], [13, 16], atol=0.05)
    np.testing.assert_allclose(fit["stddev_0"], [1.5, 1.9], atol=0.05)
    assert np.shape(fit.error("trace_c0_0")) == (2,)


def test_a_shared_trace_does_not_fit_nods():
    images = [exposure(1, row=12.0), exposure(2, row=16.0)]
    assert sm.VarProFitter()(model(), images).reduced_chi2 > 2


def test_names_of_share_must_exist():
    with pytest.raises(ValueError, match="share: 'seeing'"):
        sm.VarProFitter()(model(), [exposure(1), exposure(2)], share={"seeing": False})


def test_an_exposure_is_a_list_of_images():
    images = [exposure(1), exposure(2)]
    one, two = (sm.LinearFitter()(model(), data) for data in (images, sm.Exposure(images)))
    np.testing.assert_array_equal(one["flux_0"], two["flux_0"])


@pytest.mark.parametrize("wrong", [[], "image", [np.ones((3, 4))]])
def test_other_data_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="image: expected"):
        sm.LinearFitter()(model(), wrong)


def test_hits_in_any_image_are_rejected():
    images = [exposure(1), exposure(2)]
    data = images[1].data.copy()
    data[14, 40] += 60
    images[1] = images[1].replace(data=data)
    fit = sm.SigmaClipFitter(sm.VarProFitter(), sigma=5)(model(), images)
    assert fit.rejected[1][14, 40]
    assert fit.rejected[0].sum() + fit.rejected[1].sum() < 5


def test_a_fitted_model_evaluates_by_itself():
    image = exposure(1)
    fit = sm.LinearFitter()(
        model() + sm.repeated_over(sm.UniformSky(), "exposure"), [image, image.replace(name="b")]
    )
    x, y = np.meshgrid(np.arange(NX), np.arange(NY))
    np.testing.assert_allclose(fit.model(x, y), fit.predict()[0], rtol=1e-10)
    assert np.isnan(fit.model(NX + 3.0, 2.0))


def test_learnt_strength_is_that_of_the_noise():
    """Amplitudes of flicker noise of known power: the strength is one over their variance."""
    rng, found = np.random.default_rng(5), []
    t = np.arange(64)
    for _ in range(6):
        k = np.arange(1, 4)
        amplitudes = rng.normal(0, 2.0 / np.sqrt(np.tile(k, 2)), (40, 6))
        angle = 2 * np.pi * np.outer(k, t) / 64
        noise = amplitudes @ np.concatenate([np.cos(angle), np.sin(angle)])
        data = noise + rng.normal(0, 1, noise.shape) + 5
        image = sm.SpectralImage(data, variance=np.ones(data.shape), readout=sm.Readout())
        flicker = sm.FourierNoise(n_harmonics=3, period=64.0, name="flicker")
        flicker.coefficient_prior = sm.FlickerPrior()
        fit = sm.LinearFitter()(flicker, image)
        found.append(fit.strengths["flicker"])
    assert np.mean(np.log(found)) == pytest.approx(np.log(0.25), abs=np.log(1.2))


def nod_models(*rows):
    """The model for each image, its trace near the row of the source."""
    models = [model() for _ in rows]
    for own, row in zip(models, rows, strict=True):
        own.trace_c0_0 = row
    return models


def test_each_image_may_have_initial_values_of_its_own():
    images = [exposure(1, row=8.0), exposure(2, row=21.0)]
    fit = sm.VarProFitter()(nod_models(8.4, 20.5), images, share={"trace_*": False})
    assert fit.success
    np.testing.assert_allclose(fit["trace_c0_0"], [8, 21], atol=0.05)
    assert [float(own.trace_c0_0.value) for own in fit.templates] == fit["trace_c0_0"].tolist()


def test_what_is_fixed_in_some_images_is_free_in_the_others():
    images = [exposure(1, row=8.0), exposure(2, row=21.0)]
    models = nod_models(8.5, 20.5)
    models[0].trace_c0_0.fixed = True
    fit = sm.VarProFitter()(models, images)
    assert fit["trace_c0_0"][0] == 8.5
    assert fit["trace_c0_0"][1] == pytest.approx(21, abs=0.2)
    error = fit.error("trace_c0_0")
    assert error[0] == 0
    assert 0 < error[1] < 0.1


def test_models_of_images_must_be_alike():
    with pytest.raises(ValueError, match="model: expected one for each of 2 images, got 1"):
        sm.LinearFitter()([model()], [exposure(1), exposure(2)])
    other = model() + sm.ColumnPolynomial(0, name="more")
    with pytest.raises(ValueError, match="model: expected the same parameters for all images"):
        sm.LinearFitter()([model(), other], [exposure(1), exposure(2)])


def test_a_fit_is_seen_in_one_of_its_images():
    images = [exposure(1, row=13.0), exposure(2, row=16.0, level=50.0)]
    fit = sm.SigmaClipFitter(sm.VarProFitter())(model(), images, share={"trace_*": False})
    one = fit.of_image(1)
    assert one.image.name == "exposure 2"
    np.testing.assert_array_equal(one.predict(), fit.predict()[1])
    np.testing.assert_array_equal(one.rejected, fit.rejected[1])
    np.testing.assert_array_equal(one.error("flux_0"), fit.error("flux_0"))
    assert one["trace_c0_0"] == fit["trace_c0_0"][1]
    np.testing.assert_allclose(one.prediction_error(), fit.prediction_error()[1], rtol=1e-10)
    np.testing.assert_allclose(one.components()["sky"], fit.components()["sky"][1])
    np.testing.assert_allclose(one.model(images[1].x[None], images[1].y[:, None]), one.predict())
    assert "pixels rejected" in repr(fit)
