"""Light of wings in the sky: foretold from wings that are seen, counted, and in the errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import erf

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.hidden_wings import HiddenWings

SHAPE = (40, 300)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def gaussian(sigma, row=20.0):
    edges = [erf((Y + s - row) / sigma / np.sqrt(2)) for s in (0.5, -0.5)]
    return 0.5 * (edges[0] - edges[1])


def with_halo(part, steepness=1.4, core=1.8):
    """A core and a halo that falls off as a power, as far as the slit shows it."""
    halo = (1 + ((Y - 20.0) / (3 * core)) ** 2) ** -steepness
    image = (1 - part) * gaussian(core) + part * halo / halo.sum(axis=0)
    return image / image.sum(axis=0)


def extracted(profile, snr, seed, sky=10.0):
    rng = np.random.default_rng(seed)
    flux = snr**2 * (1 + 0.2 * X[0] / SHAPE[1])
    mean = flux * profile + sky
    data = rng.poisson(mean) + rng.normal(0, 3, SHAPE)
    result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=mean + 9))
    total = np.sum(result.table("source")["flux"].value) / np.sum(flux) - 1
    error = np.sqrt(np.sum(result.covariance("source"))) / np.sum(flux)
    return result, total, error


@pytest.mark.parametrize("snr", [30, 80])
def test_light_of_a_halo_in_the_sky_is_within_errors(snr):
    found = [extracted(with_halo(0.25), snr, seed) for seed in range(3)]
    for result, off, error in found:
        wings = result.source_fluxes["source"].wings
        assert wings.part > 0.003  # a part of the light was in the sky
        assert abs(off) < max(3 * error, 0.02)
        assert abs(off - wings.part) > abs(off)  # and it is nearer to the truth with it
    assert max(error for *_, error in found) < 0.05


def test_of_a_core_alone_nothing_is_hidden():
    result, off, error = extracted(gaussian(1.5), 60, 1)
    wings = result.source_fluxes["source"].wings
    assert abs(wings.part) < 1e-3
    assert wings.error < 1e-3
    assert abs(off) < 3 * error


def test_profile_that_is_given_is_taken_at_its_word():
    rng = np.random.default_rng(3)
    mean = 1e4 * with_halo(0.25) + 10
    given = sm.GaussianProfile(stddev=1.8)
    given.stddev.fixed = True
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    result = sm.OptimalExtraction(profile=given, n_sources=1)(image)
    assert result.source_fluxes["source"].wings.part == 0
    assert result.source_fluxes["source"].wings.error == 0


def test_dark_lobe_beside_a_source_is_no_wing():
    lobe = gaussian(1.5, row=27.0)
    line = 40 * (1 + 30 * np.exp(-0.5 * ((X - 100) / 3) ** 2))
    data = line * (gaussian(1.5) - 0.8 * lobe) + np.random.default_rng(5).normal(0, 1, SHAPE)
    result = sm.OptimalExtraction(n_sources=1, profile=sm.GaussianProfile())(
        sm.SpectralImage(data, variance=np.ones(SHAPE))
    )
    assert abs(result.source_fluxes["source"].wings.part) < 0.03


def test_wings_that_change_along_the_spectrum_are_within_errors():
    """Of a disk whose share grows the sky has 5 per cent at one end and 1 at the other."""
    result, _, _ = extracted(gaussian(1.5), 60, 1)
    own = result.source_fluxes["source"]
    truth = own.flux * (1.03 - 0.02 * np.linspace(-1, 1, SHAPE[1]))
    counted = own.with_wings(HiddenWings(0.03, 0.003))
    for part in np.array_split(np.arange(SHAPE[1]), 4):
        error = np.hypot(*(np.mean(row[part]) for row in counted.common[-2:]))
        assert abs(np.mean(counted.flux[part] - truth[part])) < 3 * error
    added = counted.error**2 - (1.03 * own.error) ** 2
    assert_allclose(added, np.sum(counted.common[-2:] ** 2, axis=0), rtol=1e-6)


def test_more_that_is_seen_than_was_foretold_is_within_the_error_and_less_is_none():
    foretold = HiddenWings(0.002, 0.003)
    both = foretold.combined(0.06, 0.001)
    assert both.error < 0.05
    for part in (0.002, 0.06):
        assert abs(both.part - part) < 1.5 * both.error
    assert foretold.combined(-0.9, 0.1) == foretold
    assert HiddenWings(-0.1, 0.4).combined(-0.9, 0.1) == HiddenWings(-0.1, 0.4)
    agreed = foretold.combined(0.004, 0.001)
    assert 0.002 < agreed.part < 0.004


@pytest.mark.parametrize("row", [20.0, 20.3, 20.5])
def test_wings_are_not_seen_in_the_rounding_of_a_spectrum_without_features(row):
    """Noiseless images of one column, repeated: the flux varies by its last digits only."""
    mean = 5000 * (0.9 * gaussian(0.8, row) + 0.1 * gaussian(2.4, row)) + 20
    result = sm.OptimalExtraction()(sm.SpectralImage(mean, variance=mean + 25))
    assert_allclose(result.table("source")["flux"].value, 5000, rtol=1e-3)


def test_sky_with_more_light_than_the_source_has_no_wings_of_it():
    foretold = HiddenWings(0.01, 0.02)
    assert foretold.combined(16.0, 0.5) == foretold
    assert foretold.combined(0.03, 0.02).part == pytest.approx(0.02)
