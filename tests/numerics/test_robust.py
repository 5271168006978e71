"""Medians of columns are those of NumPy."""

import numpy as np
import pytest

from specmodels.numerics.robust import column_median, median_of_columns


@pytest.mark.parametrize("n_row", [1, 4, 7])
def test_median_of_columns_is_that_of_numpy(n_row):
    values = np.random.default_rng(n_row).normal(size=(n_row, 20))
    values[0, 3], values[-1, 5] = np.nan, np.inf
    np.testing.assert_array_equal(median_of_columns(values), np.median(values, axis=0))
    good = np.isfinite(values)
    np.testing.assert_array_equal(column_median(values, good)[:3], np.median(values[:, :3], axis=0))
