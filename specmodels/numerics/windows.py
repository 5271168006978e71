"""Splines whose coefficients change linearly from window to window, fitted as one banded system.

Columns are divided into windows by evenly spaced nodes; a coefficient runs linearly from node to
node. What a fit needs of the pixels are sums over fine bins of position (`Moments`): they serve
every spacing of knots and every number of windows, so that both can be chosen without looking at
the pixels again. Arrays only.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded, solveh_banded

__all__ = ["Moments", "WindowSystem"]

# Added to the diagonal, relative to its mean: terms that no pixel determines come out as zero.
RIDGE = 1e-10
PENALTY_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the pixels of each bin in each interval between nodes.

    Attributes
    ----------
    matrix : ndarray, shape (3, n_intervals, n_bins)
        Sums of ``w``, ``w u`` and ``w u**2`` with the fraction ``u`` of the interval.
    vector : ndarray, shape (2, n_intervals, n_bins)
        Sums of ``w d`` and ``w d u``.
    data_chi2 : float
        Sum of ``w d**2``.
    n_data : int
        Number of pixels with weight.
    """

    matrix: np.ndarray
    vector: np.ndarray
    data_chi2: float
    n_data: int

    @classmethod
    def of_pixels(cls, bins, n_bins, interval, fraction, n_intervals, weights, weighted_data, chi2):
        """Sum over pixels.

        Parameters
        ----------
        bins : ndarray of int, shape (n_pixel,)
            Bin of each pixel, below `n_bins`.
        interval, fraction : ndarray, shape (n_pixel,)
            Interval between nodes, below `n_intervals`, and place within it from 0 to 1.
        weights, weighted_data : ndarray, shape (n_pixel,)
            ``w`` and ``w d``; zero for pixels to leave out.
        chi2 : float
            Sum of ``w d**2``.
        """
        key = interval * n_bins
        key += bins
        size = n_intervals * n_bins

        def summed(values):
            return np.bincount(key, values, size).reshape(n_intervals, n_bins)

        first = weights * fraction
        matrix = [summed(weights), summed(first), summed(first * fraction)]
        vector = [summed(weighted_data), summed(weighted_data * fraction)]
        return cls(np.stack(matrix), np.stack(vector), float(chi2), np.count_nonzero(weights))

    def halved(self):
        """Moments of half as many intervals, each made of two neighbours."""
        zero, one, two = (_pairs(values) for values in self.matrix)
        data, first = (_pairs(values) for values in self.vector)
        matrix = [
            zero[0] + zero[1],
            (one[0] + one[1] + zero[1]) / 2,
            (two[0] + two[1] + 2 * one[1] + zero[1]) / 4,
        ]
        vector = [data[0] + data[1], (first[0] + first[1] + data[1]) / 2]
        return Moments(np.stack(matrix), np.stack(vector), self.data_chi2, self.n_data)

    def system(self, grid, width):
        """Normal equations of a spline on `grid` for pixels of size `width`.

        Parameters
        ----------
        grid : `~specmodels.numerics.spline_grid.SplineGrid`
            With the bins of these moments, or more beyond the last.
        width : float
            Size of a pixel.

        Returns
        -------
        WindowSystem
        """
        zero, one, two = self.matrix
        n_nodes = zero.shape[0] + 1
        bands = grid.matrix(_on_grid((zero - 2 * one + two, one - two, two), grid.n_bins), width)
        right = grid.vector(
            _on_grid((self.vector[0] - self.vector[1], self.vector[1]), grid.n_bins), width
        )
        shape = (n_nodes, *bands.shape[2:])
        diagonal, total = np.zeros(shape), np.zeros((n_nodes, right.shape[-1]))
        diagonal[:-1] += bands[0]
        diagonal[1:] += bands[2]
        total[:-1] += right[0]
        total[1:] += right[1]
        return WindowSystem(diagonal, bands[1], total, self.data_chi2, self.n_data)


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
        As in `Moments`.
    """

    diagonal: np.ndarray
    between: np.ndarray
    vector: np.ndarray
    data_chi2: float
    n_data: int

    @property
    def determined(self):
        """Coefficients that pixels have a say in, shape (n_nodes, n_terms)."""
        strength = self.diagonal[:, 0]
        return strength > 1e-6 * strength.max()

    @property
    def n_determined(self):
        """Number of coefficients that pixels have a say in."""
        return int(np.count_nonzero(self.determined))

    def solve(self, smoothing):
        """Coefficients with a penalty on their second differences along the position.

        Parameters
        ----------
        smoothing : float
            Strength of the penalty, relative to the mean diagonal.

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

    def cross_validation(self, coefficients, n_other=0):
        """Generalised cross-validation: expected square error of a pixel left out.

        Parameters
        ----------
        coefficients : ndarray
            From `solve`.
        n_other : int
            Number of further parameters that were fitted to the pixels.
        """
        left = self.n_data - self.n_determined - n_other
        return np.inf if left <= 0 else self.n_data * self.chi2(coefficients) / left**2

    def covariance(self, smoothing):
        """Covariance of the coefficients, shape (n_nodes, n_terms, n_nodes, n_terms)."""
        factor = cholesky_banded(self._bands(smoothing), lower=True, check_finite=False)
        n_nodes, n_terms = self.vector.shape
        inverse = cho_solve_banded((factor, True), np.eye(n_nodes * n_terms), check_finite=False)
        return inverse.reshape(n_terms, n_nodes, n_terms, n_nodes).transpose(1, 0, 3, 2)

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
        n_nodes, n_local, n_terms = self.diagonal.shape
        out = np.zeros(((n_local - 1) * n_nodes + 2, n_terms, n_nodes))
        mean = self.diagonal[:, 0].mean()
        penalty = smoothing * mean * _second_difference_bands(n_terms)
        for d in range(n_local):
            band = self.diagonal[:, d] + (penalty[d] if d < len(penalty) else 0)
            out[d * n_nodes] += band.T
            if n_nodes > 1:
                out[d * n_nodes + 1, :, :-1] += self.between[:, d].T
                if d:
                    out[d * n_nodes - 1, :, 1:] += self.between[:, d].T
        out[0] += RIDGE * mean
        return out.reshape(len(out), -1)


def _banded_product(bands, vector):
    """Product of a symmetric matrix, given by its lower bands, with a vector."""
    out = bands[0] * vector
    for k in range(1, len(bands)):
        if bands[k].any():
            out[k:] += bands[k, :-k] * vector[:-k]
            out[:-k] += bands[k, :-k] * vector[k:]
    return out


def _second_difference_bands(n_terms):
    """Bands of ``D.T @ D`` with the matrix ``D`` of second differences, shape (3, n_terms)."""
    out = np.zeros((3, n_terms))
    for i, first in enumerate((1.0, -2.0, 1.0)):
        for j, second in enumerate((1.0, -2.0, 1.0)[i:], start=i):
            out[j - i, i : n_terms - 2 + i] += first * second
    return out


def _pairs(values):
    return values[0::2], values[1::2]


def _on_grid(histograms, n_bins):
    """Histograms on a grid with at least as many bins, as one array."""
    n_interval, n = histograms[0].shape
    if n_bins < n:
        raise ValueError(f"grid: expected at least {n} bins, got {n_bins}")
    out = np.zeros((len(histograms), n_interval, n_bins))
    for own, histogram in zip(out, histograms, strict=True):
        own[:, :n] = histogram
    return out
