"""The first sky of a tilted slit: what is in the data does not lead it astray."""

import numpy as np
import pytest

from specmodels import SpectralImage
from specmodels.evaluators.extraction.guess.first_sky import enough_are_dark, first_sky
from specmodels.models import breakpoints

NY, NX = 40, 300
# By how many standard deviations of a pixel the first sky may be off.
FAR = 3.0


@pytest.fixture(scope="module")
def slit():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:NY, :NX].astype(float)
    p = x - 3 * (y / NY - 0.5)
    places, heights = rng.uniform(0, NX, 20), rng.uniform(50, 3000, 20)
    sky = 50 + sum(height * np.exp(-0.5 * ((p - place) / 1.2) ** 2)
                   for place, height in zip(places, heights, strict=True))  # fmt: skip
    light = 400 * np.exp(-0.5 * ((y - 22) / 1.5) ** 2)
    variance = sky + light + 16
    data = sky + light + rng.normal(size=sky.shape) * np.sqrt(variance)
    hits = rng.random(sky.shape) < 0.003
    data[hits] += 500 * np.sqrt(variance[hits])
    mask = rng.random(sky.shape) < 0.01
    data[mask] = np.nan
    image = SpectralImage(data, variance=variance, mask=mask, wavelength=1 + 0.001 * p)
    return image, sky


def test_neither_sources_nor_hits_are_taken_for_sky(slit):
    image, sky = slit
    found = first_sky(image, breakpoints(image.wavelength, 2 / 3))
    off = (found - sky) / np.sqrt(image.variance)
    assert np.max(np.abs(off[:, 5:-5])) < FAR
    assert abs(np.mean(off)) < 0.1


def test_pixels_without_a_wavelength_have_none(slit):
    image, _ = slit
    wavelength = image.wavelength.copy()
    wavelength[:3, :50] = np.nan
    found = first_sky(image.replace(wavelength=wavelength), breakpoints(wavelength, 2 / 3))
    assert np.all(found[:3, :50] == 0)
    assert np.isfinite(found).all()


def test_sky_needs_a_fifth_of_the_rows_and_three():
    bright = np.ones(40, dtype=bool)
    bright[:8] = False
    assert enough_are_dark(bright)
    bright[7] = True
    assert not enough_are_dark(bright)
    assert not enough_are_dark(np.array([True, False, False]))
