"""Grism images with cutouts."""

import numpy as np
import pytest

from specmodels.slitless import Cutout, SlitlessExposure

SHAPE = (6, 8)


def test_pixels_that_cannot_be_used_are_masked_and_counted():
    data, variance = np.ones(SHAPE), np.ones(SHAPE)
    data[0, 0], variance[1, 1], variance[2, 2] = np.nan, 0.0, np.inf
    mask = np.zeros(SHAPE, bool)
    mask[3, 3] = True
    exposure = SlitlessExposure(data, variance, mask)
    assert exposure.mask.sum() == 4
    assert dict(exposure.masked) == {"given": 1, "data not finite": 1, "variance not positive": 2}
    assert np.isfinite(exposure.data).all()
    assert np.isfinite(exposure.weights).all()
    assert not exposure.weights[exposure.mask].any()
    assert np.isnan(data[0, 0])


def test_weights_are_one_where_nothing_is_known():
    np.testing.assert_array_equal(SlitlessExposure(np.ones(SHAPE)).weights, 1)


def test_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        SlitlessExposure(np.ones(SHAPE)).data[0, 0] = 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": np.ones(3)}, "data"),
        ({"variance": np.ones((2, 2))}, "variance"),
        ({"mask": np.ones((2, 2))}, "mask"),
        ({"cutouts": (Cutout(1, 1, (slice(0, 9), slice(0, 2))),)}, "cutouts"),
    ],
)
def test_bad_input_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SlitlessExposure(**({"data": np.ones(SHAPE)} | settings))
