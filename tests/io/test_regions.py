"""Footprints of slices and slits on a detector, from what datamodels carry."""

from collections import namedtuple

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling import Model
from astropy.modeling.bounding_box import CompoundBoundingBox
from gwcs import WCS, coordinate_frames
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.ramps import read_ramp
from specmodels.io.regions import footprints, has_fixed_slits, light_regions

SHAPE = (40, 60)
Slit = namedtuple("Slit", "name quadrant")


class ToSlit(Model):
    """Two slits at rows 10 and 30, six pixels high; no coordinates beyond them."""

    n_inputs, n_outputs = 3, 4
    inputs, outputs = ("x", "y", "name"), ("name", "x_slit", "y_slit", "lam")
    quadrant = 1

    @property
    def slits(self):
        return [Slit("first", self.quadrant)]

    def evaluate(self, x, y, name):
        along = (y - (10 if np.ravel(name)[0] == 0 else 30)) / 6
        along = np.where(np.abs(along) <= 0.5, along, np.nan)
        return name, 0 * x, along, x * 1e-8


@pytest.fixture
def wcs():
    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    slit = coordinate_frames.CoordinateFrame(
        3, ["SPATIAL"] * 2 + ["SPECTRAL"], (0, 1, 2), name="slit_frame", unit=(u.m, u.m, u.m)
    )
    transform = ToSlit()
    out = WCS([(detector, transform), (slit, None)])
    boxes = {(0,): ((4.5, 50.2), (3.0, 17.0)), (1,): ((-3.0, 70.0), (24.0, 45.0))}
    out.bounding_box = CompoundBoundingBox.validate(
        transform, boxes, selector_args=[("name", True)], order="F"
    )
    return out


def expected():
    out = np.zeros(SHAPE, dtype=bool)
    out[7:14, 5:51] = True
    out[27:34] = True
    return out


def test_footprints_are_where_slits_have_coordinates(wcs):
    np.testing.assert_array_equal(footprints(wcs, SHAPE), expected())


def test_map_of_slices_comes_first(wcs):
    regions = np.zeros(SHAPE, "f4")
    regions[3] = 7
    found = light_regions({"regions": regions, "meta": {"wcs": wcs}}, SHAPE)
    np.testing.assert_array_equal(found, regions > 0)
    np.testing.assert_array_equal(light_regions({"meta": {"wcs": wcs}}, SHAPE), expected())


def test_nothing_is_known_without_slits(wcs):
    assert light_regions({"meta": {}}, SHAPE) is None
    wcs.bounding_box = None
    assert footprints(wcs, SHAPE) is None


def test_fixed_slits_have_a_quadrant_of_their_own(wcs, monkeypatch):
    assert not has_fixed_slits(wcs)
    monkeypatch.setattr(ToSlit, "quadrant", 5)
    assert has_fixed_slits(wcs)
    assert not has_fixed_slits(None)


@pytest.fixture
def rate(wcs):
    rng = np.random.default_rng(4)
    model = datamodels.ImageModel(data=rng.normal(3, 1, SHAPE).astype("f4"))
    model.dq = np.zeros(SHAPE, "u4")
    model.dq[20, 20] = 1 << 29
    model.meta.instrument.name, model.meta.exposure.type = "NIRSPEC", "NRS_FIXEDSLIT"
    model.instance["meta"]["wcs"] = wcs  # past the schema, which knows no model of a test
    return model


def test_rate_with_a_wcs_brings_its_mask(rate):
    ramp = read_ramp(rate)
    lit = expected()
    lit[20, 20] = True
    np.testing.assert_array_equal(ramp.lit, lit)
    result = sm.FlickerNoiseSubtraction(sm.LineMedian())(rate)
    assert not result.background_mask[lit].any()
    assert result.scenes[0].mask.reasons["science regions"] == lit.sum()


def test_regions_can_be_set_aside(rate):
    mask = sm.ClippedMask(n_sigma=4, n_sigma_low=4, regions=False)
    result = sm.FlickerNoiseSubtraction(sm.LineMedian(), mask=mask)(rate)
    assert result.background_mask[expected()].mean() > 0.9
