"""Several exposures of the same sources as one extraction: one spectrum of each, from all of them.

Each exposure is looked at by itself first: where its sources are, how wide, and how bright. Then
one system is fitted to all of them, in which a source has one spectrum, while traces, widths and
skies are those of each exposure. An exposure with less light than the others, by clouds or by the
slit,
has a throughput of its own where the data ask for it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models import Source
from ..extraction.guess.leaves import leaves_of
from ..extraction.shapes import with_held_shape
from .flexure_error import flexure_response
from .lobes import with_lobes
from .model import (
    LEAST_SNR,
    ExposureModel,
    alike,
    brightest,
    judged,
    with_learnt_profile,
    with_skies,
)
from .shifts import without_flexure
from .spectrum import joint_spectrum, plain_wavelengths
from .throughputs import agreed, first_throughputs
from .view import (
    View,
    checked_sources,
    free_names,
    joint_model,
    named,
    shared_names,
    slit_names,
    source_names,
)

__all__ = ["JointExtraction", "JointFit"]

# Exposures with less of a signal share all of a trace and a width but the mean.
SNR_OWN_SHAPE = 40.0
# Less of the light than this on good pixels tells nothing.
LEAST_SEEN = 0.05


@dataclass(frozen=True, eq=False)
class JointFit:
    """Fit of several exposures, with what was found on the way.

    Attributes
    ----------
    fit : `~specmodels.fitters.system.SystemFitResult`
    images : list of `~specmodels.SpectralImage`
        What was extracted, with shifted wavelengths.
    sources : dict of str to int
        Number of the (first) elementary model of each source in the composition.
    weights : list of float
        Of the lobes of a source.
    shifts : list of float
        By which the wavelengths of each exposure were moved, in columns.
    seen : ndarray of bool, shape (n_source, n_exposure)
        Whether a source was found in an exposure.
    shift_errors : list of float
        Standard errors of the shifts, zero where there is none.
    """

    fit: object
    images: list
    sources: dict
    weights: list
    shifts: list
    seen: np.ndarray
    shift_errors: list

    @cached_property
    def flexure(self):
        """What errors of the shifts do to the coefficients, shape (n_coefficient, n_moved)."""
        return flexure_response(self.fit, self.shift_errors)


@dataclass(frozen=True)
class JointExtraction:
    """How exposures are fitted together.

    Attributes
    ----------
    alone : callable
        ``alone(image, n_sources)`` is the fit of one exposure by itself.
    fitter : `~specmodels.fitters.Fitter`
    builder : `~specmodels.evaluators.extraction.guess.automatic.SlitModelBuilder`
        Makes models of the data.
    model : `~astropy.modeling.Model`, optional
        The user's.
    lobes : tuple of float, optional
        Weights of the lobes of the one source, by increasing row.
    """

    alone: object
    fitter: object
    builder: object
    model: object = None
    lobes: tuple | None = None

    def __call__(self, images):
        """Fit images of one slit; a `JointFit`."""
        own = self._found(in_one_unit(images))
        own, shifts, errors = without_flexure(own)
        start = self._composed(own)
        models = start.models
        if len(images) > 1:
            models = agreed(self._first(start, own), start.sources)
        free = free_names(models)
        share = {name: value for name, value in start.share.items() if name in free}
        fit = self._fitted(models, start.images, share)
        seen = np.array([one.snr > LEAST_SNR for one in own]).T
        return JointFit(fit, start.images, start.sources, start.weights, shifts, seen,
                        errors)  # fmt: skip

    def _first(self, start, own):
        """Fit with a throughput for each exposure, of pixels that none of them rejected."""
        cleaned = [image.replace(mask=image.mask | one.rejected)
                   for image, one in zip(start.images, own, strict=True)]  # fmt: skip
        fitter = getattr(self.fitter, "fitter", self.fitter)
        return fitter(start.models, cleaned, share=start.share)

    def _fitted(self, models, images, share):
        """Fit, with all shapes held where it fails otherwise."""
        fit = self.fitter(models, images, share=share)
        if fit.success or self.model is not None:
            return fit
        held = [with_held_shape(model.copy()) for model in models]
        held = self.fitter(held, images, share={})
        return held.replace(success=False, message=f"{fit.message}: traces and widths held")

    def _found(self, images):
        """Each exposure by itself, with the sources of the one that shows them best."""
        n_sources = None if self.lobes is None else 1
        own = judged([ExposureModel.of(self.alone(image, n_sources)) for image in images])
        if self.model is not None:
            checked_sources(own[0].sources)
            return own
        count = len(own[brightest(own)].sources)
        own = [one if len(one.sources) == count else ExposureModel.of(self.alone(image, count))
               for one, image in zip(own, images, strict=True)]  # fmt: skip
        own = [one.by_row() if one.trusted else one.by_row().unfitted(image)
               for one, image in zip(judged(own), images, strict=True)]  # fmt: skip
        number, best = brightest(own), own[brightest(own)]
        snr = float(np.linalg.norm([np.max(one.snr) for one in own if one.trusted]))
        if self.lobes is None:
            best = with_learnt_profile(best, snr, self.builder)
        return [best if n == number else alike(one, best) for n, one in enumerate(own)]

    def _composed(self, own):
        """Models of all exposures, what they share, and where their sources are."""
        images, best = [one.image for one in own], brightest(own)
        names = source_names(own[best].sources)
        plain = with_skies(own) if self.model is None else [one.model for one in own]
        weights, groups = [1.0], [[[source] for source in one.sources] for one in own]
        if self.lobes is not None:
            found = [with_lobes(one.sources[0], one.image, one.light[0], self.lobes) for one in own]
            weights, groups = found[0][1], [[lobes] for lobes, _ in found]
        waves = [[plain_wavelengths(one.image, lobes[0].trace_position(one.image.x))
                  for lobes in group] for one, group in zip(own, groups, strict=True)]  # fmt: skip
        spectra = [joint_spectrum(name, images, [wave[k] for wave in waves])
                   for k, name in enumerate(names)]  # fmt: skip
        throughputs = first_throughputs(own, waves, best)
        models = []
        for number, (one, group) in enumerate(zip(own, groups, strict=True)):
            views = [View(spectra[k], named(lobes, names[k]), weights, throughputs[k, number],
                          number == best or not _is_seen(lobes[0], one.image))
                     for k, lobes in enumerate(group)]  # fmt: skip
            models.append(joint_model(plain[number], views))
        places = [n for n, leaf in enumerate(leaves_of(models[0])) if isinstance(leaf, Source)]
        sources = dict(zip(names, places[:: len(weights)], strict=True))
        return _Start(models, images, shared(models, own, images), sources, weights)


@dataclass(frozen=True, eq=False)
class _Start:
    """Where a joint fit starts."""

    models: list
    images: list
    share: dict
    sources: dict
    weights: list


def in_one_unit(images):
    """Images with wavelengths in the unit of the first.

    Raises
    ------
    ValueError
        If units of the data differ, or wavelengths cannot be converted or are missing in some.
    """
    first = images[0]
    if any(image.unit != first.unit for image in images):
        raise ValueError(
            f"exposures: expected data in one unit, got {[str(image.unit) for image in images]}"
        )
    if len({image.wavelength is None for image in images}) > 1:
        raise ValueError(
            "exposures: expected wavelengths in all or in none, got some in "
            f"{[image.name for image in images if image.wavelength is not None]}"
        )
    out, unit = [first], first.wavelength_unit
    for image in images[1:]:
        if image.wavelength is not None and image.wavelength_unit != unit:
            if None in (unit, image.wavelength_unit):
                raise ValueError("exposures: expected wavelengths with a unit in all or in none")
            wave = (image.wavelength * image.wavelength_unit).to_value(unit)
            image = image.replace(wavelength=wave, wavelength_unit=unit)
        out.append(image)
    return out


def shared(models, own, images):
    """What exposures share; the slit function only where they see the same rows."""
    together = min(np.max(one.snr) for one in own) < SNR_OWN_SHAPE
    free = free_names(models)
    share = shared_names(models[0], free, together)
    if len({(image.y[0], image.y[-1]) for image in images}) > 1:
        share |= dict.fromkeys(slit_names(models[0], free), False)
    return share


def _is_seen(source, image):
    """Whether most columns have light of a source on good pixels."""
    values = [getattr(source, n).value for n in source.param_names]
    light = source.fraction(image.x[None], image.y[:, None], values)
    seen = np.sum(np.where(image.weights > 0, np.nan_to_num(light), 0.0), axis=0)
    return bool(np.median(seen[(~image.mask).any(axis=0)]) > LEAST_SEEN)
