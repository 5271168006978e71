"""Sums over pixels in fine bins of position, from which splines of windows are fitted.

They serve every spacing of knots and every number of windows, so that both can be chosen without
looking at the pixels again. Arrays only.
"""

from dataclasses import dataclass

import numpy as np

from .windows import WindowSystem

__all__ = ["Moments"]


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
        return WindowSystem(diagonal, bands[1], total, self.data_chi2, self.n_data, grid.spacing)


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
