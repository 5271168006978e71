"""Master background: one sky spectrum from the background slits, subtracted from every slit.

Nothing here is specific to an instrument: slitlets, long slits and fibres alike. (Smooth
two-dimensional backgrounds of flicker noise are in `backgrounds`.)
"""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...fitters import LinearFitter, SigmaClipFitter
from ...fitters.sky.fit import SkyFit, SlitSkyFitter
from ...fitters.sky.model import SkyModelFitter
from ...fitters.sky.polynomial import LogPolynomialSkyFitter
from ...fitters.sky.spline import SkyFitter
from ...io.slit_models import BACKGROUND
from ...models.background import LogPolynomialSpectrum, MasterBackgroundSpectrum
from ...numerics.shrinkage import shrunk
from ...numerics.sky_levels import sky_levels
from ..base import Evaluator, read_alone
from .dark_ends import dark_ends
from .end_throughputs import EndPixels, EndThroughputs, end_throughputs
from .result import MasterBackgroundResult, SlitSky
from .sky_slits import SkySlits, pixel_weights
from .slit_selection import SkyPixelSelection, as_slit_selection

__all__ = ["MasterBackgroundSubtraction"]

log = logging.getLogger(__name__)

# What is assumed of the scatter of throughputs where fewer than three slits tell, and at least.
UNKNOWN_SCATTER, LEAST_SCATTER = 0.03, 1e-4
# At so many wavelengths the sky is probed for being below zero by so many standard deviations.
N_PROBED, DARK_SIGMA = 50, 10.0


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
        setup = SkySlits(self, exposure)
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
        return self._fitted(SkySlits(self, exposure))

    def evaluate(self, fit, exposure):
        """Project the sky to all slits; a `MasterBackgroundResult`."""
        return self._evaluated(fit, SkySlits(self, exposure))

    def _fitted(self, setup):
        fit = self.fitter(self.build_model(setup.exposure), setup.sky_pixels())
        if not isinstance(fit, SkyFit):
            raise TypeError(f"fitter: expected a SkyFit from {self.fitter!r}, got {fit!r}")
        _refuse_darkness(fit)
        for name, reason in fit.left_out.items():
            log.warning("%s: left out: %s", name, reason)
        if fit.message:
            log.warning("%s", fit.message)
        return fit

    def _evaluated(self, fit, setup):
        projected = {name: fit.curve(setup.wavelengths(name)) for name in setup.exposure}
        seen = {name: _seen(setup, name, value) for name, (value, _) in projected.items()}
        dark = {name: dark_ends(*images) for name, images in seen.items()}
        levels = self._levels(fit, setup, seen, dark)
        ends = self._ends(fit, setup, seen, dark)
        skies = {name: _sky(setup, name, projected[name],
                            _Level(*levels[name], fit.throughput_error, ends[name]))
                 for name in setup.exposure}  # fmt: skip
        return MasterBackgroundResult(setup.exposure, fit, skies, setup.unit,
                                      setup.wavelength_unit)  # fmt: skip

    def _ends(self, fit, setup, seen, dark):
        """What the ends of the slits see: measured where background slits tell, else not known."""
        slits = {}
        for name, (data, sky, weights) in seen.items():
            hidden = weights <= 0
            if name in fit.used:
                image, throughput = setup.images[name], setup.throughputs[name]
                use = self.pixels.use(image, setup.exposure, throughput)
                weights, sky = weights * use, fit.slits[name].throughput * sky
            else:
                weights = np.zeros(weights.shape)
            slits[name] = EndPixels(data, sky, weights, dark[name], hidden)
        return end_throughputs(slits, setup.wavelengths)

    def _levels(self, fit, setup, seen, dark):
        """Level of each slit and its error: from the fit, or found from its own pixels."""
        fitted = {name: (fit.slits[name].throughput, fit.slits[name].error) for name in fit.used}
        masks = self.pixels.source_mask
        own = {name: level for name, level in fitted.items() if name not in masks} or fitted
        others = [name for name in seen if name not in own]
        if not (self.fit_levels and self.fitter.finds_levels):
            known = fit.throughput_scatter if len(fitted) > 2 else UNKNOWN_SCATTER
            known = known if np.isfinite(known) else UNKNOWN_SCATTER
            known = known if self.level_scatter is None else self.level_scatter
            return dict.fromkeys(others, (1.0, max(known, LEAST_SCATTER))) | fitted
        images = [
            (data, sky, weights * ~dark[name], setup.wavelengths(name))
            for name, (data, sky, weights) in ((name, seen[name]) for name in others)
        ]
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


def _refuse_darkness(fit):
    """A sky far below zero is none: it was subtracted before, or the sign is wrong."""
    value, variance = fit.curve(np.linspace(*fit.curve.limits, N_PROBED + 2)[1:-1])
    known = variance > 0
    below = float(np.median(value[known] / np.sqrt(variance[known]))) if known.any() else 0.0
    if below < -DARK_SIGMA:
        raise ValueError(f"slits: expected the light of the sky in {fit.used}, got levels below "
                         f"zero by {-below:.0f} times their errors, as of data whose sky was "
                         "subtracted before")  # fmt: skip


class _Level(NamedTuple):
    """Level of a slit, its error, that of throughputs relative to them, and its ends."""

    level: float
    error: float
    throughput_error: float
    ends: EndThroughputs


def _sky(setup, name, projected, known):
    """The sky in one slit, in the arrays of its spectrum: fresh memory is what takes time here."""
    (value, variance), throughput, ends = projected, setup.throughputs[name], known.ends
    seen_error = known.throughput_error * ends.value
    np.copyto(seen_error, ends.error, where=ends.error > 0)
    # How much of the sky these ends see is not known.
    np.copyto(seen_error, 1.0, where=ends.unknown)
    own = np.hypot(known.error * ends.value, known.level * seen_error)
    own *= throughput
    scale = known.level * throughput * ends.value
    own *= value
    own *= own
    value *= scale
    variance *= scale
    variance *= scale
    variance += own
    np.copyto(variance, np.inf, where=np.isfinite(value) & ~(variance > 0))  # out of range
    return SlitSky(value, variance, throughput, known.level, known.error, ends.value, seen_error,
                   setup.factors[name])  # fmt: skip


def _seen(setup, name, value):
    """Data of a slit, the sky there, and weights."""
    image, sky = setup.images[name], setup.throughputs[name] * value
    return image.filled, sky, pixel_weights(image, sky)
