"""Light that two sources may have exchanged where their traces cross.

Of parallel sources the shares are those of all columns. Where another order crosses a source its
share changes from column to column, and is as good as the profiles of both are: what these lack is
seen in chi-square, but not whose it is.
"""

import numpy as np

__all__ = ["exchanged_light"]

# Chi-square per degree of freedom beyond one that may come of noise, hits and variances.
USUAL_EXCESS = 0.05


def exchanged_light(lights, traces, width, chi2_dof):
    """Error of each flux, shape (n_source, n_column), by light of others that cross its trace.

    Parameters
    ----------
    lights : ndarray, shape (n_source, n_row, n_column)
        Images of the sources.
    traces : ndarray, shape (n_source, n_column)
    width : float
        Full width at half maximum: traces whose distance changes by less are parallel.
    chi2_dof : float

    Returns
    -------
    ndarray
        The part of the light that any two have in the same pixels, by which one of them could be
        the other; of this the part by which the noise is exceeded.
    """
    misfit = np.sqrt(np.clip(np.nan_to_num(chi2_dof - 1) - USUAL_EXCESS, 0.0, 1.0))
    variances = np.zeros(traces.shape)
    totals = np.abs(np.sum(lights, axis=1))
    shapes = np.abs(lights) / np.maximum(totals, 1e-300)[:, None]
    for i, j in zip(*np.triu_indices(len(traces), 1), strict=True):
        if np.ptp(traces[i] - traces[j]) > width:
            overlap = np.sum(np.minimum(shapes[i], shapes[j]), axis=0)
            variances[[i, j]] += (misfit * overlap * np.minimum(totals[i], totals[j])) ** 2
    return np.sqrt(variances)
