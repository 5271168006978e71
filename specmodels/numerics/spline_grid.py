"""Evenly spaced cubic B-splines, averaged over pixels, and their banded normal equations.

Positions are looked up on a fine grid that divides every knot interval alike, so that the basis is
a small table whatever the number of pixels. Arrays only; what the splines describe is of no concern
here.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.interpolate import BSpline

__all__ = ["SplineGrid"]

ORDER = 4


@dataclass(frozen=True)
class SplineGrid:
    """Evenly spaced knots, each interval divided into the same number of fine bins.

    Attributes
    ----------
    low : float
        Position of the first edge of the grid.
    spacing : float
        Distance of knots.
    n_cells : int
        Number of intervals.
    bins : int
        Bins in each interval.
    reach : float
        Half the width of the widest pixel that is averaged over: terms as far beyond the ends
        belong to the grid.
    """

    low: float
    spacing: float
    n_cells: int
    bins: int
    reach: float = 0.5

    @classmethod
    def over(cls, low, high, spacing, *, step, reach=0.5):
        """Grid from `low` to `high` with bins of about `step`."""
        n_cells = max(1, int(np.ceil((high - low) / spacing - 1e-9)))
        return cls(low, spacing, n_cells, max(1, round(spacing / step)), reach)

    @property
    def n_before(self):
        """Terms that begin before the first interval reaches them."""
        return ORDER - 1 + int(np.ceil(self.reach / self.spacing - 1e-9))

    @property
    def n_local(self):
        """Terms that are not zero within one interval, for the widest pixel."""
        return 2 * self.n_before - ORDER + 2

    @property
    def n_terms(self):
        """Number of B-splines."""
        return self.n_cells + self.n_local - 1

    @property
    def n_bins(self):
        """Number of fine bins."""
        return self.n_cells * self.bins

    @property
    def step(self):
        """Width of a bin."""
        return self.spacing / self.bins

    @cached_property
    def centers(self):
        """Middle of each bin, shape (n_bins,)."""
        return self.low + self.step * (np.arange(self.n_bins) + 0.5)

    @cached_property
    def term_centers(self):
        """Middle of each B-spline: with these as coefficients, the spline is its position."""
        return self.low + self.spacing * (np.arange(self.n_terms) - self.n_before + ORDER / 2)

    def index(self, positions):
        """Bin of each position; positions beyond the ends belong to the last bins."""
        scaled = (positions - self.low) / self.step
        return np.clip(scaled, 0, self.n_bins - 1).astype(np.intp)

    def local(self, width):
        """Means of the terms of one interval over pixels centred on its bins.

        Parameters
        ----------
        width : float
            Size of the pixels, at most twice the `reach`; zero for the spline itself.

        Returns
        -------
        ndarray, shape (bins, n_local)
        """
        return _local_terms(self.spacing, self.bins, self.n_before, self.n_local, float(width))

    def profiles(self, coefficients, width):
        """Means over pixels of the given size, centred on all bins.

        Parameters
        ----------
        coefficients : ndarray, shape (..., n_terms)
        width : float

        Returns
        -------
        ndarray, shape (..., n_bins)
        """
        cells = np.arange(self.n_cells)[:, None] + np.arange(self.n_local)
        values = np.asarray(coefficients)[..., cells] @ self.local(width).T
        return values.reshape(*values.shape[:-2], self.n_bins)

    def design(self, positions, width):
        """Means of all terms over pixels, shape (..., n_terms) for positions of shape (...)."""
        terms, values = self._near(positions, width)
        n = terms.shape[-1]
        out = np.zeros((*terms.shape[:-1], self.n_terms + 2 * n))
        np.put_along_axis(out, terms + n, values, axis=-1)
        return out[..., n:-n]

    def local_design(self, positions, width):
        """Numbers and means over pixels of the terms near positions, both (..., n_near)."""
        terms, values = self._near(positions, width)
        known = (terms >= 0) & (terms < self.n_terms)
        return np.where(known, terms, 0), np.where(known, values, 0.0)

    def _near(self, positions, width):
        """Only so many terms are not zero at a position; beyond the ends there is room for them."""
        place = (np.asarray(positions, dtype=float)[..., None] - self.low) / self.spacing
        size = width / self.spacing
        n = ORDER + 1 + int(np.ceil(size))
        place = np.clip(place + self.n_before, -2 * n, self.n_terms + 2 * n)
        first = np.floor(np.nan_to_num(place) - size / 2).astype(np.intp) - ORDER + 1
        terms = np.clip(first, -n, self.n_terms) + np.arange(n)
        return terms, _mean(place - terms, size)

    def matrix(self, histogram, width):
        """Banded matrices of the terms from weights summed over bins.

        Parameters
        ----------
        histogram : ndarray, shape (..., n_bins)
            Weights that fall into each bin.
        width : float
            Size of the pixels.

        Returns
        -------
        ndarray, shape (..., n_local, n_terms)
            Element ``[d, k]`` belongs to the terms ``k`` and ``k + d``.
        """
        local, n = self.local(width), self.n_local
        pairs = [(i, j) for i in range(n) for j in range(i, n)]
        products = np.stack([local[:, i] * local[:, j] for i, j in pairs], axis=1)
        cells = self._by_cell(histogram) @ products
        out = np.zeros((*histogram.shape[:-1], n, self.n_terms))
        for p, (i, j) in enumerate(pairs):
            out[..., j - i, i : i + self.n_cells] += cells[..., p]
        return out

    def vector(self, histogram, width):
        """Sums of terms times weights over bins, shape (..., n_terms)."""
        cells = self._by_cell(histogram) @ self.local(width)
        out = np.zeros((*histogram.shape[:-1], self.n_terms))
        for i in range(self.n_local):
            out[..., i : i + self.n_cells] += cells[..., i]
        return out

    def _by_cell(self, histogram):
        return histogram.reshape(*histogram.shape[:-1], self.n_cells, self.bins)


@lru_cache(maxsize=64)
def _local_terms(spacing, bins, n_before, n_local, width):
    fraction = (np.arange(bins) + 0.5) / bins
    starts = np.arange(n_local) - n_before
    terms = _mean(fraction[:, None] - starts, width / spacing)
    terms.flags.writeable = False
    return terms


def _mean(u, width):
    """Mean over a pixel of the cubic B-spline that starts at zero, in units of the spacing."""
    spline, integral = _cardinal()
    if width == 0:
        return np.where((u > 0) & (u < ORDER), spline(np.clip(u, 0, ORDER)), 0.0)
    lower, upper = (np.clip(u + sign * width / 2, 0, ORDER) for sign in (-1, 1))
    return (integral(upper) - integral(lower)) / width


@lru_cache(maxsize=1)
def _cardinal():
    spline = BSpline.basis_element(np.arange(ORDER + 1.0), extrapolate=False)
    return spline, spline.antiderivative()
