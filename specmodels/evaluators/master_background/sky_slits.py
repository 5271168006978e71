"""Slits of an exposure as the sky needs them: which tell of it, throughputs, one unit for all."""

import logging
from collections.abc import Mapping

import numpy as np
from astropy import units as u
from astropy.modeling import Model

from ...fitters.sky.fit import SkyPixels
from ...io.slit_models import sky_throughputs
from ...numerics.robust import MAD_TO_SIGMA, column_median
from ..extraction.guess.region import slit_region
from .dark_ends import dark_ends
from .lit_rows import lit_rows
from .result import wavelengths_in
from .slit_selection import as_slit_selection, slit_positions

__all__ = ["SkySlits", "pixel_weights"]

log = logging.getLogger(__name__)


class SkySlits:
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
                f"slits: no background slit among {list(exposure)}: name some, or flag them"
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
    weights = pixel_weights(image, level)
    level = throughput * column_median(sky.data, lit_rows(sky.data, weights * throughput**2))
    lit &= ~dark_ends(image.filled, level, weights)
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


def pixel_weights(image, sky):
    """Inverse variances; without errors the noise is the scatter of the pixels about the sky."""
    weights = image.weights
    if image.variance is None:
        use = (weights > 0) & np.isfinite(sky)
        residual = (image.data - sky)[use] if use.any() else np.zeros(1)
        noise = MAD_TO_SIGMA * np.median(np.abs(residual - np.median(residual)))
        weights = weights / max(noise, 1e-30) ** 2
    return weights
