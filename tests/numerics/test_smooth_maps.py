"""Smooth functions in a slice from few of their values, and those that are not that smooth."""

import numpy as np
import pytest

from specmodels.numerics.smooth_maps import smooth_map

SHAPE = (60, 700)


@pytest.fixture
def inside():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    middle = 30 + 18 * np.sin(x / 500) - 8 * (x / 700) ** 2
    return (np.abs(y - middle) < 12) & (x > 20) & (x < 660)


def smooth(x, y):
    return [0.1 * (y - 0.02 * x) / (1 + 2e-4 * x) + 1e-6 * (y - 30) ** 3, np.exp(x / 500) + y]


class Counted:
    """A function, and in how many points it was computed."""

    def __init__(self, function):
        self.function, self.n_points = function, 0

    def __call__(self, x, y):
        self.n_points += x.size
        return self.function(x, y)


def test_few_values_tell_all_to_a_ten_thousandth_of_a_pixel(inside):
    function = Counted(smooth)
    found = smooth_map(function, inside)
    y, x = np.nonzero(inside)
    for own, true, change in zip(found, smooth(x + 0.0, y + 0.0), (0.1, 1.0), strict=True):
        assert np.abs(own[inside] - true).max() < 1e-4 * change
    assert function.n_points < inside.sum() / 20


def test_values_are_asked_for_inside_only(inside):
    def bounded(x, y):
        assert inside[y.astype(int), x.astype(int)].all()
        return smooth(x, y)

    assert smooth_map(bounded, inside) is not None


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: [y + 0.01 * np.sin(x / 4)],
        lambda x, y: [y + 0.001 * (x > 300)],
        lambda x, y: [y + 0.001 * np.abs(y - 30)],
        lambda x, y: [np.where(x > 400, np.nan, y)],
    ],
    ids=["wiggles", "step", "kink", "unknown"],
)
def test_what_is_not_smooth_is_refused(function, inside):
    assert smooth_map(function, inside) is None


def test_small_slices_and_slices_with_holes_are_refused(inside):
    assert smooth_map(smooth, inside[:, :60]) is None
    inside[1::2] = False
    assert smooth_map(smooth, inside) is None


@pytest.mark.parametrize("slant", [0.5, 2.0])
def test_slices_may_end_in_columns_of_one_row(slant):
    y, x = np.mgrid[:60, :2048]
    place = x - slant * (y - 30)
    inside = (np.abs(y - 30) < 12) & (place > 40) & (place < 2000)
    found = smooth_map(lambda x, y: [y + 1e-4 * x + 1e-7 * x**2], inside)
    true = (y + 1e-4 * x + 1e-7 * x**2)[inside]
    np.testing.assert_allclose(found[0][inside], true, atol=1e-9)
