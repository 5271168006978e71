"""How bright a known sky is in images that also hold sources. Arrays only."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .source_sums import block_sums, column_means, first_sums
from .source_wings import N_FIXED, profile_at, step

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
    fits = [slit for slit in slits if slit.columns.any()]
    if fits:
        _Population(fits).fit()
    return np.array([slit.state[0] for slit in slits]), np.array([slit.error for slit in slits])


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
        self.state = MEAN.copy()
        self.state[CENTER] = self.center
        self.robust, self.light = np.ones(self.sums[0].shape), np.zeros(self.sums[0].shape)
        self.row_error, self.cell_error, self.error = ROW_ERROR, CELL_ERROR, math.inf
        self.first, self.smooth, self.limit = 0, np.zeros((0, 0)), 0.0

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

    def step(self, prior):
        """One step, given means and weights of the shape's parameters."""
        variances, figures = step(
            self.sums, self.places, self.state, self.robust, self.light,
            (self.row_error, self.cell_error), prior, self.center, self.smooth, self.first,
            self.limit,
        )  # fmt: skip
        self.variances, self.figures = variances[:N_FIXED], figures
        chi2, weight, square = figures[:3]
        self.error = math.sqrt(variances[0] * max(chi2 / self.n_free, 1.0))
        if figures[5] < 3:
            ratio = math.sqrt((square + 0.3) / (0.85 * weight + 0.3))
            self.cell_error = min(max(self.cell_error * ratio, CELL_RANGE[0]), CELL_RANGE[1])

    def reject(self):
        """Sums anew, without outliers."""
        profile = profile_at(self.state[1:], self.nodes, self.images[0].shape[0])
        source = profile, self.blocks.first, self.blocks.share
        level = self.state[0]
        self._set_sums(
            block_sums(self.images, self.columns, self.edges, source, level, CLIP, SOURCE_ERROR)
        )

    def depart(self):
        """From now on the profile may depart from its form, and sums that disagree hardly count."""
        n_row = self.images[0].shape[0]
        number = min(N_DEPARTURES, n_row)
        self.first = int(np.clip(round(self.state[1]) - number // 2, 0, n_row - number))
        self.smooth = _inverse_correlation(number)
        self.state = np.concatenate([self.state, np.zeros(number)])
        self.limit = ROBUST_LIMIT

    def doubt_form(self):
        """Add to the error what the wings are off where the profile departs from its form."""
        doubt = FORM_SHARE * (self.row_error - ROW_RANGE[0])
        if not (doubt > 0 and self.error < math.inf):
            return
        _, sky, _, variance = self.sums
        noise = np.where(variance > 0, variance, np.inf) + (self.cell_error * self.light) ** 2
        weight = self.robust / noise
        norm = np.maximum((weight * self.light**2).sum(axis=0), 1e-300)
        # Of the sky, what the amplitudes of the source cannot take up.
        part = weight * (sky - self.light * (weight * self.light * sky).sum(axis=0) / norm)
        rows = np.abs(np.arange(len(sky)) - self.state[1]) > WING * math.exp(self.state[4])
        wings = np.abs(part * self.light)[rows].sum() / max((part * sky).sum(), 1e-300)
        self.error = math.hypot(self.error, doubt * wings)


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

    def fit(self):
        """Fit all images."""
        self._steps(FIRST_STEPS)
        for number in NEXT_STEPS:
            for slit in self.slits:
                slit.reject()
            self._steps(number)
        for slit in self.slits:
            slit.depart()
        self._steps(LAST_STEPS)
        for slit in self.slits:
            slit.doubt_form()

    def _steps(self, number):
        for _ in range(number):
            prior = np.array([self.mean, self.spread**-2.0, LONGEST])
            for slit in self.slits:
                slit.step(prior)
            if len(self.slits) >= LEAST_SLITS:
                self._learn()
            self._learn_departures()

    def _learn(self):
        """Means and spreads of the parameters of the profile, but for the place of the source."""
        learnt = slice(FIRST_LEARNT, None)
        own, first = self.spread[learnt] ** 2, SPREAD[learnt] ** 2
        offsets = np.array([slit.state[learnt.start : N_FIXED] for slit in self.slits])
        offsets = offsets - self.mean[learnt]
        known = 1 - np.array([slit.variances[learnt] for slit in self.slits]) / own
        known = np.clip(known, 0.0, 1.0).sum(axis=0)
        weight = N_PRIOR * own / first
        pull = offsets.sum(axis=0) + weight * (MEAN - self.mean)[learnt]
        change = DAMPING * pull / (known + weight)
        square = ((offsets - change) ** 2).sum(axis=0) + N_PRIOR * PRIOR_SHARE * first
        self.mean[learnt] += change
        self.spread[learnt] = np.maximum(np.sqrt(square / (known + N_PRIOR)), LEAST_SPREAD)

    def _learn_departures(self):
        """How far profiles depart from their form."""
        figures = np.sum([slit.figures for slit in self.slits], axis=0)
        if not figures[3] > 0:
            return
        for slit in self.slits:
            ratio = math.sqrt((figures[4] + 3) / (figures[3] + 3))
            new = min(max(slit.row_error * ratio, ROW_RANGE[0]), ROW_RANGE[1])
            slit.state[N_FIXED:] *= slit.row_error / new
            slit.row_error = new
