"""Sums and medians of groups of pixels, for every order of readout."""

import numpy as np
import pytest

from specmodels.numerics.line_bins import line_bins, line_groups, stripe_groups
from specmodels.numerics.readout import Readout

ORDERS = [
    Readout(n_outputs=4, line_overhead=3),
    Readout(fast_axis=-2, n_outputs=4, slow_direction=-1, line_overhead=3),
    Readout(n_outputs=4, interleaved=True, fast_direction=-1),
]
SHAPE = (64, 128)


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    return rng.normal(size=SHAPE).astype("f4"), rng.random(SHAPE) < 0.8


@pytest.mark.parametrize("order", ORDERS)
def test_bins_are_sums_of_neighbours_of_a_line(frame, order):
    image, use = frame
    groups, grid, full = line_bins(order, SHAPE, 4)
    total, number = groups.sums(image, use)
    frames, used = order.frames(np.where(use, image, 0)), order.frames(use)
    line = frames.shape[2] + order.overhead
    bins = np.arange(frames.shape[2]) * grid.width // line
    assert full == line / grid.width
    for k in range(bins[-1] + 1):
        np.testing.assert_allclose(
            grid.frames(total)[..., k], frames[..., bins == k].sum(axis=2), atol=1e-5
        )
        np.testing.assert_array_equal(grid.frames(number)[..., k], used[..., bins == k].sum(axis=2))
    expected = order.image(grid.frames(total)[..., bins])
    np.testing.assert_array_equal(groups.spread(total), expected)


@pytest.mark.parametrize("order", ORDERS)
def test_stripes_are_sums_over_lines(frame, order):
    image, use = frame
    total, number = stripe_groups(order, SHAPE).sums(image, use)
    np.testing.assert_allclose(total, order.frames(image * use).sum(axis=1), atol=1e-5)
    np.testing.assert_array_equal(number, order.frames(use).sum(axis=1))


@pytest.mark.parametrize("order", ORDERS)
def test_medians_of_lines_are_those_of_few_pixels(frame, order):
    image, use = frame
    use[:3], use[:, :3] = False, False
    medians, number = line_groups(order, SHAPE).medians(image, use)
    frames, used = order.frames(image), order.frames(use)
    np.testing.assert_array_equal(number, used.sum(axis=2))
    for output in range(4):
        for line in range(frames.shape[1]):
            own = frames[output, line][used[output, line]]
            expected = np.median(own) if own.size else 0
            np.testing.assert_allclose(medians[output, line], expected, rtol=1e-6)


def test_medians_of_long_lines_are_as_exact_and_outliers_do_not_matter():
    rng = np.random.default_rng(5)
    image = rng.normal(5, 1, (200, 2000)).astype("f4")
    image[:, ::1000] = 1e6
    use = rng.random(image.shape) < 0.5
    medians, number = line_groups(Readout(), image.shape).medians(image, use)
    error = np.sqrt(0.5 * np.pi / number[0])
    assert 0.8 < np.std((medians[0] - 5) / error) < 1.2
    assert abs(np.mean(medians) - 5) < 0.1 * error.mean() * 8**0.5
