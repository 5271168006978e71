"""Sums of exponentials have the spectra of power laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.exponentials import decays, power_law_amplitudes, spectrum
from specmodels.numerics.noise_spectrum import power_law


@pytest.mark.parametrize("span", [6400, 65536])
@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.5])
def test_spectrum_is_the_power_law_to_a_per_cent(span, exponent):
    frequency = np.geomspace(1 / span, 0.5, 1001)
    phi = decays(span)
    found = spectrum(phi, power_law_amplitudes(phi, span, exponent), frequency)
    ratio = found / power_law(frequency, 1.0, exponent)
    assert_allclose(ratio[frequency < 0.4], 1, atol=0.012)
    assert_allclose(ratio, 1, atol=0.025)


@pytest.mark.parametrize("span", [1, 30, 2048**2])
@pytest.mark.parametrize("exponent", [0.1, 1.0, 2.5])
def test_spectrum_is_positive(span, exponent):
    phi = decays(span)
    frequency = np.concatenate([[0.0], np.geomspace(1e-9, 0.5, 5001)])
    assert (spectrum(phi, power_law_amplitudes(phi, span, exponent), frequency) > 0).all()
    assert len(phi) == 12


def test_covariance_and_spectrum_belong_together():
    phi, size = decays(50), 2**16
    amplitudes = power_law_amplitudes(phi, 50, 1.0)
    lag = np.minimum(np.arange(size), size - np.arange(size))
    covariance = sum(a * f**lag for a, f in zip(amplitudes, phi, strict=True))
    power = np.fft.rfft(covariance).real
    assert_allclose(power, spectrum(phi, amplitudes, np.fft.rfftfreq(size)), rtol=1e-6)
