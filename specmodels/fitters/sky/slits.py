"""Whether a slit agrees with the sky of the others, and its noise as the sky predicts it."""

from statistics import median

import numpy as np
from scipy.special import chdtrc

from ...numerics.cloud import huber_level
from ...numerics.robust import MAD_TO_SIGMA

__all__ = ["deviant_rows", "follows_noise", "local_misfit", "misfit_of", "smooth_poisson",
           "worst_slit"]  # fmt: skip

BLOCK = 16
LEAST_PIXELS = 5
# Chance of a slit to be left out by noise alone, and to have throughputs that are called wrong.
FALSE_ALARM, CHANCE = 1e-6, 1e-3
# What the level of a block takes off the scatter of its pixels.
WITHIN = (BLOCK / (BLOCK - 1)) ** 0.5
LEAST_CORRELATION, N_PROBED = 0.2, 1000
# Rows are left out beyond so many standard deviations, and as long as so many are left.
ROW_SIGMA, LEAST_ROWS = 5.0, 3
# The limit is raised to this multiple of the others' median, where all are alike, but not beyond
# that multiple of itself: then all are contaminated.
TIMES_MEDIAN, TIMES_LIMIT = 3.0, 5.0


def misfit_of(pixels, light, variance, *, columns=True):
    """How a slit departs from the sky, by rows and by stretches of columns.

    Noise and a grey factor do not count: a source stands out in a few rows, another spectrum in
    some columns.

    Parameters
    ----------
    pixels : `~specmodels.fitters.SkyPixels`
        The pixels of the slit.
    light, variance : ndarray, shape (n_pixel,)
        The sky in them, and the variance of their noise.
    columns : bool
        Whether stretches of columns count; else only rows, for a sky that is known to be rough.

    Returns
    -------
    misfit : float
        Rms of the departures beyond the noise, relative to the sky: the larger of the two.
    chance : float
        Probability that noise alone departs as much.
    """
    error = np.sqrt(variance)
    signal, residual = light / error, (pixels.data - light) / error
    groups = (pixels.rows, _blocks(pixels)) if columns else (pixels.rows,)
    levels = (huber_level(group, signal, residual, group.max() + 1) for group in groups)
    return max(_departure(*own) for own in zip(groups, levels, strict=True))


def local_misfit(pixels, light, variance, *, columns=True):
    """How far the pixels of single rows and stretches of columns are off by what they share.

    The noise is that within the stretches, where it is larger than the variance says.

    Parameters
    ----------
    pixels, light, variance, columns
        As for `misfit_of`; without columns, of whole rows.

    Returns
    -------
    float
        Rms beyond the noise, relative to the sky; zero where noise explains it.
    """
    error = np.sqrt(variance)
    signal, residual = light / error, (pixels.data - light) / error
    groups = pixels.rows
    if columns:
        blocks = _blocks(pixels)
        groups = groups * (blocks.max() + 1) + blocks
    levels = huber_level(groups, signal, residual, groups.max() + 1)
    within = np.abs(residual - levels[0][groups] * signal)
    scale = WITHIN * MAD_TO_SIGMA * float(np.median(within))
    if scale > 1:
        levels = huber_level(groups, signal / scale, residual / scale, groups.max() + 1)
    misfit, chance = _departure(groups, levels)
    return misfit if chance < CHANCE else 0.0


def _departure(groups, levels):
    """Rms of the levels of groups beyond their errors, and its chance; `levels`: with errors."""
    level, error = levels
    use = np.isfinite(error) & (np.bincount(groups, minlength=level.size) >= LEAST_PIXELS)
    if np.count_nonzero(use) < 2:
        return 0.0, 1.0
    level, error = level[use], error[use]
    inverse = 1 / error**2
    level = level - np.sum(inverse * level) / inverse.sum()
    excess = np.sum(inverse * (level**2 - error**2)) / inverse.sum()
    chance = chdtrc(level.size - 1, np.sum(level**2 * inverse))
    return float(np.sqrt(max(excess, 0.0))), float(chance)


def deviant_rows(pixels, light, variance, use, *, limit):
    """Rows that depart from the sky of most: of a source, or the ends of a slit.

    Parameters
    ----------
    pixels, light, variance
        As for `misfit_of`.
    use : ndarray of bool, shape (n_pixel,)
        Pixels that have not been left out.
    limit : float
        Least departure from the median of the rows, relative to the sky.

    Returns
    -------
    ndarray of int
        Their numbers, at most a quarter of them; empty where none departs, or where too few would
        be left to tell.
    """
    error, rows = np.sqrt(variance[use]), pixels.rows[use]
    signal, residual = light[use] / error, (pixels.data - light)[use] / error
    level, error = huber_level(rows, signal, residual, rows.max() + 1)
    present = np.flatnonzero(np.isfinite(error))
    gap = np.abs(level[present] - np.median(level[present]))
    excess = gap / np.maximum(limit, ROW_SIGMA * error[present])
    least = max(LEAST_ROWS, (pixels.rows.max() + 1) // 4)
    number = min(np.count_nonzero(excess > 1), max(present.size // 4, 1), present.size - least)
    return present[np.argsort(-excess)[: max(number, 0)]]


def worst_slit(names, misfits, *, limit):
    """Number of the slit that disagrees most, and why; (None, "") where none does.

    Parameters
    ----------
    names : sequence of str
        Names of the slits.
    misfits : sequence of (float, float)
        From `misfit_of`.
    limit : float or None
        Least misfit to be left out; None for no limit. Three times the median of the others, but
        at most five times the limit, if that is more.
    """
    if limit is None:
        return None, ""
    misfits = [(misfit, chance) for misfit, chance in misfits]
    excess = []
    for number, (misfit, chance) in enumerate(misfits):
        others = [other for k, (other, _) in enumerate(misfits) if k != number]
        usual = TIMES_MEDIAN * median(others) if others else 0.0
        own_limit = max(limit, min(usual, TIMES_LIMIT * limit))
        excess.append(misfit / own_limit if chance < FALSE_ALARM else 0.0)
    worst = int(np.argmax(excess))
    if not excess[worst] > 1:
        return None, ""
    misfit = misfits[worst][0]
    return worst, (
        f"differs from the sky by {misfit:.1%} rms in rows or columns, the limit being "
        f"{misfit / excess[worst]:.1%}: a source, other light, or a throughput that was not given"
    )


def follows_noise(pixels, light, use):
    """Whether the Poisson part of the variances is high where the data are, by chance, high.

    Parameters
    ----------
    pixels : `~specmodels.fitters.SkyPixels`
        With or without a Poisson part.
    light : ndarray, shape (n_pixel,)
        Model of the pixels.
    use : ndarray of bool, shape (n_pixel,)
        Pixels that are no outliers.
    """
    if pixels.poisson is None or np.count_nonzero(use) < 10 * LEAST_PIXELS:
        return False
    probed = np.flatnonzero(use)[:: max(1, use.size // N_PROBED)]
    smooth = np.maximum(_gain(pixels, light, use)[probed] * light[probed], 0.0)
    excess = pixels.poisson[probed] - smooth
    gap = _ranks(excess) - _ranks(pixels.data[probed] - light[probed])
    n = probed.size
    correlation = 1 - 6 * np.sum(gap**2) / (n * (n**2 - 1.0))
    return bool(np.ptp(excess) > 0 and correlation > LEAST_CORRELATION)


def smooth_poisson(pixels, light, use):
    """Variances in which the Poisson part follows the light of the model and not the noise.

    A variance made from the noisy data gives low pixels high weights, and a sky that is too low.

    Parameters
    ----------
    pixels, light, use
        As for `follows_noise`.

    Returns
    -------
    ndarray, shape (n_pixel,)
    """
    smooth = np.maximum(_gain(pixels, light, use) * light, 0.0)
    read = np.maximum(pixels.variance - pixels.poisson, 0.0)
    known = (smooth > 0) & (read + smooth > 0.1 * pixels.variance)
    return np.where(known, read + smooth, pixels.variance)


def _blocks(pixels):
    """Block of columns of each pixel."""
    return pixels.columns // BLOCK


def _gain(pixels, light, use):
    """Variance per light in each pixel, averaged over blocks of columns."""
    blocks = _blocks(pixels)
    total = np.bincount(blocks, weights=use * light)
    poisson = np.bincount(blocks, weights=use * pixels.poisson)
    return np.divide(poisson, total, out=np.zeros_like(total), where=total > 0)[blocks]


def _ranks(values):
    out = np.empty(values.size)
    out[np.argsort(values)] = np.arange(values.size)
    return out
