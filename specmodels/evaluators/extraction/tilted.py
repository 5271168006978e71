"""Extraction where lines of constant wavelength are not columns: spectra of wavelength.

A flux per column knows nothing of tilted lines: the sky under a source then comes from other
wavelengths. Here sources and sky are splines of the wavelength in each pixel, fitted together with
trace, width, profile and the slit's own throughput (Kelson 2003, PASP 115, 688, for the sky; Horne
1986 for the source). No pixel is resampled.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...models import (
    BSplineProfile,
    GaussianPrior,
    MasterBackgroundSpectrum,
    SlitFunction,
    Source,
    breakpoints,
    sky_of_wavelength,
)
from ...numerics.bsplines import padded_knots
from ...numerics.robust import MAD_TO_SIGMA
from .fluxes.seen_spectra import SOURCE_SPACING, spectrum_name
from .guess.first_sky import bright_rows, first_sky
from .guess.leaves import leaves_of

__all__ = [
    "TiltedSlitBuilder",
    "is_doubtful",
    "line_tilt",
    "lines_move",
]

# Distance of breakpoints of the sky in pixels, whose lines are brighter than those of sources.
SKY_SPACING = 2 / 3
# Rows between breakpoints of the slit function, and how far from one it is expected.
SLIT_SPACING, SLIT_PRIOR = 5.0, GaussianPrior(0.0, 0.5)
# Priors of wings are for slits whose sky has to be told from them in each column; here it is known.
WIDER = 4.0
# It is fitted where the light of rows scatters by so many times its error; pixels count by so many
# of theirs at most.
VARIES, HIT_SIGMA = 1.6, 5.0
# Chi-square per degree of freedom beyond one by so much, and by so many standard deviations.
LEAST_EXCESS, EXCESS_SIGMA = 0.05, 6.0
# Rows whose lines are shifted by less tell whether lines move; how many a column needs, which part
# of the expected change must be seen, and how well.
LINEAR_SHIFT, LEAST_ROWS, LEAST_FOLLOWED, FOLLOWED_SIGMA = 1.5, 3, 0.3, 10.0


def line_tilt(image):
    """How many columns a line of constant wavelength spans over the rows of an image.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`

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
    image : `~specmodels.SpectralImage`
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
    builder : `~specmodels.evaluators.extraction.guess.automatic.SlitModelBuilder`
        Finds the sources and their profiles, once the sky is subtracted.
    """

    builder: object

    def build(self, image):
        """Model of the slit: sources times their spectra, and a sky of wavelength.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`
            With the wavelength of each pixel.

        Returns
        -------
        `~astropy.modeling.Model`
        """
        breaks = breakpoints(image.wavelength, SKY_SPACING)
        sky = first_sky(image, breaks)
        found = self._sources(image, sky)
        most = image.shape[0] * float(
            np.max(np.abs(image.data - sky), where=~image.mask, initial=0.0)
        )
        parts = [self._seen(source, image, most) for source in found]
        slit = _slit_function(image.y) if _throughput_varies(image, sky) else None
        model = sky_of_wavelength(MasterBackgroundSpectrum(breaks, name="sky"), slit_function=slit)
        for part in reversed(parts):
            model = part + model
        return model

    def _sources(self, image, sky):
        """Sources found in the image less the first sky, with their traces and profiles.

        In units of the noise: steps of fits are scaled by the largest of all parameters.
        """
        noise = 1 / np.sqrt(np.median(image.weights[~image.mask]))
        less = image.replace(data=(image.data - sky) / noise, variance=image.variance / noise**2,
                             components={}, wavelength=None)  # fmt: skip
        builder = replace(self.builder, starts_wavelengths=True)
        return [leaf for leaf in leaves_of(builder.build(less)) if isinstance(leaf, Source)]

    @staticmethod
    def _seen(source, image, most):
        """A source of flux one, times its spectrum of wavelength, no brighter than `most`."""
        source = _with_scale_held(source.copy())
        source.flux = 1.0
        source.flux.fixed = True
        spectrum = MasterBackgroundSpectrum(
            breakpoints(image.wavelength, SOURCE_SPACING), name=spectrum_name(source.name)
        )
        return source * _with_ends_in_reach(spectrum, _wavelengths_at_trace(source, image), most)


def _wavelengths_at_trace(source, image):
    """Wavelength of the pixel next to the trace in each column, shape (n_column,)."""
    rows = np.rint(source.trace_position(image.x) - image.y[0]).astype(int)
    rows = np.clip(rows, 0, image.shape[0] - 1)
    return image.wavelength[rows, np.arange(image.shape[1])]


def _with_ends_in_reach(spectrum, wavelengths, most):
    """Spectrum whose coefficients beyond the wavelengths at the trace are not left to the wings.

    Corners of the image are the only ones to see these. Where next to no light gets there, they
    would be noise divided by next to nothing.
    """
    knots = padded_knots(spectrum.breakpoints)
    first, last = knots[: spectrum.n_terms], knots[-spectrum.n_terms :]
    low, high = np.nanmin(wavelengths), np.nanmax(wavelengths)
    prior = GaussianPrior(0.0, most) if most > 0 else None
    for j in np.flatnonzero((last <= low) | (first >= high)):
        getattr(spectrum, f"c{j}").prior = prior
    return spectrum


def _with_scale_held(source):
    """Source whose learnt profile has its largest coefficient held, at the scale of its priors.

    A profile has the sum one whatever the scale of its coefficients: together they could go to
    zero, their errors beyond all bounds, and the priors would not know them any more.
    """
    if isinstance(source.profile, BSplineProfile):
        names = [n for n in source.profile.param_names if n in source.param_names and n[0] == "c"]
        largest = max(names, key=lambda n: getattr(source, n).value)
        expected = getattr(source, largest).prior
        factor = expected.mean / getattr(source, largest).value if expected else 1.0
        for n in names:
            setattr(source, n, factor * getattr(source, n).value)
            _widen(getattr(source, n))
        if not source.tied[largest]:
            getattr(source, largest).fixed = True
    return source


def _widen(parameter):
    """Expect less of a parameter of the profile: the sky of all rows tells what is under wings."""
    prior = parameter.prior
    if prior is not None:
        parameter.prior = GaussianPrior(prior.mean, WIDER * prior.sigma)


def _throughput_varies(image, sky):
    """Whether rows without sources see more or less of the sky than others.

    Where they do not, a throughput that is free would only take the light of faint sources.
    """
    weights = np.where(bright_rows(image, sky)[:, None], 0.0, image.weights)
    power = np.sum(weights * sky**2, axis=1)
    known = power > 0
    if not known.any():
        return False
    left = np.where(weights > 0, image.data - sky, 0.0)
    left = np.clip(left * np.sqrt(weights), -HIT_SIGMA, HIT_SIGMA)
    student = np.sum(left * sky * np.sqrt(weights), axis=1)[known] / np.sqrt(power[known])
    # Not by a few rows, into which the wings of a source reach.
    return bool(MAD_TO_SIGMA * np.median(np.abs(student - np.median(student))) > VARIES)


def _slit_function(rows):
    """Smooth throughput along the slit, one to begin with."""
    n_break = max(int(np.rint((rows[-1] - rows[0]) / SLIT_SPACING)), 1) + 1
    slit = SlitFunction(np.linspace(rows[0], rows[-1], n_break), name="slit function")
    for n in slit.param_names[1:]:
        getattr(slit, n).prior = SLIT_PRIOR
    return slit
