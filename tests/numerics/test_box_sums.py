"""Sums over boxes and grown masks, against the filters of scipy."""

import numpy as np
import pytest
from scipy import ndimage

from specmodels.numerics.box_sums import box_sums, grown


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    image, good = rng.normal(size=(41, 67)).astype("f4"), rng.random((41, 67)) < 0.8
    image[~good] = np.nan  # nothing of masked pixels is used
    return image, good


@pytest.mark.parametrize("box", [(1, 1), (3, 3), (5, 2), (4, 4), (41, 90)])
def test_boxes_of_pixels_are_those_of_uniform_filter(frame, box):
    image, good = frame
    total, number = box_sums(image, good, box, (1, 1))
    area = box[0] * box[1]
    for found, values in ((total, np.where(good, image, 0)), (number, good)):
        expected = area * ndimage.uniform_filter(values.astype(float), box, mode="constant")
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_cells_are_sums_of_their_pixels(frame):
    image, good = frame
    total, number = box_sums(image, good, (9, 15), (9, 15))
    assert total.shape == (5, 5)
    assert number[4, 4] == good[36:, 60:].sum()
    np.testing.assert_allclose(total[1, 2], image[9:18, 30:45][good[9:18, 30:45]].sum(), atol=1e-4)


def test_a_box_of_cells_is_the_sum_of_the_cells_around(frame):
    image, good = frame
    cells, _ = box_sums(image, good, (3, 5), (3, 5))
    total, _ = box_sums(image, good, (9, 15), (3, 5))
    np.testing.assert_allclose(total[4, 6], cells[3:6, 5:8].sum(), atol=1e-4)


@pytest.mark.parametrize("radii", [(0, 0), (1, 1), (3, 2), (0, 7), (60, 1)])
def test_grown_masks_are_those_of_maximum_filter(radii):
    mask = np.random.default_rng(4).random((41, 67)) < 0.01
    before = mask.copy()
    expected = ndimage.maximum_filter(mask, [2 * r + 1 for r in radii], mode="constant")
    np.testing.assert_array_equal(grown(mask, radii), expected)
    np.testing.assert_array_equal(mask, before)
