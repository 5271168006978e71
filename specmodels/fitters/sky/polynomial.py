"""The sky as a polynomial of its logarithm, the degree chosen by a criterion.

The pixels of all slits are one cloud of wavelength and flux. The flux is fitted, not its logarithm,
so that negative pixels count like all others and the noise keeps its weight.
"""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...models.background import LogPolynomialSpectrum
from ...numerics.cloud import cloud_outliers
from .curves import PolynomialCurve
from .fit import SkyFit, SlitFit, SlitSkyFitter
from .slits import local_misfit, misfit_of, worst_slit

__all__ = ["LogPolynomialSkyFitter"]

# Bins of wavelength, and how many of them share what is left over.
N_BINS, SHARED_BINS = 256, 5
MAX_STEPS, TOLERANCE = 40, 1e-9
# Median of a sky relative to that of the data, below which, or above its inverse, it is none.
LEAST_SKY = 1e-3
CRITERIA = {"bic": lambda chi2, n_free, n_data: chi2 + n_free * np.log(n_data),
            "aic": lambda chi2, n_free, n_data: chi2 + 2 * n_free}  # fmt: skip


class LogPolynomialSkyFitter(SlitSkyFitter):
    r"""Fit :math:`d_i = T_i\,\exp \sum_k c_k P_k(\lambda_i)` with increasing degree.

    Chi-square is divided by that of the best degree where it exceeds its degrees of freedom: lines
    that no polynomial follows would otherwise ask for ever higher degrees.

    Parameters
    ----------
    max_degree : int
        Largest degree tried.
    criterion : {"bic", "aic"}
        What is least for the degree chosen: chi-square plus a penalty for each coefficient.
    sigma : float
        Pixels that deviate by more standard deviations, of the errors or of the cloud about its
        running median if that is wider, are left out.
    disagreement : float or None
        Slits whose rows depart from the sky by more than this fraction of it are left out, as by
        `SkyFitter`; none with None.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    finds_levels = False

    def __init__(self, *, max_degree=15, criterion="bic", sigma=3.0, disagreement=0.03):
        if int(max_degree) != max_degree or max_degree < 0 or not sigma > 0:
            raise ValueError(
                f"expected max_degree from 0 and sigma > 0, got {max_degree!r} and {sigma!r}"
            )
        if criterion not in CRITERIA:
            raise ValueError(f"criterion: expected one of {sorted(CRITERIA)}, got {criterion!r}")
        if disagreement is not None and not disagreement > 0:
            raise ValueError(
                f"disagreement: expected a positive number or None, got {disagreement!r}"
            )
        self.max_degree, self.criterion, self.sigma = int(max_degree), criterion, sigma
        self.disagreement = disagreement

    def __call__(self, model, slits):
        """Fit the sky.

        Parameters
        ----------
        model : `~specmodels.models.LogPolynomialSpectrum` or None
            With a model its degree is used; else the best is chosen.
        slits : sequence of `~specmodels.fitters.SkyPixels`
            The sky pixels of each slit, in one unit.

        Returns
        -------
        `~specmodels.fitters.SkyFit`

        Raises
        ------
        TypeError
            If the model is of another kind.
        ValueError
            If no slit has pixels, all disagree, or the sky is not positive.
        """
        if model is not None and not isinstance(model, LogPolynomialSpectrum):
            raise TypeError(f"model: expected a LogPolynomialSpectrum, got {model!r}")
        slit_fits = {pixels.name: SlitFit(reason="no usable pixel") for pixels in slits}
        used, remark = [pixels for pixels in slits if pixels.size], ""
        degrees = range(self.max_degree + 1) if model is None else [model.degree]
        while True:
            cloud = _Cloud(used, self.sigma)
            fits = cloud.fits(degrees)
            best = self._best(fits, cloud.n_used)
            cloud.check(best)
            lights = cloud.lights(best)
            misfits = cloud.judged(lights)
            slit_fits |= cloud.slit_fits(lights, misfits)
            worst, reason = worst_slit([p.name for p in used], misfits, limit=self.disagreement)
            if worst is None or len(slits) == 1:
                remark = reason and f"the only slit {reason}"
                break
            name = used.pop(worst).name
            slit_fits[name] = replace(slit_fits[name], reason=reason)
            if not used:
                reasons = "; ".join(f"{n}: {s.reason}" for n, s in slit_fits.items())
                raise ValueError(f"slits: no background slit is left: {reasons}")
        scatter = cloud.level_scatter([slit_fits[pixels.name] for pixels in used])
        curve = PolynomialCurve(cloud.model(best), best.covariance, cloud.left_over(best), scatter)
        return SkyFit(
            curve, slit_fits, cloud.rejected(), {p.name: p.index for p in cloud.slits},
            degrees=self._table(fits, cloud.n_used),
            success=best.converged,
            message=remark if best.converged else "the polynomial did not converge",
        )  # fmt: skip

    def _criteria(self, fits, n_data):
        smallest = min(fit.chi2 / max(n_data - fit.degree - 1, 1) for fit in fits)
        scale = max(smallest, 1.0)
        function = CRITERIA[self.criterion]
        return [function(fit.chi2 / scale, fit.degree + 1, n_data) for fit in fits]

    def _best(self, fits, n_data):
        values = self._criteria(fits, n_data)
        return fits[int(np.argmin(values))]

    def _table(self, fits, n_data):
        values = self._criteria(fits, n_data)
        return tuple((fit.degree, float(fit.chi2), n_data - fit.degree - 1, float(value))
                     for fit, value in zip(fits, values, strict=True))  # fmt: skip


class _Cloud:
    """All pixels of all slits, without outliers."""

    def __init__(self, slits, sigma):
        if not slits:
            raise ValueError("slits: no background slit has a usable pixel")
        self.slits = slits
        keys = ("wavelength", "data", "variance", "throughput")
        wavelength, data, variance, throughput = (
            np.concatenate([getattr(pixels, key) for pixels in slits]) for key in keys
        )
        self.limits = float(wavelength.min()), float(wavelength.max())
        if not self.limits[0] < self.limits[1]:
            raise ValueError(f"wavelength: expected a range, got {self.limits[0]} throughout")
        fraction = (wavelength - self.limits[0]) / (self.limits[1] - self.limits[0])
        bins = np.minimum((fraction * N_BINS).astype(int), N_BINS - 1)
        flux, error = data / throughput, np.sqrt(variance) / throughput
        self.use = ~cloud_outliers(bins, flux, error, limit=sigma)
        self.t = 2 * fraction - 1
        self.data, self.throughput, self.weights = data, throughput, self.use / variance
        self.bins, self.flux = bins, flux

    @property
    def n_used(self):
        return int(self.use.sum())

    def first_coefficients(self):
        """Logarithm of the median flux: the first degree starts from there."""
        level = float(np.median(self.flux[self.use]))
        if not level > 0:
            raise ValueError(
                f"the sky is not positive, its median is {level:.4g}: a logarithm cannot follow "
                "it; use SkyFitter"
            )
        return np.array([np.log(level)])

    def check(self, fit):
        """Refuse a sky that ran off to zero or beyond all data: no positive one fits them."""
        level = np.abs(np.median(self._light_of(fit) / self.throughput))
        usual = np.median(np.abs(self.flux[self.use]))
        if not LEAST_SKY * usual < level < usual / LEAST_SKY:
            raise ValueError(
                f"the sky is not positive throughout: its fit has a median of {level:.4g} where "
                f"the data have {usual:.4g}; use SkyFitter"
            )

    def _light_of(self, fit):
        return self._light(np.polynomial.legendre.legvander(self.t, fit.degree), fit.coefficients)

    def fits(self, degrees):
        """Fits of increasing degrees, each from the one before."""
        found, start = [], self.first_coefficients()
        for degree in degrees:
            found.append(self.fit(degree, start))
            start = found[-1].coefficients
        return found

    def fit(self, degree, start):
        """Gauss-Newton from the solution of a lower degree, with halved steps where needed."""
        terms = np.polynomial.legendre.legvander(self.t, degree)
        values = np.concatenate([start, np.zeros(degree + 1 - len(start))])[: degree + 1]
        chi2, converged = self._chi2(terms, values), False
        for _ in range(MAX_STEPS):
            light = self._light(terms, values)
            weighted = terms * (self.weights * light)[:, None]
            gradient = weighted.T @ (self.data - light)
            matrix = weighted.T @ (terms * light[:, None])
            step = np.linalg.lstsq(matrix, gradient, rcond=1e-13)[0]
            values, new = self._descend(terms, values, step, chi2)
            converged = abs(chi2 - new) <= TOLERANCE * max(new, 1.0)
            chi2 = new
            if converged:
                break
        return _PolynomialFit(degree, values, np.linalg.pinv(matrix, rcond=1e-13, hermitian=True),
                              chi2, converged)  # fmt: skip

    def _descend(self, terms, values, step, chi2):
        for halvings in range(12):
            trial = values + step / 2**halvings
            new = self._chi2(terms, trial)
            if new <= chi2:
                return trial, new
        return values, chi2

    def _light(self, terms, values):
        return self.throughput * np.exp(np.clip(terms @ values, -300, 300))

    def _chi2(self, terms, values):
        with np.errstate(over="ignore"):
            return float(np.sum(self.weights * (self.data - self._light(terms, values)) ** 2))

    def model(self, fit):
        """The `LogPolynomialSpectrum` of a fit."""
        model = LogPolynomialSpectrum(fit.degree, limits=self.limits)
        model.parameters = fit.coefficients
        return model

    def left_over(self, fit):
        """Rms of what means of bins have beyond their noise relative to the sky, shape (N_BINS,).

        Of neighbouring bins, which share their lines, the mean square counts.
        """
        light = self._light_of(fit)
        weight = np.bincount(self.bins, self.weights * light**2, N_BINS)
        total = np.bincount(self.bins, self.weights * light * (self.data - light), N_BINS)
        known = weight > 0
        mean = np.divide(total, weight, out=np.zeros(N_BINS), where=known)
        noise = np.divide(1.0, weight, out=np.zeros(N_BINS), where=known)
        excess, count = (
            uniform_filter1d(values, SHARED_BINS, mode="nearest")
            for values in (mean**2 - noise, known.astype(float))
        )
        return np.sqrt(np.maximum(excess, 0.0) / np.maximum(count, 1 / SHARED_BINS))

    @staticmethod
    def level_scatter(fits):
        """Standard deviation of the levels of slits beyond their errors: none are fitted."""
        found = np.array([(one.throughput, one.error) for one in fits if np.isfinite(one.error)])
        if len(found) < 2:
            return 0.0
        return float(np.sqrt(max(np.var(found[:, 0], ddof=1) - np.mean(found[:, 1] ** 2), 0.0)))

    def _parts(self, array):
        return np.split(array, np.cumsum([pixels.size for pixels in self.slits])[:-1])

    def rejected(self):
        """Outliers by slit."""
        parts = self._parts(~self.use)
        return {pixels.name: part for pixels, part in zip(self.slits, parts, strict=True)}

    def lights(self, fit):
        """The sky in the pixels of each slit."""
        return self._parts(self._light_of(fit))

    def judged(self, lights, judge=misfit_of):
        """How the rows of each slit depart from the sky, by `misfit_of` or `local_misfit`."""
        return [judge(pixels, light, pixels.variance, columns=False)
                for pixels, light in zip(self.slits, lights, strict=True)]  # fmt: skip

    def slit_fits(self, lights, misfits):
        """How each slit took part: the factor that would fit it best, for information."""
        out = {}
        split = (self._parts(a) for a in (self.weights, self.data, self.use))
        each = zip(self.slits, lights, misfits, self.judged(lights, local_misfit), *split,
                   strict=True)  # fmt: skip
        for pixels, own, misfit, local, weights, data, use in each:
            norm = float(np.sum(weights * own**2))
            factor = float(np.sum(weights * own * data) / norm) if norm > 0 else np.nan
            out[pixels.name] = SlitFit(
                factor, 1 / np.sqrt(norm) if norm > 0 else np.inf,
                float(np.sum(weights * (data - own) ** 2)), int(use.sum()), int((~use).sum()),
                misfit[0], local=local,
            )  # fmt: skip
        return out


class _PolynomialFit:
    """Coefficients of one degree."""

    def __init__(self, degree, coefficients, covariance, chi2, converged):
        self.degree, self.coefficients, self.covariance = degree, coefficients, covariance
        self.chi2, self.converged = chi2, converged
