"""Extraction of a time series: geometry learnt from all integrations, a spectrum for each.

    series → median of a few → fit → mean of many, moved alike → fit
           → what the profile lacks in many → each integration

Integrations are read one at a time.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from .integration import IntegrationFitter
from .moving_sources import Geometry
from .result import TimeSeriesResult
from .structure import ProfileStructure

__all__ = ["TimeSeriesExtraction"]

# Integrations of which the first estimate is the median: so many are held at once.
FEW = 9
# Of a longer series so many integrations, evenly spread, tell trace, profile and width; and what a
# profile lacks at first sight.
MANY, SOME = 200, 40
MEDIAN_VARIANCE = np.pi / 2
# Integrations with a chi-square that differs by such a factor tell nothing of trace and profile.
MOST_UNUSUAL = 4.0
# The scatter of a pixel in so many integrations, and of its neighbours along the dispersion, is its
# variance where none is known.
LEAST_SCATTER, NEIGHBOURS = 5, 31


@dataclass(frozen=True)
class TimeSeriesExtraction:
    """Extract the spectra of all integrations of a time series.

    Parameters
    ----------
    extraction : `~specmodels.OptimalExtraction`
        By which the mean image is extracted, from which trace, profile and width are learnt.
    sigma : float
        Threshold of the rejection of hits in single integrations, in standard deviations.
    """

    extraction: object
    sigma: float = 4.5

    def __call__(self, series):
        """Extract a `~specmodels.TimeSeries`; returns a `TimeSeriesResult`.

        Raises
        ------
        ValueError
            If no pixel can be used, or the lines are tilted so that columns are not independent.
        """
        geometry, usual = self._of_many(series, self._geometry(*_median(series)))
        for number in (SOME, MANY):  # at first movements are wrong by what the profiles lack
            geometry = self._with_structure(series, geometry, number, usual)
        fitter = IntegrationFitter(geometry, self.sigma)
        found = [None] * len(series)
        for i in range(len(series)):
            found[i] = _summary(fitter(series[i]), geometry)
        return TimeSeriesResult.of(series, geometry, found)

    def _geometry(self, image, number, light=None):
        """What all integrations share, from their mean image and the number that it is worth.

        `light` is that of the sources to which the variances belong, shape of the image.
        """
        fit = self.extraction.fit(image)
        if not fit.independent_columns:
            raise ValueError(
                f"image {image.name!r}: expected columns that are independent of one another in a "
                "time series, got tilted lines, or terms that columns share: rectify the "
                "integrations, or extract each by itself"
            )
        result = self.extraction.evaluate(fit, image)
        rows = slice(*np.searchsorted(image.y, (fit.image.y[0], fit.image.y[-1] + 0.5)))
        # A fit adds what a profile misses to the variance of bright pixels; here it is learnt.
        variance = fit.image.variance if image.variance is None else image.variance[rows]
        return Geometry(result, variance * number[rows], None if light is None else light[rows])

    def _of_many(self, series, geometry):
        """Geometry of the mean of many integrations, and their usual chi-square per dof."""
        fitter = IntegrationFitter(geometry, self.sigma)
        middle, usual = _usual(series, fitter)
        mean = _mean(series, fitter, middle, usual)
        del fitter  # its tables would be held while the mean is fitted
        return self._geometry(*mean), usual

    def _with_structure(self, series, geometry, number, usual):
        """The geometry with what its profiles lack in so many integrations; `ProfileStructure`."""
        fitter, structure = IntegrationFitter(geometry, self.sigma), ProfileStructure(geometry)
        for i in _spread(series, number):
            one = fitter(series[i])
            if _is_usual(one.reduced_chi2, usual):
                structure.add(one)
        known = 0 if geometry.structure is None else geometry.structure
        return replace(geometry, structure=known + structure.integrals())


def _usual(series, fitter):
    """Middle shift and stretch of a few integrations, and their usual chi-square per dof."""
    moved, chi2 = [], []
    for i in _spread(series, FEW):
        one = fitter(series[i])
        moved.append(one.fit.theta[:2])
        chi2.append(one.reduced_chi2)
    known = np.isfinite(chi2)
    usual = np.median(np.array(chi2)[known]) if known.any() else 1.0
    good = _is_usual(np.array(chi2), usual)
    return np.median(np.array(moved)[good if good.any() else ...], axis=0), usual


def _mean(series, fitter, middle, usual):
    """Mean of the integrations as if all had moved to the middle, without hits.

    Integrations whose chi-square is not the usual one are left out.

    Returns
    -------
    mean : `~specmodels.SpectralImage`
    number : ndarray
        Integrations in each pixel.
    light : ndarray
        Mean light of the sources where they were.
    """
    geometry, place = fitter.geometry, fitter.light(middle)
    data, variance, number, light = (np.zeros(geometry.image.shape[::-1]) for _ in range(4))
    known, numbers = series.first.variance is not None, _spread(series, MANY)
    for i in numbers:
        image = series[i]
        one = fitter(image)
        if not _is_usual(one.reduced_chi2, usual):
            continue
        fluxes, good = one.fit.particular[: len(place)], one.used
        moved = np.einsum("kx,kxy->xy", fluxes, one.fit.basis[: len(place)])
        light[good] += moved[good]
        moved -= np.einsum("kx,kxy->xy", fluxes, place)
        part = geometry.cut(image)
        data[good] += (image.data[part].T - moved)[good]
        number[good] += 1
        variance[good] += (image.variance[part].T if known else one.residual**2)[good]
    data, variance, number, light = (np.ascontiguousarray(a.T)
                                     for a in (data, variance, number, light))  # fmt: skip
    seen, safe = number > 0, np.maximum(number, 1)
    known |= len(numbers) >= LEAST_SCATTER
    if series.first.variance is None:
        variance = number * _smooth(variance, number)
    mean = geometry.result.image.replace(
        data=np.where(seen, data / safe, np.nan), mask=~seen, components={},
        variance=np.where(seen, variance / safe**2, 1.0) if known else None,
    )  # fmt: skip
    return mean, safe, light / safe


def _is_usual(chi2, usual):
    """Whether an integration is like the others: not dark, and not of another scene."""
    return (usual / MOST_UNUSUAL < chi2) & (chi2 < usual * MOST_UNUSUAL)


def _spread(series, most):
    """Numbers of at most so many integrations, evenly spread over the series."""
    numbers = np.linspace(0, len(series) - 1, min(len(series), most)).astype(int)
    return np.unique(numbers).tolist()


def _median(series):
    """Median of a few integrations as an image, and the number of integrations it is worth."""
    numbers = _spread(series, FEW)
    first = series.first
    data = np.empty((len(numbers), *first.shape), np.float32)
    count, total = np.zeros(first.shape), np.zeros(first.shape)
    for own, i in zip(data, numbers, strict=True):
        image = series[i]
        own[...] = np.where(image.mask, np.nan, image.data)
        count += ~image.mask
        if image.variance is not None:
            total += np.where(image.mask, 0.0, image.variance)
    seen = count > 0
    median = np.full(first.shape, np.nan)
    for own, row, used in zip(median, data.swapaxes(0, 1), seen, strict=True):
        own[used] = np.nanmedian(row[:, used], axis=0)  # by rows, as it makes several copies
    worth = np.maximum(np.where(count > 2, count / MEDIAN_VARIANCE, count), 1)
    variance = None
    if first.variance is not None:
        variance = np.where(seen, total / np.maximum(count, 1) / worth, 1.0)
    return first.replace(data=median, variance=variance, mask=~seen, components={}), worth


def _smooth(total, number):
    """Mean of what was summed over integrations, along the dispersion, shape of the image."""
    totals, numbers = (ndimage.uniform_filter1d(a, NEIGHBOURS, mode="nearest", axis=1)
                       for a in (total, number))  # fmt: skip
    return totals / np.maximum(numbers, 1 / NEIGHBOURS)


def _summary(one, geometry):
    """What is kept of an integration: no images."""
    fit = one.fit
    own = slice(0, len(geometry.numbers))  # fluxes come first
    held = np.einsum("kkx->kx", fit.covariance)[own]
    columns, rows = np.nonzero(one.hits)
    return {
        "flux": fit.values[own],
        "variance": held,
        "moved": fit.common[:, own].astype(np.float32),
        "background": geometry.background(fit).astype(np.float32),
        "theta": fit.theta,
        "theta_error": np.sqrt(np.diagonal(fit.theta_covariance)),
        "chi2": fit.chi2,
        "dof": fit.dof,
        "hits": (rows, columns),
    }
