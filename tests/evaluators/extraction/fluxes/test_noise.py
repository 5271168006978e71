"""Variances that are missing, or that follow the noise of the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.evaluators.extraction.fluxes.noise import (
    with_constant_variance,
    with_smooth_poisson,
)


def pulls(image, truth):
    table = sm.OptimalExtraction(n_sources=1)(image).table("source")
    return (table["flux"].value - truth.flux[0]) / table["flux_error"].value


@pytest.mark.parametrize("snr", [5.0, 30.0, 100.0])
def test_errors_are_true_without_any_variance(snr):
    """Read noise and Poisson noise are told apart from the residuals."""
    values = []
    for seed in range(4):
        image, truth = make_slit(seed=seed, snr=snr)
        values.append(pulls(sm.SpectralImage(image.data, mask=image.mask), truth))
    values = np.array(values)
    width = 1.4826 * np.median(np.abs(values - np.median(values)))
    assert abs(width - 1) < 0.1 + 3 * 1.17 / np.sqrt(values.size)
    assert np.mean(np.abs(values) > 6) < 5e-3


def test_missing_variance_is_said_in_the_notes():
    """It is no reason for doubt: the errors are those that the residuals show."""
    image, _ = make_slit(seed=1)
    result = sm.OptimalExtraction()(sm.SpectralImage(image.data))
    assert "variance estimated from the data" in result.notes
    assert result.image.variance is None
    assert (result.variance > 0).all()


def test_variance_computed_from_the_noisy_data_does_not_bias_the_flux():
    """Faint: low pixels would get high weights, and the flux be too low by a third of an error."""
    alone, smooth = [], []
    for seed in range(5):
        image, truth = make_slit(seed=seed, snr=8.0, sky=1.0, read_noise=1.0, hit_fraction=0)
        poisson = np.maximum(np.nan_to_num(image.data), 0.0)
        parts = {"read": image.components["read"], "poisson": poisson}
        noisy = image.replace(variance=None, components=parts)
        smooth.append(pulls(noisy, truth))
        # The same variances in one, as where a file has nothing else.
        alone.append(pulls(noisy.replace(variance=sum(parts.values()), components={}), truth))
    error = 1.25 / np.sqrt(np.size(smooth))
    for values in (alone, smooth):
        assert abs(np.median(values)) < 0.05 + 3 * error
        assert 0.9 < 1.4826 * np.median(np.abs(values - np.median(values))) < 1.1


def test_variances_that_do_not_follow_the_noise_are_kept():
    image, _ = make_slit(seed=2)
    result = sm.OptimalExtraction()(image)
    assert_array_equal(result.variance, image.variance)
    fit = result.fit.replace(image=image)
    assert with_smooth_poisson(image, fit) is None
    assert with_smooth_poisson(image.replace(components={}), fit) is None


def test_parts_of_a_smoothed_variance_still_add_up():
    image, _ = make_slit(seed=3, snr=8.0, hit_fraction=0)
    poisson = np.maximum(np.nan_to_num(image.data), 0.0)
    parts = {"read": image.components["read"], "poisson": poisson}
    noisy = image.replace(variance=None, components=parts)
    used = sm.OptimalExtraction()(noisy).fit.image
    good = ~used.mask
    total = sum(used.components.values())
    assert_allclose(used.variance[good], total[good])
    assert (used.components["poisson"] != poisson)[good].any()
    assert_array_equal(noisy.components["poisson"], poisson)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_first_noise_is_that_of_the_sky(scale):
    rng = np.random.default_rng(4)
    data = scale * rng.normal(50, 3, (30, 200))
    data[::7, ::11] *= 1000
    image = with_constant_variance(sm.SpectralImage(data))
    assert_allclose(np.sqrt(image.variance), 3 * scale, rtol=0.1)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_light_that_the_model_lacks_does_not_raise_the_variances(factor):
    """A smooth glow in dark rows is no noise; variances that are too small are found beside it."""
    image, _ = make_slit(seed=3, shape=(60, 400))
    y, x = np.mgrid[:60, :400]
    glow = 20 * np.sin(y / 3) * np.cos(x / 40) * (np.abs(y - 30) > 18)
    small = image.replace(data=image.data + glow, variance=image.variance / factor, components={})
    result = sm.OptimalExtraction(n_sources=1)(small)
    raised = np.nanmedian(result.fit.image.variance / small.variance)
    assert_allclose(raised, factor, rtol=0.15)
