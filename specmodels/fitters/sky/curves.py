"""Fitted sky spectra: value, variance and covariance at any wavelength."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...models.background import LogPolynomialSpectrum, MasterBackgroundSpectrum
from ...numerics.bsplines import BandedSolution, LocalBasis
from ...numerics.hidden_lines import as_lines, line_band
from ...numerics.spline_points import pieces_at, variance_at

__all__ = ["PolynomialCurve", "SplineCurve"]

# Between breakpoints the variance of a cubic spline is a polynomial of degree six: places from -1
# to 1 at which it is found, and the coefficients that belong to the values there.
PLACES = np.polynomial.chebyshev.chebpts1(7)
TO_COEFFICIENTS = np.linalg.inv(np.polynomial.polynomial.polyvander(PLACES, 6))


@dataclass(frozen=True, eq=False, repr=False)
class SplineCurve:
    """A cubic spline with the covariance of its coefficients.

    Attributes
    ----------
    breaks : ndarray, shape (n_break,)
        Breakpoints.
    solution : `~specmodels.numerics.bsplines.BandedSolution`
        Coefficients.
    gaps : ndarray, shape (n_gap, 2)
        Ranges of wavelength without data, where nothing is known.
    n_effective : float, optional
        Number of coefficients that the data determine, where a prior holds the others.
    hidden : ndarray, shape (n_term,), optional
        Expected squares of lines that noise may hide round each coefficient.
    """

    breaks: np.ndarray
    solution: BandedSolution
    gaps: np.ndarray = field(default_factory=lambda: np.empty((0, 2)))
    n_effective: float | None = None
    hidden: np.ndarray | None = None

    @property
    def n_terms(self):
        """Number of coefficients."""
        return self.solution.values.size

    @property
    def n_free(self):
        """Number of coefficients that the data determine."""
        return self.n_terms if self.n_effective is None else self.n_effective

    @property
    def limits(self):
        """First and last wavelength."""
        return self.breaks[0], self.breaks[-1]

    @cached_property
    def model(self):
        """The fitted `MasterBackgroundSpectrum`."""
        model = MasterBackgroundSpectrum(self.breaks)
        model.parameters = self.solution.values
        return model

    @cached_property
    def _pieces(self):
        """Value and variance as polynomials between breakpoints."""
        half = 0.5 * np.diff(self.breaks)
        grid = self.breaks[:-1, None] + half[:, None] * (1 + PLACES)
        basis = LocalBasis.at(grid.ravel(), self.breaks)
        value, variance = basis(self.solution.values), self.solution.variance_at(basis)
        if self.hidden is not None:
            variance += variance_at(basis.first, basis.values, line_band(self.hidden))
        pieces = np.hstack([value.reshape(grid.shape) @ TO_COEFFICIENTS[:4].T,
                            variance.reshape(grid.shape) @ TO_COEFFICIENTS.T])  # fmt: skip
        for low, high in self.gaps:
            pieces[(self.breaks[:-1] >= low) & (self.breaks[1:] <= high)] = np.nan
        return pieces

    def __call__(self, wavelength):
        """Value and variance, NaN outside the limits and in gaps; each of shape (...)."""
        points = np.asarray(wavelength, dtype=float)
        rows = points.reshape(-1, points.shape[-1]) if points.ndim else points.reshape(1, 1)
        value, variance = pieces_at(rows, self.breaks, self._pieces)
        # Where it changes by more than double precision tells, nothing is known.
        np.copyto(variance, np.inf, where=variance <= 0)
        return value.reshape(points.shape), variance.reshape(points.shape)

    def basis(self, wavelength):
        """B-splines at wavelengths within the limits, shape (n_wavelength, n_term)."""
        local = LocalBasis.at(np.clip(wavelength, *self.limits), self.breaks)
        out = np.zeros((np.size(wavelength), self.n_terms))
        rows = np.arange(np.size(wavelength))
        for k, values in enumerate(local.values):
            out[rows, local.first + k] = values
        return out

    def covariance(self, wavelength):
        """Covariance matrix of the values at the wavelengths, shape (n, n)."""
        basis = self.basis(wavelength)
        covariance = basis @ self.solution.covariance_times(basis.T)
        if self.hidden is not None:
            lines = as_lines(basis)
            covariance += (lines * self.hidden) @ lines.T
        return covariance

    def mean(self, edges):
        """Mean between neighbouring edges and its variance, each of shape (n_edge - 1,).

        The integral of the spline, so that flux is conserved; NaN where a bin is not covered.
        """
        weights = self.mean_basis(edges)
        value = weights @ self.solution.values
        variance = np.einsum("ij,ji->i", weights, self.solution.covariance_times(weights.T))
        if self.hidden is not None:
            variance += as_lines(weights) ** 2 @ self.hidden
        outside = (edges[:-1] < self.limits[0]) | (edges[1:] > self.limits[1])
        for low, high in self.gaps:
            outside |= (edges[1:] > low) & (edges[:-1] < high)
        return np.where(outside, np.nan, value), np.where(outside, np.nan, variance)

    def mean_basis(self, edges):
        """Mean of each B-spline between neighbouring edges, shape (n_edge - 1, n_term)."""
        integral = self.model.integrals(np.clip(edges, *self.limits))
        return np.diff(integral, axis=0) / np.diff(edges)[:, None]


@dataclass(frozen=True, eq=False, repr=False)
class PolynomialCurve:
    """A polynomial of the logarithm of the flux, with the covariance of its coefficients.

    Attributes
    ----------
    model : `~specmodels.models.LogPolynomialSpectrum`
    coefficient_covariance : ndarray, shape (n_terms, n_terms)
    misfit : ndarray, shape (n_bin,)
        Standard deviation of the sky about the polynomial relative to it, in even bins between the
        limits: lines and bends that no polynomial of its degree follows.
    scatter : float
        Standard deviation of the levels of slits relative to the sky, alike at all wavelengths.
    """

    model: LogPolynomialSpectrum
    coefficient_covariance: np.ndarray
    misfit: np.ndarray
    scatter: float = 0.0

    def _misfit(self, wavelength):
        low, high = self.limits
        middles = low + (high - low) * (np.arange(self.misfit.size) + 0.5) / self.misfit.size
        return np.interp(wavelength, middles, self.misfit)

    @property
    def n_terms(self):
        """Number of coefficients."""
        return len(self.model.param_names)

    @property
    def n_free(self):
        """Number of coefficients that the data determine: all."""
        return self.n_terms

    @property
    def limits(self):
        """First and last wavelength."""
        return self.model.limits

    def __call__(self, wavelength):
        """Value and variance, NaN outside the limits; each of shape (...)."""
        wavelength = np.asarray(wavelength, dtype=float)
        with np.errstate(invalid="ignore"):
            inside = (wavelength >= self.limits[0]) & (wavelength <= self.limits[1])
        safe = np.where(inside, wavelength, self.limits[0])
        value = self.model(safe)
        basis = self.model.terms(safe)
        relative = np.einsum("...i,ij,...j->...", basis, self.coefficient_covariance, basis,
                             optimize=True) + self._misfit(safe) ** 2 + self.scatter**2  # fmt: skip
        variance = value**2 * relative
        # Where the exponential is no number any more, or zero, nothing is known.
        variance = np.where(variance > 0, variance, np.inf)
        return np.where(inside, value, np.nan), np.where(inside, variance, np.nan)

    def covariance(self, wavelength):
        """Covariance matrix of the values at the wavelengths, shape (n, n)."""
        value = self.model(wavelength)
        basis = self.model.terms(wavelength) * value[:, None]
        left = value * self._misfit(wavelength)
        # What is left over is alike within a bin, and another in the next but one.
        bins = (wavelength - self.limits[0]) / np.ptp(self.limits) * self.misfit.size
        alike = np.maximum(1 - np.abs(bins[:, None] - bins), 0.0)
        level = self.scatter * value
        return (basis @ self.coefficient_covariance @ basis.T + alike * np.outer(left, left)
                + np.outer(level, level))  # fmt: skip

    def mean(self, edges):
        """Mean between neighbouring edges and its variance, by Gauss's rule with five points."""
        nodes, weights = np.polynomial.legendre.leggauss(5)
        edges = np.asarray(edges, dtype=float)
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        value, variance = self(middle[:, None] + half[:, None] * nodes)
        return value @ weights / 2, variance @ weights / 2
