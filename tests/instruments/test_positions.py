"""Positions along slits from a gwcs, as instruments declare them."""

import gwcs
import numpy as np
import pytest
from astropy.modeling.models import AffineTransformation2D
from gwcs.coordinate_frames import Frame2D

import specmodels as sm
from specmodels.instruments.positions import SlitFrame, slice_map

from ..io.oversampled_models import COLUMNS, GAP, ROWS, slices_model


@pytest.fixture(scope="module")
def wcs():
    return slices_model()[0].meta.wcs


def test_positions_are_those_of_the_frame(wcs):
    regions = slice_map(wcs)
    positions = SlitFrame("alpha_beta").positions(wcs, regions)
    np.testing.assert_array_equal(np.isfinite(positions), regions > 0)
    inside = positions[:, GAP : GAP + ROWS]
    np.testing.assert_allclose(np.diff(inside, axis=1), 0.1)
    assert positions.shape == (COLUMNS, 2 * ROWS + 3 * GAP)


def test_sign_turns_the_positions(wcs):
    regions = slice_map(wcs)
    up, down = (SlitFrame("alpha_beta", 0, sign).positions(wcs, regions) for sign in (1, -1))
    np.testing.assert_allclose(up, -down)


def test_other_frames_have_no_positions(wcs):
    assert SlitFrame("slicer").positions(wcs, slice_map(wcs)) is None


@pytest.mark.parametrize(
    ("key", "frame"),
    [(("NIRSPEC", "NRS_IFU"), "slicer"), (("MIRI", "MIR_MRS"), "alpha_beta"),
     (("NIRSPEC", "NRS_MSASPEC"), "slit_frame"), (("MIRI", "MIR_LRS-FIXEDSLIT"), "v2v3")],
)  # fmt: skip
def test_instruments_declare_their_frame(key, frame):
    assert sm.get_instrument(key).slit_frame.frame == frame


def test_position_along_a_line_in_a_plane():
    """Where the frame has two coordinates of the slit, the distance along it counts."""
    onto_line = AffineTransformation2D([[-0.8, 0.0], [0.6, 0.0]], translation=[100, -50])
    wcs = gwcs.WCS([(Frame2D(name="detector"), onto_line), (Frame2D(name="v2v3"), None)])
    found = SlitFrame("v2v3", (0, 1), -1).positions(wcs, np.ones((4, 9), dtype=int))
    np.testing.assert_allclose(np.diff(found, axis=1), 1.0)
    np.testing.assert_allclose(np.diff(found, axis=0), 0.0, atol=1e-12)
