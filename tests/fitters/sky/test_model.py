"""A sky of any model that is linear in parameters, in the slits of a master background."""

import numpy as np
import pytest
from astropy.modeling.models import Chebyshev1D, Gaussian1D
from numpy.testing import assert_allclose

import specmodels as sm
from tests.fitters.simulated import assert_unit_pulls


class KnownLines(sm.BasisModel):
    """A constant, a slope, and lines at known wavelengths."""

    coordinates = ("wavelength",)

    def __init__(self, lines=(2.0, 3.0, 4.1), sigma=0.02, **parameters):
        self.lines, self.sigma = tuple(lines), float(sigma)
        super().__init__(2 + len(self.lines), **parameters)

    def basis(self, wavelength):
        shape = -0.5 * (np.subtract.outer(wavelength, self.lines) / self.sigma) ** 2
        terms = np.stack([np.ones(np.shape(wavelength)), np.asarray(wavelength)], axis=-1)
        return np.concatenate([terms, np.exp(shape)], axis=-1)


SLITS, TRUTH = sm.datasets.make_slitlets()
VALUES = np.array([2.0, 1.0, 5.0, 3.0, 0.0])
LEVELS = np.array([0.9, 1.02, 1.08])


def pixels(seed, sigma=0.1, levels=LEVELS, sky=None):
    """Sky pixels of three slits that show the sky of `VALUES`."""
    rng, out = np.random.default_rng(seed), []
    sky = KnownLines(**{f"c{k}": v for k, v in enumerate(VALUES)}) if sky is None else sky
    for name, level in zip(["BKG_1", "BKG_2", "BKG_3"], levels, strict=True):
        image, throughput = SLITS[name], TRUTH.throughputs[name]
        data = level * throughput * sky(np.broadcast_to(image.wavelength, image.shape))
        noisy = image.replace(data=rng.normal(data, sigma), components={},
                              variance=np.full(image.shape, sigma**2))  # fmt: skip
        out.append(sm.SkyPixels.of(noisy, throughput=throughput))
    return out


def test_coefficients_and_levels_have_unit_pulls():
    pulls, levels = [], []
    for seed in range(20):
        fit = sm.SkyModelFitter()(KnownLines(), pixels(seed))
        assert fit.success, fit.message
        error = np.sqrt(np.diagonal(fit.curve.coefficient_covariance))
        pulls.append((fit.model.parameters - VALUES) / error)
        levels.append([(fit.slits[name].throughput - level) / fit.slits[name].error
                       for name, level in zip(fit.used, LEVELS, strict=True)])  # fmt: skip
    assert_unit_pulls(pulls)
    assert abs(np.std(levels) - 1) < 0.35  # their mean is one: they are not independent
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.05)


def test_a_spline_is_fitted_as_by_its_own_fitter():
    breaks = np.linspace(0.97, 5.02, 60)
    slits = pixels(3, sky=lambda wavelength: 2 + np.sin(wavelength))
    model = sm.MasterBackgroundSpectrum(breaks)
    options = {"sigma": 6.0, "disagreement": None}
    one, two = sm.SkyModelFitter(**options)(model, slits), sm.SkyFitter(**options)(model, slits)
    grid = np.linspace(1.1, 4.9, 300)
    (value, variance), (other, expected) = one.curve(grid), two.curve(grid)
    assert_allclose(value, other, atol=0.02 * np.sqrt(expected.min()))
    assert_allclose(variance, expected, rtol=2e-3)
    assert_allclose(np.diagonal(one.curve.covariance(grid)), variance, rtol=1e-9)
    edges = np.linspace(1.2, 4.8, 40)
    (mean, own), (other, expected) = one.curve.mean(edges), two.curve.mean(edges)
    assert_allclose(mean, other, atol=0.05 * np.sqrt(expected.min()))
    assert_allclose(own, expected, rtol=0.02)


def test_compounds_of_stock_models_with_priors_are_skies():
    sky = Chebyshev1D(2, domain=(0.9, 5.1)) + Gaussian1D(
        1.0, 2.0, 0.02, fixed={"mean": True, "stddev": True}
    )
    sky[1].amplitude.prior = sm.GaussianPrior(5.0, 1e-6)
    fit = sm.SkyModelFitter()(sky, pixels(4))
    assert fit.model.amplitude_1 == pytest.approx(5.0, abs=1e-4)
    assert fit.model.c1_0 > 0


def test_hits_and_slits_that_differ_are_left_out():
    slits = pixels(5)
    data = slits[0].data.copy()
    data[100] += 50
    other = slits[1].replace(data=slits[1].data * (1 + 0.3 * np.sin(3 * slits[1].wavelength)))
    fit = sm.SkyModelFitter()(KnownLines(), [slits[0].replace(data=data), other, slits[2]])
    assert list(fit.left_out) == [slits[1].name]
    assert fit.rejected[slits[0].name][100]
    assert fit.rejected[slits[0].name].mean() < 0.001


def test_nothing_is_known_beyond_the_data_and_of_what_they_do_not_show():
    fit = sm.SkyModelFitter()(KnownLines(lines=(2.0, 9.0)), pixels(6))
    low, high = fit.curve.limits
    value, variance = fit.curve([low - 0.1, 3.5, high + 0.1])
    assert np.isnan(value[[0, 2]]).all()
    assert np.isnan(variance[[0, 2]]).all()
    assert np.isfinite([value[1], variance[1]]).all()


def test_master_background_takes_any_such_model():
    exposure = SLITS.map(
        lambda image: image.replace(
            data=TRUTH.throughputs[image.name]
            * KnownLines(c0=2, c1=1, c2=5)(np.broadcast_to(image.wavelength, image.shape)),
            variance=np.full(image.shape, 0.01),
            components={},
        )
    )
    result = sm.MasterBackgroundSubtraction(KnownLines(), throughput=TRUTH.throughputs)(exposure)
    assert_allclose(result.fit.model.parameters, [2, 1, 5, 0, 0], atol=1e-6)
    for image in result.cleaned.values() if hasattr(result, "cleaned") else ():
        assert np.abs(image.data[~image.mask]).max() < 1e-6


class MedianSky(sm.SlitSkyFitter):
    """Another fitter behind the same protocol."""

    def __call__(self, model, slits):
        return sm.SkyModelFitter(fit_throughput=False)(KnownLines(), slits)


def test_fitters_of_ones_own_are_taken_and_others_refused():
    job = sm.MasterBackgroundSubtraction(fitter=MedianSky(), throughput=TRUTH.throughputs)
    assert isinstance(job(SLITS).fit, sm.SkyFit)
    with pytest.raises(TypeError, match="fitter: expected a SkyFitter or SlitSkyFitter"):
        sm.MasterBackgroundSubtraction(fitter=sm.VarProFitter())

    class Wrong(sm.SlitSkyFitter):
        def __call__(self, model, slits):
            return 1.0

    with pytest.raises(TypeError, match="expected a SkyFit"):
        sm.MasterBackgroundSubtraction(fitter=Wrong())(SLITS)


@pytest.mark.parametrize(
    ("model", "error", "what"),
    [
        ("sky", TypeError, "model: expected a model of the wavelength"),
        (sm.UniformSky(), TypeError, "model: expected a model of the wavelength"),
        (sm.LogPolynomialSpectrum(1), ValueError, "free linear parameter"),
    ],
)
def test_models_that_cannot_be_fitted_are_named(model, error, what):
    with pytest.raises(error, match=what):
        sm.SkyModelFitter()(model, pixels(7))


def test_no_pixels_and_wrong_settings_are_named():
    none = [p.take(np.zeros(p.size, dtype=bool)) for p in pixels(8)]
    with pytest.raises(ValueError, match="no background slit has a usable pixel"):
        sm.SkyModelFitter()(KnownLines(), none)
    with pytest.raises(ValueError, match="sigma"):
        sm.SkyModelFitter(sigma=0)
    with pytest.raises(ValueError, match="disagreement"):
        sm.SkyModelFitter(disagreement=-1)
