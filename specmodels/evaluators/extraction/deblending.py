"""Blended sources of known number in a collapsed profile: their places at one common width."""

import numpy as np
from scipy.optimize import least_squares

__all__ = ["deblended"]

# Wings of the profile that is fitted, and the range in which its width is looked for.
MOFFAT_ALPHA = 3.0
LEAST_WIDTH = 1.2
# Where a further source is tried, in full widths at half maximum from each that is there.
SPLIT = 0.4


def deblended(profile, error, rows, n_sources, places, fwhm):
    """Fit a number of sources of one width to a collapsed profile.

    Sources are added one at a time, where a fit with one more is best: at the largest residual,
    or beside one of those that are there, whose light they then share.

    Parameters
    ----------
    profile, error, rows : ndarray, shape (n_row,)
        Light, its standard error, and the number of each row.
    n_sources : int
        How many sources there are.
    places : ndarray, shape (n_place,)
        Rows of some of them, at most `n_sources`.
    fwhm : float
        First guess of the width.

    Returns
    -------
    places : ndarray, shape (n_source,)
    fwhm : float
    """
    target = _Target(profile, error, rows)
    starts = [[float(places[0])], [float(p) for p in places]]
    fits = [_grown(target, start, fwhm, n_sources) for start in starts[: len(places)]]
    best = min(fits, key=lambda fit: fit.cost)
    return best.x[:-1], float(np.exp(best.x[-1]))


def _grown(target, places, fwhm, n_sources):
    """Fit with one source after the other added until there are enough."""
    fit = target.fit(places, fwhm)
    while len(fit.x) - 1 < n_sources:
        width = np.exp(fit.x[-1])
        trials = [
            np.append(fit.x[:-1], target.rows[np.argmax(np.abs(fit.fun[: len(target.rows)]))])
        ]
        for k, place in enumerate(fit.x[:-1]):
            others = np.delete(fit.x[:-1], k)
            trials.append([*others, place - SPLIT * width, place + SPLIT * width])
        trials = [target.fit(trial, w) for trial in trials for w in (width, 0.6 * width)]
        fit = min(trials, key=lambda one: one.cost)
    return fit


class _Target:
    """A collapsed profile, to which sources are fitted; their heights are solved for inside."""

    def __init__(self, profile, error, rows):
        self.profile, self.error, self.rows = profile / error, error, np.asarray(rows, dtype=float)

    def fit(self, places, fwhm):
        """Least-squares fit of places and the logarithm of the width."""
        low, high = self.rows[0] - 1, self.rows[-1] + 1
        start = np.append(np.clip(places, low, high), np.log(max(fwhm, LEAST_WIDTH)))
        lower = np.append(np.full(len(places), low - 1e-6), np.log(LEAST_WIDTH) - 1e-6)
        upper = np.append(np.full(len(places), high + 1e-6), np.log(np.ptp(self.rows) + 2))
        return least_squares(self._residual, start, bounds=(lower, upper), max_nfev=60)

    def _residual(self, values):
        places, width = values[:-1], np.exp(values[-1])
        core = width / (2 * np.sqrt(2 ** (1 / MOFFAT_ALPHA) - 1))
        t = (self.rows[:, None] - places) / core
        basis = np.hstack([(1 + t**2) ** -MOFFAT_ALPHA, np.ones((len(self.rows), 1))])
        basis /= self.error[:, None]
        heights = np.linalg.lstsq(basis, self.profile, rcond=1e-6)[0]
        return self.profile - basis @ heights
