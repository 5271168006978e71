"""How bright a known sky is in images that also hold sources. Arrays only."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .source_sums import block_sums, column_means, first_sums
from .source_wings import N_FIXED, TINY, SlitSums, Wings, profile_at, step

__all__ = ["sky_levels"]

# Blocks of columns within which the profile of a source hardly changes.
N_BLOCK = 8
# Rounds of the fit: first guess, after each rejection of outliers, and with departures.
FIRST_STEPS, NEXT_STEPS, LAST_STEPS = 5, (2, 1), 6
CLIP, SOURCE_ERROR, ROBUST_LIMIT = 5.0, 0.1, 5.0
# Before the data are seen, mean and standard deviation of the level and of the parameters of the
# profile (see `source_wings`), which is that of a point source whose width is a pixel or two. And
# how far a step may go.
MEAN = np.array([1, 0, 0, 0, 0.1, 0, 0, -3.2, 1.1, 0.25])
SPREAD = np.array([10.0, 1.0, 0.5, 0.3, 0.5, 0.3, 0.15, 0.8, 0.4, 0.25])
LONGEST = np.array([0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.7, 0.3, 0.2])
LEAST_SPREAD, LEAST_SLITS = 0.005, 5
DAMPING = 0.6
CENTER, FIRST_LEARNT = 1, 2
# The same count as so many sources, with so much of their spread.
N_PRIOR, PRIOR_SHARE = 1.0, 0.001
# Errors of the profile relative to itself, in a row and in a row and block: first guess and range.
ROW_ERROR, ROW_RANGE = 0.2, (0.02, 1.0)
CELL_ERROR, CELL_RANGE = 0.1, (0.003, 0.2)
SMOOTH_ROWS, N_DEPARTURES = 1.2, 17
# Where profiles depart from their form, how much of that may go on into the wings, beyond so many
# widths of the core.
FORM_SHARE, WING = 0.5, 3.0


def sky_levels(images, limits=(-1.0, 1.0), error=0.0):
    r"""Factors of known sky images, each fitted together with a source.

    .. math::
        d_{yx} = f\,m_{yx} + a_x\,p_y(u_x)

    with the sky image :math:`m`, any spectrum :math:`a` of the source, and its profile: a core with
    a halo, whose place and width drift with the column, and which may depart from that in each row
    by a fraction of itself. Wings hide the level; but the sources of an exposure are often alike.
    How alike, in each parameter of the profile, is learnt from all images together, and is the
    prior of each: the means and variances are those that make the data most probable (MacKay 1992,
    Neural Computation 4, 415).

    Parameters
    ----------
    images : sequence of tuple
        Data, sky, weights and wavelengths of the pixels of each image, of shape (n_row, n_column).
        The data are finite; the sky is NaN where it is not known; weights are inverse variances,
        zero for pixels to leave out.
    limits : (float, float)
        Of the wavelengths, by which profiles are alike.
    error : float
        Standard error of the sky in each row relative to it, as of throughputs.

    Returns
    -------
    levels, errors : ndarray, shape (n_image,)
        The factors and their standard errors; infinite where the data do not tell.
    """
    slits = [_Slit(*image, limits, error) for image in images]
    lit = np.array([slit.columns.any() for slit in slits], dtype=bool)
    levels, errors = np.full(len(slits), MEAN[0]), np.full(len(slits), math.inf)
    if lit.any():
        fits = _Population([slit for slit, some in zip(slits, lit, strict=True) if some])
        fits.fit()
        levels[lit], errors[lit] = fits.wings.state[:, 0], fits.errors
    return levels, errors


class _Slit:
    """One image during the fit."""

    def __init__(self, data, sky, weights, wavelength, limits, error):
        self.sky_error = error
        self.images = tuple(_constant(image) for image in (data, sky, weights))
        self.columns, place = column_means(*self.images[1:], _constant(wavelength))
        self.blocks = _Blocks.of(place.size)
        self.edges = self.blocks.edges
        self._set_places((2 * place - sum(limits)) / (limits[1] - limits[0]))
        self._set_sums(first_sums(*self.images, self.columns, self.edges))
        rows = (self.sums[0] - self.sums[1]).sum(axis=1)
        smooth = 0.5 * rows
        smooth[1:] += 0.25 * rows[:-1]
        smooth[:-1] += 0.25 * rows[1:]
        self.center = float(np.argmax(np.abs(smooth)))

    def _set_places(self, place):
        """Mean places of the blocks, and of the nodes between which profiles are interpolated."""
        known = np.isfinite(place)
        if not known.all():
            column = np.arange(place.size)
            place = np.interp(column, column[known], place[known]) if known.any() else 0.0 * column
        total = np.add.reduceat(self.columns, self.edges[:-1])
        middle = np.add.reduceat(self.columns * place, self.edges[:-1])
        flat = 0.5 * (place[self.edges[:-1]] + place[self.edges[1:] - 1])
        self.places = np.divide(middle, total, out=flat, where=total > 0)
        self.nodes = np.interp(self.blocks.nodes, np.arange(place.size), place)

    def _set_sums(self, sums):
        # A row has the same error in all of its blocks, which are taken for independent.
        sums[3] += np.where(sums[3] > 0, sums.shape[2] * (self.sky_error * sums[1]) ** 2, 0.0)
        self.sums = sums
        self.n_free = max(np.count_nonzero(sums[3] > 0) - sums.shape[2] - N_FIXED, 1)

    def reject(self, profile, level):
        """Sums anew, without outliers, given the profile at the nodes."""
        source = np.ascontiguousarray(profile[:, : len(self.images[0])].T)
        source = source, self.blocks.first, self.blocks.share
        self._set_sums(
            block_sums(self.images, self.columns, self.edges, source, level, CLIP, SOURCE_ERROR)
        )


def _constant(image):
    """A view that cannot be written to, so that kernels are compiled for one kind of array."""
    view = np.ascontiguousarray(image, dtype=float).view()
    view.flags.writeable = False
    return view


class _Blocks(NamedTuple):
    """Blocks of columns, and evenly spaced nodes between which profiles are linear.

    Attributes
    ----------
    edges : ndarray of int, shape (n_block + 1,)
        First columns of the blocks.
    nodes : ndarray, shape (N_BLOCK + 1,)
        Columns of the nodes.
    first : ndarray of int, shape (N_BLOCK + 1,)
        First column after each node.
    share : ndarray, shape (n_column,)
        Share of the next node in each column.
    """

    edges: np.ndarray
    nodes: np.ndarray
    first: np.ndarray
    share: np.ndarray

    @classmethod
    @lru_cache(maxsize=32)
    def of(cls, n_column):
        """Those of so many columns."""
        edges = np.linspace(0, n_column, min(N_BLOCK, n_column) + 1).astype(int)
        step_size = max((n_column - 1) / N_BLOCK, 1e-9)
        column = np.arange(n_column)
        before = np.minimum((column / step_size).astype(int), N_BLOCK - 1)
        first = np.append(np.searchsorted(before, np.arange(N_BLOCK)), n_column)
        return cls(edges, step_size * np.arange(N_BLOCK + 1), first, column / step_size - before)


@lru_cache(maxsize=32)
def _inverse_correlation(number):
    """Inverse correlation matrix of the departures of so many neighbouring rows."""
    rows = np.arange(number)
    correlation = np.exp(-0.5 * ((rows[:, None] - rows) / SMOOTH_ROWS) ** 2)
    return np.linalg.inv(correlation + 1e-3 * np.eye(number))


class _Population:
    """The images, and how alike the profiles of their sources are."""

    def __init__(self, slits):
        self.slits, self.mean, self.spread = slits, MEAN.copy(), SPREAD.copy()
        self.n_row = max(slit.sums.shape[1] for slit in slits)
        self._stack()
        state = np.tile(MEAN, (len(slits), 1))
        state[:, CENTER] = self.sums.centers
        shape, ones = self.sums.sums.shape[1:], np.ones(len(slits))
        self.wings = Wings(state, np.ones(shape), np.zeros(shape), ROW_ERROR * ones,
                           CELL_ERROR * ones, np.zeros(len(slits), int))  # fmt: skip
        self.errors, self.smooth, self.limit = np.inf * ones, np.zeros((0, 0)), 0.0

    def fit(self):
        """Fit all images."""
        self._steps(FIRST_STEPS)
        for number in NEXT_STEPS:
            self._reject()
            self._steps(number)
        self._depart()
        self._steps(LAST_STEPS)
        self._doubt_form()

    def _stack(self):
        """Sums of all slits, filled up to the same size with what has no variance."""
        slits, n_block = self.slits, max(slit.places.size for slit in self.slits)
        sums = np.zeros((4, len(slits), n_block, self.n_row))
        places, shares = np.zeros((2, len(slits), n_block))
        for s, slit in enumerate(slits):
            _, rows, blocks = slit.sums.shape
            sums[:, s, :blocks, :rows] = slit.sums.swapaxes(1, 2)
            places[s, :blocks], shares[s, :blocks] = slit.places, 1 / blocks
        centers = np.array([slit.center for slit in slits])
        self.sums = SlitSums(sums, places, shares, centers)
        self.n_free = np.array([slit.n_free for slit in slits])

    def _steps(self, number):
        for _ in range(number):
            prior = np.array([self.mean, self.spread**-2.0, LONGEST])
            self.wings, figures = step(self.sums, self.wings, prior, self.smooth, self.limit)
            spread = np.maximum(figures.chi2 / self.n_free, 1.0)
            self.errors = np.sqrt(figures.variances[:, 0] * spread)
            ratio = np.sqrt((figures.cell_square + 0.3) / (0.85 * figures.cell_weight + 0.3))
            errors = (self.wings.cell_errors * ratio).clip(*CELL_RANGE)
            errors = np.where(figures.moved < 3, errors, self.wings.cell_errors)
            self.wings = self.wings._replace(cell_errors=errors)
            if len(self.slits) >= LEAST_SLITS:
                self._learn(figures.variances)
            self._learn_departures(figures)

    def _reject(self):
        """Sums anew, without outliers."""
        nodes = np.array([slit.nodes for slit in self.slits])
        profiles = profile_at(self.wings.state[:, 1:N_FIXED], nodes, self.n_row)
        levels = self.wings.state[:, 0].tolist()
        for slit, profile, level in zip(self.slits, profiles, levels, strict=True):
            slit.reject(profile, level)
        self._stack()

    def _depart(self):
        """From now on profiles may depart from their form, and sums that disagree hardly count.

        Departures of rows that a slit does not have follow those that it has, as they are a priori.
        """
        number, state = min(N_DEPARTURES, self.n_row), self.wings.state
        first = (np.round(state[:, CENTER]).astype(int) - number // 2).clip(0, self.n_row - number)
        state = np.concatenate([state, np.zeros((len(state), number))], axis=1)
        self.wings = self.wings._replace(state=state, first=first)
        self.smooth, self.limit = _inverse_correlation(number), ROBUST_LIMIT

    def _doubt_form(self):
        """Add to the errors what wings are off where profiles depart from their form."""
        state, robust, light, row_errors, cell_errors, _ = self.wings
        _, sky, _, variance = self.sums.sums
        noise = np.where(variance > 0, variance, np.inf) + (cell_errors[:, None, None] * light) ** 2
        weight = robust / noise
        norm = np.maximum((weight * light**2).sum(axis=2), TINY)
        # Of the sky, what the amplitudes of the source cannot take up.
        part = weight * (sky - light * ((weight * light * sky).sum(axis=2) / norm)[:, :, None])
        far = np.abs(np.arange(self.n_row) - state[:, 1:2]) > WING * np.exp(state[:, 4:5])
        wings = np.abs(part * light).sum(axis=(1, 2), where=far[:, None])
        wings = wings / np.maximum((part * sky).sum((1, 2)), TINY)
        doubt = np.maximum(FORM_SHARE * (row_errors - ROW_RANGE[0]), 0.0)
        self.errors = np.hypot(self.errors, doubt * wings)

    def _learn(self, variances):
        """Means and spreads of the parameters of the profile, but for the place of the source."""
        learnt = slice(FIRST_LEARNT, None)
        own, first = self.spread[learnt] ** 2, SPREAD[learnt] ** 2
        offsets = self.wings.state[:, FIRST_LEARNT:N_FIXED] - self.mean[learnt]
        known = 1 - variances[:, FIRST_LEARNT:N_FIXED] / own
        known = np.clip(known, 0.0, 1.0).sum(axis=0)
        weight = N_PRIOR * own / first
        pull = offsets.sum(axis=0) + weight * (MEAN - self.mean)[learnt]
        change = DAMPING * pull / (known + weight)
        square = ((offsets - change) ** 2).sum(axis=0) + N_PRIOR * PRIOR_SHARE * first
        self.mean[learnt] += change
        self.spread[learnt] = np.maximum(np.sqrt(square / (known + N_PRIOR)), LEAST_SPREAD)

    def _learn_departures(self, figures):
        """How far profiles depart from their form."""
        if not self.smooth.size:
            return
        ratio = math.sqrt((figures.row_square.sum() + 3) / (figures.row_weight.sum() + 3))
        errors = (self.wings.row_errors * ratio).clip(*ROW_RANGE)
        state = self.wings.state.copy()
        state[:, N_FIXED:] *= (self.wings.row_errors / errors)[:, None]
        self.wings = self.wings._replace(state=state, row_errors=errors)
