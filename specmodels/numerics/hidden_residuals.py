"""What a model leaves over in pixels without a value, from the pixels around them in their row.

Arrays only, the dispersion along the last axis.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

__all__ = ["ColumnErrors", "local_misfit", "predicted"]

# Pixels on either side that tell of a hidden one, and the largest correlation of next neighbours.
REACH, MOST_CORRELATED = 4, 0.999
# Standard deviations at which residuals are cut when their correlation is found.
CUT = 3.0
AT_ONCE = 20_000
# Box of rows and columns whose residuals tell the misfit of the model.
AROUND = (3, 9)
# Pixels with a value that tell how good predictions are.
ENOUGH = 20_000
# Fewer of them around do not tell their scatter; spread of the part of one prediction before.
LEAST_SAMPLES, PART_SPREAD = 10, 0.5
# Box of which pixels tell how much of the model's changes they follow, and how many pixels the part
# that all of them follow counts for.
STRETCH, SHRINKAGE = (3, 65), 20


class ColumnErrors(NamedTuple):
    """What the noise of a column does to its model, each of shape (n_row, n_column).

    Attributes
    ----------
    leverage : ndarray
        Part of the noise of each pixel that the model there follows, below one.
    variance : ndarray
        Of the model.
    """

    leverage: np.ndarray
    variance: np.ndarray


class Correlation(NamedTuple):
    """Of misfits ``k`` pixels apart: ``part * decay**k``, one for ``k = 0``."""

    part: float
    decay: float

    def __call__(self, distance):
        return np.where(distance == 0, 1.0, self.part * self.decay**distance)


def local_misfit(residual, noise, known):
    """Variance of residuals beyond their noise in the pixels around; (n_row, n_column) all."""
    return np.maximum(_mean_around(residual**2 - noise, known), 0.0)


def predicted(model, residual, noise, known, hidden, columns):
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
    columns : ColumnErrors
        How good predictions are is learnt from pixels that are known, and what their own values did
        to the model is taken out: hidden pixels have done nothing to it.

    Returns
    -------
    value, variance, share : ndarray, shape (n_hidden,)
        In the order of ``np.nonzero(hidden)``; zero and the misfit's where nothing is told. The sum
        of model and value has this share of the model, so that its variance is the square of the
        share times that of the model, plus the one returned.
    """
    leverage = columns.leverage
    followed = np.where(known, residual * leverage / (1 - leverage), 0.0)
    taken_back, part = _taken_back(model, residual, noise, known, followed)
    left = np.where(known, residual - taken_back, 0.0)
    misfit = local_misfit(left, noise, known)
    kriging = _Kriging(left, noise, misfit, known, _correlation(left, noise, misfit, known))
    value, variance = kriging(*np.nonzero(hidden))
    value += taken_back[hidden]
    plain, told = _by_neighbours(model, residual, known)
    if not told.any():
        return value, variance, np.ones(value.shape)
    both_known = np.nonzero(known & told)
    step = max(1, both_known[0].size // ENOUGH)
    some = tuple(one[::step] for one in both_known)
    found, expected = kriging(*some)
    # Without the pixel itself the model is lower by what it followed, and its residual higher.
    change = found + taken_back[some] - plain[some] - ((1 + part) * followed)[some]
    expected = expected + (noise / (1 - leverage))[some]
    both = _Both(change, (residual - plain)[some], expected, some, model.shape)
    told, weight, plain = told[hidden], both.part[hidden], plain[hidden]
    value = np.where(told, plain + weight * (value - plain), value)
    share = np.where(told, weight * (1 + part[hidden]), 1.0)
    around, model_error = _mean_around(noise, known)[hidden], columns.variance[hidden]
    found = both.ratio[hidden] * (variance + model_error + around) - around
    # Not less than what neighbours bring, of which there are two, and the prediction.
    least = (1 - weight) ** 2 * around + (weight * part[hidden]) ** 2 * model_error
    least = weight**2 * variance + least / 2
    found = np.maximum(found - share**2 * model_error, least)
    return value, np.where(told, found, variance), share


def _mean_around(values, known):
    """Mean of values over the known pixels around, shape (n_row, n_column)."""
    count = uniform_filter(known.astype(float), AROUND, mode="constant")
    mean = uniform_filter(np.where(known, values, 0.0), AROUND, mode="constant")
    return mean / np.maximum(count, 1e-3)


def _stretch_sums(values):
    """Sums of values over the stretch around each pixel, shape (n_row, n_column)."""
    return uniform_filter(values, STRETCH, mode="constant") * STRETCH[0] * STRETCH[1]


class _Kriging:
    """Residuals of pixels from those around in their row, by their covariance."""

    def __init__(self, residual, noise, misfit, known, correlation):
        self.residual, self.noise, self.misfit, self.known = residual, noise, misfit, known
        self.shifts = np.array([k for k in range(-REACH, REACH + 1) if k])
        self.apart = correlation(np.abs(self.shifts[:, None] - self.shifts))
        self.toward = correlation(np.abs(self.shifts))

    def __call__(self, rows, columns):
        """Prediction for some pixels, whose own residuals do not count, and its variance."""
        value, variance = np.zeros((2, rows.size))
        for first in range(0, rows.size, AT_ONCE):
            some = slice(first, first + AT_ONCE)
            value[some], variance[some] = self._told(rows[some], columns[some])
        return value, variance

    def _told(self, rows, columns):
        own, shifts = self.misfit[rows, columns].astype(float), self.shifts
        at = columns[:, None] + shifts
        inside = (at >= 0) & (at < self.residual.shape[1])
        at = (rows[:, None], np.clip(at, 0, self.residual.shape[1] - 1))
        told = inside & self.known[at] & (own > 0)[:, None]
        # In units of the hidden pixel's misfit; who tells nothing is alone with a noise of one.
        unit = np.where(own > 0, own, 1.0)[:, None]
        size = np.sqrt(np.where(told, self.misfit[at], 0.0) / unit)
        matrix = self.apart * size[:, :, None] * size[:, None, :]
        alone = np.where(told, self.noise[at] / unit, 1.0)
        matrix[:, range(len(shifts)), range(len(shifts))] += alone
        vector = self.toward * size
        weights = np.linalg.solve(matrix, vector[..., None])[..., 0]
        value = np.sum(weights * np.where(told, self.residual[at], 0.0), axis=1)
        return value, own * np.clip(1 - np.sum(weights * vector, axis=1), 0.0, 1.0)


class _Both:
    """How much of the way from the mean of neighbours to a prediction is best, place by place.

    Learnt from pixels that have a value, so that where the model is worse than the mean of two
    neighbours (steep edges of a slit, errors of the flat) that is taken.

    Parameters
    ----------
    change, target : ndarray, shape (n,)
        Prediction and residual of some pixels, less what neighbours tell.
    expected : ndarray, shape (n,)
        Variance of the residual about the prediction.
    at : tuple of ndarray of int
        Rows and columns of the pixels.
    shape : tuple of int
        Of the image.
    """

    def __init__(self, change, target, expected, at, shape):
        self.at, self.shape = at, shape
        scale = 1 / np.sqrt(np.maximum(expected, 1e-300))
        change, target = change * scale, target * scale
        limit = CUT * max(np.median(np.abs(target)), np.median(np.abs(change)), 1e-300)
        change, target = (np.clip(one, -limit, limit) for one in (change, target))
        product, square = self._sums(change * target), self._sums(change**2)
        usual = np.clip(np.sum(change * target) / max(np.sum(change**2), 1e-300), 0.0, 1.0)
        number, self.ratio = self._sums(np.ones(target.size)), 1.0
        for _ in range(2):  # how much is known of the part depends on the errors left by it
            prior = np.maximum(self.ratio, 1e-300) / PART_SPREAD**2
            self.part = np.clip((product + prior * usual) / (square + prior), 0.0, 1.0)
            left = (target - self.part[at] * change) ** 2
            mean = self._sums(left) / np.maximum(number, 0.5)
            self.ratio = np.where(number > LEAST_SAMPLES, mean, np.mean(left))

    def _sums(self, values):
        """Sums over the pixels around of values of some of them, shape of the image."""
        image = np.zeros(self.shape)
        image[self.at] = values
        out = _stretch_sums(image)
        return np.maximum(out, 0.0) if np.all(values >= 0) else out


def _by_neighbours(model, residual, known):
    """Residual by the mean of the two neighbours in the row, and where both have a value."""
    plain, told = np.zeros(model.shape), np.zeros_like(known)
    told[:, 1:-1] = known[:, 2:] & known[:, :-2] & np.isfinite(_curved(model))
    plain[:, 1:-1] = 0.5 * (residual[:, 2:] + residual[:, :-2]) - _curved(model)
    return np.where(told, plain, 0.0), told


def _taken_back(model, residual, noise, known, followed):
    """What of the model's difference to the mean of its neighbours in the row pixels lack.

    The part of it, returned as well, is that of the pixels around, drawn to that of all; in each of
    them, the model is that without what it `followed` of the pixel.
    """
    variance = noise + local_misfit(residual, noise, known)
    change, left, use = np.zeros(model.shape), np.zeros(model.shape), np.zeros_like(known)
    change[:, 1:-1], left[:, 1:-1] = _curved(model), _curved(residual)
    left += followed
    change[~np.isfinite(change)] = 0.0
    use[:, 1:-1] = known[:, 1:-1] & known[:, 2:] & known[:, :-2]
    scale = np.sqrt(np.where(use, variance, 1.0))
    # Lines and hits must not rule by their size alone.
    own = np.where(use, (change - followed) / scale, 0.0)
    left = np.clip(left / scale, -CUT, CUT)
    product, square = own * left, own**2
    if not square.any():
        return np.zeros(model.shape), np.zeros(model.shape)
    total = square.sum() / np.count_nonzero(use)
    usual = product.sum() / square.sum()
    here, weight = _stretch_sums(product), _stretch_sums(square)
    part = (here + SHRINKAGE * total * usual) / (weight + SHRINKAGE * total)
    part = np.clip(part, -1.0, 0.0)
    return part * change, part


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
