"""Errors of sums of pixels by light that the profile does not have all along a spectrum.

What lines have in excess is theirs. What a sum has in excess over many columns may be of a profile
that changes, and may be that of another order or a neighbour which reaches into the pixels.
"""

import numpy as np

__all__ = ["doubtful_excess"]

# Blocks of columns; in a block of which at least this part is summed it is no line.
N_BLOCKS, LEAST_PART = 16, 0.5
# Part of the excess that may be of another source.
DOUBTFUL = 0.4


def doubtful_excess(excess, flux, columns):
    """Error of the flux in summed columns, which all of them have in common.

    Parameters
    ----------
    excess : ndarray, shape (n_column,)
        Sum of the pixels less the flux of the profile.
    flux : ndarray, shape (n_column,)
        The sum.
    columns : ndarray of int, shape (n_summed,)
        Where it is the flux.

    Returns
    -------
    ndarray, shape (n_column,)
        Zero where the flux is that of the profile.
    """
    error, summed = np.zeros(len(flux)), np.zeros(len(flux), dtype=bool)
    summed[columns] = True
    for block in np.array_split(np.arange(len(flux)), N_BLOCKS):
        own = block[summed[block]]
        if own.size and own.size >= LEAST_PART * block.size:
            level = abs(np.median(flux[own])) + 1e-300
            error[own] = DOUBTFUL * np.median(excess[own]) / level * flux[own]
    return error
