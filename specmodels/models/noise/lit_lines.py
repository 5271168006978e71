"""Light on lines whose flicker noise is to be known, fitted together with that noise."""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ...numerics.stripe_window import BinCovariance, BinnedLines

__all__ = ["LitFit", "LitLines", "binned"]

# Bins of one fit, and of a line of one output.
MOST_BINS, MOST_PARTS = 1800, 16
# A bin with less of its pixels good in a frame is not scaled up further.
LEAST_GOOD = 0.5


@dataclass(frozen=True, eq=False)
class LitLines:
    """What the light on some lines may be.

    Parameters
    ----------
    lines : slice
        Of the frame in readout order.
    ratio : ndarray, shape (n_output, n_line, width)
        Variance of the white noise of pixels with modelled light over that of dark ones; infinite
        where it is not modelled.
    terms : ndarray, shape (n_term, n_output, n_line, width)
        Light that there may be, in standard deviations.
    lights : ndarray, shape (n_trace, n_output, n_line, width)
        Light of each trace in the draft rate, of dark pixels as well.
    changes : ndarray, shape (n_trace,)
        Variance of the relative change of this light from column to column, besides the terms.
    """

    lines: slice
    ratio: np.ndarray
    terms: np.ndarray
    lights: np.ndarray
    changes: np.ndarray

    @property
    def light(self):
        """Light of all traces, shape (n_output, n_line, width)."""
        return self.lights.sum(axis=0)


def binned(plan, lines, ratio):
    """`BinnedLines` of the dark pixels of a plan and of the lit ones, and their covariance."""
    n_output, n_line, width = ratio.shape
    n_bin = int(np.clip(MOST_BINS // (n_output * n_line), 1, min(MOST_PARTS, width)))
    white = plan.system.white
    extra = np.broadcast_to(plan.extra, plan.used.shape)
    used, extra = (plan.grid.frames(a)[:, lines] for a in (plan.used, extra))
    weights = np.where(used, 1 / (white + extra), 1 / (white * ratio)).astype("f4")
    bins = BinnedLines(weights, plan.grid.line, n_bin)
    spectra = plan.laws.spectra(plan.grid.frequency)
    return bins, BinCovariance(*spectra, plan.grid.size, width / n_bin)


class LitFit:
    """The most probable light of frames whose noise has the spectra of a plan.

    Parameters
    ----------
    plan : `~specmodels.models.noise.correlated_plan.CorrelatedPlan`
        Of the dark pixels.
    lit : LitLines
    """

    def __init__(self, plan, lit):
        self.lit = lit
        self.bins, covariance = binned(plan, lit.lines, lit.ratio)
        self.factor = covariance.factor(self.bins)
        self.between = covariance.between(self.bins.every, self.bins)
        self.power = covariance.power
        self.terms = self._whitened(self.bins.mean(lit.terms))
        matrix = self.terms.T @ self.terms
        matrix.flat[:: len(matrix) + 1] += 1
        self.matrix = linalg.cho_factor(matrix)

    def _whitened(self, values):
        return linalg.solve_triangular(self.factor, values.T, lower=True, check_finite=False)

    def solved(self, data):
        """Coefficients of the terms, the noise of all pixels, chi-square per bin of binned data."""
        data = self._whitened(data)
        found = linalg.cho_solve(self.matrix, self.terms.T @ data)
        left = data - self.terms @ found
        weighted = linalg.solve_triangular(self.factor, left, lower=True, trans="T")
        noise = self.bins.spread(self.between @ weighted)
        return found, noise.astype("f4"), float(data @ left / len(left))

    def __call__(self, frames, good=None):
        """Light in the lines of frames (n_output, n_line, width), besides that of the draft rate.

        Frames are zero where they are not good.
        """
        frames = frames[:, self.lit.lines]
        data = self.bins.mean(frames)
        good = True if good is None else good[:, self.lit.lines]
        if good is not True:
            data = data / np.maximum(self.bins.mean(good), LEAST_GOOD)
        found, noise, _ = self.solved(data)
        light = np.tensordot(found.astype("f4"), self.lit.terms, 1)
        weights = self.lit_weights * good
        rest = frames - light - noise
        for own, change in zip(self.lit.lights, self.lit.changes, strict=True):
            light += own * column_changes(own, rest, weights, change)
        return light

    @property
    def lit_weights(self):
        """Weights of pixels with modelled light, zero elsewhere."""
        return np.where(np.isfinite(self.lit.ratio), self.bins.weights, np.float32(0))

    @property
    def variance(self):
        """Variance of the noise of the lines, as far as it is that of bins; shape as the lines'."""
        given = self._whitened(self.between)
        terms = linalg.solve_triangular(self.matrix[0].T, self.terms.T @ given, lower=True)
        own = self.power - np.sum(given**2, axis=0) + np.sum(terms**2, axis=0)
        return self.bins.spread(np.maximum(own, 0))


def column_changes(light, left, weights, variance):
    """Relative change of light from column to column of pixels, as far as it is no white noise.

    Parameters
    ----------
    light, left, weights : ndarray, shape (n_output, n_line, width)
        Of one trace, what is left of the data, and one over its variance; zero where not seen.
    variance : float
        Variance of the change.

    Returns
    -------
    ndarray, shape (n_output, 1, width)
    """
    change, noise = _changes(light, left, weights)
    return change * (variance / np.maximum(variance + noise, np.finfo("f4").tiny))


def variance_of_changes(light, left, weights):
    """Variance of the change from column to column, without that of the noise."""
    change, noise = _changes(light, left, weights)
    known = noise > 0
    return max(float(np.mean((change**2 - noise)[known])), 0.0) if known.any() else 0.0


def _changes(light, left, weights):
    known = np.sum(weights * light**2, axis=1, keepdims=True)
    change = np.sum(weights * light * left, axis=1, keepdims=True)
    return (np.divide(a, known, out=np.zeros_like(known), where=known > 0)
            for a in (change, np.float32(1)))  # fmt: skip
