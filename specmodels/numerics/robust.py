"""Medians of the columns of an image with a mask: sorting all columns at once is fastest."""

import numpy as np

__all__ = ["MAD_TO_SIGMA", "column_median", "column_scatter", "median_of_columns",
           "median_of_few"]  # fmt: skip

MAD_TO_SIGMA = 1.4826022


def median_of_few(values):
    """Median of a few finite numbers, without the questions that NumPy asks first."""
    ordered = np.sort(values, axis=None)
    return 0.5 * (ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2])


def median_of_columns(values):
    """Median of each column of an image, shape (n_column,); NaN where a pixel is."""
    ordered = np.sort(values, axis=0)  # NaN last
    middle = 0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])
    return np.where(np.isnan(ordered[-1]), np.nan, middle)


def column_median(values, good):
    """Median of the good pixels of each column.

    Parameters
    ----------
    values : ndarray, shape (n_pixel, n_column)
        Anything where not good.
    good : ndarray of bool, same shape
        Pixels that count.

    Returns
    -------
    ndarray, shape (n_column,)
        NaN where no pixel is good.
    """
    ordered = np.sort(np.where(good, values, np.inf), axis=0)
    count = np.count_nonzero(good, axis=0)
    columns = np.arange(ordered.shape[1])
    lower, upper = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(ordered) - 1)
    middle = np.where(count > 0, ordered[lower, columns], np.nan)
    return 0.5 * (middle + np.where(count > 0, ordered[upper, columns], np.nan))


def column_scatter(values, good, center=0.0):
    """Robust standard deviation of the good pixels of each column about a centre."""
    return MAD_TO_SIGMA * column_median(np.abs(values - center), good)
