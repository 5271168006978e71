"""Rows whose lines are not where their wavelengths say."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.sky_line_misfits import with_sky_line_misfits

NY, NX = 40, 400


@pytest.fixture(scope="module", params=[0.0, 0.25])
def slit(request):
    """Shift of the lines in three rows at either end, their image, and its extraction."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:NY, :NX].astype(float)
    p = x - 5.0 * (y - NY / 2) / NY
    ends = (y < 3) | (y >= NY - 3)
    lines = rng.uniform(0, NX, 30), rng.uniform(500, 4000, 30)
    seen = p + request.param * ends
    sky = 60 + sum(h * np.exp(-0.5 * ((seen - c) / 1.1) ** 2) for c, h in zip(*lines, strict=True))
    star = 900 * np.exp(-0.5 * ((y - 20.3 - 0.004 * x) / 1.6) ** 2) / (1.6 * np.sqrt(2 * np.pi))
    image = sky + star
    data = rng.poisson(image) + rng.normal(0, 3, image.shape)
    given = sm.SpectralImage(data, variance=image + 9, wavelength=1 + 0.001 * p,
                             wavelength_unit="um")  # fmt: skip
    return request.param, sky, sm.OptimalExtraction(n_sources=1)(given)


def test_variances_are_raised_where_lines_are_off(slit):
    shift, sky, result = slit
    ratio = result.variance / result.image.variance
    if not shift:
        assert np.all(ratio == 1)
        assert not any("lines of the sky" in note for note in result.fit.image.notes)
        return
    bright = sky > 1000
    off = np.r_[0:3, NY - 3 : NY]
    assert np.median(ratio[off][bright[off]]) > 3
    assert np.median(ratio[off][~bright[off]]) < 1.1
    assert np.median(ratio[3:-3]) < 1.05
    assert any("lines of the sky" in note for note in result.fit.image.notes)


def test_rows_that_are_off_do_not_draw_the_sky_of_others(slit):
    _, sky, result = slit
    bright = np.zeros((NY, NX), dtype=bool)
    bright[5:-5] = sky[5:-5] > 1000
    error = (result.sky - sky)[bright] / np.sqrt(result.image.variance[bright])
    assert np.sqrt(np.mean(error**2)) < 0.35


def test_columns_are_left_alone():
    image, _ = sm.datasets.make_slit()
    result = sm.OptimalExtraction()(image)
    assert with_sky_line_misfits(result.fit.image, result.fit) is None
