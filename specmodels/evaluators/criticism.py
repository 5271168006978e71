"""Model criticism of an extraction: cheap tests of whether the flux can be right within its errors.

Each function looks at one thing that goes wrong, and yields words that say what it is and what can
be done. What they say is about all sources, or about one.
"""

import numpy as np
from scipy import ndimage

from ..numerics.robust import MAD_TO_SIGMA
from .coherent_light import LEAST_DARK, summed_flux

__all__ = [
    "blends", "extrapolated", "light_beside", "light_outside", "no_dark_rows", "noise_scale",
    "one_sided",
    "sky_that_follows", "sums_in_bands", "tilt_of_lines",
]  # fmt: skip

N_BANDS = 4
# Bands of a sum and of the fit differ where they do by so many standard errors, and this part.
BAND_SIGMA, BAND_PART = 4.0, 0.02
# Sources nearer than this, in full widths at half maximum, exchange light by errors of the profile.
LEAST_SEPARATION = 1.0
# Light in the wings that a level of the sky can take, as a part of the flux.
LARGEST_WINGS = 0.02
OUTER_ROWS = 0.15
# A shift of lines from one end of the slit to the other, in pixels and in standard errors.
LARGEST_TILT, TILT_SIGMA = 0.3, 8.0
LEAST_PIXELS = 100
# A profile does not hold where so many columns are summed; how much it may then still fill in.
LEAST_SUMMED, LARGEST_FILLED = 0.25, 0.05
# Change of the light on one side, as a part of the flux.
LARGEST_SIDE = 0.02
# Columns over which a spectrum is smooth, and standard errors by which sky follows a source.
SMOOTH, FOLLOWS_SIGMA = 31, 5.0


def noise_scale(result):
    """Scatter of the residuals over their errors, where no light is left; NaN of few pixels."""
    light, image = result.coherent_light, result.fit.image
    use = ~image.mask & ~light.found
    if np.count_nonzero(use) < LEAST_PIXELS:
        return np.nan
    student = np.abs(light.residual[use]) * np.sqrt(image.weights[use])
    freedom = np.sum(result.fit.dof) / max(np.count_nonzero(~image.mask), 1)
    return float(MAD_TO_SIGMA * np.median(student) / np.sqrt(np.clip(freedom, 0.1, 1.0)))


def blends(result, name):
    """Sources so near to one that errors of the profile exchange their light."""
    trace, width = result.trace(name), float(np.median(result.fwhm(name)))
    for other in result.sources:
        if other != name:
            distance = float(np.min(np.abs(result.trace(other) - trace)))
            if distance < LEAST_SEPARATION * width:
                yield (
                    f"{other!r} is {distance:.2g} pixels away, the FWHM being {width:.2g}: the sum "
                    "is certain, the shares are not; give the profile"
                )


def light_outside(result, name):
    """Wings that reach the ends of the slit, where they cannot be told from sky."""
    leaf, positions = result.sources[name]
    image = result.fit.image
    some = np.array([0, len(image.x) // 2, len(image.x) - 1])
    own = [v[some] if np.ndim(v) else v for v in (result.fit.values[k] for k in positions)]
    light = leaf.fraction(image.x[some][None], image.y[:, None], own)
    rows = np.flatnonzero((~image.mask).any(axis=1))
    light = np.broadcast_to(np.nan_to_num(light), (len(image.y), len(some)))[rows]
    distance = np.abs(image.y[rows] - np.median(result.trace(name)))
    n_outer = max(int(OUTER_ROWS * len(rows)), 1)
    outer = np.argsort(distance)[-n_outer:]
    part = float(np.max(np.mean(light[outer], axis=0))) * len(rows)
    if part > LARGEST_WINGS:
        yield (
            f"wings reach the end of the slit: {part:.0%} of the light cannot be told from sky; "
            "give the profile or the sky"
        )


def sums_in_bands(result, name):
    """Bands of columns in which the sum of the pixels is another flux than that of the profile.

    Of two estimates of which one is the best if the model holds, the difference has the difference
    of their variances (Hausman 1978, Econometrica 46, 1251).
    """
    own, fit = result.source_fluxes[name], result.fit
    position = result.sources[name][1][0]
    if position not in fit.form.linear or not fit.independent_columns or fit.image.variance is None:
        return
    usable = np.flatnonzero(~result.mask(name) & (own.error > 0))
    usable = np.setdiff1d(usable, own.columns)
    if usable.size < N_BANDS:
        return
    zones = {result.sources[n][1][0]: f.zone[:, usable] for n, f in result.source_fluxes.items()}
    total, error, *_ = summed_flux(fit, position, usable, zones, result.coherent_light)
    flux, own_error = own.flux[usable], own.error[usable]
    variance = np.maximum(error**2 - own_error**2, 0.01 * error**2)
    everywhere = np.arange(usable.size)
    for band in (everywhere, *np.array_split(everywhere, N_BANDS)):
        off = np.sum(total[band] - flux[band])
        level = abs(np.sum(flux[band]))
        if abs(off) > max(BAND_SIGMA * np.sqrt(np.sum(variance[band])), BAND_PART * level):
            low, high = fit.image.x[usable[band[[0, -1]]]]
            yield (
                f"the sum of the rows differs from the profile's flux by {off / level:+.0%} in "
                f"columns {low:g} to {high:g}: another profile or sky is needed"
            )
            return


def extrapolated(result, name):
    """Light outside the pixels that are summed, of a profile that does not hold."""
    own = result.source_fluxes[name]
    if own.columns.size < LEAST_SUMMED * len(own.flux):
        return
    part = float(np.percentile(np.abs(own.filled), 90))
    if part > LARGEST_FILLED:
        yield (
            f"the profile does not hold, and {part:.0%} of the light lies on pixels that are bad, "
            "or not in the slit"
        )


def no_dark_rows(result, name):
    """A profile that does not hold, in a slit that the source fills: there is no sky to measure."""
    own, fit = result.source_fluxes[name], result.fit
    if own.columns.size < LEAST_SUMMED * len(own.flux):
        return
    n_sources = len(result.sources)
    zones = np.any([f.zone for f in result.source_fluxes.values()], axis=0)
    dark = np.median(np.count_nonzero(~fit.image.mask & ~zones, axis=0))
    if len(fit.form.linear) > n_sources and dark < LEAST_DARK:
        yield (
            "the profile does not hold, and no row is without light: sky and source cannot be told "
            "apart; give the sky"
        )


def one_sided(result, name):
    """Light beside a source that changes sides, or comes and goes, along the spectrum.

    A galaxy may be lopsided; another order, or a neighbour whose trace is not parallel, is seen in
    the difference of the two sides, which is not the same part of the flux in all bands.
    """
    own, image = result.source_fluxes[name], result.fit.image
    leaf, positions = result.sources[name]
    values = [own.fitted, *(result.fit.values[k] for k in positions[1:])]
    inputs = (image.x[None], image.y[:, None])
    light = np.nan_to_num(np.broadcast_to(leaf.evaluate(*inputs, *values), image.shape))
    offset = image.y[:, None] - result.trace(name)
    far = np.abs(offset) > np.median(result.fwhm(name))
    side = np.where(own.zone & far, np.sign(offset), 0.0)
    good = ~image.mask | result.coherent_light.lines
    difference = np.sum(side * (light + result.coherent_light.residual), axis=0)
    variance = np.sum(np.where((side != 0) & good, image.variance, 0.0), axis=0)
    bands = np.array_split(np.flatnonzero(~result.mask(name)), N_BANDS)
    if min(map(len, bands)) < 2:
        return
    flux, parts, noise = (
        np.array([np.nansum(a[band]) for band in bands]) for a in (own.flux, difference, variance)
    )
    level = np.abs(flux) + 1e-300
    mean = np.sum(parts) / np.sum(level)
    off = np.abs(parts - mean * level)
    beyond = (off > BAND_SIGMA * np.sqrt(noise)) & (off > LARGEST_SIDE * level)
    if np.abs(np.sum(flux)) > 0 and beyond.any():
        yield (
            f"light on one side, up to {np.max((off / level)[beyond]):.0%} of the flux, that comes "
            "and goes along the spectrum: a further source or order; set n_sources or mask it"
        )


def sky_that_follows(result, name):
    """Sky whose features follow those of the source: it takes the light of the wings.

    What is smooth in wavelength is left out, as source and sky may have the same slope; and what
    the errors of flux and sky have in common.
    """
    fit, own = result.fit, result.source_fluxes[name]
    position = result.sources[name][1][0]
    levels = [k for k in fit.form.linear if fit.names[k].startswith("c0")]
    if position not in fit.form.linear or len(levels) != 1 or np.ndim(fit.values[levels[0]]) != 1:
        return
    names = fit.names[position], fit.names[levels[0]]
    flux, sky = own.fitted, np.asarray(fit.values[levels[0]])
    use = np.isfinite(flux) & np.isfinite(sky) & ~result.mask(name)
    if np.count_nonzero(use) < LEAST_PIXELS:
        return
    flux, sky = (a[use] - ndimage.median_filter(a[use], SMOOTH) for a in (flux, sky))
    variance, common = fit.error(names[0])[use] ** 2, fit.covariance_within(*names)[use]
    power = np.sum(flux**2 - variance)
    if not power > np.sqrt(2 * np.sum(variance**2)):
        return
    slope = np.sum(flux * sky - common) / power
    error = np.sqrt(np.sum(flux**2 * (sky - slope * flux) ** 2)) / power
    part = slope * np.median(np.count_nonzero(~fit.image.mask, axis=0))
    if part > LARGEST_WINGS and slope > FOLLOWS_SIGMA * error:
        yield (
            f"the sky has {part:.0%} of the source's light, whose wings reach the ends of the "
            "slit; give the profile or the sky"
        )


def light_beside(result, name):
    """Light next to a source which no source of the model describes."""
    light, image = result.coherent_light, result.fit.image
    zones = [own.zone for own in result.source_fluxes.values()]
    distance = np.abs(image.y[:, None] - result.trace(name))
    width = np.median(result.fwhm(name))
    edge = np.max(np.where(result.source_fluxes[name].zone, distance, 0.0)) + 2 * width
    near = light.found & ~np.any(zones, axis=0) & (distance < edge)
    columns = near.any(axis=0)
    flux = np.abs(result.source_fluxes[name].flux)
    left = np.abs(np.sum(np.where(near, light.residual, 0.0), axis=0))
    part = np.sum(left[columns]) / max(np.nansum(flux), 1e-300)
    if part > LARGEST_WINGS:
        yield (
            f"light beside the source, {part:.0%} of its own, that the model lacks: a further "
            "source or order, or a sky that is not smooth; set n_sources or mask it"
        )


def tilt_of_lines(result):
    """Lines of the sky that are tilted against the columns.

    A slope of the sky in each column follows them in part, and is counted with what is left.
    """
    if result.seen_spectra is not None:  # the model knows of the tilt
        return
    image, light = result.fit.image, result.coherent_light
    if min(image.shape) < 2:
        return
    sky = np.asarray(result.sky, dtype=float)
    level = np.mean(sky, axis=0)
    left = light.residual + np.nan_to_num(sky - level)
    slope = np.broadcast_to(np.gradient(level), sky.shape)
    zones = np.any([own.zone for own in result.source_fluxes.values()], axis=0)
    use = ~image.mask & ~zones & np.isfinite(slope)
    if np.count_nonzero(use) < LEAST_PIXELS:
        return
    y = image.y[:, None] - 0.5 * (image.y[0] + image.y[-1])
    term = np.where(use, -y * slope, 0.0)
    weights = np.where(use, image.weights, 0.0)
    information = np.sum(weights * term**2)
    if not np.sqrt(information) * LARGEST_TILT > TILT_SIGMA * np.ptp(image.y):
        return
    tilt = np.sum(weights * term * left) / information
    shift = abs(tilt) * np.ptp(image.y)
    if shift > LARGEST_TILT and abs(tilt) * np.sqrt(information) > TILT_SIGMA:
        yield (
            f"lines are tilted by about {shift:.1f} pixels from end to end of the slit: rectify, "
            "or give the wavelength of each pixel to a model that uses it"
        )
