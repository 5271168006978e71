"""A real source behind the NIRISS grism GR150C, seen in two exposures.

The traces in the file are some 41 columns and 6.5 rows off the spectrum, in both exposures alike;
its contamination plane is corrupt and not read.
"""

import numpy as np
import pytest
from astropy.io import fits

import specmodels as sm

OFFSET_X, OFFSET_Y, CENTER_X, CENTER_Y = -41.0, -6.5, 31.0, 31.5
SEEN = (slice(20, 38), slice(0, 58))
SOURCE = 1243


class TabulatedPath:
    """Column by wavelength and row by column, as the file tabulates them for the source."""

    def __init__(self, wavelength, row):
        self.wavelength, self.row = wavelength, row

    def __call__(self, x, y, wavelength, order):
        column = np.interp(wavelength, self.wavelength, np.arange(len(self.wavelength)))
        row = np.interp(column, np.arange(len(self.row)), self.row)
        return column + x - CENTER_X + OFFSET_X, row + y - CENTER_Y + OFFSET_Y


def beam(hdus, first):
    """Scene with a flat spectrum, and exposure, of one of the two cutouts."""
    reference, segments, data, error, flags = (np.array(hdus[first + k].data) for k in range(5))
    trace = hdus[first + 6].data
    wavelength = trace["wavelength"].astype(float) / 1e4
    response = trace["sensitivity"] / trace["sensitivity"].max()
    path = TabulatedPath(wavelength, trace["trace"].astype(float))
    limits = wavelength[0] + 0.01, wavelength[-1] - 0.01
    grism = sm.Grism(path, {1: limits}, {1: (wavelength, response)}, data.shape)
    scene = sm.GrismScene.from_direct_image(
        sm.DirectImage(reference.astype(float) / 1e-21, segments.astype(int)), grism=grism,
        spectrum=sm.BSplineSpectrum(60), selection=sm.SourceSelection(labels=[SOURCE]),
    )  # fmt: skip
    return scene, sm.SlitlessExposure(data, error.astype(float) ** 2, flags != 0)


@pytest.fixture(scope="module")
def beams(shared_data):
    path = shared_data / "wfss" / "niriss_jw01324001001_test.beams.fits"
    with fits.open(path) as hdus:
        return beam(hdus, 1), beam(hdus, 8)


def test_spectrum_of_one_exposure_predicts_the_other(beams):
    (scene, exposure), (other_scene, other) = beams
    fit = sm.SceneFitter()(scene, exposure)
    predicted = other_scene.with_coefficients(fit.values).simulated_image
    use = ~other.mask[SEEN]
    left = (other.data - predicted)[SEEN][use]
    before = other.data[SEEN][use]
    assert np.sum(left**2) < 0.03 * np.sum(before**2)
    weights = other.weights[SEEN][use]
    assert np.mean(weights * left**2) < 2.7 < 80 < np.mean(weights * before**2)


def test_both_exposures_are_fitted_together(beams):
    (scene, exposure), (other_scene, other) = beams
    single = sm.SceneFitter()(scene, exposure)
    both = sm.SceneFitter()([scene, other_scene], [exposure, other])
    assert len(both.values) == len(single.values)
    seen = single.errors < 0.6  # the others lie off the cutout, where only the prior holds them
    assert seen.sum() > 20
    assert np.median((both.errors / single.errors)[seen]) == pytest.approx(np.sqrt(0.5), abs=0.1)
    change = (both.values - single.values) / single.errors
    assert np.median(np.abs(change[seen])) < 3
