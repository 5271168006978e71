"""`injection_recovery`: known sources are put into the data, one at a time, and extracted."""

from copy import copy
from dataclasses import replace

import numpy as np
from astropy.table import QTable

from ..io import read
from .light import Template
from .result import InjectionResult

__all__ = ["injection_recovery"]


def injection_recovery(
    evaluator, data, n=50, *, snr=(3.0, 100.0), gain=None, source=None, rng=None, progress_bar=True
):
    """Put known sources into data, and compare what the extraction finds with what was put in.

    Each trial adds one source to the data: the profile of a source that the slit shows, elsewhere
    along the slit where nothing else is near, with a flat spectrum in counts whose signal-to-noise
    ratio is drawn at random. Everything that the data have (their sky, their noise as it is, hits,
    bad pixels) stays in, so that the answer holds for these data and not for a simulation.

    Parameters
    ----------
    evaluator : `~specmodels.evaluators.OptimalExtraction`
        As it would be used; one that was told the number of sources is told one more.
    data : path, image, …
        One slit, as `~specmodels.read` understands it.
    n : int
        Number of trials.
    snr : tuple of float
        Range of the signal-to-noise ratio per column, drawn evenly in its logarithm.
    gain : float, optional
        Electrons per unit of the data, by which the new light brings its own noise. Default: none
        is added, which is right where the sky or the read noise rule.
    source : str, optional
        Name of the source whose profile is used. Default: the brightest.
    rng : `numpy.random.Generator` or int, optional
        Default: seed 0, so that the answer is the same again.
    progress_bar : bool
        Whether progress is shown.

    Returns
    -------
    `InjectionResult`

    Raises
    ------
    TypeError
        If the evaluator makes no model of the slit by itself.
    ValueError
        If the slit has no room for another source, or a setting is out of range.
    """
    from tqdm.auto import tqdm

    _check(evaluator, n, snr, gain)
    rng = np.random.default_rng(0 if rng is None else rng)
    image = read(data).single
    template = _template(evaluator(image), source)
    places = template.places()
    if not places.size:
        raise ValueError(
            f"data: image {image.name!r} has no room for a source beside {template.name!r}"
        )
    seeing_one_more = _one_more(evaluator)
    rows = []
    for _ in tqdm(range(n), disable=not progress_bar, desc="inject", unit="source"):
        shift, strength = rng.choice(places), np.exp(rng.uniform(*np.log(snr)))
        rows.append(_trial(seeing_one_more, template, shift, strength, gain, rng))
    return InjectionResult(QTable(rows=rows), template.result)


def _check(evaluator, n, snr, gain):
    if not hasattr(evaluator, "builder") or getattr(evaluator, "model", None) is not None:
        raise TypeError(
            f"evaluator: expected an OptimalExtraction without an own model, got {evaluator!r}"
        )
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n: expected a number of trials, got {n!r}")
    if len(snr) != 2 or not 0 < snr[0] <= snr[1]:
        raise ValueError(f"snr: expected a range of positive numbers, got {snr!r}")
    if gain is not None and not gain > 0:
        raise ValueError(f"gain: expected a positive number, got {gain!r}")


def _template(result, source):
    if source is None:
        source = max(result.sources, key=lambda name: np.nansum(result.source_fluxes[name].flux))
    if source not in result.sources:
        raise ValueError(f"source: expected one of {list(result.sources)}, got {source!r}")
    return Template(result, source)


def _one_more(evaluator):
    number = evaluator.builder.n_sources
    if number is None:
        return evaluator
    other = copy(evaluator)
    other.builder = replace(evaluator.builder, n_sources=number + 1)
    return other


def _trial(evaluator, template, shift, strength, gain, rng):
    """One row of the table."""
    fraction = template.fraction(shift)
    error = template.error(fraction)
    flux = strength * float(np.median(error[np.isfinite(error)]))
    trace = template.result.trace(template.name) + shift
    row = {"row": float(np.mean(trace)), "snr": float(strength), "flux": flux}
    try:
        result = evaluator(_with_light(template.result.image, flux * fraction, gain, rng))
    except ValueError as refusal:
        return {**row, **_not_found(str(refusal))}
    return {**row, **_compared(result, trace, template)}


def _with_light(image, light, gain, rng):
    if gain is None:
        return image.replace(data=image.data + light)
    variance, components = image.variance, dict(image.components)
    brought = light / gain
    if components:
        components["injected"] = brought
    variance = None if variance is None else variance + brought
    drawn = rng.poisson(np.maximum(light * gain, 0)) / gain
    return image.replace(data=image.data + drawn, variance=variance, components=components)


def _not_found(reason):
    return {"found": False, "found_flux": np.nan, "error": np.nan, "status": "", "reason": reason}


def _compared(result, trace, template):
    """The source nearest to what was put in, if it is within half its width."""
    away = {name: np.mean(np.abs(result.trace(name) - trace)) for name in result.sources}
    name = min(away, key=away.get)
    if away[name] > 0.5 * np.mean(template.result.fwhm(template.name)):
        return _not_found("no source there")
    flux, error = _mean(result, name)
    report = {row["source"]: row for row in result.report()}[name]
    return {"found": True, "found_flux": flux, "error": error,
            "status": str(report["status"]), "reason": str(report["reason"])}  # fmt: skip


def _mean(result, name):
    """Weighted mean of the flux over columns and its error, with all covariance."""
    use = ~result.mask(name)
    flux, covariance = (
        result.source_fluxes[name].flux[use],
        result.covariance(name)[np.ix_(use, use)],
    )
    if not use.any():
        return np.nan, np.nan
    weight = 1 / np.diag(covariance)
    weight /= weight.sum()
    return float(weight @ flux), float(np.sqrt(weight @ covariance @ weight))
