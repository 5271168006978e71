"""Light is told from hits by its smoothness."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.coherent_light import line_pixels


@pytest.mark.parametrize("sigma", [0.85, 1.5, 3.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_line_is_one_at_any_place_within_a_pixel(sigma, sign):
    y, x = np.mgrid[:30, :40]
    for shift in (0.0, 0.3, 0.5):
        line = 40 * np.exp(-0.5 * (((x - 20 - shift) / sigma) ** 2 + ((y - 15) / 2) ** 2))
        rejected = line > 5
        assert line_pixels(sign * line, rejected)[rejected].all()


def test_hits_are_none():
    rng = np.random.default_rng(2)
    student = rng.normal(size=(40, 400))
    hits = rng.random(student.shape) < 0.02
    student[hits] += 30
    student[12, 100:112] += 30  # a track
    assert not line_pixels(student, np.abs(student) > 5).any()


def test_dark_lobe_of_another_source_takes_nothing_away():
    """What is below the sky beside a source belongs to a source of the other sign."""
    y, x = np.mgrid[:50, :200].astype(float)
    line = 40 * (1 + 30 * np.exp(-0.5 * ((x - 100) / 3) ** 2))
    profile = np.exp(-0.5 * ((y - 25) / 1.5) ** 2) / (1.5 * np.sqrt(2 * np.pi))
    lobe = np.exp(-0.5 * ((y - 32) / 1.5) ** 2) / (1.5 * np.sqrt(2 * np.pi))
    rng = np.random.default_rng(5)
    data = line * (profile - 0.8 * lobe) + rng.normal(0, 1, y.shape)
    image = sm.SpectralImage(data, variance=np.ones(y.shape))
    extract = sm.OptimalExtraction(
        n_sources=1, profile=sm.GaussianProfile(), sky=sm.ColumnPolynomial(0, limits=(0, 49))
    )
    result = extract(image)
    flux = result.source_fluxes["source"].flux
    assert abs(np.sum(flux[85:116]) / np.sum(line[0, 85:116]) - 1) < 0.05


def test_a_small_hole_is_a_line_where_the_model_has_light():
    """Its lines lie elsewhere than those of the data; no light of a source is lost in the dark."""
    student = np.zeros((20, 30))
    student[10, 10:14] = student[5, 20:24] = -8.0
    light = np.zeros((20, 30))
    light[8:13] = 10.0
    lines = line_pixels(student, student < -5, light)
    assert lines[10, 10:14].all()
    assert not lines[5].any()
