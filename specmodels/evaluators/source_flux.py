"""Flux of the sources of a fit: that of the profile, and sums where the profile does not hold."""

from dataclasses import dataclass

import numpy as np

from .coherent_light import summed_flux

__all__ = ["SourceFlux", "source_fluxes", "source_zones"]

# How far along the slit a source reaches: full widths at half maximum, or this part of its light.
REACH_FWHM, REACH_LIGHT = 2.0, 0.99
LARGEST_FWHM = 6.0
# So many pixels of a column with coherent light make its flux a sum.
LEAST_PIXELS = 2


@dataclass(frozen=True, eq=False)
class SourceFlux:
    """Flux of a source in each column.

    Attributes
    ----------
    flux, error : ndarray, shape (n_column,)
        Flux and standard error.
    fitted : ndarray, shape (n_column,)
        What the profile alone gives.
    columns : ndarray of int, shape (n_summed,)
        Columns in which the flux is a sum of pixels.
    response : ndarray, shape (n_row, n_summed)
        Derivative of the flux by the data in these columns.
    filled : ndarray, shape (n_summed,)
        Part of the light in these columns that is outside of the sum, as the profile has it.
    zone : ndarray of bool, shape (n_row, n_column)
        Pixels to which the source reaches.
    """

    flux: np.ndarray
    error: np.ndarray
    fitted: np.ndarray
    columns: np.ndarray
    response: np.ndarray
    filled: np.ndarray
    zone: np.ndarray

    def propagate(self, variance, fitted):
        """Variance of the flux from one of the pixels, given that of the fitted flux."""
        out = np.array(fitted)
        given = np.nan_to_num(variance[:, self.columns])
        out[self.columns] = np.sum(self.response**2 * given, axis=0)
        return out


def source_fluxes(fit, sources, traces, fwhm, light):
    """Flux of each source of a fit.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
    sources : dict of str to tuple
        Each `~specmodels.models.Source` with the positions of its parameters.
    traces, fwhm : dict of str to ndarray, shape (n_column,)
    light : `~specmodels.evaluators.coherent_light.CoherentLight`
        What the fit leaves.

    Returns
    -------
    dict of str to SourceFlux
    """
    zones = source_zones(fit, sources, traces, fwhm)
    shape, out = fit.image.shape, {}
    for name, (_, positions) in sources.items():
        own, zone = positions[0], zones[name]
        fitted = np.array(np.broadcast_to(fit.values[own], shape[1]))
        flux = fitted.copy()
        error = np.array(np.broadcast_to(fit.error(fit.names[own]), shape[1]))
        columns, response, filled = np.empty(0, dtype=int), np.empty((shape[0], 0)), np.empty(0)
        if own in fit.form.linear and fit.independent_columns and fit.image.variance is not None:
            bright = np.count_nonzero(light.found & zone, axis=0) >= LEAST_PIXELS
            columns = np.flatnonzero(bright & np.isfinite(flux) & np.isfinite(error))
        if columns.size:
            local = {sources[n][1][0]: z[:, columns] for n, z in zones.items()}
            flux[columns], error[columns], response, filled = summed_flux(
                fit, own, columns, local, light
            )
        out[name] = SourceFlux(flux, error, fitted, columns, response, filled, zone)
    return out


def source_zones(fit, sources, traces, fwhm):
    """Pixels to which each source reaches, and no other is nearer; dict of str to ndarray."""
    image = fit.image
    distance = {name: np.abs(image.y[:, None] - trace) for name, trace in traces.items()}
    nearest = np.min(list(distance.values()), axis=0)
    some = np.array([0, len(image.x) // 2, len(image.x) - 1])
    zones = {}
    for name, (leaf, positions) in sources.items():
        own = [v[some] if np.ndim(v) else v for v in (fit.values[k] for k in positions)]
        light = leaf.fraction(image.x[some][None], image.y[:, None], own)
        light = np.broadcast_to(np.nan_to_num(light), (len(image.y), len(some)))
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
