"""Fine rows: where they lie, and linear interpolation between available pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.numerics.oversample import FineRows, isolated


@pytest.mark.parametrize("factor", [1, 1.5, 2, 3, 2.7])
def test_fine_rows_share_the_native_ones_evenly(factor):
    rows = FineRows.of(10, factor)
    assert len(rows.native) == round(10 * factor)
    middles = rows.native + rows.offset
    assert_allclose(np.diff(middles), 1 / factor)
    assert np.all(np.abs(rows.offset) <= 0.5 + 1e-12)
    if factor * 10 == round(factor * 10):
        assert_allclose(middles.mean(), 4.5)


def test_rows_within_a_slice_are_those_of_the_whole():
    whole = FineRows.of(20, 1.5)
    part = whole.within(slice(4, 9))
    cut = whole.slice_of(slice(4, 9))
    assert_array_equal(part.native + 4, whole.native[cut])
    assert_array_equal(part.offset, whole.offset[cut])
    assert part.n_rows == 5


@pytest.mark.parametrize("factor", [2, 3, 1.5])
def test_straight_lines_are_interpolated_exactly(factor):
    rows = FineRows.of(8, factor)
    line = 3.0 + 2.0 * np.arange(8.0)[:, None]
    own, other = rows.weights(np.ones(line.shape, dtype=bool))
    found = own * rows.own(line) + other * rows.other(line)
    expected = 3.0 + 2.0 * (rows.native + rows.offset)[:, None]
    inside = rows.inside[:, 0]
    assert_allclose(found[inside], expected[inside])
    assert_allclose(rows.coordinates(line), expected)


def test_missing_pixels_have_no_weight():
    rows = FineRows.of(4, 2)
    available = np.array([True, False, True, False])[:, None]
    own, other = rows.weights(available)
    assert_allclose((own + other)[:, 0], [1, 1, 1, 1, 1, 1, 1, 0])
    assert_allclose(own[~rows.own(available)], 0)


def test_coordinates_go_on_beyond_a_gap():
    rows = FineRows.of(5, 2)
    values = np.array([np.nan, 1.0, 2.0, 3.0, np.nan])[:, None]
    found = rows.coordinates(values)[:, 0]
    assert_allclose(found[2:8], [0.75, 1.25, 1.75, 2.25, 2.75, 3.25])
    assert np.isnan(found[[0, 1, 8, 9]]).all()


def test_hits_stand_alone_and_lines_do_not():
    residual = np.zeros((3, 9))
    residual[0, 4] = 100.0
    residual[1, 3:6] = 50.0, 100.0, 50.0
    residual[2, 4:6] = 100.0, 40.0
    suspects = residual != 0
    found = isolated(residual, suspects)
    assert_array_equal(found[0], suspects[0])
    assert not found[1, 4]
    assert_array_equal(found[2], suspects[2])


def test_rows_go_on_as_on_their_other_side_across_a_gap():
    rows = FineRows.of(6, 2)
    positions = np.array([0.0, 1.0, 2.0, 9.0, 10.0, 11.0])[:, None] + np.zeros((1, 2))
    found = rows.coordinates(positions, 1.0)[:, 0]
    expected = [-0.25, 0.25, 0.75, 1.25, 1.75, 2.25, 8.75, 9.25, 9.75, 10.25, 10.75, 11.25]
    np.testing.assert_allclose(found, expected)
    own, other = rows.weights(np.ones((6, 2), dtype=bool), positions)
    np.testing.assert_array_equal(other[[5, 6]], 0)
    np.testing.assert_array_equal(own[[5, 6]], 1)
    np.testing.assert_allclose(other[[4, 7]], 0.25)
