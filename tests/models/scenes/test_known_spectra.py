"""Images of sources with known spectra: those of scenes with the same coefficients."""

import numpy as np
import pytest
from astropy import units as u

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism


def field(**settings):
    return sm.datasets.make_slitless(seed=3, n_sources=4, **settings)[1]


def test_image_is_that_of_a_scene_of_basis_functions():
    truth = field(grism=analytic_grism(orders=(1, 2)))
    keys = [key for key in truth.scene if key[1] == 1]
    spectra = {key[0]: truth.scene.spectrum(key) for key in keys}
    found = sm.grism_image(truth.direct, truth.grism, spectra, orders=[1])
    expected = sum(truth.scene.image(key) for key in keys)
    np.testing.assert_allclose(found, expected, atol=1e-9 * expected.max())


def test_one_function_serves_all_sources_and_orders():
    truth = field(grism=analytic_grism(orders=(1, 2)))
    found = sm.grism_image(truth.direct, truth.grism, lambda wavelength: 3.0)
    flat = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism,
                                           spectrum=sm.LegendreSpectrum(0))  # fmt: skip
    np.testing.assert_allclose(found, 3 * flat.simulated_image, atol=1e-9 * found.max())


def test_sources_without_a_spectrum_are_left_out():
    truth = field()
    label = int(truth.direct.labels[1])
    found = sm.grism_image(truth.direct, truth.grism, {label: np.ones_like})
    flat = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    np.testing.assert_allclose(found, flat.image(label), atol=1e-9 * found.max())
    assert not sm.grism_image(truth.direct, truth.grism, {}).any()


def test_bits_are_the_same_each_time():
    truth = field()
    images = [sm.grism_image(truth.direct, truth.grism, np.ones_like) for _ in range(2)]
    np.testing.assert_array_equal(*images)


def test_bad_input_is_refused_by_name():
    truth = field()
    with pytest.raises(TypeError, match="direct: expected a DirectImage"):
        sm.grism_image(np.ones((3, 3)), truth.grism, np.ones_like)
    with pytest.raises(TypeError, match="spectra: expected functions"):
        sm.grism_image(truth.direct, truth.grism, {1: 3.0})
    with pytest.raises(ValueError, match="spectra: expected labels of sources, got 99"):
        sm.grism_image(truth.direct, truth.grism, {99: np.ones_like})
    with pytest.raises(ValueError, match="orders"):
        sm.grism_image(truth.direct, truth.grism, np.ones_like, orders=[5])
    with pytest.raises(ValueError, match=r"expected values without a unit, .* got some in mJy"):
        sm.grism_image(truth.direct, truth.grism, lambda wavelength: wavelength * u.mJy)
    with pytest.raises(ValueError, match="not finite"):
        sm.grism_image(truth.direct, truth.grism, lambda wavelength: wavelength * np.nan)


def test_spectra_in_per_cent_are_a_hundred_times_less():
    truth = field()
    plain, scaled = (sm.grism_image(truth.direct, truth.grism, lambda wavelength, own=own: own)
                     for own in (0.5, 50 * u.percent))  # fmt: skip
    np.testing.assert_allclose(scaled, plain, rtol=1e-12)
