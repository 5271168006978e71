"""What a plan leaves of correlated noise: one simulation with its mask, variance and covariance."""

from typing import NamedTuple

import numpy as np

from ...numerics.noise_spectrum import lag_covariance

__all__ = [
    "SimulatedError",
    "cleaned_variance",
    "leverage",
    "line_covariance",
    "simulated_error",
    "variance_left",
]

SAMPLES_OF_KEY = 200_000
# A pixel never tells all of the noise that is found in it.
MOST_LEVERAGE = 0.99


class SimulatedError(NamedTuple):
    """Error of the noise that was found in one simulation, and its product with the white noise.

    All have shape (n_y, n_x); the product is over the variance of the white noise, and zero where
    pixels are not used; `nearby` tells how much data there are near each pixel, and `quiet` which
    are no noisier than most, None where all are.
    """

    error: np.ndarray
    product: np.ndarray
    nearby: np.ndarray
    quiet: np.ndarray | None = None


def simulated_error(plan, correlated):
    """What a plan leaves of correlated noise in one simulation with its mask, or None.

    Parameters
    ----------
    plan : `~specmodels.models.noise.lines.NoisePlan`
        Any plan.
    correlated : plan of a `CorrelatedNoise`
        For the same mask; it knows the spectra.

    Returns
    -------
    SimulatedError or None
        With zero mean over used pixels; None where no correlated noise is known of.
    """
    system, grid, readout = correlated.system, correlated.grid, correlated.readout
    if system is None:
        return None

    def draw():
        rng = np.random.default_rng(correlated.model.seed)
        return readout.image(grid.frames(system.draw(rng))), rng

    frame, rng = draw()
    white = rng.standard_normal(frame.shape, dtype="f4")
    white *= np.float32(system.white**0.5)
    excess = correlated.excess
    if np.ndim(excess):
        white *= np.sqrt(1 + excess)
    frame += white
    frame[~plan.use] = 0
    error = plan(frame)
    del frame
    error -= draw()[0]  # once more, instead of a frame of memory all the while
    error -= error[plan.use].mean()
    white *= error
    white *= np.float32(1 / system.white) / (1 + excess)
    white[~plan.use] = 0
    nearby = readout.image(grid.frames(system.mean(correlated.used.astype("f4"))))
    return SimulatedError(error, white, nearby, excess == 0 if np.ndim(excess) else None)


def variance_left(plan, correlated, error=None):
    """Variance of what a plan leaves of correlated noise, from one simulation with its mask.

    The squared error of the simulation is averaged over pixels with as much data nearby.

    Parameters
    ----------
    plan, correlated
        As for `simulated_error`.
    error : SimulatedError, optional
        That error, where it is known.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x)
        NaN where no correlated noise is known of.
    """
    error = simulated_error(plan, correlated) if error is None else error
    if error is None:
        return np.full(plan.use.shape, np.nan, "f4")
    left = _averaged_by(error.nearby, error.error, error.error, where=error.quiet)
    for fit in getattr(plan, "lit", ()):
        _set_lit(left, fit, plan.readout, error.error)
    return left


def _set_lit(left, fit, readout, error):
    """Variance of lit pixels: that of their bins, and of what differs within these.

    One simulation says little of the former, as a trace has few bins.
    """
    lit, bins = np.isfinite(fit.lit.ratio), fit.bins
    frames = readout.frames(error)[:, fit.lit.lines]
    within = (frames - bins.spread(bins.every.mean(frames)))[lit]
    own = readout.frames(left)
    own[:, fit.lit.lines][lit] = fit.variance[lit] + np.mean(within**2)
    left[...] = readout.image(own)


def leverage(plan, error):
    """How much of its own white noise is found as noise of a pixel, shape (n_y, n_x).

    Zero where pixels are not used. Of the plan and its `simulated_error`.
    """
    where = plan.use if error.quiet is None else plan.use & error.quiet
    own = _averaged_by(error.nearby, error.product, plan.use, where=where)
    return np.where(plan.use, np.clip(own, 0, MOST_LEVERAGE), np.float32(0))


def cleaned_variance(variance, left, own, white, ratio=1.0):
    """Variance of pixels without the noise that was found in them.

    What others tell of the noise in a pixel has the variance ``k``; the mean of that and of what
    the pixel itself tells, with the weight ``h``, leaves ``(1 - h)**2 (N + k)`` of both and of the
    white noise. That is less than N where the weight is the best one: what is left of the noise and
    the white noise are anticorrelated.

    Parameters
    ----------
    variance : ndarray, shape (..., n_y, n_x)
        Of the white noise, N.
    left, own : ndarray, shape (n_y, n_x)
        Of `variance_left` and of `leverage`, for quiet pixels.
    white : float
        Variance of the white noise of quiet pixels.
    ratio : ndarray, optional
        By what factor less a pixel counts than quiet ones.

    Returns
    -------
    ndarray, shape (..., n_y, n_x)
    """
    others = np.maximum(left - own**2 * white, 0) / (1 - own) ** 2
    own = own / (own + (1 - own) * ratio)
    return (1 - own) ** 2 * (variance + others)


def line_covariance(error, variance, correlated, line):
    """Covariance of what is left of the noise in the pixels of one line.

    Errors of pixels are taken to be correlated as in the whole frame, by the time between them and
    by whether they belong to the same output.

    Parameters
    ----------
    error : SimulatedError
    variance : ndarray, shape (n_y, n_x)
        Of `variance_left`.
    correlated : plan of a `CorrelatedNoise`
        Which made them.
    line : int
        Index along the slow axis.

    Returns
    -------
    ndarray, shape (n_fast, n_fast)
        Pixels in the order of their index.
    """
    readout, grid = correlated.readout, correlated.grid
    error = error.error
    scaled = error / np.sqrt(np.maximum(variance, np.finfo("f4").tiny))
    ones = grid.series(np.ones(readout.frame_shape(error.shape), dtype=bool), False)
    series = grid.series(readout.frames(scaled.astype("f4")))
    own, cross, own_pairs, cross_pairs = lag_covariance(series, ones, grid.width - 1)
    # Sums over as many pairs as there are at lag zero make a positive matrix.
    own = own * own_pairs / own_pairs[0]
    cross = np.nan_to_num(cross * cross_pairs / max(cross_pairs[0], 1))
    parts, positions = readout.parts(readout.lines(error).shape[1])
    time, output = np.empty((2, positions.size), dtype=int)
    for k, (part, position) in enumerate(zip(parts, positions, strict=True)):
        time[part], output[part] = position, k
    lag = np.abs(np.subtract.outer(time, time))
    correlation = np.where(np.equal.outer(output, output), own[lag], cross[lag]) / own[0]
    spread = np.sqrt(readout.lines(variance)[line].astype(float))
    return correlation * np.multiply.outer(spread, spread)


def _averaged_by(key, one, two, *, where=None, n_bin=40, n_chunk=64):
    """Products of two images replaced by their mean over all pixels with a similar key.

    Over those of `where`, if it is given; in chunks of rows, as frames may be large.
    """
    some = key.reshape(-1)[:: max(1, key.size // SAMPLES_OF_KEY)]
    edges = np.quantile(some, np.linspace(0, 1, min(n_bin, key.size) + 1)[1:-1])
    edges = np.unique(edges.astype("f4"))
    size = edges.size + 1
    sums = np.zeros((3, size))
    chunks = [slice(i, i + n_chunk) for i in range(0, len(key), n_chunk)]
    for rows in chunks:
        chosen = slice(None) if where is None else where[rows].ravel()
        own = key[rows].ravel()[chosen]
        number = np.searchsorted(edges, own)
        product = (one[rows] * two[rows]).ravel()[chosen]
        for total, weights in zip(sums, (None, own, product), strict=True):
            total += np.bincount(number, weights, minlength=size)
    centers, means = sums[1:, sums[0] > 0] / sums[0, sums[0] > 0]
    out = np.empty(key.shape, "f4")
    for rows in chunks:
        out[rows] = np.interp(key[rows], centers, means)
    return out
