"""Spectra of sources: what the contract of all models does not say."""

import numpy as np
import pytest
from numpy.polynomial import legendre

from specmodels import BSplineSpectrum, LegendreSpectrum, TabulatedSpectrum

WAVELENGTH = np.linspace(1, 2, 50)


@pytest.mark.parametrize("spectrum", [LegendreSpectrum(0), LegendreSpectrum(5), BSplineSpectrum(9)])
def test_default_is_flat_and_one(spectrum):
    np.testing.assert_allclose(spectrum.within((1, 2))(WAVELENGTH), 1)


def test_legendre_terms_are_those_of_numpy():
    spectrum = LegendreSpectrum(2, limits=(1, 2), c0=2, c1=-0.5, c2=0.3)
    expected = legendre.legval(2 * WAVELENGTH - 3, [2, -0.5, 0.3])
    np.testing.assert_allclose(spectrum(WAVELENGTH), expected)


def test_spline_keeps_its_value_beyond_the_limits():
    spectrum = BSplineSpectrum(6, limits=(1, 2), c0=3, c5=4)
    np.testing.assert_allclose(spectrum([0.5, 2.5]), [3, 4])


def test_table_is_zero_outside_and_scaled():
    spectrum = TabulatedSpectrum([1, 2], [1, 3], c0=2)
    np.testing.assert_allclose(spectrum([0.9, 1.5, 2.1]), [0, 4, 0])


def test_limits_of_an_order_do_not_replace_those_given():
    free, own = LegendreSpectrum(1), LegendreSpectrum(1, limits=(0, 1))
    assert free.within((1, 2)).limits == (1.0, 2.0)
    assert free.limits is None
    assert own.within((1, 2)).limits == (0.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LegendreSpectrum(-1), "degree"),
        (lambda: LegendreSpectrum(1.5), "degree"),
        (lambda: LegendreSpectrum(1, limits=(2, 1)), "limits"),
        (lambda: BSplineSpectrum(3), "n_terms"),
        (lambda: TabulatedSpectrum([1, 2], [1]), "flux"),
        (lambda: TabulatedSpectrum([2, 1], [1, 1]), "wavelength"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
