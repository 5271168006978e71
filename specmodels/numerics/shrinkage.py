"""Values that were measured one by one but are alike: each drawn to the others. Arrays only."""

import numpy as np

from .robust import MAD_TO_SIGMA

__all__ = ["drawn_levels", "shrunk"]

# Scatters that are tried, and the one beyond which they are less and less likely beforehand.
SCATTERS = np.geomspace(1e-4, 0.5, 80)
USUAL_SCATTER = 0.03
# Of levels of sources: least scatter and least level relative to what most have, and the
# signal-to-noise ratio that tells it.
LEVEL_SCATTER, LEAST_LEVEL, LEVEL_SNR = 0.4, 0.1, 5.0


def shrunk(values, errors, scatter=None):
    r"""Most likely true values of a normal population whose mean and scatter are not known.

    Each is drawn to the mean by as much as its error exceeds the scatter, which lowers the expected
    error of all (James and Stein 1961; Efron and Morris 1975, JASA 70, 311). Mean and scatter are
    integrated over, with a flat prior of the mean, and of the scatter up to about 0.03.

    Parameters
    ----------
    values, errors : array_like, shape (n,)
        Measured values and their standard errors, infinite where nothing was measured; relative
        to the mean, which is near one.
    scatter : float, optional
        Standard deviation of the true values, where it is known; else it is learnt.

    Returns
    -------
    values, errors : ndarray, shape (n,)
        Means and standard deviations of the posterior.

    Examples
    --------
    >>> from specmodels.numerics.shrinkage import shrunk
    >>> values, errors = shrunk([1.02, 0.99, 1.0, 1.1], [0.01, 0.01, 0.01, 0.1])
    >>> bool(values[3] < 1.02 and errors[3] < 0.05)
    True
    """
    values, errors = (np.asarray(a, dtype=float) for a in (values, errors))
    known = np.isfinite(errors) & np.isfinite(values)
    if not known.any():
        usual = USUAL_SCATTER if scatter is None else float(scatter)
        return np.ones(values.shape), np.full(values.shape, usual)
    values = np.where(known, values, 1.0)
    noise = np.where(known, errors, 1e3) ** 2
    scatters = SCATTERS if scatter is None else np.array([max(float(scatter), SCATTERS[0])])
    scatter = scatters[:, None] ** 2
    total = noise + scatter
    weight = 1 / total
    mean_variance = 1 / weight.sum(axis=1)
    mean = mean_variance * (weight @ values)
    gap = values - mean[:, None]
    chance = -0.5 * (np.log(total) + gap**2 * weight).sum(axis=1) + 0.5 * np.log(mean_variance)
    # The grid is one of the logarithm.
    chance += np.log(scatters) - np.log1p((scatters / USUAL_SCATTER) ** 2)
    chance = np.exp(chance - chance.max())
    chance /= chance.sum()
    share = scatter * weight
    found = mean[:, None] + share * gap
    variance = share * noise + (1 - share) ** 2 * mean_variance[:, None]
    out = chance @ found
    return out, np.sqrt(chance @ (variance + (found - out) ** 2))


def drawn_levels(values, errors):
    """Levels of sources, those that are hardly known drawn to what most have.

    Parameters
    ----------
    values, errors : ndarray, shape (n,)
        Measured levels and their standard errors, infinite where nothing was measured.

    Returns
    -------
    levels : ndarray, shape (n,)
        Positive; one where no level is known at all.
    usual, scatter : float
        What most have, and the standard deviation about it.
    """
    known = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    weight = np.divide(1.0, errors**2, out=np.zeros(len(values)), where=known)
    values = np.where(known, values, 0.0)
    told = values * np.sqrt(weight) > LEVEL_SNR
    if told.any():
        usual = float(np.median(values[told]))
        scatter = MAD_TO_SIGMA * np.median(np.abs(values[told] - usual))
    else:
        total = weight.sum()
        usual, scatter = (float(weight @ values) / total if total > 0 else 0.0), 0.0
        if not usual * np.sqrt(total) > 2:
            usual = 1.0
    scatter = max(scatter, LEVEL_SCATTER * usual)
    prior = scatter**-2.0
    drawn = (weight * values + prior * usual) / (weight + prior)
    return np.maximum(drawn, LEAST_LEVEL * usual), usual, scatter
