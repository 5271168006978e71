"""Blended sources of known number in a collapsed profile: their places at one common shape."""

import numpy as np
from scipy.optimize import least_squares

__all__ = ["deblended"]

# Steepness of the wings of the profile that is fitted, first and within which range, and its least
# width. With other wings than the light has, a source would be split to mend them.
MOFFAT_ALPHA, ALPHAS = 3.0, (1.5, 30.0)
LEAST_WIDTH = 1.2
# Where a further source is tried, in full widths at half maximum from each that is there.
SPLIT = 0.4


def deblended(profile, error, rows, n_sources, places, fwhm):
    """Fit a number of sources of one shape to a collapsed profile.

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
    return best.x[:-2], float(np.exp(best.x[-2]))


def _grown(target, places, fwhm, n_sources):
    """Fit with one source after the other added until there are enough."""
    fit = target.fit(places, fwhm, MOFFAT_ALPHA)
    while len(fit.x) - 2 < n_sources:
        found, (width, alpha) = fit.x[:-2], np.exp(fit.x[-2:])
        trials = [np.append(found, target.rows[np.argmax(np.abs(fit.fun[: len(target.rows)]))])]
        for k, place in enumerate(found):
            others = np.delete(found, k)
            trials.append([*others, place - SPLIT * width, place + SPLIT * width])
        trials = [target.fit(trial, w, alpha) for trial in trials for w in (width, 0.6 * width)]
        fit = min(trials, key=lambda one: (target.is_opposed(one.x), one.cost))
    return fit


class _Target:
    """A collapsed profile, to which sources are fitted; their heights are solved for inside."""

    def __init__(self, profile, error, rows):
        self.profile, self.error, self.rows = profile / error, error, np.asarray(rows, dtype=float)

    def fit(self, places, fwhm, alpha):
        """Least-squares fit of places, and of the logarithms of the width and of alpha."""
        low, high = self.rows[0] - 1, self.rows[-1] + 1
        shape = np.log([max(fwhm, LEAST_WIDTH), np.clip(alpha, *ALPHAS)])
        start = np.append(np.clip(places, low, high), shape)
        lowest, highest = (LEAST_WIDTH, ALPHAS[0]), (np.ptp(self.rows) + 2, ALPHAS[1])
        lower = np.append(np.full(len(places), low), np.log(lowest)) - 1e-6
        upper = np.append(np.full(len(places), high), np.log(highest)) + 1e-6
        return least_squares(self._residual, start, bounds=(lower, upper), max_nfev=60)

    def is_opposed(self, values):
        """Whether sources that overlap have opposite signs, as where they mend a wrong profile."""
        places, width = values[:-2], np.exp(values[-2])
        order = np.argsort(places)
        signs = np.sign(self._solved(values)[1][:-1][order])
        near = np.diff(places[order]) < width
        return bool(np.any(near & (np.diff(signs) != 0)))

    def _residual(self, values):
        return self._solved(values)[0]

    def _solved(self, values):
        """Residual, and the heights of the sources and of the level."""
        places, (width, alpha) = values[:-2], np.exp(values[-2:])
        core = width / (2 * np.sqrt(2 ** (1 / alpha) - 1))
        t = (self.rows[:, None] - places) / core
        basis = np.hstack([(1 + t**2) ** -alpha, np.ones((len(self.rows), 1))])
        basis /= self.error[:, None]
        heights = np.linalg.lstsq(basis, self.profile, rcond=1e-6)[0]
        return self.profile - basis @ heights, heights
