"""One spectrum for all slices that show the same source: their scales help each other."""

from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...numerics.bsplines import LocalBasis

__all__ = ["with_common_spectrum"]

LEAST_COLUMNS = 40
# Intervals of the fraction of the light that a slice gets, to choose from, and the least gain.
INTERVALS, LEAST_GAIN = (1, 2, 4, 8, 16, 32), 1e-3
ROUNDS = 2
OUTLIER = 5.0
# Gaps are not taken for larger than so many standard deviations.
MOST_GAP, SMALLEST = 10.0, 1e-300
# Columns over which slices are compared, and by how many standard deviations they may differ.
BOXES, COHERENT_BOXES, THRESHOLD = (1, 3, 9, 33), (9, 33, 129), 2.0
# Penalty on second differences of the spectrum, relative to the mean weight of a coefficient. It
# settles what the columns leave open.
SMOOTHING = 1e-3


def with_common_spectrum(fits, threshold):
    r"""Fits in which the scale of each column knows what other slices saw at its wavelength.

    A compact source has one spectrum, of which a slice gets a fraction that changes slowly with
    wavelength. The spectrum that all other slices saw, a spline with a knot for each column, times
    the fraction is another measurement :math:`m \pm \sqrt{u}` of a scale. Scale, level and slope of
    a column and their covariance become those of both together. No columns are smoothed, so that
    lines stay as sharp as slices show them.

    Where both measurements differ by more than their errors, in a column or around it, :math:`u` is
    raised by the excess of the squared difference: what a slice alone sees stays.

    Parameters
    ----------
    fits : dict of str to `~specmodels.fitters.WindowedFit`
        Slices by name.
    threshold : float
        Least significance of slices that take part.

    Returns
    -------
    dict of str to `~specmodels.fitters.WindowedFit`
        The same where fewer than two slices show the source at known wavelengths.
    """
    spectra = {name: _wavelengths(fit) for name, fit in fits.items()}
    strength = {name: _strength(fits[name]) for name, own in spectra.items() if own is not None}
    strong = [name for name in strength if fits[name].significance >= threshold]
    if len(strong) < 2:
        return fits
    first = max(strong, key=strength.get)
    axis = _Axis.along(spectra[first])
    slices = {name: _Slice.of(fits[name], axis(spectra[name]), axis.breaks) for name in strong}
    slices = {name: own for name, own in slices.items() if own is not None}
    slices[first] = replace(slices[first], fraction=np.ones(slices[first].columns.size))
    for number in range(ROUNDS):
        # To begin with, only the strongest slice has a spectrum of known scale.
        known = [first] if number == 0 else list(slices)
        slices = {
            name: own if name == first else own.with_fraction(*_seen(slices, known, name))
            for name, own in slices.items()
        }
    out = dict(fits)
    if len(slices) > 1:
        for name, own in slices.items():
            out[name] = own.informed(fits[name], *_seen(slices, list(slices), name))
    return out


def _seen(slices, names, name):
    """Spectrum that others of these slices saw at the wavelengths of a slice, and its variance."""
    equations = reduce(add, [slices[key].equations() for key in names if key != name])
    penalty = SMOOTHING * equations.matrix[0].mean() * _penalty_band(equations.vector.size)
    solution = equations.penalised(penalty).solve()
    basis = slices[name].basis
    return basis(solution.values), solution.variance_at(basis)


@dataclass(frozen=True, eq=False)
class _Axis:
    """Wavelengths as columns of one slice, so that knots lie as close as its columns."""

    wavelength: np.ndarray
    column: np.ndarray

    @classmethod
    def along(cls, wavelength):
        known = np.flatnonzero(np.isfinite(wavelength))
        order = known if wavelength[known[-1]] > wavelength[known[0]] else known[::-1]
        return cls(wavelength[order], np.abs(order - order[0]).astype(float))

    @property
    def breaks(self):
        return np.arange(self.column[-1] + 1)

    def __call__(self, wavelength):
        """Place of each wavelength; NaN beyond the ends."""
        return np.interp(wavelength, self.wavelength, self.column, left=np.nan, right=np.nan)


@dataclass(frozen=True, eq=False)
class _Slice:
    """Scales of a slice, and their places among the columns of the strongest one.

    Attributes
    ----------
    columns : ndarray of int, shape (n,)
        Those that take part.
    place, scale, variance : ndarray, shape (n,)
    basis : `~specmodels.numerics.bsplines.LocalBasis`
        Of the common spectrum.
    n_terms : int
        Of the common spectrum.
    fraction : ndarray, shape (n,), or None
        Its light over that of the strongest slice.
    """

    columns: np.ndarray
    place: np.ndarray
    scale: np.ndarray
    variance: np.ndarray
    basis: LocalBasis
    n_terms: int
    fraction: np.ndarray | None = None

    @classmethod
    def of(cls, fit, place, breaks):
        """Slice at these places, or None where too few columns take part."""
        variance = fit.column_covariance[0, 0]
        columns = np.flatnonzero(fit.fitted_columns & np.isfinite(place) & (variance > 0))
        if columns.size < LEAST_COLUMNS:
            return None
        basis = LocalBasis.at(place[columns], breaks)
        return cls(columns, place[columns], fit.scale[columns], variance[columns], basis,
                   breaks.size + 2)  # fmt: skip

    def equations(self):
        """Normal equations of the common spectrum."""
        safe = np.where(self.fraction != 0, self.fraction, 1.0)
        weights = self.fraction**2 / self.variance
        return self.basis.equations(self.scale / safe, weights, self.n_terms)

    def with_fraction(self, spectrum, variance):
        """The slice with the smooth fraction of a spectrum that fits its scales best."""
        safe = np.where(spectrum != 0, spectrum, 1.0)
        ratio = self.scale / safe
        total = (
            self.variance + self._fraction_of(ratio, spectrum**2 / self.variance) ** 2 * variance
        )
        weights = spectrum**2 / total
        fraction = self._fraction_of(ratio, weights)
        near = weights * (ratio - fraction) ** 2 < OUTLIER**2
        return replace(self, fraction=self._fraction_of(ratio, np.where(near, weights, 0.0)))

    def _fraction_of(self, ratio, weights):
        """Smooth curve through ratios, with as many intervals as cross-validation wants."""
        fits = []
        for n in INTERVALS:
            breaks = np.linspace(self.place.min(), self.place.max(), n + 1)
            basis = LocalBasis.at(self.place, breaks)
            values = basis.equations(ratio, weights, n + 3).solve().values
            curve = basis(values)
            score = np.sum(weights * (ratio - curve) ** 2) / (self.place.size - n - 3) ** 2
            fits.append((score, curve))
        limit = min(score for score, _ in fits) * (1 + LEAST_GAIN)
        return next(curve for score, curve in fits if score <= limit)

    def informed(self, fit, spectrum, variance):
        """The fit with the spectrum of the others as a second measurement of its scales."""
        expected, uncertain = self.fraction * spectrum, self.fraction**2 * variance
        gap = self.scale - expected
        slope = np.gradient(expected)
        for change in (slope, np.gradient(slope)):
            uncertain = uncertain + _line_error(gap, self.variance + uncertain, change)
        uncertain = uncertain + _excess(gap, self.variance + uncertain)
        values, covariance = np.array(fit.values), np.array(fit.column_covariance)
        prior = np.zeros(fit.scale.size)
        prior[self.columns] = 1 / np.maximum(uncertain, 1e-12 * self.variance)
        own = covariance[:, 0, self.columns]
        gain = own / (self.variance + uncertain)
        values[:, self.columns] -= gain * gap
        covariance[:, :, self.columns] -= gain[:, None] * own
        return replace(fit, values=values, column_covariance=covariance, scale_prior=prior)


def _line_error(gap, variance, change):
    """Variance in proportion to the square of a change from column to column, as gaps show it.

    It stands for wavelengths that do not quite agree, and for lines too narrow for the knots.
    """
    ratio = change**2 / variance
    excess = np.minimum(gap**2 / variance, MOST_GAP**2) - 1
    strength = np.sum(ratio * excess) / max(np.sum(ratio**2), SMALLEST)
    return max(0.0, strength) * change**2


def _excess(gap, variance):
    """By how much squared differences exceed their expectation, in some neighbourhood."""
    out = np.zeros(gap.size)
    square = gap**2
    for box in BOXES:
        limit = (1 + THRESHOLD * np.sqrt(2 / box)) * uniform_filter1d(variance, box)
        np.maximum(out, uniform_filter1d(square, box) - limit, out=out)
    for box in COHERENT_BOXES:
        limit = THRESHOLD**2 / box * uniform_filter1d(variance, box)
        np.maximum(out, uniform_filter1d(gap, box) ** 2 - limit, out=out)
    return out


def _wavelengths(fit):
    """Wavelength of the brightest source in each column, or None; NaN where it is not known."""
    image = fit.image
    if image.wavelength is None:
        return None
    columns, rows = fit.crossings(fit.brightest)
    if columns.size < LEAST_COLUMNS:
        return None
    trace = np.interp(image.x, columns, rows)
    found = image.wavelength_along(trace)
    out = np.array(getattr(found, "value", found), dtype=float)
    out[~np.isin(image.x, columns)] = np.nan
    steps = np.diff(out[np.isfinite(out)])
    one_way = steps.size >= LEAST_COLUMNS and (np.all(steps > 0) or np.all(steps < 0))
    return out if one_way else None


def _strength(fit):
    known = fit.column_covariance[0, 0] > 0
    return np.sum(fit.scale[known] ** 2 / fit.column_covariance[0, 0][known])


def _penalty_band(n_terms):
    """Bands of the matrix of squared second differences, shape (4, n_terms)."""
    out = np.zeros((4, n_terms))
    for i, first in enumerate((1.0, -2.0, 1.0)):
        for j, second in enumerate((1.0, -2.0, 1.0)[i:], start=i):
            out[j - i, i : n_terms - 2 + i] += first * second
    return out
