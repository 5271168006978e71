"""A source along a slit, block by block of columns: its profile with wings, and the sky's level.

Kernels only; `sky_levels` says what they are for. The profile is a Gaussian core with a wider halo,
whose tail runs from a Gaussian to a power law, and may depart from that by a fraction of itself.
"""

import numpy as np

from .compiled import compiled

__all__ = ["N_FIXED", "profile_at", "step"]

# Parameters of the shape: centre and log width, each with a linear and a quadratic drift, and log
# brightness, log width (over that of the core) and tail of the halo.
N_SHAPE = 9
# Of each term (the level, then the shape): the product that it is made of (sky, centre, width,
# brightness, width and tail of the halo), and the power of the drift.
RAW = np.array([1, 2, 2, 2, 3, 3, 3, 4, 5, 6])
POWER = np.array([0, 0, 1, 2, 0, 1, 2, 0, 0, 0])
N_RAW = 6
N_FIXED = 1 + N_SHAPE
LEAST_TAIL = 0.01


@compiled
def _shape_at(shape, u, out):
    """Profile in ``out[:, 0]``, then its derivatives, in each row; u: place of the column."""
    center = shape[0] + u * (shape[1] + u * shape[2])
    width = np.exp(shape[3] + u * (shape[4] + u * shape[5]))
    bright, narrow, tail = np.exp(shape[6]), np.exp(-2 * shape[7]), shape[8]
    for y in range(out.shape[0]):
        r = (y - center) / width
        square = r * r
        core, q = np.exp(-0.5 * square), narrow * square
        base = 1 + 0.5 * tail * q
        logarithm = np.log(base)
        halo = bright * np.exp(-logarithm / tail)
        spread = halo * q / base
        out[y, 0] = core + halo
        out[y, 1] = (core + halo * narrow / base) * r / width
        out[y, 2] = core * square + spread
        out[y, 3] = halo
        out[y, 4] = spread
        out[y, 5] = halo * logarithm / tail**2 - 0.5 * spread / tail


@compiled
def profile_at(shape, places, n_row):
    """Profile at all rows, at some places along the columns; shape (n_row, n_place)."""
    out, terms = np.empty((n_row, places.size)), np.empty((n_row, N_RAW))
    for k in range(places.size):
        _shape_at(shape, places[k], terms)
        for y in range(n_row):
            out[y, k] = terms[y, 0]
    return out


@compiled
def step(sums, places, state, robust, light, errors, prior, center, smooth, first, limit):
    """One step of Gauss and Newton for a slit: level, shape, departures; amplitudes eliminated.

    Parameters
    ----------
    sums : ndarray, shape (4, n_row, n_block)
        From `block_sums`.
    places : ndarray, shape (n_block,)
        Places of the blocks along the columns, from -1 to 1.
    state : ndarray, shape (10 + n_departure,)
        Level, shape, departures of the profile in units of their error; changed in place.
    robust, light : ndarray, shape (n_row, n_block)
        Shares of the weights, and the source as it was; changed in place.
    errors : tuple of float
        Errors of the profile, relative to it: in each row, and in each row and block.
    prior : ndarray, shape (3, 10)
        Means and weights of the level and of the shape's parameters, and the longest steps.
    center : float
        Mean of the place of the source.
    smooth : ndarray, shape (n_departure, n_departure)
        Inverse correlation of the departures.
    first : int
        Row of the first departure.
    limit : float
        Sums beyond so many standard deviations hardly count; none with zero.

    Returns
    -------
    variances : ndarray, shape (10 + n_departure,)
        Of the state.
    figures : ndarray, shape (6,)
        Chi-square; weight and square of the errors in each row and block, and of those in each
        row; length of the step of the level in standard deviations.
    """
    n = state.size
    matrix, vector, figures = np.zeros((n, n)), np.zeros(n), np.zeros(6)
    n_departure = n - N_FIXED
    envelope, terms = np.zeros(n_departure), np.empty((places.size, sums.shape[1], N_RAW))
    for k in range(places.size):
        _shape_at(state[1:], places[k], terms[k])
        for j in range(n_departure):
            envelope[j] += errors[0] / places.size * terms[k, first + j, 0]
    for k in range(places.size):
        block = (sums[:, :, k], places[k], robust[:, k], light[:, k], terms[k])
        _add_block(matrix, vector, figures, block, state, (envelope, errors[1], limit), first)
    for j in range(N_FIXED):
        matrix[j, j] += prior[1, j]
        vector[j] += prior[1, j] * ((center if j == 1 else prior[0, j]) - state[j])
    for i in range(n_departure):
        for j in range(n_departure):
            matrix[N_FIXED + i, N_FIXED + j] += smooth[i, j]
            vector[N_FIXED + i] -= smooth[i, j] * state[N_FIXED + j]
    inverse = _inverse(matrix)
    change, variances, longest = np.zeros(n), np.empty(n), 1.0
    for i in range(n):
        variances[i] = inverse[i, i]
        for j in range(n):
            change[i] += inverse[i, j] * vector[j]
        if i < N_FIXED:
            longest = max(longest, abs(change[i]) / prior[2, i])
    for i in range(n):
        state[i] += change[i] / longest
    state[9] = min(max(state[9], LEAST_TAIL), 1.0)
    figures[3] = n_departure
    for i in range(N_FIXED, n):
        for j in range(N_FIXED, n):
            weight = smooth[i - N_FIXED, j - N_FIXED]
            figures[3] -= inverse[i, j] * weight
            figures[4] += state[i] * weight * state[j]
    figures[5] = abs(change[0]) / np.sqrt(max(inverse[0, 0], 1e-300))
    return variances, figures


@compiled
def _inverse(matrix):
    """Inverse of a positive definite matrix, of which the lower triangle is read.

    By Cholesky's factor: small, and compiled in a tenth of the time that LAPACK's takes.
    """
    n = len(matrix)
    factor, out = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            factor[i, j] = total / factor[j, j] if j < i else np.sqrt(max(total, 1e-300))
    for j in range(n):
        factor[j, j] = 1 / factor[j, j]
        for i in range(j + 1, n):
            total = 0.0
            for k in range(j, i):
                total -= factor[i, k] * factor[k, j]
            factor[i, j] = total / factor[i, i]
    for i in range(n):
        for j in range(i + 1):
            for k in range(i, n):
                out[i, j] += factor[k, i] * factor[k, j]
            out[j, i] = out[i, j]
    return out


@compiled
def _add_block(matrix, vector, figures, block, state, settings, first):
    """Add the normal equations of one block of columns, less those of its amplitude."""
    sums, u, robust, light, terms = block
    data, sky, source, variance = sums[0], sums[1], sums[2], sums[3]
    envelope, error, limit = settings
    n_row, n_departure = data.size, envelope.size
    weight = np.zeros(n_row)
    for j in range(n_departure):
        terms[first + j, 0] += envelope[j] * state[N_FIXED + j]
    norm, product = 1e-300, 0.0
    for y in range(n_row):
        terms[y, 0] *= source[y]
        if variance[y] > 0:
            weight[y] = robust[y] / (variance[y] + (error * light[y]) ** 2)
        norm += weight[y] * terms[y, 0] ** 2
        product += weight[y] * terms[y, 0] * (data[y] - state[0] * sky[y])
    amplitude = product / norm
    # Products of the profile (0), the sky (1) and the derivatives (2 to 6), and of them with what
    # is left (7).
    products, row = np.zeros((N_RAW + 2, N_RAW + 2)), np.empty(N_RAW + 2)
    departures = np.zeros((n_departure, N_RAW + 2))
    for y in range(n_row):
        left = data[y] - state[0] * sky[y] - amplitude * terms[y, 0]
        w = weight[y]
        own = w * (error * light[y]) ** 2
        figures[0] += w * left * left
        figures[1] += own
        figures[2] += own * w * left * left
        light[y] = amplitude * terms[y, 0]
        if limit > 0 and w > 0:
            robust[y] = 1 / (1 + (w / robust[y] * left * left / limit**2) ** 2)
        scale = amplitude * source[y]
        row[0], row[1], row[N_RAW + 1] = terms[y, 0], sky[y], left
        for k in range(1, N_RAW):
            row[1 + k] = scale * terms[y, k]
        for i in range(N_RAW + 2):
            weighted = w * row[i]
            for j in range(i + 1):
                products[i, j] += weighted * row[j]
        j = y - first
        if 0 <= j < n_departure:
            for i in range(N_RAW + 2):
                departures[j, i] = w * scale * envelope[j] * row[i]
            matrix[N_FIXED + j, N_FIXED + j] += w * (scale * envelope[j]) ** 2
    _expand(matrix, vector, products, departures, u, norm)


@compiled
def _expand(matrix, vector, sums, departures, u, norm):
    """From the products of one block to the normal equations of all terms."""
    power, last = np.ones(3), N_RAW + 1
    power[1], power[2] = u, u * u
    cross = np.zeros(vector.size)
    for i in range(N_FIXED):
        a, factor = RAW[i], power[POWER[i]]
        cross[i] = factor * sums[a, 0]
        vector[i] += factor * sums[last, a]
        for j in range(i + 1):
            matrix[i, j] += factor * power[POWER[j]] * sums[a, RAW[j]]
        for k in range(len(departures)):
            matrix[N_FIXED + k, i] += factor * departures[k, a]
    for k in range(len(departures)):
        cross[N_FIXED + k] = departures[k, 0]
        vector[N_FIXED + k] += departures[k, last]
    for i in range(vector.size):
        for j in range(i + 1):
            matrix[i, j] -= cross[i] * cross[j] / norm
