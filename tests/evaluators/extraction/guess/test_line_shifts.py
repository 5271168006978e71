"""Tilt and bow that nobody measured: found from the lines of the image, to 0.01 pixel."""

import numpy as np
import pytest
from astropy import units as u

import specmodels as sm
from specmodels.evaluators.extraction.guess.line_shifts import correlated_map, with_fitted_tilt
from tests.evaluators.extraction.test_tilted import NX, NY, figures, tilted_slit

COLUMNS = np.arange(float(NX))


def untold(seed, tilt):
    """A tilted slit with the wavelengths of its middle row only, and those of all pixels."""
    image, star = tilted_slit(seed, tilt=tilt)
    middle = (NY - 1) / 2
    p = 0.5 * (image.wavelength[int(middle)] + image.wavelength[int(middle) + 1])
    return image.replace(wavelength=p), image.wavelength, star


@pytest.mark.parametrize(("seed", "tilt"), [(5, 5.0), (6, -2.0), (7, 0.4)])
def test_tilt_is_found_to_a_hundredth_of_a_pixel(seed, tilt):
    image, true, _ = untold(seed, tilt)
    start = correlated_map(image)
    assert start.tilt.value == pytest.approx(tilt * (NY - 1) / NY, abs=0.35)
    found = with_fitted_tilt(image, start)
    wrong = (found.wavelength - true)[:, 20:-20] / 0.001
    assert np.sqrt(np.mean(wrong**2)) < 0.01
    assert "lines tilted by" in found.notes[-1]


def test_fluxes_are_as_with_known_wavelengths():
    image, _, star = untold(5, 5.0)
    result = sm.OptimalExtraction(n_sources=1)(image)
    assert result.seen_spectra is not None
    pulls, *_ = figures(result, star)
    assert abs(np.mean(pulls)) < 0.4
    assert 0.85 < np.std(pulls) < 1.15


def test_lines_are_seen_to_be_tilted_without_any_wavelength():
    image, _, star = untold(5, 5.0)
    bare = image.replace(wavelength=None, wavelength_unit=None)
    result = sm.OptimalExtraction(n_sources=1)(bare)
    assert result.seen_spectra is not None
    table = result.table("source")
    assert table["wavelength"].unit == u.pix  # of the middle row
    off = table["flux"].value - star(table["wavelength"].value + 0.5 * 5.0 / NY)
    pulls = (off / table["flux_error"].value)[15:-15]
    assert abs(np.mean(pulls)) < 0.4
    assert 0.85 < np.std(pulls) < 1.15


def test_straight_lines_and_slits_without_any_stay_columns():
    image, _, _ = untold(8, 0.0)
    assert sm.OptimalExtraction(n_sources=1)(image).seen_spectra is None
    slit, _ = sm.datasets.make_slit(n_sources=1)
    assert sm.OptimalExtraction(n_sources=1)(slit).seen_spectra is None


def test_few_rows_tell_nothing():
    image, _, _ = untold(9, 3.0)
    assert correlated_map(image.cutout(rows=slice(0, 15))) is None


def test_small_tilt_that_nobody_told_of_leaves_columns():
    image, _, _ = untold(6, 0.7)
    bare = image.replace(wavelength=None, wavelength_unit=None)
    assert sm.OptimalExtraction(n_sources=1)(bare).seen_spectra is None
