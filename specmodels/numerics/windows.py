"""Splines whose coefficients change linearly from window to window, fitted as one banded system.

Columns are divided into windows by evenly spaced nodes; a coefficient runs linearly from node to
node. What a fit needs of the pixels are the sums of `window_moments`. Arrays only.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import (
    LinAlgError,
    cho_factor,
    cho_solve,
    cho_solve_banded,
    cholesky_banded,
    lapack,
    solveh_banded,
)
from scipy.optimize import minimize_scalar

__all__ = ["ORDER", "WindowSystem"]

# Added to the diagonal, relative to its mean: terms that no pixel determines come out as zero.
RIDGE = 1e-10
# Weight of the differences between neighbouring nodes, likewise.
TIE = 1e-6
PENALTY_ROUNDS = 2
# Terms from which on a trace is estimated with so many random vectors.
MOST_DENSE, N_PROBES = 1200, 32
# Differences of neighbouring coefficients that are penalised: third ones, so that the curvature of
# a profile costs nothing and ripples from knot to knot cost most.
DIFFERENCE = (-1.0, 3.0, -3.0, 1.0)
ORDER = len(DIFFERENCE) - 1
# Range of the decimal exponent of a penalty, how well it is found, and how far one is from another.
EXPONENTS, ACCURACY, NEAR = (-12.0, 2.0), 0.2, 1.5


@dataclass(frozen=True, eq=False)
class WindowSystem:
    """Normal equations of the coefficients at all nodes.

    Attributes
    ----------
    diagonal : ndarray, shape (n_nodes, n_local, n_terms)
        Band ``d`` of the terms ``k`` and ``k + d`` at one node.
    between : ndarray, shape (n_nodes - 1, n_local, n_terms)
        The same between a node and the next.
    vector : ndarray, shape (n_nodes, n_terms)
    data_chi2, n_data
        As in `~specmodels.numerics.window_moments.Moments`.
    spacing : float
        Distance of knots.
    roughness : ndarray, shape (n_nodes, n_terms - ORDER), optional
        Size that differences are expected to have relative to each other; all alike without it.
    """

    diagonal: np.ndarray
    between: np.ndarray
    vector: np.ndarray
    data_chi2: float
    n_data: int
    spacing: float
    roughness: np.ndarray | None = None

    def solve(self, smoothing):
        """Coefficients with a penalty on the third derivative along the position.

        Parameters
        ----------
        smoothing : float
            Strength of the penalty, relative to the mean weight of a term in all columns; in the
            unit of the positions to the sixth power, and the same for all knots and windows.

        Returns
        -------
        ndarray, shape (n_nodes, n_terms)

        Raises
        ------
        ValueError
            If the equations cannot be solved.
        """
        try:
            solution = solveh_banded(
                self._bands(smoothing), self.vector.T.ravel(), lower=True, check_finite=False
            )
        except LinAlgError as error:
            raise ValueError(f"the splines cannot be determined: {error}") from error
        return solution.reshape(self.vector.T.shape).T

    def chi2(self, coefficients):
        """Chi-square of these coefficients."""
        return max(self.data_chi2 + self._quadratic(coefficients), 0.0)

    def _quadratic(self, c):
        total = -2 * np.sum(c * self.vector)
        for d in range(self.diagonal.shape[1]):
            n = c.shape[1] - d
            factor = 1 if d == 0 else 2
            total += factor * np.sum(self.diagonal[:, d, :n] * c[:, :n] * c[:, d:])
            cross = c[:-1, :n] * c[1:, d:]
            if d:
                cross = cross + c[1:, :n] * c[:-1, d:]
            total += 2 * np.sum(self.between[:, d, :n] * cross)
        return total

    def cross_validation(self, smoothing, n_other=0):
        """Generalised cross-validation: expected square error of a pixel left out.

        Parameters
        ----------
        smoothing : float
            As in `solve`.
        n_other : int
            Number of further parameters that were fitted to the pixels.
        """
        if self.n_data == 0:
            return np.inf
        n_free = self.n_data - n_other - self.freedom(smoothing)
        return np.inf if n_free <= 0 else self.n_data * self.chi2(self.solve(smoothing)) / n_free**2

    def freedom(self, smoothing):
        """Effective number of parameters: trace of the matrix that takes data to fitted data."""
        bands, n = self._data_bands().reshape(-1, self.vector.size), self.vector.size
        if n > MOST_DENSE:
            return self._probed_freedom(bands, smoothing)
        factor = cho_factor(_dense(self._bands(smoothing)), lower=True, check_finite=False)
        inverse = cho_solve(factor, np.eye(n), check_finite=False)
        return sum(
            (1 if k == 0 else 2) * (band[: n - k] @ np.diagonal(inverse, k))
            for k, band in enumerate(bands)
        )

    def covariance(self, smoothing):
        """Covariance of the coefficients, shape (n_nodes, n_terms, n_nodes, n_terms)."""
        factor = cholesky_banded(self._bands(smoothing), lower=True, check_finite=False)
        n_nodes, n_terms = self.vector.shape
        inverse = cho_solve_banded((factor, True), np.eye(n_nodes * n_terms), check_finite=False)
        return inverse.reshape(n_terms, n_nodes, n_terms, n_nodes).transpose(1, 0, 3, 2)

    def _probed_freedom(self, bands, smoothing):
        """The same by Hutchinson's estimate of a trace, to a per cent or so."""
        probes = np.random.default_rng(0).choice([-1.0, 1.0], size=(N_PROBES, self.vector.size))
        factor = cholesky_banded(self._bands(smoothing), lower=True, check_finite=False)
        solved = cho_solve_banded((factor, True), probes.T, check_finite=False).T
        return np.mean([
            own @ _banded_product(bands, probe) for own, probe in zip(solved, probes, strict=True)
        ])  # fmt: skip

    def best_smoothing(self, n_other=0, near=None):
        """Strength of the penalty with the greatest restricted likelihood.

        The penalty is the inverse variance of a Gaussian prior of the differences, and the noise a
        multiple of what the weights say, so that it is found how much finer structure stands out
        from what is left (Patterson & Thompson 1971; for splines Wood 2011).

        Parameters
        ----------
        n_other : int
            Number of further parameters that were fitted to the pixels.
        near : float, optional
            What it is not far from: within one and a half decades.

        Returns
        -------
        float
            As in `solve`.
        """
        low, high = EXPONENTS
        if near is not None:
            middle = np.clip(np.log10(near), low, high)
            low, high = middle - NEAR, middle + NEAR
        found = minimize_scalar(
            lambda exponent: self.restricted_criterion(10.0**exponent, n_other),
            bounds=(low, high), options={"xatol": ACCURACY},
        )  # fmt: skip
        return 10.0**found.x

    def restricted_criterion(self, smoothing, n_other=0):
        """Minus twice the logarithm of the restricted likelihood, constants left out.

        Infinite where the penalty leaves nothing of the data in double precision.
        """
        n_nodes, n_terms = self.vector.shape
        n_free = max(self.n_data - n_other - ORDER * n_nodes, 1)
        # Called many times on small systems, where most of the time of the wrappers is their own.
        factor, failed = lapack.dpbtrf(self._bands(smoothing), lower=True)
        if failed:
            return np.inf
        right = self.vector.T.ravel()
        solution, _ = lapack.dpbtrs(factor, right, lower=True)
        left = max(self.data_chi2 - right @ solution, np.finfo(float).tiny)
        prior = (n_terms - ORDER) * n_nodes * np.log(smoothing)
        return n_free * np.log(left) + 2 * np.log(factor[0]).sum() - prior

    def penalty_effect(self, coefficients, smoothing):
        """What the penalty takes off the coefficients, shape (n_nodes, n_terms).

        It is found for these coefficients, and again for those with the first answer put back: in
        directions that pixels do not see, the penalty has left little to begin with.
        """
        bands = self._bands(smoothing)
        penalty = bands - self._bands(0.0)
        given = coefficients.T.ravel()
        effect = np.zeros(given.size)
        for _ in range(PENALTY_ROUNDS):
            force = _banded_product(penalty, given + effect)
            effect = solveh_banded(bands, force, lower=True, check_finite=False)
        return effect.reshape(coefficients.T.shape).T

    def _bands(self, smoothing):
        """Lower bands with the nodes as the faster index, shape (bandwidth, n_terms * n_nodes)."""
        out = self._free_bands.copy()
        n_nodes = len(self.vector)
        for d, band in enumerate(self._penalty_bands):
            out[d * n_nodes] += smoothing * band
        return out

    @cached_property
    def _free_bands(self):
        """Bands without the penalty, but with what keeps undetermined terms in place."""
        out = self._data_bands()
        mean = self.diagonal[:, 0].mean()
        out[0] += RIDGE * mean
        # Where pixels are only near one of two nodes, the other takes its profile.
        out[0, :, :-1] += TIE * mean
        out[0, :, 1:] += TIE * mean
        if len(self.vector) > 1:
            out[1, :, :-1] -= TIE * mean
        return out.reshape(len(out), -1)

    @cached_property
    def _penalty_bands(self):
        """Bands of the penalty of differences, shape (ORDER + 1, n_terms * n_nodes)."""
        n_nodes, n_terms = self.vector.shape
        strength = n_nodes * self.diagonal[:, 0].mean() / self.spacing ** (2 * ORDER)
        roughness = self.roughness
        if roughness is None:
            roughness = np.ones((n_nodes, n_terms - ORDER))
        return strength * _difference_bands(1 / roughness.T**2).reshape(ORDER + 1, -1)

    def _data_bands(self):
        """What the data bring to them, shape (bandwidth, n_terms, n_nodes)."""
        n_nodes, n_local, n_terms = self.diagonal.shape
        out = np.zeros(((n_local - 1) * n_nodes + 2, n_terms, n_nodes))
        for d in range(n_local):
            out[d * n_nodes] += self.diagonal[:, d].T
            if n_nodes > 1:
                out[d * n_nodes + 1, :, :-1] += self.between[:, d].T
                if d:
                    out[d * n_nodes - 1, :, 1:] += self.between[:, d].T
        return out


def _dense(bands):
    """Lower triangle of a matrix given by its lower bands."""
    n = bands.shape[1]
    out = np.zeros((n, n))
    for k, band in enumerate(bands):
        np.fill_diagonal(out[k:], band[: n - k])
    return out


def _banded_product(bands, vector):
    """Product of a symmetric matrix, given by its lower bands, with a vector."""
    out = bands[0] * vector
    for k in range(1, len(bands)):
        if bands[k].any():
            out[k:] += bands[k, :-k] * vector[:-k]
            out[:-k] += bands[k, :-k] * vector[k:]
    return out


def _difference_bands(weights):
    """Bands of ``D.T @ W @ D`` with the matrix ``D`` of differences of neighbouring coefficients.

    Parameters
    ----------
    weights : ndarray, shape (n_terms - ORDER, n_nodes)

    Returns
    -------
    ndarray, shape (ORDER + 1, n_terms, n_nodes)
    """
    n = len(weights)
    out = np.zeros((ORDER + 1, n + ORDER, weights.shape[1]))
    for i, first in enumerate(DIFFERENCE):
        for j, second in enumerate(DIFFERENCE[i:], start=i):
            out[j - i, i : n + i] += first * second * weights
    return out
