"""Shifts between spectra of the sky, found by their lines."""

import numpy as np
import pytest

from specmodels.evaluators.dithers.shifts import line_shift

SHIFT = 0.12  # columns
COLUMN = np.arange(400.0)


def sky(shift, seed):
    """Lines on a level, in counts, moved by some columns."""
    lines = sum(
        300 * np.exp(-0.5 * ((COLUMN - at - shift) / 1.5) ** 2) for at in range(15, 400, 31)
    )
    return 20 + lines + np.random.default_rng(seed).normal(0, 1.0, len(COLUMN))


def shift_of(unit, other_unit=None):
    other_unit = unit if other_unit is None else other_unit
    wavelength = 1.0 + 0.001 * COLUMN
    return line_shift((wavelength, unit * sky(0.0, 1)), (wavelength, other_unit * sky(SHIFT, 2)))


def test_shift_is_right_within_its_error():
    shift, error = shift_of(1.0)
    assert 0 < error < 0.01
    assert abs(shift - SHIFT) < 4 * error


@pytest.mark.parametrize("unit", [1e-30, 1e-17, 1e-14, 1e6, 1e20])
def test_shift_does_not_depend_on_the_unit(unit):
    np.testing.assert_allclose(shift_of(unit), shift_of(1.0), rtol=1e-6)
    np.testing.assert_allclose(shift_of(1.0, unit), shift_of(1.0), rtol=1e-6)


def test_dark_spectra_have_no_shift():
    wavelength = 1.0 + 0.001 * COLUMN
    dark = (wavelength, np.zeros(400))
    assert line_shift(dark, dark) == (0.0, 0.0)
