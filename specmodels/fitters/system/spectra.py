"""Covariance of the samples of a spectrum that are sums of coefficients of a system.

Neighbours have knots in common, which a band tells. What all samples share, levels, lines of
readout and shapes, reaches from one end to the other, and is of low rank.
"""

import numpy as np

from ...numerics.spectrum_covariance import SpectrumCovariance

__all__ = ["spectrum_covariance"]

# Where variances of sums over long parts of a spectrum are off by more than this part of them, what
# samples share is worked out for all pairs.
TOLERANCE = 0.01
N_PARTS = 8


def spectrum_covariance(result, rows, band, shared):
    """Covariance of samples from that of neighbours, as band and low rank.

    Parameters
    ----------
    result : `~specmodels.fitters.system.SystemFitResult`
    rows : ndarray or sparse array, shape (n, n_coefficient)
        Each sample as a weighted sum of the coefficients.
    band : ndarray, shape (n, width)
        Covariances with the samples that follow, non-linear parameters held, as in a
        `~specmodels.numerics.spectrum_covariance.SpectrumCovariance`.
    shared : ndarray, shape (n, n_shared)
        A root of what samples have in common by parameters that are not linear.

    Returns
    -------
    SpectrumCovariance
    """
    found = SpectrumCovariance.around(band, _of_border(result.equations, rows))
    if not _holds(found, result, rows):
        dense = result.covariance_of_linear_rows(_array(rows))
        unknown = ~np.isfinite(band[:, 0])
        dense[unknown, unknown] = np.inf
        found = SpectrumCovariance.of_dense(dense)
    return found.with_low_rank(shared)


def _of_border(equations, rows):
    """What samples share by coefficients of the border: a root of it, (n, n_border)."""
    root = equations.border_part(rows)
    return np.zeros((rows.shape[0], 0)) if root is None else root


def _holds(found, result, rows):
    """Whether sums over all samples, and over parts of them, have the variances they should."""
    parts = np.repeat(np.eye(N_PARTS), -(-rows.shape[0] // N_PARTS), axis=1)[:, : rows.shape[0]]
    sums = np.concatenate([np.ones((1, rows.shape[0])), parts]) * ~found.unknown
    true = np.diagonal(result.covariance_of_linear_rows(_array(sums @ rows)))
    own = np.diagonal(found.of_sums(sums))
    known = np.isfinite(true) & (true > 0)
    return bool((np.abs(own - true)[known] <= TOLERANCE * true[known]).all())


def _array(rows):
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
