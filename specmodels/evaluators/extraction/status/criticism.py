"""Model criticism of an extraction: cheap tests of whether the flux can be right within its errors.

Each function looks at one thing that goes wrong, and yields words that say what it is and what can
be done. What they say is about all sources, or about one.
"""

import numpy as np
from scipy import ndimage

from ..fluxes.coherent_light import LEAST_DARK, row_means
from ..fluxes.following_sky import level_that_follows
from ..fluxes.hidden_wings import outer_light
from ..fluxes.noise import scatter_of_dark_pixels
from ..fluxes.one_sided import side_weights
from ..fluxes.source_flux import source_image

__all__ = [
    "AWAY", "LARGEST_WINGS", "LEAST_SNR", "extrapolated", "faint_under_lines", "lifted_sky",
    "light_beside", "light_outside", "no_dark_rows", "noise_scale", "one_sided",
    "sky_that_follows", "sums_in_bands", "tilt_of_lines", "total_snr",
]  # fmt: skip

N_BANDS = 4
# A source is uncertain below this ratio of its mean flux, or of its lines, to the standard error:
# what is found in a slit without one has less in 99 of 100.
LEAST_SNR = 5.0
# Columns that a line is seen in, and the largest ratio that counts in one.
LINE_COLUMNS, LARGEST_COLUMN = (3, 5), 5.0
# Bands of a sum and of the fit differ where they do by so many standard errors, and this part.
BAND_SIGMA, BAND_PART = 4.0, 0.02
# Total signal-to-noise ratio from which trace and profile are found under tilted lines.
SEEN_UNDER_LINES = 15.0
# Light in the wings that a level of the sky can take, as a part of the flux.
LARGEST_WINGS = 0.02
# A shift of lines from one end of the slit to the other, in pixels and in standard errors.
LARGEST_TILT, TILT_SIGMA = 0.3, 8.0
# Light of the sky that is moved by it in the pixels of a source, as a part of its flux; or in
# standard errors of the flux, in so many columns.
LEAST_HARM, HARM_SIGMA, LEAST_HARMED = 0.01, 2.0, 4
LEAST_PIXELS = 100
# A profile does not hold where so many columns are summed; how much it may then still fill in, but
# where it is known within such a part of itself, which the errors hold.
LEAST_SUMMED, LARGEST_FILLED, LARGEST_MISFIT = 0.25, 0.3, 0.1
# Difference between bands of the light on one side, as a part of the flux: a galaxy may bend, and
# errors hold what is not much.
LARGEST_SIDE = 0.10
# Rows are away from a source by so many of its full widths.
AWAY = 2.0
# Standard errors by which the sky follows a source, and of wings that were counted.
FOLLOWS_SIGMA, KNOWN_SIGMA = 5.0, 2.0


def noise_scale(result):
    """Scatter of the residuals over their errors, where no light is left; NaN of few pixels."""
    return scatter_of_dark_pixels(result.fit, result.model, result.coherent_light.found)


def faint_under_lines(result, name):
    """A faint source where no sum of rows can tell whether its trace and profile hold."""
    own = result.source_fluxes[name]
    total = total_snr(own.flux, own.error, result.mask(name))
    if LEAST_SNR <= total < SEEN_UNDER_LINES:
        yield (
            f"faint, S/N {total:.2g} of all columns, where lines are tilted: trace and profile are "
            "not certain; give them"
        )


def total_snr(flux, error, mask):
    """Significance of the mean flux, of the scatter of columns beyond their errors, or of lines.

    A line is looked for in all places: its significance is that which noise does not bring by
    chance in one of them. No column makes one by itself, as a hit that was missed does.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = (flux / error)[~mask]
    if not snr.size:
        return 0.0
    mean = abs(np.sum(snr)) / np.sqrt(snr.size)
    scatter = (np.sum(snr**2) - snr.size) / np.sqrt(2 * snr.size)
    clipped = np.clip(snr, -LARGEST_COLUMN, LARGEST_COLUMN)
    lines = [np.max(ndimage.uniform_filter1d(clipped, n, mode="constant")) * np.sqrt(n)
             for n in LINE_COLUMNS]  # fmt: skip
    chance = 2 * np.log(len(LINE_COLUMNS) * snr.size)
    line = np.sqrt(max(max(lines) ** 2 - chance, 0.0)) if max(lines) > 0 else 0.0
    return float(max(mean, scatter, line))


def light_outside(result, name):
    """Wings that reach the ends of the slit, where they cannot be told from sky."""
    leaf, positions = result.sources[name]
    values = [result.fit.values[k] for k in positions]
    part = outer_light(leaf, values, result.fit.image, result.trace(name))
    # What is not known of wings is a part of the error.
    if part > max(LARGEST_WINGS, KNOWN_SIGMA * result.source_fluxes[name].wings.error):
        yield (
            f"wings reach the end of the slit: {part:.0%} of the light cannot be told from sky; "
            "give the profile or the sky"
        )


def sums_in_bands(result, name):
    """Bands of columns in which the sum of the pixels is another flux than that of the profile.

    Of two estimates of which one is the best if the model holds, the difference has the difference
    of their variances (Hausman 1978, Econometrica 46, 1251).
    """
    own = result.source_fluxes[name]
    usable = np.flatnonzero(~result.mask(name) & (own.difference_error > 0))
    usable = np.setdiff1d(usable, own.columns)
    if usable.size < N_BANDS:
        return
    off = (own.difference - own.flux / (1 + own.wings.part) + own.fitted)[usable]
    flux, variance = own.flux[usable], own.difference_error[usable] ** 2
    everywhere = np.arange(usable.size)
    for band in (everywhere, *np.array_split(everywhere, N_BANDS)):
        total, level = np.sum(off[band]), abs(np.sum(flux[band]))
        if abs(total) > max(BAND_SIGMA * np.sqrt(np.sum(variance[band])), BAND_PART * level):
            low, high = result.image.x[usable[band[[0, -1]]]]
            yield (
                f"the sum of the rows differs from the profile's flux by {total / level:+.0%} in "
                f"columns {low:g} to {high:g}: another profile or sky is needed"
            )
            return


def extrapolated(result, name):
    """Light outside the pixels that are summed, of a profile that does not hold."""
    own = result.source_fluxes[name]
    if own.columns.size < LEAST_SUMMED * len(own.flux):
        return
    part = float(np.percentile(np.abs(own.filled), 90))
    if part > LARGEST_FILLED and own.misfit > LARGEST_MISFIT:
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
    light = source_image(result.fit, *result.sources[name])
    width = np.median(result.fwhm(name))
    side = side_weights(image.y, result.trace(name), width, own.zone)
    good = ~image.mask | result.coherent_light.lines
    difference = np.sum(side * (light + result.coherent_light.residual), axis=0)
    variance = np.sum(side**2 * np.where(good, image.variance, 0.0), axis=0)
    bands = np.array_split(np.flatnonzero(~result.mask(name)), N_BANDS)
    if min(map(len, bands)) < 2:
        return
    flux, parts, noise = (
        np.array([np.nansum(a[band]) for band in bands]) for a in (own.flux, difference, variance)
    )
    level = np.abs(flux) + 1e-300
    share, error = parts / level, np.sqrt(noise) / level
    most, least = np.argmax(share), np.argmin(share)
    change = share[most] - share[least]
    significant = change > BAND_SIGMA * np.hypot(error[most], error[least])
    if np.abs(np.sum(flux)) > 0 and significant and change > LARGEST_SIDE:
        yield (
            f"light on one side, by {change:.0%} of the flux more in some columns than in others, "
            "as of a further source or order; set n_sources or mask it"
        )


def sky_that_follows(result, name):
    """Sky whose features follow those of the source: it takes the light of the wings."""
    wings = result.source_fluxes[name].wings
    position = result.sources[name][1][0]
    part, error, spread = level_that_follows(result.fit, position, ~result.mask(name))
    left = part - wings.part  # of what was not counted to the flux
    # The spread, as a line of the sky may lie upon one of the source.
    if left > max(LARGEST_WINGS, FOLLOWS_SIGMA * error, KNOWN_SIGMA * max(spread, wings.error)):
        yield (
            f"the sky has {part:.0%} of the source's light, whose wings reach the ends of the "
            "slit; give the profile or the sky"
        )


def lifted_sky(result, name):
    """Sky that light of no source lifts: most rows away from the sources are darker than it.

    What that takes from the flux is the median of what their rows lack, in all rows of the source.
    """
    light, image = result.coherent_light, result.fit.image
    good = ~image.mask
    away = np.all([np.abs(image.y[:, None] - result.trace(other)) > AWAY * result.fwhm(other)
                   for other in result.sources], axis=0) & good  # fmt: skip
    own = result.source_fluxes[name]
    for band in np.array_split(np.flatnonzero(~result.mask(name)), N_BANDS):
        number = np.count_nonzero(away[:, band], axis=1)
        rows = np.flatnonzero(number > 0.5 * len(band))
        if len(band) < 2 or len(rows) < LEAST_DARK:
            continue
        pixels = np.ix_(rows, band)
        left, noise = row_means(away[pixels], light.residual[pixels], image.variance[pixels])
        off, error = np.median(left), 1.25 * np.sqrt(np.mean(noise) / len(rows))
        level = abs(np.mean(own.flux[band])) + 1e-300
        part = -off * np.mean(np.count_nonzero(own.zone[:, band], axis=0)) / level
        if part > LARGEST_WINGS and -off > BAND_SIGMA * error:
            yield (
                f"the sky is too bright, by {part:.0%} of the flux in the rows of a source: there "
                "is light of another order or source; set n_sources or mask it"
            )
            return


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
    if part > max(LARGEST_WINGS, KNOWN_SIGMA * result.source_fluxes[name].wings.error):
        yield (
            f"light beside the source, {part:.0%} of its own, that the model lacks: a further "
            "source or order, or a sky that is not smooth; set n_sources or mask it"
        )


def tilt_of_lines(result, name):
    """Lines of the sky that are tilted against the columns, and not much fainter than a source.

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
    own = result.source_fluxes[name]
    moved = np.abs(np.sum(np.where(own.zone, y * slope, 0.0), axis=0)) * abs(tilt)
    harm = np.mean(moved) / max(abs(np.nanmean(own.flux)), 1e-300)
    seen = shift > LARGEST_TILT and abs(tilt) * np.sqrt(information) > TILT_SIGMA
    harmed = np.count_nonzero(moved > HARM_SIGMA * np.nan_to_num(own.error, posinf=np.inf))
    if seen and (harm > LEAST_HARM or harmed >= LEAST_HARMED):
        yield (
            f"lines are tilted by about {shift:.1f} pixels from end to end of the slit: rectify, "
            "or give the wavelength of each pixel to a model that uses it"
        )
