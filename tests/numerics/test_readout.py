"""The order of readout: every pixel has one place in time, and comes back from it."""

import itertools

import numpy as np
import pytest

from specmodels.numerics.readout import Readout

ORDERS = [
    Readout(fast_axis=axis, fast_direction=fast, slow_direction=slow, n_outputs=n,
                 interleaved=interleaved)
    for axis, fast, slow, n, interleaved in itertools.product(
        (-1, -2), (1, -1), (1, -1), (1, 4), (False, True)
    )
]  # fmt: skip
IMAGE = np.arange(16 * 24.0).reshape(16, 24)


@pytest.mark.parametrize("order", ORDERS, ids=str)
class TestEveryOrder:
    def test_image_comes_back_from_its_frames(self, order):
        frames = order.frames(IMAGE)
        assert frames.shape == order.frame_shape(IMAGE.shape)
        np.testing.assert_array_equal(order.image(frames), IMAGE)

    def test_positions_are_those_of_the_frames(self, order):
        _, n_line, width = order.frame_shape(IMAGE.shape)
        times = np.broadcast_to(np.arange(width), (order.n_outputs, n_line, width))
        lines = order.lines(order.image(times))
        parts, positions = order.parts(lines.shape[1])
        for part, position in zip(parts, positions, strict=True):
            np.testing.assert_array_equal(lines[:, part], np.tile(position, (n_line, 1)))


def test_first_pixel_read_is_where_the_directions_say():
    order = Readout(fast_axis=-2, fast_direction=-1, slow_direction=-1)
    assert order.frames(IMAGE)[0, 0, 0] == IMAGE[-1, -1]
    assert order.frames(IMAGE)[0, 0, 1] == IMAGE[-2, -1]


def test_neighbouring_strips_are_read_in_opposite_directions():
    frames = Readout(n_outputs=4).frames(IMAGE)
    assert frames[0, 0, 0] == IMAGE[0, 0]
    assert frames[1, 0, 0] == IMAGE[0, 11]


def test_stripes_across_the_lines_have_lines_of_their_own():
    order = Readout(fast_axis=-1, n_outputs=4, interleaved=True, stripes="slow")
    assert order.stripe_axis == -2
    assert order.along_stripes().frame_shape(IMAGE.shape) == (1, 24, 16)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"fast_axis": 2}, "fast_axis"),
        ({"fast_direction": 2}, "fast_direction"),
        ({"n_outputs": 0}, "n_outputs"),
        ({"stripes": "both"}, "stripes"),
    ],
)
def test_bad_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=name):
        Readout(**settings)


def test_outputs_that_do_not_share_a_line_evenly_are_refused():
    with pytest.raises(ValueError, match="n_outputs: expected a divisor of the 24"):
        Readout(n_outputs=5).frames(IMAGE)
