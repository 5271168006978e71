"""Paths of light from tables."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.models.scenes.tabulated_path import TracePath


def test_light_is_moved_as_tabulated_and_on_beyond_the_ends():
    path = TracePath([1.0, 1.5, 2.0], [0.0, 40.0, 100.0], [0.0, 1.0, 4.0])
    x, y = path(np.array([3.0, 3.0, 3.0, 3.0]), 2.0, np.array([0.9, 1.25, 1.5, 2.1]), 1)
    assert_allclose(x, [-5, 23, 43, 115])
    assert_allclose(y, [1.8, 2.5, 3, 6.6])
    moved = path.shifted(-2, 0.5)(3.0, 2.0, 1.5, 1)
    assert_allclose(moved, [41, 3.5])


@pytest.mark.parametrize("table", [
    ([1.0], [0.0], [0.0]), ([1.0, 2.0], [0.0, 1.0], [0.0]), ([2.0, 1.0], [0.0, 1.0], [0.0, 1.0]),
    ([1.0, 2.0], [0.0, np.nan], [0.0, 1.0]),
])  # fmt: skip
def test_tables_that_are_none_are_refused(table):
    with pytest.raises(ValueError, match="wavelength"):
        TracePath(*table)
