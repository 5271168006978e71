"""Master background: one sky spectrum from the background slits, subtracted from every slit.

Nothing here is specific to an instrument: slitlets, long slits and fibres alike. (Smooth
two-dimensional backgrounds of flicker noise are in `backgrounds`.)
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.modeling import Model

from ...fitters import LinearFitter, SigmaClipFitter
from ...fitters.sky.fit import SkyFit, SkyPixels, SlitSkyFitter
from ...fitters.sky.model import SkyModelFitter
from ...fitters.sky.polynomial import LogPolynomialSkyFitter
from ...fitters.sky.spline import SkyFitter
from ...io.slit_models import BACKGROUND, sky_throughputs
from ...models.background import LogPolynomialSpectrum, MasterBackgroundSpectrum
from ...numerics.robust import MAD_TO_SIGMA, column_median
from ...numerics.shrinkage import shrunk
from ...numerics.sky_levels import sky_levels
from ..base import Evaluator, read_alone
from ..extraction.guess.region import slit_region
from .dark_ends import dark_ends
from .result import MasterBackgroundResult, SlitSky, wavelengths_in
from .slit_selection import SkyPixelSelection, as_slit_selection, slit_positions

__all__ = ["MasterBackgroundSubtraction"]

log = logging.getLogger(__name__)

# What is assumed of the scatter of throughputs where fewer than three slits tell, and at least.
UNKNOWN_SCATTER, LEAST_SCATTER = 0.03, 1e-4


class MasterBackgroundSubtraction(Evaluator):
    r"""Fit the sky of all background slits jointly, and subtract it from all slits.

    .. math::
        d_{s,i} = f_s\,T_{s,i}\,S(\lambda_{s,i}) + \mathrm{source}

    with one sky spectrum :math:`S`, the known throughput :math:`T` of each pixel (bar shadows, path
    losses, corrections made for point sources) and an unknown grey factor :math:`f` of each slit.

    Parameters
    ----------
    model : `~astropy.modeling.Model`, optional
        The spectrum: a `MasterBackgroundSpectrum`, a `LogPolynomialSpectrum`, or any model of the
        wavelength that is linear in parameters. Default: a B-spline whose breakpoints the data
        choose.
    fitter : `~specmodels.SlitSkyFitter`, optional
        Default: the one that fits the model, a `SkyFitter`, `LogPolynomialSkyFitter` or
        `SkyModelFitter`. A `SigmaClipFitter` of a `LinearFitter` stands for a `SkyFitter` with its
        threshold.
    slits : sequence of str, function or SlitSelection, optional
        The background slits: names (of slits or sources, with wildcards), or a function of an
        image. Default: `FlaggedSlits`, and those for which `pixels` have a source mask.
    pixels : SkyPixelSelection, optional
        Which of their pixels; default all that are not masked.
    throughput : mapping of str to array_like, model or function, optional
        Throughput of the pixels of each slit, in place of what the datamodel tells: arrays by name,
        a function of an image, or a model such as `BarShadow` (of the position along the slit) or
        `SlitThroughput` (of the wavelength).
    fit_levels : bool
        Whether the factor of each other slit is found from its own pixels, the source being fitted
        along; else, and with a `LogPolynomialSkyFitter`, it is one.
    level_scatter : float, optional
        Standard deviation of the factors, where it is known: how well the throughputs are. Default:
        learnt from the slits.

    Raises
    ------
    TypeError
        If a setting is of another kind.
    ValueError
        If the scatter is out of range.

    Examples
    --------
    >>> import specmodels as sm
    >>> exposure, truth = sm.datasets.make_slitlets()
    >>> result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(exposure)
    >>> result.left_out
    {}
    >>> result.spectrum.flux.unit
    Unit("MJy / sr")
    """

    product = "background"
    step = BACKGROUND
    data_product = "subtracted"

    def __init__(self, model=None, fitter=None, *, slits=None, pixels=None, throughput=None,
                 fit_levels=True, level_scatter=None):  # fmt: skip
        super().__init__(model, fitter)
        if fitter is None:
            self.fitter = _fitter_of(model)
        elif isinstance(fitter, SigmaClipFitter) and isinstance(fitter.fitter, LinearFitter):
            self.fitter = SkyFitter(sigma=fitter.sigma)
        elif not isinstance(fitter, SlitSkyFitter):
            raise TypeError(f"fitter: expected a SkyFitter or SlitSkyFitter, got {fitter!r}")
        self.slits = None if slits is None else as_slit_selection(slits)
        self.pixels = SkyPixelSelection() if pixels is None else pixels
        if not isinstance(self.pixels, SkyPixelSelection):
            raise TypeError(f"pixels: expected a SkyPixelSelection, got {pixels!r}")
        if throughput is not None and not (isinstance(throughput, Mapping) or callable(throughput)):
            raise TypeError(f"throughput: expected a mapping or function, got {throughput!r}")
        self.throughput = throughput
        if level_scatter is not None and not 0 <= level_scatter < 1:
            raise ValueError(f"level_scatter: expected 0 to 1, got {level_scatter!r}")
        self.fit_levels, self.level_scatter = bool(fit_levels), level_scatter

    def __call__(self, data):
        """Apply to anything that `~specmodels.read` understands, with one slit or several."""
        exposure = read_alone(data, type(self).__name__)
        setup = _Setup(self, exposure)
        return self._evaluated(self._fitted(setup), setup)

    def __repr__(self):
        if not isinstance(self.throughput, Mapping):
            return super().__repr__()
        settings = {**vars(self), "throughput": f"<of {len(self.throughput)} slits>"}
        shown = ", ".join(f"{key}={value}" for key, value in settings.items() if value is not None)
        return f"{type(self).__name__}({shown})"

    def build_model(self, exposure):
        """The model given, None where the data choose one."""
        return self.model

    def fit(self, exposure):
        """Fit the sky of the background slits; a `~specmodels.fitters.SkyFit`.

        Raises
        ------
        ValueError
            If no slit is a background slit, none of their pixels can be used, or units differ.
        """
        return self._fitted(_Setup(self, exposure))

    def evaluate(self, fit, exposure):
        """Project the sky to all slits; a `MasterBackgroundResult`."""
        return self._evaluated(fit, _Setup(self, exposure))

    def _fitted(self, setup):
        fit = self.fitter(self.build_model(setup.exposure), setup.sky_pixels())
        if not isinstance(fit, SkyFit):
            raise TypeError(f"fitter: expected a SkyFit from {self.fitter!r}, got {fit!r}")
        for name, reason in fit.left_out.items():
            log.warning("%s: left out: %s", name, reason)
        if fit.message:
            log.warning("%s", fit.message)
        return fit

    def _evaluated(self, fit, setup):
        projected = {name: fit.curve(setup.wavelengths(name)) for name in setup.exposure}
        seen = {name: _seen(setup, name, value) for name, (value, _) in projected.items()}
        dark = {name: dark_ends(*images) for name, images in seen.items()}
        images = {name: (data, sky, weights * ~dark[name], setup.wavelengths(name))
                  for name, (data, sky, weights) in seen.items()}  # fmt: skip
        levels = self._levels(fit, images)
        skies = {name: _sky(setup, name, projected[name],
                            _LevelErrors(*levels[name], fit.throughput_error, dark[name]))
                 for name in setup.exposure}  # fmt: skip
        return MasterBackgroundResult(setup.exposure, fit, skies, setup.unit,
                                      setup.wavelength_unit)  # fmt: skip

    def _levels(self, fit, images):
        """Level of each slit and its error: from the fit, or found from its own pixels."""
        fitted = {name: (fit.slits[name].throughput, fit.slits[name].error) for name in fit.used}
        masks = self.pixels.source_mask
        own = {name: level for name, level in fitted.items() if name not in masks} or fitted
        others = [name for name in images if name not in own]
        if not (self.fit_levels and self.fitter.finds_levels):
            known = fit.throughput_scatter if len(fitted) > 2 else UNKNOWN_SCATTER
            known = known if np.isfinite(known) else UNKNOWN_SCATTER
            known = known if self.level_scatter is None else self.level_scatter
            return dict.fromkeys(others, (1.0, max(known, LEAST_SCATTER))) | fitted
        images = [images[name] for name in others]
        found = zip(*sky_levels(images, fit.curve.limits, fit.throughput_error), strict=True)
        # Of a slit with a source, its free rows or all its pixels: whatever tells more.
        found = [min(pair, fitted.get(name, pair), key=lambda level: level[1])
                 for name, pair in zip(others, found, strict=True)]  # fmt: skip
        measured = np.array([*own.values(), *found]).reshape(-1, 2)
        drawn = np.transpose(shrunk(*measured.T, self.level_scatter))[len(own) :]
        return own | {name: tuple(one) for name, one in zip(others, drawn.tolist(), strict=True)}


def _fitter_of(model):
    """The fitter for a model of the sky."""
    if isinstance(model, LogPolynomialSpectrum):
        return LogPolynomialSkyFitter()
    own = model is None or type(model) is MasterBackgroundSpectrum
    return SkyFitter() if own else SkyModelFitter()


class _Setup:
    """An exposure with what is needed of it: background slits, throughputs, one unit for all."""

    def __init__(self, settings, exposure):
        self.settings, self.exposure = settings, exposure
        masks = settings.pixels.source_mask
        unknown = [name for name in masks if name not in exposure]
        if unknown:
            raise ValueError(f"source_mask: no slit is called {unknown}; there are "
                             f"{list(exposure)}")  # fmt: skip
        flagged = as_slit_selection(settings.slits)(exposure)
        chosen = {*flagged, *(masks if settings.slits is None else ())}
        self.names = [name for name in exposure if name in chosen]
        if not chosen:
            raise ValueError(
                f"no background slit among {list(exposure)}: name them by `slits`, or flag them"
            )
        self.unit = exposure[self.names[0]].unit
        units = [exposure[name].wavelength_unit for name in self.names
                 if exposure[name].wavelength is not None]  # fmt: skip
        self.wavelength_unit = units[0] if units else None
        self.factors = {name: _factor(image, self.unit) for name, image in exposure.items()}
        self.images = {name: _in_unit(image, self.unit, self.factors[name])
                       for name, image in exposure.items()}  # fmt: skip
        given = settings.throughput
        extra = set(given) - set(exposure) if isinstance(given, Mapping) else ()
        if extra and not set(exposure) <= set(given):
            raise ValueError(f"throughput: no slit is called {sorted(extra)}; there are "
                             f"{list(exposure)}")  # fmt: skip
        known = sky_throughputs(exposure) if given is None else {}
        self.throughputs = {name: self._throughput(image, known.get(name))
                            for name, image in exposure.items()}  # fmt: skip

    def _throughput(self, image, known):
        given = self.settings.throughput
        if isinstance(given, Mapping):
            known = given.get(image.name)
        elif isinstance(given, Model):
            known = _evaluated_model(given, image, self.exposure)
        elif given is not None:
            known = given(image)
        known = np.ones(image.shape) if known is None else np.asarray(known, dtype=float)
        if known.shape not in ((), image.shape, (1, image.shape[1]), (image.shape[0], 1)):
            raise ValueError(
                f"throughput of {image.name!r}: expected shape {image.shape}, got {known.shape}"
            )
        return np.broadcast_to(known, image.shape)

    def wavelengths(self, name):
        """Wavelengths of the pixels of a slit, NaN where it has none, in the common unit."""
        return wavelengths_in(self.wavelength_unit, self.exposure[name])

    def sky_pixels(self):
        """Sky pixels of all background slits."""
        selection, out = self.settings.pixels, []
        if selection.median_filter is not None and selection.median_filter[1] > 1:
            log.warning("median_filter: a running median of %d columns takes narrow lines out of "
                        "the sky", selection.median_filter[1])  # fmt: skip
        if all(self.exposure[name].wavelength is None for name in self.names):
            raise ValueError(f"background slits: expected wavelengths, got none for {self.names}")
        for name in self.names:
            image, throughput = self.images[name], self.throughputs[name]
            use = selection.use(image, self.exposure, throughput) & _lit(image, throughput)
            image = selection.filtered(image, use, throughput)
            if image.wavelength is None or image.wavelength_unit != self.wavelength_unit:
                image = image.replace(wavelength=self.wavelengths(name),
                                      wavelength_unit=self.wavelength_unit)  # fmt: skip
            if image.variance is None:
                log.warning("%s: no variance is known: its noise is the scatter of its pixels "
                            "about the sky", name)  # fmt: skip
            out.append(SkyPixels.of(image, throughput=throughput, use=use))
        return out


def _lit(image, throughput):
    """Pixels neither of dark ends of the slit nor of empty columns, as for extraction.

    Known shadows count as light. Ends are those of the good pixels, and those of all pixels: masks
    of sources may reach up to them.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        sky = image.data / throughput
    unknown = ~np.isfinite(sky)
    sky = image.replace(data=np.where(unknown, 0.0, sky), mask=unknown)
    good = ~(image.mask | unknown)
    lit = ~slit_region(sky).mask & ~slit_region(sky.replace(mask=~good)).mask
    level = throughput * column_median(sky.data, ~unknown)
    lit &= ~dark_ends(image.filled, level, _weights(image, level))
    return lit & np.any(good & (sky.data != 0), axis=0)


def _factor(image, unit):
    """Factor that turns the data of an image into a unit."""
    if image.unit == unit:
        return 1.0
    if image.unit is None or unit is None:
        raise ValueError(f"unit: slit {image.name!r} has {image.unit}, but others have {unit}")
    try:
        return image.unit.to(unit)
    except u.UnitConversionError as error:
        raise ValueError(
            f"unit: slit {image.name!r} has {image.unit}, which cannot be turned into {unit}, that "
            "of the first background slit"
        ) from error


def _in_unit(image, unit, factor):
    if factor == 1.0:
        return image
    components = {key: value * factor**2 for key, value in image.components.items()}
    variance = None if image.variance is None else image.variance * factor**2
    return image.replace(data=image.data * factor, variance=variance, components=components,
                         unit=unit)  # fmt: skip


def _evaluated_model(model, image, exposure):
    """A model of throughput at the positions or wavelengths of an image."""
    if getattr(model, "coordinates", ("wavelength",)) == ("spatial",):
        return model(slit_positions(image, exposure))
    if image.wavelength is None:
        return None
    return np.broadcast_to(model(image.wavelength), image.shape)


class _LevelErrors(NamedTuple):
    """Level of a slit, its error, that of throughputs relative to them, and its dark ends."""

    level: float
    error: float
    throughput_error: float
    dark: np.ndarray


def _sky(setup, name, projected, known):
    """The sky in one slit, in the arrays of its spectrum: fresh memory is what takes time here."""
    (value, variance), throughput = projected, setup.throughputs[name]
    scale = known.level * throughput
    own = float(np.hypot(known.error, known.level * known.throughput_error)) * throughput
    # How much of the sky dark ends see is not known.
    np.copyto(own, scale, where=known.dark)
    own *= value
    own *= own
    value *= scale
    variance *= scale
    variance *= scale
    variance += own
    np.copyto(variance, np.inf, where=np.isfinite(value) & ~(variance > 0))  # out of range
    return SlitSky(value, variance, throughput, known.level, known.error, setup.factors[name])


def _seen(setup, name, value):
    """Data of a slit, the sky there, and weights."""
    image, sky = setup.images[name], setup.throughputs[name] * value
    return image.filled, sky, _weights(image, sky)


def _weights(image, sky):
    """Inverse variances; without errors the noise is the scatter of the pixels about the sky."""
    weights = image.weights
    if image.variance is None:
        use = (weights > 0) & np.isfinite(sky)
        residual = (image.data - sky)[use] if use.any() else np.zeros(1)
        noise = MAD_TO_SIGMA * np.median(np.abs(residual - np.median(residual)))
        weights = weights / max(noise, 1e-30) ** 2
    return weights
