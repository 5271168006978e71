"""What a model leaves over in pixels without a value, from the pixels around them in their row.

Arrays only, the dispersion along the last axis.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

__all__ = ["local_misfit", "predicted"]

# Pixels on either side that tell of a hidden one, and the largest correlation of next neighbours.
REACH, MOST_CORRELATED = 4, 0.999
# Standard deviations at which residuals are cut when their correlation is found.
CUT = 3.0
AT_ONCE = 20_000
# Box of rows and columns whose residuals tell the misfit of the model.
AROUND = (3, 9)
# Box of which pixels tell how much of the model's changes they follow, and how many pixels the part
# that all of them follow counts for.
STRETCH, SHRINKAGE = (3, 65), 20


class Correlation(NamedTuple):
    """Of misfits ``k`` pixels apart: ``part * decay**k``, one for ``k = 0``."""

    part: float
    decay: float

    def __call__(self, distance):
        return np.where(distance == 0, 1.0, self.part * self.decay**distance)


def local_misfit(residual, noise, known):
    """Variance of residuals beyond their noise in the pixels around; (n_row, n_column) all."""
    excess = np.where(known, residual**2 - noise, 0.0)
    count = uniform_filter(known.astype(float), AROUND, mode="constant")
    mean = uniform_filter(excess, AROUND, mode="constant") / np.maximum(count, 1e-3)
    return np.maximum(mean, 0.0)


def predicted(model, residual, noise, known, hidden):
    r"""Best linear prediction of hidden residuals, and its variance (kriging, Matheron 1963).

    Residuals are noise, and a misfit that neighbours along the dispersion share:
    :math:`\hat r = c^T (K + N)^{-1} r` with the covariance :math:`K` of the misfits of the pixels
    around, :math:`N` of their noise, and :math:`c` with that of the hidden one. Where pixels do not
    follow all of the change of the model from column to column, which is noise of its own then, the
    rest is taken back.

    Parameters
    ----------
    model : ndarray, shape (n_row, n_column)
        NaN where there is none.
    residual, noise : ndarray, same shape
        Data minus model, and the variance of the data.
    known, hidden : ndarray of bool, same shape
        Pixels that tell, and those to be predicted.

    Returns
    -------
    value, variance : ndarray, shape (n_hidden,)
        In the order of ``np.nonzero(hidden)``; zero and the misfit's where nothing is told.
    """
    taken_back = _taken_back(model, residual, noise, known)
    residual = np.where(known, residual - taken_back, 0.0)
    misfit = local_misfit(residual, noise, known)
    correlation = _correlation(residual, noise, misfit, known)
    shifts = np.array([k for k in range(-REACH, REACH + 1) if k])
    apart = correlation(np.abs(shifts[:, None] - shifts))
    toward = correlation(np.abs(shifts))
    rows, columns = np.nonzero(hidden)
    value, variance = np.zeros(rows.size), misfit[rows, columns].astype(float)
    for first in range(0, rows.size, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        own = variance[some]
        at = columns[some, None] + shifts
        inside = (at >= 0) & (at < residual.shape[1])
        at = (rows[some, None], np.clip(at, 0, residual.shape[1] - 1))
        told = inside & known[at] & (own > 0)[:, None]
        # In units of the hidden pixel's misfit; who tells nothing is alone with a noise of one.
        size = np.sqrt(np.where(told, misfit[at], 0.0) / np.where(own > 0, own, 1.0)[:, None])
        matrix = apart * size[:, :, None] * size[:, None, :]
        alone = np.where(told, noise[at] / np.where(own > 0, own, 1.0)[:, None], 1.0)
        matrix[:, range(len(shifts)), range(len(shifts))] += alone
        vector = toward * size
        weights = np.linalg.solve(matrix, vector[..., None])[..., 0]
        value[some] = np.sum(weights * np.where(told, residual[at], 0.0), axis=1)
        variance[some] = own * np.clip(1 - np.sum(weights * vector, axis=1), 0.0, 1.0)
    return value + taken_back[hidden], variance


def _taken_back(model, residual, noise, known):
    """What of the model's difference to the mean of its neighbours in the row pixels lack.

    The part is that of the pixels around, drawn to that of all.
    """
    variance = noise + local_misfit(residual, noise, known)
    change, left, use = np.zeros(model.shape), np.zeros(model.shape), np.zeros_like(known)
    change[:, 1:-1], left[:, 1:-1] = _curved(model), _curved(residual)
    change[~np.isfinite(change)] = 0.0
    use[:, 1:-1] = known[:, 1:-1] & known[:, 2:] & known[:, :-2]
    scale = np.sqrt(np.where(use, variance, 1.0))
    # Lines and hits must not rule by their size alone.
    own, left = np.where(use, change / scale, 0.0), np.clip(left / scale, -CUT, CUT)
    product, square = own * left, own**2
    if not square.any():
        return np.zeros(model.shape)
    total = square.sum() / np.count_nonzero(use)
    usual = product.sum() / square.sum()
    here, weight = (uniform_filter(values, STRETCH, mode="constant") * STRETCH[0] * STRETCH[1]
                    for values in (product, square))  # fmt: skip
    part = (here + SHRINKAGE * total * usual) / (weight + SHRINKAGE * total)
    return np.clip(part, -1.0, 0.0) * change


def _curved(values):
    return values[:, 1:-1] - 0.5 * (values[:, 2:] + values[:, :-2])


def _correlation(residual, noise, misfit, known):
    """How misfits go together along rows, from products of residuals one and two pixels apart."""
    total = np.where(known, noise + misfit, 1.0)
    scaled = np.where(known, np.clip(residual / np.sqrt(total), -CUT, CUT), 0.0)
    part = np.where(known, np.sqrt(misfit / total), 0.0)

    def at(distance):
        expected = np.sum(part[:, distance:] * part[:, : -distance or None])
        found = np.sum(scaled[:, distance:] * scaled[:, : -distance or None])
        return np.clip(found / expected, 0.0, 1.0) if expected > 0 else 0.0

    if residual.shape[1] < 3:
        return Correlation(0.0, 0.0)
    one, two = at(1), at(2)
    if not one > 0:
        return Correlation(0.0, 0.0)
    decay = np.clip(two / one, 0.0, MOST_CORRELATED)
    # The part that neighbours share, at most all of it.
    decay = max(decay, min(one, MOST_CORRELATED))
    return Correlation(min(one / decay, 1.0), decay)
