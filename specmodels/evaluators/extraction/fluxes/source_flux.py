"""Flux of the sources of a fit: that of the profile, and sums where the profile does not hold."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ....numerics.spectrum_covariance import SpectrumCovariance
from .coherent_light import common_errors, row_means, summed_flux
from .crossing import crossing_pairs, exchanged_light
from .following_sky import level_that_follows
from .hidden_wings import (
    NOTHING_HIDDEN,
    FittedLight,
    HiddenWings,
    hidden_wings,
    light_inside,
    some_fractions,
)
from .one_sided import one_sided_error, side_weights
from .profile_scale import MISSED, MISSED_BY_LEARNT, Differences, expected_miss, profile_scale
from .summed_light import doubtful_excess
from .unseen_sky import unseen_sky

__all__ = ["SourceFlux", "source_fluxes", "source_image", "source_zones"]

# How far along the slit a source reaches: full widths at half maximum, or this part of its light.
REACH_FWHM, REACH_LIGHT = 2.0, 0.99
LARGEST_FWHM = 6.0
# So many pixels of a column with coherent light make its flux a sum.
LEAST_PIXELS = 2
# Where a sum differs from the flux by no more than this part of the noise, it is the same sum, as
# it is with one row: the difference is of rounding.
TELLING = 1e-6
# Rows are without a source where no source reaches in so many of the columns.
LEAST_PART = 0.5


@dataclass(frozen=True, eq=False)
class SourceFlux:
    """Flux of a source in each column.

    Attributes
    ----------
    flux, error : ndarray, shape (n_column,)
        Flux and standard error.
    fitted : ndarray, shape (n_column,)
        What the profile alone gives.
    scale : ndarray, shape (n_column,)
        Factor by which that was multiplied, see ``profile_scale``.
    difference, difference_error : ndarray, shape (n_column,)
        What the sum of the pixels is in excess of `fitted`, and its error; NaN where not summed.
    columns : ndarray of int, shape (n_summed,)
        Columns in which the flux is a sum of pixels.
    response : ndarray, shape (n_row, n_summed)
        Derivative of the flux by the data in these columns.
    filled : ndarray, shape (n_summed,)
        Part of the light in these columns that is outside of the sum, as the profile has it.
    zone : ndarray of bool, shape (n_row, n_column)
        Pixels to which the source reaches.
    common : ndarray, shape (n_common, n_column)
        Part of the errors that columns have in common: each row is an error of all of them at once.
    wings : `~specmodels.evaluators.extraction.fluxes.hidden_wings.HiddenWings`
        Part of the flux that the sky had, as it was counted.
    misfit : float
        Part of itself by which `filled` may be wrong.
    """

    flux: np.ndarray
    error: np.ndarray
    fitted: np.ndarray
    scale: np.ndarray
    difference: np.ndarray
    difference_error: np.ndarray
    columns: np.ndarray
    response: np.ndarray
    filled: np.ndarray
    zone: np.ndarray
    common: np.ndarray
    wings: HiddenWings = NOTHING_HIDDEN
    misfit: float = 0.0

    def with_wings(self, wings):
        """Flux with the light that the sky has of it: the same part in all columns."""
        factor, own = 1 + wings.part, wings.errors(self.flux)
        common = np.concatenate([factor * self.common, own])
        return replace(
            self, flux=factor * self.flux, common=common, scale=factor * self.scale,
            response=factor * self.response, wings=wings,
            error=np.sqrt((factor * self.error) ** 2 + np.sum(own**2, axis=0)),
        )  # fmt: skip

    def propagate(self, variance, fitted):
        """Variance of the flux from one of the pixels, given that of the fitted flux."""
        out = self.scale**2 * fitted
        given = np.nan_to_num(variance[:, self.columns])
        out[self.columns] = np.sum(self.response**2 * given, axis=0)
        return out


def source_fluxes(fit, sources, traces, fwhm, light, sky=None):
    """Flux of each source of a fit.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
    sources : dict of str to tuple
        Each `~specmodels.models.Source` with the positions of its parameters.
    traces, fwhm : dict of str to ndarray, shape (n_column,)
    light : `~specmodels.evaluators.extraction.fluxes.coherent_light.CoherentLight`
        What the fit leaves.
    sky : ndarray, shape (n_row, n_column), optional
        Image of all of the model that is no source; default: not to be looked at.

    Returns
    -------
    dict of str to SourceFlux
    """
    zones, out = source_zones(fit, sources, traces, fwhm), {}
    by_position = {sources[n][1][0]: zone for n, zone in zones.items()}
    lit = np.any(list(zones.values()), axis=0)
    n_terms = max(len(fit.form.linear) - len(sources), 1)
    skies = np.zeros((0, fit.image.shape[0]))
    has_sky = sky is not None and fit.independent_columns and fit.image.variance is not None
    if has_sky:
        skies = unseen_sky(fit.image, lit, light, n_terms)
    for name, (_, positions) in sources.items():
        own = _of_profile(fit, positions[0], zones[name])
        if positions[0] in fit.form.linear and fit.independent_columns:
            around = _Around(by_position, lit, light, skies)
            own = _with_sums(own, fit, sources[name], (traces[name], fwhm[name]), around)
        out[name] = own
    if len(out) > 1 and fit.independent_columns:
        out = _with_crossings(out, fit, sources, traces, fwhm)
    if not has_sky:
        return out
    if all(expected_miss(leaf) == 0 for leaf, _ in sources.values()):  # what is given is right
        return out
    wings = hidden_wings(FittedLight(
        fit.image, sky, n_terms,
        np.array([own.fitted for own in out.values()]), np.array(list(traces.values())),
        float(np.median(next(iter(fwhm.values())))), lit, light,
    ))  # fmt: skip
    if len(sources) == 1:
        name, (_, positions) = next(iter(sources.items()))
        part, error, spread = level_that_follows(fit, positions[0], out[name].error > 0)
        wings = wings.combined(part, max(error, spread))
    return {name: own.with_wings(wings) for name, own in out.items()}


def _with_crossings(out, fit, sources, traces, fwhm):
    """Fluxes with the errors of light that sources exchange where their traces cross."""
    rows = np.array([traces[name] for name in out])
    pairs = crossing_pairs(rows, np.median([np.median(fwhm[name]) for name in out]))
    if not pairs:
        return out
    lights = np.array([source_image(fit, *sources[name]) for name in out])
    errors = exchanged_light(lights, pairs, fit.reduced_chi2)
    return {
        name: replace(own, error=np.hypot(own.error, error), common=np.vstack([own.common, error]))
        for (name, own), error in zip(out.items(), errors, strict=True)
    }


def source_image(fit, leaf, positions):
    """Light of a source in each pixel, zero where the data do not tell, shape (n_row, n_column)."""
    image, values = fit.image, [fit.values[k] for k in positions]
    light = leaf.evaluate(image.x[None], image.y[:, None], *values)
    return np.nan_to_num(np.broadcast_to(light, image.shape))


def _of_profile(fit, position, zone):
    """Flux of the profile alone."""
    n_row, n_column = fit.image.shape
    flux = np.array(np.broadcast_to(fit.values[position], n_column))
    error = np.array(np.broadcast_to(fit.error(fit.names[position]), n_column))
    return SourceFlux(
        flux=flux, error=error, fitted=flux.copy(), scale=np.ones(n_column),
        difference=np.full(n_column, np.nan), difference_error=np.full(n_column, np.nan),
        columns=np.empty(0, dtype=int), response=np.empty((n_row, 0)), filled=np.empty(0),
        zone=zone, common=_common(fit, position, error),
    )  # fmt: skip


def _common(fit, position, error):
    """What the errors of a flux have in common in all columns, where these are not independent."""
    if np.ndim(fit.values[position]) == 0:
        return error[None]
    if fit.independent_columns or position not in fit.form.linear:
        return np.zeros((0, len(error)))
    return SpectrumCovariance.of_dense(fit.covariance_of(fit.names[position])).low_rank.T


class _Around(NamedTuple):
    """What there is beside a source: zones of all, by position of flux, and where any is; skies."""

    zones: dict
    lit: np.ndarray
    light: object
    skies: np.ndarray


def _with_sums(own, fit, source, curves, around):
    """Flux with what the sums of the pixels tell: its scale, or all of it where light is left.

    `curves` are the row of the source and its width in each column.
    """
    leaf, (position, *_) = source
    zones, lit, light, skies = around
    common = common_errors(fit)[fit.form.linear.index(position)]
    known = np.flatnonzero(np.isfinite(own.flux) & np.isfinite(own.error) & (own.error > 0))
    if fit.image.variance is None or not known.size:
        return replace(own, common=common)
    local = {p: zone[:, known] for p, zone in zones.items()}
    sums = summed_flux(fit, position, known, local, light)
    bright = (np.count_nonzero(light.found & own.zone, axis=0) >= LEAST_PIXELS)[known]
    bright &= np.isfinite(sums.error)  # not where another source of the column is not determined
    difference, difference_error = (np.full(len(own.flux), np.nan) for _ in range(2))
    difference[known], difference_error[known] = sums.difference, sums.difference_error
    telling = known[~bright & (sums.difference_error > TELLING * own.error[known])]
    told = (own.fitted[telling], difference[telling], difference_error[telling] ** 2)
    stray = _stray_light(fit, lit, light, own.zone)
    differences = Differences(*told, telling, len(own.flux))
    scale = profile_scale(differences, expected_miss(leaf), stray)
    unseen = _unseen(fit, *source)
    filled = np.median(sums.filled) * own.fitted  # other columns see what is bad in a few
    lacking = np.zeros((len(skies), len(own.flux)))
    lacking[:, known] = skies @ sums.fitted_response
    lacking[~np.isfinite(lacking)] = 0.0  # of columns in which another source is not determined
    n_common = len(common)
    shared = [lacking, scale.errors * own.fitted, [unseen * filled]]
    common = np.concatenate([common * scale.factor, *shared])
    flux, noise, columns = own.fitted * scale.factor, own.error * scale.factor, known[bright]
    excess = difference - (flux - own.fitted)
    flux[columns], noise[columns] = sums.flux[bright], sums.error[bright]
    # What the sum lacks is as the profile has it, which here does not hold.
    misfit = max(_misfit(fit, own.zone[:, columns], light, columns), unseen)
    summed = [sums.common[:, bright], skies @ sums.response[:, bright]]
    common[:, columns] = 0.0
    common[: n_common + len(skies), columns] = np.concatenate(summed)
    common[-1, columns] = misfit * (sums.filled * own.fitted[known])[bright]
    doubts = [
        doubtful_excess(excess, flux, columns),
        _of_one_side(fit.image, curves, own, sums, known),
    ]
    common = np.concatenate([common, doubts])
    error = np.hypot(noise, np.linalg.norm(common[n_common:], axis=0))
    return replace(
        own, flux=flux, error=error, scale=scale.factor, columns=columns, common=common,
        difference=difference, difference_error=difference_error,
        response=sums.response[:, bright], filled=sums.filled[bright], misfit=misfit,
    )  # fmt: skip


def _of_one_side(image, curves, own, sums, known):
    """Error of the flux by light that is on one side of the source in some columns."""
    trace, width = curves
    sides = side_weights(image.y, trace, np.median(width), own.zone)[:, known]
    difference, variance = (np.sum(w * a, axis=0) for w, a in
                            ((sides, sums.light), (sides**2, sums.variance)))  # fmt: skip
    error = np.zeros(len(own.flux))
    error[known] = one_sided_error(difference, variance, own.fitted[known])
    return error


def _unseen(fit, leaf, positions):
    """By which part of itself the light on pixels that are not seen may be wrong.

    The pixels that are seen tell whether a profile is worse than a learnt one where none is. What
    lies beyond the slit is known by its mirror image, if it is seen where the middle is: where half
    of the light lies beyond, it is known no better than where no shape was learnt.
    """
    if expected_miss(leaf) == 0:
        return 0.0
    part = light_inside(leaf, [fit.values[k] for k in positions], fit.image)
    return max(MISSED_BY_LEARNT, 2 * min(1 - part, 0.5) * MISSED)


def _stray_light(fit, lit, light, zone):
    """Light in the rows of a source that is no source's, as rows without one have it."""
    dark = ~fit.image.mask & ~lit
    number = np.count_nonzero(dark, axis=1)
    rows = number >= LEAST_PART * dark.shape[1]
    if not rows.any():
        return 0.0
    left, noise = (a[rows] for a in row_means(dark, light.residual, fit.image.variance))
    # Less what noise brings by chance.
    excess = np.mean(left**2 - noise) - np.sqrt(2 * np.mean(noise**2) / noise.size)
    return np.sqrt(max(float(excess), 0.0)) * float(np.median(np.count_nonzero(zone, axis=0)))


def _misfit(fit, zone, light, columns):
    """By which part the model of the light is wrong, in the pixels of some columns; at most one."""
    good = zone & ~fit.image.mask[:, columns]
    model = np.nan_to_num(fit.predict()[:, columns])
    model = np.where(good, model - np.min(model, axis=0), 0.0)
    excess = np.where(good, light.residual[:, columns] ** 2 - fit.image.variance[:, columns], 0.0)
    power = np.sum(model**2)
    return float(np.sqrt(np.clip(np.sum(excess) / power, 0.0, 1.0))) if power > 0 else 0.0


def source_zones(fit, sources, traces, fwhm):
    """Pixels to which each source reaches, and no other is nearer; dict of str to ndarray."""
    image = fit.image
    distance = {name: np.abs(image.y[:, None] - trace) for name, trace in traces.items()}
    nearest = np.min(list(distance.values()), axis=0)
    zones = {}
    for name, (leaf, positions) in sources.items():
        some, light = some_fractions(leaf, [fit.values[k] for k in positions], image)
        reach = max(map(_reach, light.T, distance[name][:, some].T))
        width = np.median(fwhm[name])
        reach = np.clip(reach, REACH_FWHM * width, LARGEST_FWHM * width) + 0.5
        zones[name] = (distance[name] <= reach) & (distance[name] <= nearest)
    return zones


def _reach(light, distance):
    """Distance within which nearly all of the light lies."""
    order = np.argsort(distance, kind="stable")
    enclosed = np.cumsum(light[order])
    k = np.searchsorted(enclosed, REACH_LIGHT * enclosed[-1])
    return distance[order][min(k, len(order) - 1)]
