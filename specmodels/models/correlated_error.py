"""What a plan leaves of correlated noise: one simulation with its mask, variance and covariance."""

import numpy as np

from ..numerics.noise_spectrum import lag_covariance

__all__ = ["line_covariance", "simulated_error", "variance_left"]

SAMPLES_OF_KEY = 200_000


def simulated_error(plan, correlated):
    """What a plan leaves of correlated noise in one simulation with its mask, or None.

    Parameters
    ----------
    plan : `~specmodels.models.flicker.NoisePlan`
        Any plan.
    correlated : plan of a `CorrelatedNoise`
        For the same mask; it knows the spectra.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x), or None
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
    frame += white
    del white
    frame[~plan.use] = 0
    error = plan(frame)
    del frame
    error -= draw()[0]  # once more, instead of a frame of memory all the while
    error -= error[plan.use].mean()
    return error


def variance_left(plan, correlated, error=None):
    """Variance of what a plan leaves of correlated noise, from one simulation with its mask.

    The squared error of the simulation is averaged over pixels with as much data nearby.

    Parameters
    ----------
    plan, correlated
        As for `simulated_error`.
    error : ndarray, shape (n_y, n_x), optional
        That error, where it is known.

    Returns
    -------
    ndarray of float32, shape (n_y, n_x)
        NaN where no correlated noise is known of.
    """
    error = simulated_error(plan, correlated) if error is None else error
    if error is None:
        return np.full(plan.use.shape, np.nan, "f4")
    system, grid = correlated.system, correlated.grid
    nearby = grid.frames(system.mean(correlated.used.astype("f4")))
    return _averaged_by(correlated.readout.image(nearby), error)


def line_covariance(error, variance, correlated, line):
    """Covariance of what is left of the noise in the pixels of one line.

    Errors of pixels are taken to be correlated as in the whole frame, by the time between them and
    by whether they belong to the same output.

    Parameters
    ----------
    error, variance : ndarray, shape (n_y, n_x)
        Of `simulated_error` and of `variance_left`.
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


def _averaged_by(key, error, n_bin=40, n_chunk=64):
    """Squared errors replaced by their mean over all with a similar key, in the shape of the key.

    In chunks of rows, as frames may be large.
    """
    some = key.reshape(-1)[:: max(1, key.size // SAMPLES_OF_KEY)]
    edges = np.quantile(some, np.linspace(0, 1, min(n_bin, key.size) + 1)[1:-1])
    edges = np.unique(edges.astype("f4"))
    size = edges.size + 1
    sums = np.zeros((3, size))
    chunks = [slice(i, i + n_chunk) for i in range(0, len(key), n_chunk)]
    for rows in chunks:
        own = key[rows].ravel()
        number = np.searchsorted(edges, own)
        for total, weights in zip(sums, (None, own, error[rows].ravel() ** 2), strict=True):
            total += np.bincount(number, weights, minlength=size)
    centers, means = sums[1:, sums[0] > 0] / sums[0, sums[0] > 0]
    out = np.empty(key.shape, "f4")
    for rows in chunks:
        out[rows] = np.interp(key[rows], centers, means)
    return out
