"""Oversampling of simulated exposures with the real WCS of an integral field unit."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.io.oversampled_wcs import oversampled_wcs
from specmodels.numerics.oversample import FineRows


def test_miri_mrs(shared_tools):
    pytest.importorskip("jwst", reason="makes the WCS of the scene")
    scene = shared_tools.scenes.miri_mrs_scene(seed=1)
    result = sm.TraceOversampling(native_response=True)(scene.model)
    judged = shared_tools.judge.oversampled(scene, result.data.T)
    assert judged["rms_native_response_robust"] < 0.008
    assert judged["lost"] == 0
    hits = scene.truth["hits"].T & np.isfinite(result.trace)
    fine = np.repeat(hits, 2, axis=0)
    true = scene.truth["oversampled_native_response"].T
    pulls = np.abs(result.data - true)[fine] / result.error[fine]
    assert np.median(pulls) < 3


def test_wcs_that_wants_the_number_of_a_slice(shared_tools):
    """The WCS of the NIRSpec integral field unit has a third input, which the pixel tells."""
    pytest.importorskip("jwst", reason="makes the WCS of the scene")
    model = shared_tools.scenes.nirspec_ifu_model("PRISM")
    regions = np.asarray(model.regions)
    old = model.meta.wcs
    wcs = oversampled_wcs(old, 2, -2, regions)
    assert old.available_frames[0] == "detector"
    for number in (1, 2, 30):
        y, x = (part[::97].astype(float) for part in np.nonzero(regions == number))
        expected = [np.asarray(one, dtype=float) for one in old(x, y, number - 1)[:3]]
        for found in (
            wcs(x, 2 * y + 0.5), wcs.get_transform("coordinates", "world")(x, 2 * y + 0.5),
            wcs.get_transform("detector", "world")(x, y),
        ):  # fmt: skip
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        halves = np.mean([wcs(x, 2 * y), wcs(x, 2 * y + 1)], axis=0)
        np.testing.assert_allclose(halves, expected, rtol=1e-5)


@pytest.mark.parametrize("by_pixel", [False, True])
def test_boxes_hold_all_fine_pixels_of_a_slice_and_no_others(shared_tools, by_pixel):
    """Cube building takes the box of each slice, and all pixels in it that have a wavelength."""
    nirspec = pytest.importorskip("jwst.assign_wcs.nirspec", reason="walks slices")
    wcstools = pytest.importorskip("gwcs.wcstools")
    model = shared_tools.scenes.nirspec_ifu_model("PRISM")
    regions = np.asarray(model.regions)
    if by_pixel:
        model.meta.wcs = oversampled_wcs(model.meta.wcs, 1, -2, regions)
        boxes = [t.bounding_box for t in model.meta.wcs.pipeline[1].transform.selector.values()]
    rows = FineRows.of(len(regions), 2)
    made = model.copy()
    made.meta.wcs = oversampled_wcs(model.meta.wcs, 2, -2, regions)
    fine = rows.own(regions)
    there = np.zeros(fine.shape, int)
    for number in range(30):
        one = nirspec.nrs_wcs_set_input(made, number)
        x, y = wcstools.grid_from_bounding_box(one.bounding_box)
        valid = np.isfinite(one(x, y)[2])
        found = y[valid].astype(int), x[valid].astype(int)
        assert np.all(fine[found] == number + 1)
        there[found] += 1
    np.testing.assert_array_equal(there, fine > 0)
    if by_pixel:
        after = [t.bounding_box for t in model.meta.wcs.pipeline[1].transform.selector.values()]
        assert all(one == other for one, other in zip(boxes, after, strict=True))
