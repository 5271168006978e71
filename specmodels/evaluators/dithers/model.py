"""Models of several exposures of the same sources, made of those of each exposure by itself.

All have the same parts: for each source one spectrum times where its light falls, and the sky. What
an exposure has for itself are values and what is fixed: the trace and width of each source, its
throughput, its lobes.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...models import (
    BSplineProfile,
    ColumnPolynomial,
    MasterBackgroundSpectrum,
    SlitFunction,
    Source,
    UniformSky,
    breakpoints,
    repeated_over,
    sky_of_wavelength,
)
from ..extraction.fluxes.noise import with_constant_variance
from ..extraction.fluxes.seen_spectra import spectrum_name
from ..extraction.guess.automatic import SNR_EMPIRICAL
from ..extraction.guess.first_guess import Guess
from ..extraction.guess.initial_values import project
from ..extraction.guess.leaves import leaves_of
from ..extraction.guess.region import slit_region
from ..extraction.shapes import with_shared_shape
from ..extraction.tilted import SKY_SPACING

__all__ = [
    "LEAST_SNR", "ExposureModel", "alike", "brightest", "judged",
    "with_learnt_profile", "with_skies",
]  # fmt: skip

# Sources of two exposures are the same where they are as far apart, to so many full widths.
SAME_FWHM = 1.0
# A source below this signal-to-noise ratio is not found: its trace and width are held.
LEAST_SNR = 6.0
# Chi-square over the least of all exposures, beyond which the fit of one by itself went astray.
MOST_EXCESS = 1.5


@dataclass(frozen=True, eq=False)
class ExposureModel:
    """Sources and sky of one exposure as it is found by itself.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
    model : `~astropy.modeling.Model`
    sources : list of `~specmodels.models.Source`
        By increasing row.
    snr : ndarray, shape (n_source,)
        Signal-to-noise ratio of each source.
    light : list of ndarray, shape (n_dispersion,)
        First flux of each source.
    rejected : ndarray of bool, shape of the image
        Hits.
    night : tuple of ndarray, each of shape (n_dispersion,), or None
        Wavelengths and fluxes of the sky.
    chi2 : float
        For each degree of freedom; infinite where the fit did not converge.
    trusted : bool
        Whether the fit is as good as those of other exposures.
    """

    image: object
    model: object
    sources: list
    snr: np.ndarray
    light: list
    rejected: np.ndarray
    night: tuple | None = None
    chi2: float = 1.0
    trusted: bool = True

    @classmethod
    def of(cls, fit):
        """Read off the fit of one exposure by itself."""
        components, image = fit.components(), fit.image
        sources, snr, light = [], [], []
        for number, leaf in enumerate(leaves_of(fit.template)):
            if isinstance(leaf, Source):
                keys = (spectrum_name(leaf.name), leaf.name, str(number))
                seen = np.nan_to_num(next(components[key] for key in keys if key in components))
                power = np.sum(image.weights * seen**2) - image.shape[1]
                sources.append(leaf.copy())
                snr.append(np.sqrt(max(power, 0.0)))
                light.append(seen.sum(axis=0))
        return cls(image.replace(mask=image.mask & ~fit.rejected), fit.template, sources,
                   np.array(snr), light, fit.rejected, _sky_spectrum(fit, components),
                   float(fit.reduced_chi2) if fit.success else np.inf)  # fmt: skip

    def by_row(self):
        """The same with its sources by increasing row; all have the shape of the first."""
        first = self.sources[0]
        for source in self.sources[1:]:
            for n in source.param_names:
                if source.tied[n]:
                    setattr(source, n, getattr(first, n).value)
                    source.tied[n] = getattr(source, n).tied = False
        return self.ordered(np.argsort(self.rows))

    def unfitted(self, image):
        """The same with its image as it was before the fit, which went astray."""
        image = slit_region(image)
        image = image if image.variance is not None else with_constant_variance(image)
        return replace(self, image=image, rejected=np.zeros(image.shape, dtype=bool))

    @property
    def rows(self):
        """Mean row of each source."""
        return np.array([np.mean(source.trace_position(self.image.x)) for source in self.sources])

    @property
    def sky(self):
        """The parts that are no sources."""
        return [leaf for leaf in leaves_of(self.model) if not isinstance(leaf, Source)]

    def ordered(self, order):
        """The same with its sources in another order."""
        pick = [list(values) for values in (self.sources, self.snr, self.light)]
        sources, snr, light = ([values[k] for k in order] for values in pick)
        return replace(self, sources=sources, snr=np.array(snr), light=light)


def alike(own, reference):
    """Exposure with the sources of another one: in its order, with its profiles.

    Sources are recognised by how far they are apart. One that is not recognised lies where it is
    expected, with its trace and width held.

    Parameters
    ----------
    own, reference : ExposureModel

    Returns
    -------
    ExposureModel
    """
    width = np.median(reference.sources[0].fwhm(reference.image.x))
    shift, match = _matched(own, reference, SAME_FWHM * max(width, 1.0))
    sources, snr, light = [], [], []
    none = np.zeros(own.image.shape[1])
    for number, source in enumerate(reference.sources):
        found = match[number]
        seen = found >= 0 and own.snr[found] > LEAST_SNR
        sources.append(_moved(source, own, found, shift, reference) if found >= 0 else
                       _moved(source, own, None, shift, reference))  # fmt: skip
        if not seen:
            _hold(sources[-1])
        snr.append(own.snr[found] if found >= 0 else 0.0)
        light.append(own.light[found] if found >= 0 else none)
    return replace(own, sources=sources, snr=np.array(snr), light=light)


def with_learnt_profile(best, snr, builder):
    """The best exposure with a profile learnt from the data, where all exposures together tell it.

    Parameters
    ----------
    best : ExposureModel
    snr : float
        Signal-to-noise ratio of all exposures.
    builder : `~specmodels.evaluators.extraction.guess.automatic.SlitModelBuilder`

    Returns
    -------
    ExposureModel
    """
    sources = best.sources
    learnt = any(isinstance(source.profile, BSplineProfile) for source in sources)
    if builder.profile is not None or learnt or snr < SNR_EMPIRICAL or best.image.shape[0] <= 8:
        return best
    model = sources[0]
    for source in sources[1:]:
        model = model + source
    x = best.image.x
    width = float(np.median(sources[0].fwhm(x)))
    guess = Guess(np.zeros(len(x)), 0, best.rows, best.snr, width)
    model = builder.learnt(with_shared_shape(model.copy()), best.image, guess)
    return replace(best, sources=[leaf for leaf in leaves_of(model) if isinstance(leaf, Source)])


def _matched(own, reference, tolerance):
    """Shift between two exposures, and the number of each source of the reference, or -1."""
    there, here = reference.rows, own.rows
    best, match = (-np.inf, 0.0), np.full(len(there), -1)
    for shift in np.subtract.outer(here, there).ravel():
        distance = np.abs(np.subtract.outer(there + shift, here))
        near = distance < tolerance
        score = (np.sum((np.maximum(own.snr, 0.1) * near).max(axis=1)), -abs(shift))
        if score > best:
            best = score
            match = np.where(near.any(axis=1), np.argmin(distance, axis=1), -1)
            found = match >= 0
            moved = float(np.median(here[match[found]] - there[found]))
    return moved, match


def _moved(source, own, found, shift, reference):
    """Source of the reference with the trace and the width that it has in another exposure."""
    new, x = source.copy(), own.image.x
    if found is None:
        new.trace_c0 = new.trace_c0.value + shift if hasattr(new, "trace_c0") else None
        return _freed(new)
    other = own.sources[found]
    _set_curve(new, "trace", x, other.trace_position(x))
    if new.width is not None and own.trusted:
        before = new.part("width")(x)
        ratio = other.fwhm(x) / np.interp(x, reference.image.x, source.fwhm(reference.image.x))
        _set_curve(new, "width", x, before * np.median(ratio))
    return _freed(new)


def _set_curve(source, which, x, values):
    """Give the trace or width of a source the values nearest to these."""
    part = source.part(which)
    for n in part.param_names:
        part.fixed[n], part.tied[n] = False, False
        getattr(part, n).fixed, getattr(part, n).tied = False, False
    part = project(part, x, values)
    for n in part.param_names:
        setattr(source, f"{which}_{n}", getattr(part, n).value)


def _freed(source):
    """The source with trace and width free; those of the reference alone are held by its frame."""
    for n in source.param_names:
        if n.startswith(("trace_", "width_")):
            getattr(source, n).fixed = False
    return source


def _hold(source):
    """Hold all of a source but its flux."""
    for n in source.param_names:
        if n.startswith(("trace_", "width_")) or n == source.width_parameter:
            getattr(source, n).fixed = True


def with_skies(own):
    """Plain models of all exposures: their sources, and skies of one kind, the richest of any.

    Parameters
    ----------
    own : list of ExposureModel

    Returns
    -------
    list of `~astropy.modeling.Model`
    """
    skies, frame = _skies(own), _frame(own[brightest(own)].sources)
    models = []
    for number, (one, sky) in enumerate(zip(own, skies, strict=True)):
        model = one.sources[0]
        for source in one.sources[1:]:
            model = model + source
        model = with_shared_shape(model if sky is None else model + sky)
        if number == brightest(own):
            first = leaves_of(model)[0]
            for n in frame:
                getattr(first, n).fixed = True
        models.append(model)
    return models


def _frame(sources):
    """Free the traces and widths that hold the frame of a learnt profile; their names."""
    names = {n for source in sources for n in source.param_names
             if n.startswith(("trace_", "width_")) and source.fixed[n]}  # fmt: skip
    for source in sources:
        _freed(source)
    return names


def _skies(own):
    images = [one.image for one in own]
    leaves = [leaf for one in own for leaf in one.sky]
    polynomials = [leaf for leaf in leaves if isinstance(leaf, ColumnPolynomial)]
    degree = max((leaf.degree for leaf in polynomials), default=0)
    if any(leaf.name == "sky" and isinstance(leaf, MasterBackgroundSpectrum) for leaf in leaves):
        spectrum = repeated_over(MasterBackgroundSpectrum(_sky_breakpoints(images)), "exposure")
        return [sky_of_wavelength(spectrum, slit_function=_slit_function(one, own), name="sky")
                for one in own]  # fmt: skip
    if polynomials:
        return [ColumnPolynomial(degree, limits=_limits(image), name="sky") for image in images]
    if any(isinstance(leaf, UniformSky) for leaf in leaves):
        return [UniformSky(name="sky") for _ in images]
    return [None for _ in images]


def _slit_function(one, own):
    """Slit function found in an exposure; of the best one where none is, or the fit went astray."""
    best = own[brightest(own)]
    for found in (one, best) if one.trusted else (best, one):
        for leaf in found.sky:
            if isinstance(leaf, SlitFunction) and found.image.shape[0] == one.image.shape[0]:
                return leaf.copy()
    return None


def _sky_breakpoints(images):
    """Breakpoints over the wavelengths of all exposures."""
    low = min(np.nanmin(image.wavelength) for image in images)
    high = max(np.nanmax(image.wavelength) for image in images)
    step = np.diff(breakpoints(images[0].wavelength, SKY_SPACING)[:2])[0]
    return np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)


def _sky_spectrum(fit, components):
    """Wavelengths and fluxes of the sky in the middle row of an image; None where it has none."""
    image = fit.image
    if "sky" not in components or image.wavelength is None:
        return None
    row = image.shape[0] // 2
    wave = np.atleast_2d(image.wavelength)[row if np.ndim(image.wavelength) == 2 else 0]
    night = np.where(np.isfinite(components["sky"][row]), components["sky"][row], np.nan)
    order = np.argsort(wave)
    order = order[np.isfinite(wave[order])]
    return wave[order], night[order]


def _limits(image):
    return (image.y[0], image.y[-1])


def brightest(own):
    """Number of the exposure that shows its sources best, of those whose fits can be trusted."""
    return int(np.argmax([np.sum(one.snr) if one.trusted else -1.0 for one in own]))


def judged(own):
    """Exposures, those marked whose fits went astray, as chi-square tells beside the others."""
    least = min(one.chi2 for one in own)
    trusted = [one.chi2 <= MOST_EXCESS * least if np.isfinite(least) else True for one in own]
    return [replace(one, trusted=good) for one, good in zip(own, trusted, strict=True)]
