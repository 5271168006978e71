"""Light that two sources may have exchanged where their traces cross.

Of parallel sources the shares are those of all columns. Where another order crosses a source its
share changes from column to column, and is as good as the profiles of both are: what these lack is
seen in chi-square, but not whose it is.
"""

from itertools import combinations

import numpy as np

__all__ = ["crossing_pairs", "exchanged_light"]

# Chi-square per degree of freedom beyond one that may come of noise, hits and variances.
USUAL_EXCESS = 0.05


def crossing_pairs(traces, width):
    """Numbers of any two sources whose traces are not parallel.

    Parameters
    ----------
    traces : ndarray, shape (n_source, n_column)
    width : float
        Full width at half maximum: traces whose distance changes by less are parallel.

    Returns
    -------
    list of tuple of int
    """
    return [(i, j) for i, j in combinations(range(len(traces)), 2)
            if np.ptp(traces[i] - traces[j]) > width]  # fmt: skip


def exchanged_light(lights, pairs, chi2_dof):
    """Error of each flux, shape (n_source, n_column), by light of others that cross its trace.

    Parameters
    ----------
    lights : ndarray, shape (n_source, n_row, n_column)
        Images of the sources.
    pairs : list of tuple of int
        Numbers of those that cross; see `crossing_pairs`.
    chi2_dof : float

    Returns
    -------
    ndarray
        The part of the light that any two have in the same pixels, by which one of them could be
        the other; of this the part by which the noise is exceeded.
    """
    misfit = np.sqrt(np.clip(np.nan_to_num(chi2_dof - 1) - USUAL_EXCESS, 0.0, 1.0))
    totals = np.abs(np.sum(lights, axis=1))
    variances = np.zeros(totals.shape)
    shapes = np.abs(lights) / np.maximum(totals, 1e-300)[:, None]
    for i, j in pairs:
        overlap = np.sum(np.minimum(shapes[i], shapes[j]), axis=0)
        variances[[i, j]] += (misfit * overlap * np.minimum(totals[i], totals[j])) ** 2
    return np.sqrt(variances)
