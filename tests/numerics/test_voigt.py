"""Cumulative Voigt distribution against the integral of its density."""

import numpy as np
import pytest
from scipy import integrate, special

from specmodels.numerics.voigt import voigt_cumulative


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0, 8.0])
@pytest.mark.parametrize("y", [-6.0, -0.7, 0.0, 0.4, 5.0])
def test_cumulative_is_the_integral_of_the_density(y, gamma):
    def density(t):
        return special.voigt_profile(t, 1.3, gamma)

    expected = 0.5 + integrate.quad(density, 0, y, epsabs=1e-12)[0]
    assert voigt_cumulative((y + 1j * gamma) / (np.sqrt(2) * 1.3)) == pytest.approx(
        expected, abs=1e-9
    )


def test_nan_stays_nan():
    found = voigt_cumulative(np.array([np.nan + 1j, 0.0 + 1j]))
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.5)
