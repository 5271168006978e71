"""Sources along slits, block by block of columns: profiles with wings, and the sky's levels.

Arrays only, of all slits together; `sky_levels` says what they are for. The profile is a Gaussian
core with a wider halo, whose tail runs from a Gaussian to a power law, and may depart from that by
a fraction of itself.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["N_FIXED", "TINY", "Figures", "SlitSums", "Wings", "profile_at", "step"]

# Parameters of the shape: centre and log width, each with a linear and a quadratic drift, and log
# brightness, log width (over that of the core) and tail of the halo.
N_SHAPE = 9
N_FIXED = 1 + N_SHAPE
# Of each term (the level, then the shape): the product that it is made of (sky, centre, width,
# brightness, width and tail of the halo), and the power of the drift.
RAW = np.array([1, 2, 2, 2, 3, 3, 3, 4, 5, 6])
POWER = np.array([0, 0, 1, 2, 0, 1, 2, 0, 0, 0])
N_RAW = 6
LEAST_TAIL, TINY, ROUNDING = 0.01, 1e-300, 1e-14


class SlitSums(NamedTuple):
    """Sums over blocks of columns, of slits filled up to the same size with what has no weight.

    Attributes
    ----------
    sums : ndarray, shape (4, n_slit, n_block, n_row)
        Data, sky, source and variance, which is zero where nothing is known.
    places : ndarray, shape (n_slit, n_block)
        Places of the blocks along the columns, from -1 to 1.
    shares : ndarray, shape (n_slit, n_block)
        One over the number of blocks of the slit; zero for those that fill it up.
    centers : ndarray, shape (n_slit,)
        Means of the places of the sources.
    """

    sums: np.ndarray
    places: np.ndarray
    shares: np.ndarray
    centers: np.ndarray


class Wings(NamedTuple):
    """What is fitted to the slits.

    Attributes
    ----------
    state : ndarray, shape (n_slit, 10 + n_departure)
        Level, shape, departures of the profile in units of their error.
    robust, light : ndarray, shape (n_slit, n_block, n_row)
        Shares of the weights, and the source as it was.
    row_errors, cell_errors : ndarray, shape (n_slit,)
        Errors of the profile, relative to it: in each row, and in each row and block.
    first : ndarray of int, shape (n_slit,)
        Rows of the first departures.
    """

    state: np.ndarray
    robust: np.ndarray
    light: np.ndarray
    row_errors: np.ndarray
    cell_errors: np.ndarray
    first: np.ndarray


class Figures(NamedTuple):
    """What a step tells of each slit, shape (n_slit,) but for the variances of the state.

    Chi-square; weight and square of the errors in each row and block, and of those in each row;
    length of the step of the level in standard deviations.
    """

    variances: np.ndarray
    chi2: np.ndarray
    cell_weight: np.ndarray
    cell_square: np.ndarray
    row_weight: np.ndarray
    row_square: np.ndarray
    moved: np.ndarray


def profile_at(shapes, places, n_row):
    """Profiles at all rows, at some places along the columns.

    Parameters
    ----------
    shapes : ndarray, shape (n_slit, 9)
    places : ndarray, shape (n_slit, n_place)
    n_row : int

    Returns
    -------
    ndarray, shape (n_slit, n_place, n_row)
    """
    return _profile(shapes, places, n_row)[0]


def _profile(shapes, places, n_row):
    """Profiles, and a function that writes their five derivatives by `RAW`, times a scale."""
    s = shapes[:, :, None]
    center = s[:, 0] + places * (s[:, 1] + places * s[:, 2])
    inverse = np.exp(-s[:, 3] - places * (s[:, 4] + places * s[:, 5]))[:, :, None]
    narrow, bright = np.exp(-2 * s[:, 7, None]), np.exp(s[:, 6, None])
    tail = s[:, 8, None]
    r = (np.arange(n_row) - center[:, :, None]) * inverse
    square = r * r
    core = np.exp(-0.5 * square)
    base = square * (0.5 * tail * narrow)
    base += 1
    logarithm = np.log(base)
    halo = np.exp(logarithm * (-1 / tail))
    halo *= bright

    def derivatives(scale, out):
        core_part, halo_part = scale * core, scale * halo
        spread = halo_part / base
        np.multiply(core_part + narrow * spread, r * inverse, out=out[:, :, 0])
        spread *= narrow * square
        np.add(core_part * square, spread, out=out[:, :, 1])
        out[:, :, 2], out[:, :, 3] = halo_part, spread
        halo_part *= logarithm
        np.subtract(halo_part / tail**2, spread * (0.5 / tail), out=out[:, :, 4])

    return core + halo, derivatives


@np.errstate(all="ignore")
def step(slits, wings, prior, smooth, limit):
    """One step of Gauss and Newton for each slit: level, shape, departures; no amplitudes.

    Parameters
    ----------
    slits : SlitSums
    wings : Wings
    prior : ndarray, shape (3, 10)
        Means and weights of the level and of the shape's parameters, and the longest steps.
    smooth : ndarray, shape (n_departure, n_departure)
        Inverse correlation of the departures.
    limit : float
        Sums beyond so many standard deviations hardly count; none with zero.

    Returns
    -------
    wings : Wings
    figures : Figures
    """
    equations, robust, light, figures = _equations(slits, wings, limit)
    matrix, vector = equations
    means = np.repeat(prior[:1], len(matrix), axis=0)
    means[:, 1] = slits.centers
    vector[:, :N_FIXED] += prior[1] * (means - wings.state[:, :N_FIXED])
    matrix[:, np.arange(N_FIXED), np.arange(N_FIXED)] += prior[1]
    vector[:, N_FIXED:] -= wings.state[:, N_FIXED:] @ smooth
    matrix[:, N_FIXED:, N_FIXED:] += smooth
    inverse = _inverse(matrix)
    change = np.einsum("sij,sj->si", inverse, vector)
    longest = np.max(np.abs(change[:, :N_FIXED]) / prior[2], axis=1).clip(min=1.0)
    state = wings.state + change / longest[:, None]
    state[:, 9] = state[:, 9].clip(LEAST_TAIL, 1.0)
    departures, own = state[:, N_FIXED:], inverse[:, N_FIXED:, N_FIXED:]
    variances = np.einsum("sii->si", inverse)
    return wings._replace(state=state, robust=robust, light=light), Figures(
        variances, *figures, len(smooth) - np.einsum("sij,ij->s", own, smooth),
        np.einsum("si,ij,sj->s", departures, smooth, departures),
        np.abs(change[:, 0]) / np.sqrt(variances[:, 0].clip(min=TINY)),
    )  # fmt: skip


def _inverse(matrices):
    """Inverses of positive definite matrices, which have one even where rounding takes it."""
    scale = 1 / np.sqrt(np.einsum("sii->si", matrices))
    scale = scale[:, :, None] * scale[:, None]
    return scale * np.linalg.inv(matrices * scale + ROUNDING * np.eye(matrices.shape[1]))


def _equations(slits, wings, limit):
    """Normal equations without the amplitudes of the blocks, new shares and light, and figures."""
    data, sky, source, variance = slits.sums
    level, cell_errors = wings.state[:, 0], wings.cell_errors[:, None, None]
    error2 = (cell_errors * wings.light) ** 2
    weight = np.where(variance > 0, wings.robust / (variance + error2), 0.0)
    profile, derivatives = _profile(wings.state[:, 1:N_FIXED], slits.places, data.shape[2])
    departed = _departures(profile, slits, wings)
    profile *= source
    above = data - level[:, None, None] * sky
    seen = weight * profile
    norm = TINY + np.einsum("skr,skr->sk", seen, profile)
    amplitude = (np.einsum("skr,skr->sk", seen, above) / norm)[:, :, None]
    scale = amplitude * source
    terms = np.empty((*data.shape[:2], N_RAW + 2, data.shape[2]))
    terms[:, :, 0], terms[:, :, 1] = profile, sky
    derivatives(scale, terms[:, :, 2:-1])
    light = amplitude * profile
    left = np.subtract(above, light, out=terms[:, :, -1])
    misfit = weight * left * left
    own = weight * error2
    figures = (misfit.sum((1, 2)), own.sum((1, 2)), np.einsum("skr,skr->s", own, misfit))
    robust = wings.robust
    if limit > 0:
        robust = np.where(weight > 0, 1 / (1 + (misfit / robust / limit**2) ** 2), robust)
    weighted = terms * weight[:, :, None]
    products = weighted @ terms.swapaxes(2, 3)
    slopes = None if departed is None else _slopes(weighted, weight, scale, departed)
    return _expanded(products, slopes, slits.places, norm), robust, light, figures


def _departures(profile, slits, wings):
    """Add the departures to profiles, in place; their rows and errors, or None without any."""
    n_departure = wings.state.shape[1] - N_FIXED
    if not n_departure:
        return None
    rows = (wings.first[:, None] + np.arange(n_departure))[:, None]
    errors = np.einsum("skd,sk->sd", np.take_along_axis(profile, rows, 2), slits.shares)
    errors *= wings.row_errors[:, None]
    change = np.zeros((len(profile), profile.shape[2]))
    np.put_along_axis(change, rows[:, 0], errors * wings.state[:, N_FIXED:], 1)
    profile += change[:, None]
    return rows, errors[:, None]


def _slopes(weighted, weight, scale, departed):
    """Sums over blocks of products of departures with terms, theirs with the profile, squares."""
    rows, errors = departed
    slopes = np.take_along_axis(scale, rows, 2) * errors
    near = np.take_along_axis(weighted, rows[:, :, None], 3) * slopes[:, :, None]
    squares = np.take_along_axis(weight, rows, 2) * slopes**2
    return near, squares.sum(axis=1)


def _expanded(products, slopes, places, norm):
    """Matrices and vectors of all parameters, from products of raw terms in each block."""
    n_slit, n_block = places.shape
    powers = places[:, None] ** np.arange(2 * max(POWER) + 1)[:, None]
    sums = (powers @ products.reshape(n_slit, n_block, -1)).reshape(
        n_slit, -1, N_RAW + 2, N_RAW + 2
    )
    cross = powers.swapaxes(1, 2)[:, :, POWER] * products[:, :, RAW, 0]
    vector = sums[:, POWER, RAW, -1]
    n_departure = 0 if slopes is None else slopes[1].shape[1]
    matrix = np.zeros((n_slit, N_FIXED + n_departure, N_FIXED + n_departure))
    matrix[:, :N_FIXED, :N_FIXED] = sums[:, POWER[:, None] + POWER, RAW[:, None], RAW]
    if n_departure:
        near, squares = slopes
        sums = (powers @ near.reshape(n_slit, n_block, -1)).reshape(n_slit, -1, *near.shape[2:])
        mixed = sums[:, POWER, RAW]
        matrix[:, :N_FIXED, N_FIXED:] = mixed
        matrix[:, N_FIXED:, :N_FIXED] = mixed.swapaxes(1, 2)
        own = np.arange(N_FIXED, N_FIXED + n_departure)
        matrix[:, own, own] = squares
        cross = np.concatenate([cross, near[:, :, 0]], axis=2)
        vector = np.concatenate([vector, sums[:, 0, -1]], axis=1)
    matrix -= (cross / norm[:, :, None]).swapaxes(1, 2) @ cross
    return matrix, vector
