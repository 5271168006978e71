"""Wavelengths of pixels from whatever a user has: functions, gwcs, tilt solutions."""

import numpy as np
import pytest
from astropy import coordinates, units
from astropy.modeling import models
from numpy.testing import assert_allclose

import specmodels as sm

SHAPE = (6, 9)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


class Tilt:
    """What is needed of a tilt solution: columns of the reference row for each pixel."""

    def __init__(self, disp_axis=1):
        self.disp_axis = disp_axis

    def d2c(self, along, across):
        return along - 0.3 * across


def test_a_tilt_solution_gives_the_dispersion_coordinate():
    image = sm.read(np.ones(SHAPE), wavelength=Tilt()).single
    assert_allclose(image.wavelength, X - 0.3 * Y)
    assert image.wavelength_unit == units.pix
    turned = sm.read(np.ones(SHAPE), wavelength=Tilt(0), dispersion_axis=-2).single
    assert_allclose(turned.wavelength, (Y - 0.3 * X).T)


def test_a_function_of_columns_and_rows_will_do():
    image = sm.read(np.ones(SHAPE), wavelength=lambda x, y: (500 + 2 * x - y) * units.nm).single
    assert_allclose(image.wavelength, 500 + 2 * X - Y)
    assert image.wavelength_unit == units.nm
    with pytest.raises(ValueError, match="wavelength: expected a function"):
        sm.read(np.ones(SHAPE), wavelength=lambda x, y: x[0])


def test_a_gwcs_is_evaluated():
    gwcs = pytest.importorskip("gwcs")
    detector = gwcs.Frame2D(name="detector", axes_order=(0, 1), unit=(units.pix, units.pix))
    sky = gwcs.CelestialFrame(axes_order=(0, 1), reference_frame=coordinates.ICRS())
    spectral = gwcs.SpectralFrame(axes_order=(2,), unit=units.um)
    world = gwcs.CompositeFrame([sky, spectral])
    wave = models.Polynomial2D(1, c0_0=1.0, c1_0=0.01, c0_1=0.002)
    pixels = models.Mapping((0, 1, 0, 1)) | models.Identity(2) & wave
    image = sm.read(np.ones(SHAPE), wavelength=gwcs.WCS([(detector, pixels), (world, None)])).single
    assert_allclose(image.wavelength, 1 + 0.01 * X + 0.002 * Y)


def test_the_solution_of_specreduce_is_understood():
    module = pytest.importorskip("specreduce.tilt_solution")
    shift = models.Shift(-4.0) & models.Shift(-3.0)
    forward = shift | models.Polynomial2D(1, c0_0=4.0, c1_0=1.0, c0_1=0.25)
    tilt = module.TiltSolution(forward, image_shape=SHAPE)
    image = sm.read(np.ones(SHAPE), wavelength=tilt).single
    assert_allclose(image.wavelength, X - 0.25 * (Y - 3), atol=1e-6)
