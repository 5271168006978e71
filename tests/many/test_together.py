"""Exposures that share a profile: against truth, one fit of all in one process, and on workers."""

import numpy as np
import pytest
from astropy.modeling.models import Const2D
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm

SHAPE = (24, 50)
X, Y = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))
GAMMA, ALPHA = 2.0, 2.8
OWN_TRACES = {"trace_*": False}
WAVELENGTH = np.linspace(1.0, 2.0, SHAPE[1]) + 0.005 * np.arange(SHAPE[0])[:, None]


def exposure(rng, number, flux):
    trace = sm.PolynomialTrace(0, c0=11.5 + rng.uniform(-1, 1))
    star = sm.Source(sm.MoffatProfile(gamma=GAMMA, alpha=ALPHA), trace)
    truth = flux * rng.uniform(0.5, 1.5, SHAPE[1])
    data = star(X, Y) * truth + rng.uniform(2, 4) + rng.normal(size=SHAPE)
    image = sm.SpectralImage(data, variance=np.ones(SHAPE), wavelength=WAVELENGTH,
                             name=f"night {number}")  # fmt: skip
    return image, truth


def night(seed, n=4, flux=60.0):
    rng = np.random.default_rng(seed)
    images, truths = zip(*(exposure(rng, k, flux) for k in range(n)), strict=True)
    return {image.name: image for image in images}, np.array(truths)


def star(trace=11.5):
    return sm.Source(sm.MoffatProfile(gamma=1.8, alpha=3.3), sm.PolynomialTrace(0, c0=trace),
                     name="star")  # fmt: skip


def model():
    return star() + sm.ColumnPolynomial(0, name="sky")


def together(images, own=None, **settings):
    settings = {"share": OWN_TRACES, "n_jobs": 1, "fitter": sm.VarProFitter()} | settings
    return sm.fit_together(model() if own is None else own, images, **settings)


def test_is_the_fit_of_all_exposures_in_one_system():
    images, _ = night(1)
    fit = together(images)
    spectrum = sm.repeated_over(Const2D(name="spectrum"), "exposure", "column")
    sky = sm.repeated_over(Const2D(name="sky"), "exposure", "column")
    source = star()
    source.flux.fixed = True
    joint = sm.VarProFitter()(spectrum * source + sky, list(images.values()), share=OWN_TRACES)
    assert fit.success
    assert joint.success
    for row in fit.parameters:
        name = f"star.{row['name'].removesuffix('_0')}"
        assert_allclose(row["value"], joint[name], atol=0.05 * joint.error(name))
        assert_allclose(row["error"], joint.error(name), rtol=0.02)
    for number, own in enumerate(fit.fits.values()):
        pairs = {"flux_0": "spectrum.amplitude", "c0_1": "sky.amplitude",
                 "trace_c0_0": "star.trace_c0"}  # fmt: skip
        for name, other in pairs.items():
            error = joint.error(other)[number]
            assert_allclose(own[name], joint[other][number], atol=0.05 * np.max(error))
            assert_allclose(own.error(name), error, rtol=0.02)
    assert_allclose(fit.reduced_chi2, joint.reduced_chi2, rtol=1e-4)


def test_shared_shapes_are_right_within_errors_that_shrink_with_exposures():
    pulls, errors = [], []
    for seed in range(10):
        fit = together(night(seed, 6)[0])
        values, error = np.array(fit.parameters["value"]), np.array(fit.parameters["error"])
        pulls.append((values - [GAMMA, ALPHA]) / error)
        errors.append(np.median([one.error("alpha_0") for one in fit.fits.values()]))
    alone = [sm.VarProFitter()(model(), image) for image in night(3, 6)[0].values()]
    assert 0.6 < np.std(pulls) < 1.4
    assert abs(np.mean(pulls)) < 0.6
    expected = np.median([one.error("alpha_0") for one in alone]) / np.sqrt(6)
    assert_allclose(np.median(errors), expected, rtol=0.25)


def test_faint_exposures_get_the_profile_of_the_bright_ones():
    bright, _ = night(1, 3, 100.0)
    faint, truth = night(2, 3, 10.0)
    images = {**bright, **{f"faint {k}": one for k, one in faint.items()}}
    fit = together(images)
    together_, alone = [], []
    for (name, image), own in zip(faint.items(), truth, strict=True):
        shared = fit.fits[f"faint {name}"]
        together_.append(np.sum(shared["flux_0"]) / np.sum(own))
        alone.append(sm.VarProFitter()(model(), image).error("alpha_0"))
        assert shared.error("alpha_0") < 0.2 * alone[-1]
    assert_allclose(together_, 1, atol=0.15)


def test_sky_that_is_a_function_of_wavelength():
    images, _ = night(5, 3)
    sky = sm.BSplineSpectrum(8, limits=(0.99, 2.12), name="sky")
    fit, plain = together(images, star() + sky), together(images)
    assert fit.success
    for row, other in zip(fit.parameters, plain.parameters, strict=True):
        assert row["name"] == other["name"]
        assert abs(row["value"] - other["value"]) < 2 * other["error"]
    own = fit.fits["night 1"]
    assert_allclose(own.error("alpha_0"), fit.parameters["error"][1], rtol=1e-10)


def test_hits_are_left_out_and_models_are_made_for_each_exposure():
    images, _ = night(6, 3)
    data = images["night 1"].data.copy()
    data[9, 20] += 400
    images["night 1"] = images["night 1"].replace(data=data)

    def made(image):
        rows = np.clip(image.data - 3, 0, None).sum(axis=1)
        return star(float(np.average(image.y, weights=rows**2))) + sm.ColumnPolynomial(0)

    fit = together(images, made, fitter=None)
    assert fit.fits["night 1"].image.mask[9, 20]
    errors = np.array(fit.parameters["error"])
    assert np.all(np.abs(fit.parameters["value"] - [GAMMA, ALPHA]) < 4 * errors)


def test_priors_of_what_is_shared_count_once():
    images, _ = night(7, 4)
    known = model()
    known.alpha_0.prior = sm.GaussianPrior(ALPHA, 1e-3)
    fit = together(images, known)
    assert_allclose(fit.parameters["error"][1], 1e-3, rtol=0.01)


def test_exposure_that_cannot_be_used_is_named_and_left_out(tmp_path):
    images, _ = night(8, 3)
    paths = {name: sm.write(image, tmp_path / f"{name}.fits") for name, image in images.items()}
    paths["broken"] = tmp_path / "broken.fits"
    paths["broken"].write_bytes(b"SIMPLE")
    fit = together(paths)
    assert list(fit.failures) == ["broken"]
    assert "broken.fits" in fit.failures["broken"]
    assert list(fit.fits) == list(images)
    assert repr(fit).endswith("share gamma_0, alpha_0; 1 left out, converged>")


def test_workers_give_the_same_bits(tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is not installed (extra dask)")
    images, _ = night(9, 3)
    paths = [sm.write(image, tmp_path / f"{name}.fits") for name, image in images.items()]
    here, there = together(paths), together(paths, n_jobs=2)
    assert_array_equal(here.parameters["value"], there.parameters["value"])
    assert_array_equal(here.covariance, there.covariance)
    for name, fit in here.fits.items():
        assert_array_equal(fit["flux_0"], there.fits[name]["flux_0"])


def test_shapes_that_the_data_do_not_determine_are_named():
    images, _ = night(10, 2)
    free = sm.Source(sm.MoffatProfile(), sm.PolynomialTrace(0, c0=11.5), name="star")
    free = free + sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, c0=400.0), name="nobody")
    fit = together(images, free, share=True)
    assert not fit.success
    assert "stddev_1" in fit.message
    place = list(fit.parameters["name"]).index("stddev_1")
    assert np.isinf(fit.parameters["error"][place])
    assert_array_equal(np.sqrt(np.diagonal(fit.covariance)), fit.parameters["error"])
    for one in fit.fits.values():
        assert not one.success
        assert one.message.count("stddev_1") == 1
        assert np.isinf(one.error("stddev_1"))
        assert np.isfinite(one.error("alpha_0"))
        assert np.isfinite(one.error("flux_0")).all()


def test_systems_say_what_is_not_determined():
    images, _ = night(10, 2)
    nobody = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, c0=400.0), name="nobody")
    fit = together(images, star() + sm.BSplineSpectrum(8, limits=(0.99, 2.12)) + nobody, share=True)
    assert not fit.success
    for one in fit.fits.values():
        assert not one.success
        assert one.message.count("stddev_3") == 1
        assert np.isinf(one.error("stddev_3"))
        assert np.isfinite(one.error("alpha_0"))


def test_exposure_does_not_complain_of_another():
    images, _ = night(11, 3)
    second = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, c0=5.0))
    images = {name: one.replace(data=one.data + 50 * second(X, Y)) for name, one in images.items()}

    def made(image):  # in one exposure the second source is looked for where nothing lies
        row = 400.0 if image.name == "night 1" else 5.0
        own = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, c0=row), name="second")
        return model() + own

    fit = together(images, made)
    assert not fit.success
    assert {name: one.success for name, one in fit.fits.items()} == {
        "night 0": True, "night 1": False, "night 2": True}  # fmt: skip


class TestRefusals:
    def test_no_model(self):
        with pytest.raises(TypeError, match="model: expected a model, or a function"):
            together(night(1, 1)[0], "Moffat")

    def test_no_fitter(self):
        with pytest.raises(TypeError, match="fitter: expected a Fitter"):
            together(night(1, 1)[0], fitter=len)

    def test_none_can_be_used(self):
        with pytest.raises(ValueError, match=r"inputs: none can be used.*no usable pixel"):
            together({"blank": np.full((5, 6), np.nan)})

    def test_name_of_no_parameter(self):
        with pytest.raises(ValueError, match="share: 'nothing'"):
            together(night(1, 2)[0], share={"nothing": False})

    def test_no_shape_is_free(self):
        fixed = sm.Source(sm.GaussianProfile(), name="star")
        for name in ("stddev", "trace_c0"):
            getattr(fixed, name).fixed = True
        with pytest.raises(ValueError, match="model: expected a free parameter"):
            together(night(1, 2)[0], fixed + sm.ColumnPolynomial(0), share=True)

    def test_other_models_for_some_exposures(self):
        def made(image):
            return model() if image.name == "night 0" else star()

        with pytest.raises(ValueError, match=r"model: expected .* for all exposures"):
            together(night(1, 2)[0], made)
