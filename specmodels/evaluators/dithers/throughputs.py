"""How much of the light of a source each exposure has, relative to those that agree."""

import numpy as np

from ..extraction.guess.leaves import leaves_of

__all__ = ["agreed", "first_throughputs"]

N_BLOCKS = 16
LEAST_SNR = 6.0
# Throughputs further apart than this many standard errors are different ones.
DIFFER = 4.0
LIMITS = (0.02, 50.0)


def first_throughputs(own, waves, best):
    """Light of each source in each exposure over that in the best one.

    Parameters
    ----------
    own : list of `~specmodels.evaluators.dithers.model.ExposureModel`
    waves : list of list of ndarray
        Wavelengths of the light of each source, for each exposure.
    best : int
        Number of the exposure that is the reference.

    Returns
    -------
    ndarray, shape (n_source, n_exposure)
    """
    out = np.ones((len(waves[best]), len(own)))
    for number, one in enumerate(own):
        for k in range(len(out)):
            bright = min(one.snr[k], own[best].snr[k]) > LEAST_SNR
            if number != best and bright and one.trusted:
                out[k, number] = _ratio(waves[number][k], one.light[k],
                                        waves[best][k], own[best].light[k])  # fmt: skip
    return np.clip(out, *LIMITS)


def _ratio(wave, light, reference_wave, reference):
    """Median over parts of the spectrum of the ratio of two fluxes; one where there is none."""
    order = np.argsort(reference_wave)
    known = np.isfinite(reference_wave[order])
    order = order[known]
    if not len(order):
        return 1.0
    there = np.interp(wave, reference_wave[order], reference[order], left=np.nan, right=np.nan)
    use = np.flatnonzero(np.isfinite(there) & np.isfinite(light))
    parts = [part for part in np.array_split(use, min(N_BLOCKS, len(use) or 1)) if len(part)]
    if not parts:
        return 1.0
    sums = np.array([[light[part].sum(), there[part].sum()] for part in parts])
    bright = np.abs(sums[:, 1]) >= 0.3 * np.max(np.abs(sums[:, 1]))
    ratio = float(np.median(sums[bright, 0] / sums[bright, 1]))
    return ratio if ratio > 0 else 1.0


def agreed(fit, sources):
    """Models for another fit, in which exposures that have the same throughput have that of one.

    Of each source the largest set of exposures that agree within their errors is the reference, of
    several such the one with more light; the others keep a factor of their own.

    Parameters
    ----------
    fit : `~specmodels.fitters.system.SystemFitResult`
        In which all throughputs but one are free.
    sources : dict of str to int
        Number of the elementary model of each source.

    Returns
    -------
    list of `~astropy.modeling.Model`
    """
    for number in sources.values():
        fluxes = [leaves_of(model)[number].flux for model in fit.templates]
        values = np.array([float(flux.value) for flux in fluxes])
        errors = np.broadcast_to(fit.error(f"flux_{number}"), values.shape)
        free = [n for n, flux in enumerate(fluxes) if not flux.fixed]
        held = [n for n, flux in enumerate(fluxes) if flux.fixed]
        if not free:
            continue
        # The first that is held is the reference of the fit; others were not seen.
        known = np.sort([held[0], *free]) if held else np.array(free)
        members = _largest_set(values[known], errors[known])
        level = _mean(values[known][members], errors[known][members])
        unit = values[held[0]] if held else 1.0
        for n, member in zip(known, members, strict=True):
            fluxes[n].value = unit if member else unit * values[n] / level
            fluxes[n].fixed = bool(member)
    return fit.templates


def _largest_set(values, errors):
    """Which values are those of the largest set that agrees with one of them."""
    apart = np.abs(np.subtract.outer(values, values))
    near = apart <= DIFFER * np.hypot(errors[:, None], errors)
    size = np.abs(values)
    first = max(range(len(values)), key=lambda n: (np.count_nonzero(near[n]), size[n]))
    return near[first]


def _mean(values, errors):
    """Mean of values, one of which may be exact: then that."""
    if np.any(errors == 0):
        return values[errors == 0][0]
    return np.sum(values / errors**2) / np.sum(errors**-2)
