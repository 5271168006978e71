"""Extraction where lines of constant wavelength are not columns: spectra of wavelength.

A flux per column knows nothing of tilted lines: the sky under a source then comes from other
wavelengths. Here sources and sky are splines of the wavelength in each pixel, fitted together with
trace, width, profile and the slit's own throughput (Kelson 2003, PASP 115, 688, for the sky; Horne
1986 for the source). No pixel is resampled.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...fitters import LinearFitter, SigmaClipFitter
from ...models import (
    BSplineProfile,
    GaussianPrior,
    MasterBackgroundSpectrum,
    SlitFunction,
    Source,
    breakpoints,
    sky_of_wavelength,
)
from ...numerics.robust import MAD_TO_SIGMA
from ...numerics.spectrum_covariance import SpectrumCovariance
from .leaves import leaves_of

__all__ = [
    "SeenSpectra",
    "TiltedSlitBuilder",
    "is_doubtful",
    "line_tilt",
    "lines_move",
    "spectrum_name",
]

# Distance of breakpoints in pixels, of sources and of the sky, whose lines are much brighter.
SOURCE_SPACING, SKY_SPACING = 1.0, 2 / 3
# Rows between breakpoints of the slit function, and how far from one it is expected.
SLIT_SPACING, SLIT_PRIOR = 5.0, GaussianPrior(0.0, 0.5)
# It is fitted where the light of rows scatters by so many times its error; pixels count by so many
# of theirs at most.
VARIES, HIT_SIGMA = 1.6, 5.0
# Rows brighter than the sky by so many standard errors of their median hold sources.
LIGHT = 4.0
# Columns beyond which fluxes have nothing in common but shapes; a spline forgets a knot by a
# factor of four. The width of the blur by knots a pixel apart, in pixels.
NEIGHBOURS, COLUMNS_AT_ONCE = 16, 240
BLUR = 1.2
# Chi-square per degree of freedom beyond one by so much, and by so many standard deviations.
LEAST_EXCESS, EXCESS_SIGMA = 0.05, 6.0
# Rows whose lines are shifted by less tell whether lines move; how many a column needs, which part
# of the expected change must be seen, and how well.
LINEAR_SHIFT, LEAST_ROWS, LEAST_FOLLOWED, FOLLOWED_SIGMA = 1.5, 3, 0.3, 10.0


def line_tilt(image):
    """How many columns a line of constant wavelength spans over the rows of an image.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`

    Returns
    -------
    float
        Zero where wavelengths are known per column only, or not at all.
    """
    wavelength = image.wavelength
    if wavelength is None or np.ndim(wavelength) != 2 or min(wavelength.shape) < 3:
        return 0.0
    seen = np.where(image.mask, np.nan, wavelength)
    known = np.isfinite(seen).sum(axis=0) > image.shape[0] // 2
    if np.count_nonzero(known) < 3:
        return 0.0
    step = np.nanmedian(np.abs(np.diff(wavelength, axis=1)))
    span = np.nanmax(seen[:, known], axis=0) - np.nanmin(seen[:, known], axis=0)
    return float(np.median(span) / step) if step > 0 else 0.0


def lines_move(image):
    """Whether the lines of the sky are seen to be tilted as the wavelengths of the pixels are.

    Data less their median over rows follow the slope of that median, times the shift of the
    wavelength. They do not where the sky has no lines, or was subtracted.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`
        With the wavelength of each pixel.

    Returns
    -------
    bool
    """
    middle = image.wavelength[image.shape[0] // 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = (image.wavelength - middle) / np.gradient(middle)
    near = np.isfinite(shift) & (np.abs(shift) < LINEAR_SHIFT) & ~image.mask
    use = near & (np.count_nonzero(near, axis=0) >= LEAST_ROWS)
    if not use.any():
        return False
    columns = use.any(axis=0)
    level = np.zeros(image.shape[1])
    level[columns] = np.nanmedian(np.where(use, image.data, np.nan)[:, columns], axis=0)
    term = np.where(use, shift * np.gradient(level), 0.0)
    left = np.where(use, image.data - level, 0.0)
    # Rows with light of sources have a level of their own.
    left -= np.sum(left, axis=1, keepdims=True) / np.maximum(use.sum(axis=1, keepdims=True), 1)
    # Hits count for nothing, lines that move do.
    limit = 5 * MAD_TO_SIGMA * np.median(np.abs(left[use])) + 3 * np.abs(term)
    left, weight = np.where(np.abs(left) < limit, left, 0.0), (np.abs(left) < limit) & use
    information = np.sum(weight * term**2)
    if not information > 0:
        return False
    follows = np.sum(weight * term * left) / information
    error = np.sqrt(np.sum(weight * term**2 * left**2)) / information
    return bool(follows > LEAST_FOLLOWED and follows > FOLLOWED_SIGMA * error)


def is_doubtful(fit):
    """Whether a fit of wavelengths misses more than noise lets it: a profile went astray."""
    if fit.independent_columns or fit.image.variance is None:
        return False
    freedom = max(float(np.sum(fit.dof)), 1.0)
    return fit.reduced_chi2 > 1 + max(LEAST_EXCESS, EXCESS_SIGMA * np.sqrt(2 / freedom))


@dataclass(frozen=True)
class TiltedSlitBuilder:
    """Makes the model of a tilted slit from its data.

    Attributes
    ----------
    builder : `~specmodels.evaluators.extraction.automatic.SlitModelBuilder`
        Finds the sources and their profiles, once the sky is subtracted.
    """

    builder: object

    def build(self, image):
        """Model of the slit: sources times their spectra, and a sky of wavelength.

        Parameters
        ----------
        image : `~specmodels.exposure.SpectralImage`
            With the wavelength of each pixel.

        Returns
        -------
        `~astropy.modeling.Model`
        """
        sky, dark = self._sky(image)
        found = self._sources(image, sky)
        parts = [self._seen(source, image) for source in found]
        spectrum = MasterBackgroundSpectrum(breakpoints(image.wavelength, SKY_SPACING))
        slit = _slit_function(image.y) if _throughput_varies(dark, sky) else None
        model = sky_of_wavelength(spectrum, slit_function=slit, name="sky")
        for part in reversed(parts):
            model = part + model
        return model

    @staticmethod
    def _sky(image):
        """First sky, an image, and the data of the rows without much light of sources."""
        spectrum = MasterBackgroundSpectrum(breakpoints(image.wavelength, SKY_SPACING))
        fitter, current = SigmaClipFitter(LinearFitter(), sigma=5), image
        model = sky_of_wavelength(spectrum)
        for _ in range(3):
            sky = np.nan_to_num(fitter(model, current).predict())
            excess = (image.data - sky) * np.sqrt(image.weights)
            rows = _medians(np.where(image.mask, np.nan, excess)) * np.sqrt(image.shape[1])
            center = np.nanmedian(rows)
            scale = max(MAD_TO_SIGMA * np.nanmedian(np.abs(rows - center)), 1.0)
            bright = np.nan_to_num(rows - center) > LIGHT * scale
            if np.count_nonzero(~bright) < max(3, image.shape[0] // 5):
                break
            current = image.replace(mask=image.mask | bright[:, None])
        return sky, current

    def _sources(self, image, sky):
        """Sources found in the image less the first sky, with their traces and profiles.

        In units of the noise: steps of fits are scaled by the largest of all parameters.
        """
        noise = 1 / np.sqrt(np.median(image.weights[~image.mask]))
        less = image.replace(data=(image.data - sky) / noise, variance=image.variance / noise**2,
                             components={}, wavelength=None)  # fmt: skip
        return [leaf for leaf in leaves_of(self.builder.build(less)) if isinstance(leaf, Source)]

    @staticmethod
    def _seen(source, image):
        """A source of flux one, times its spectrum of wavelength."""
        source = _with_scale_held(source.copy())
        source.flux = 1.0
        source.flux.fixed = True
        spectrum = MasterBackgroundSpectrum(
            breakpoints(image.wavelength, SOURCE_SPACING), name=spectrum_name(source.name)
        )
        return source * spectrum


@dataclass(frozen=True, eq=False)
class SeenSpectra:
    """Fluxes of sources whose spectra are functions of wavelength, read off in each column.

    Attributes
    ----------
    fit : `~specmodels.fitters.system.SystemFitResult`
    wavelengths : dict of str to ndarray, shape (n_dispersion,)
        Wavelength at the trace of each source in each column.
    """

    fit: object
    wavelengths: dict

    def group(self, name):
        """Coefficients of the spectrum of a source."""
        return next(g for g in self.fit.layout.groups if g.leaf.name == spectrum_name(name))

    def at(self, name, wavelengths):
        """Fluxes of a source at other wavelengths, and their covariance."""
        other = SeenSpectra(self.fit, {name: wavelengths})
        return other.fluxes[name][0], other.covariances[name]

    def rows(self, name):
        """The flux in each column as weighted sums of all coefficients.

        Returns
        -------
        ndarray, shape (n_dispersion, n_coefficient)
        """
        group = self.group(name)
        index, value = group.leaf.local_basis(self.wavelengths[name])
        rows = np.zeros((len(index), len(self.fit.coefficients)))
        for number, part in zip(index.T, value.T, strict=True):
            np.add.at(rows, (np.arange(len(rows)), group.first[number]), part)
        return rows

    def covariance(self, name):
        """Covariance of the fluxes of a source, shape (n_dispersion, n_dispersion)."""
        return self.fit.covariance_of_rows(self.rows(name))

    @cached_property
    def covariances(self):
        """Covariance of the fluxes of each source, a `SpectrumCovariance`."""
        return {name: self._covariance(name) for name in self.wavelengths}

    def _covariance(self, name):
        rows = self.rows(name)
        n = len(rows)
        band = np.zeros((n, NEIGHBOURS))
        for start in range(0, n, COLUMNS_AT_ONCE):
            own = self.fit.covariance_of_linear_rows(
                rows[start : start + COLUMNS_AT_ONCE + NEIGHBOURS]
            )
            for k in range(NEIGHBOURS):
                entries = np.diagonal(own, k)[:COLUMNS_AT_ONCE]
                band[start : start + len(entries), k] = entries
        band[~rows.any(axis=1), 0] = np.inf
        return SpectrumCovariance(band, self.fit.shared_part(rows))

    def resolution(self, name):
        """Full width at half maximum of what each flux averages over, in the wavelength's unit."""
        return BLUR * SOURCE_SPACING * np.abs(np.gradient(self.wavelengths[name]))

    @cached_property
    def fluxes(self):
        """Flux and standard error of each source in each column; NaN where there is none."""
        return {name: self._flux(name) for name in self.wavelengths}

    def _flux(self, name):
        variance = self.covariances[name].variances
        known = np.isfinite(variance)
        flux = np.where(known, self.rows(name) @ self.fit.coefficients, np.nan)
        return flux, np.where(known, np.sqrt(np.where(known, variance, 1.0)), np.nan)


def _with_scale_held(source):
    """Source whose learnt profile has its largest coefficient held.

    A profile has the sum one whatever the scale of its coefficients: together they could go to
    zero, and their errors beyond all bounds.
    """
    if isinstance(source.profile, BSplineProfile):
        names = [n for n in source.profile.param_names if n in source.param_names and n[0] == "c"]
        largest = max(names, key=lambda n: getattr(source, n).value)
        if not source.tied[largest]:
            getattr(source, largest).fixed = True
    return source


def _throughput_varies(dark, sky):
    """Whether rows without sources see more or less of the sky than others.

    Where they do not, a throughput that is free would only take the light of faint sources.
    """
    power = np.sum(dark.weights * sky**2, axis=1)
    known = power > 0
    if not known.any():
        return False
    left = np.where(dark.weights > 0, dark.data - sky, 0.0)
    left = np.clip(left * np.sqrt(dark.weights), -HIT_SIGMA, HIT_SIGMA)
    student = np.sum(left * sky * np.sqrt(dark.weights), axis=1)[known] / np.sqrt(power[known])
    # Not by a few rows, into which the wings of a source reach.
    return bool(MAD_TO_SIGMA * np.median(np.abs(student - np.median(student))) > VARIES)


def _slit_function(rows):
    """Smooth throughput along the slit, one to begin with."""
    n_break = max(int(np.rint((rows[-1] - rows[0]) / SLIT_SPACING)), 1) + 1
    slit = SlitFunction(np.linspace(rows[0], rows[-1], n_break), name="slit function")
    for n in slit.param_names[1:]:
        getattr(slit, n).prior = SLIT_PRIOR
    return slit


def _medians(values):
    """Median of each row; NaN where it has no value."""
    out, known = np.full(len(values), np.nan), np.isfinite(values).any(axis=1)
    out[known] = np.nanmedian(values[known], axis=1)
    return out


def spectrum_name(name):
    """Name of the part of a model that is the spectrum of a source."""
    return f"{name} spectrum"
