"""The panel of spectra: what is binned for the eye, which scale it has, and where nothing is."""

import numpy as np

from .style import MASKED, color_of, legend_above, spectral_label, with_unit

__all__ = ["draw_spectra"]

# More columns than this are drawn as means of some.
MOST_DRAWN = 1000
# Lines so many times as bright as the usual column are drawn on a scale of the arcsine.
LARGEST_RANGE = 15.0
# A flux is certain at so many standard errors. A column counts for no more than so many times the
# brighter of those beside it, so that a spike rules no axis.
CERTAIN, STEEPEST = 5.0, 4.0
NO_FLUX = "no flux: no column determines it"


def draw_spectra(result, ax):
    """Draw the spectra of all sources, with their errors and those of the aperture.

    Parameters
    ----------
    result : object
        With ``sources``, ``table(name)`` and ``weighted_sums(weights, name)``.
    ax : `~matplotlib.axes.Axes`
        Where to draw.
    """
    limits, levels, step = [], [], 1
    for number, name in enumerate(result.sources):
        table = result.table(name)
        place, flux, error, aperture, step = _drawn(result, name, table)
        color, label = color_of(number), "aperture, corrected" if number == 0 else None
        ax.plot(place, aperture, color="0.7", lw=0.6, label=label, zorder=1)
        ax.fill_between(place, flux - error, flux + error, color=color, alpha=0.35, lw=0, zorder=2)
        ax.plot(place, flux, color=color, lw=0.8, label=name, zorder=3)
        limits += _robust_limits(*_known(table))
        levels.append(np.nanpercentile(np.abs(flux), 75) if np.isfinite(flux).any() else 0.0)
        if number == 0:
            _shade_gaps(ax, place, ~np.isfinite(flux))
    if limits:
        _scale(ax, min(limits), max(limits), max(levels))
    else:
        ax.text(0.5, 0.5, NO_FLUX, transform=ax.transAxes, ha="center", va="center")
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.set_xmargin(0.01)
    means = f", means of {step} columns" if step > 1 else ""
    ax.set_xlabel(spectral_label(table["wavelength"]) + means)
    ax.set_ylabel(with_unit("flux", table["flux"].unit))
    legend_above(ax)


def _drawn(result, name, table):
    """Wavelength, flux, error and aperture flux as they are drawn, and columns per point."""
    place = np.asarray(getattr(table["wavelength"], "value", table["wavelength"]), dtype=float)
    mask, (flux, error) = np.asarray(table["mask"]), _known(table)
    aperture = np.where(mask, np.nan, table["aperture_flux"].value)
    if hasattr(result, "aperture_fraction"):
        with np.errstate(divide="ignore", invalid="ignore"):
            aperture = aperture / result.aperture_fraction(name)
    step = int(np.ceil(len(flux) / MOST_DRAWN))
    if step == 1:
        return place, flux, error, aperture, step
    weights = _bins(mask, step)
    sums, covariance = result.weighted_sums(weights, name)
    empty = ~weights.any(axis=1)
    flux = np.where(empty, np.nan, sums.value)
    error = np.where(empty, np.nan, np.sqrt(np.diagonal(covariance.value)))
    known = np.isfinite(aperture)
    aperture = np.where(empty, np.nan, weights @ np.where(known, aperture, 0.0))
    return _bins(~np.isfinite(place), step) @ np.nan_to_num(place), flux, error, aperture, step


def _known(table):
    """Flux and error of each column; NaN where masked."""
    return [np.where(table["mask"], np.nan, table[key].value) for key in ("flux", "flux_error")]


def _bins(mask, step):
    """Weights of means of so many columns that are not masked; shape (n_bin, n_column)."""
    rows = np.arange(len(mask)) // step
    weights = np.zeros((rows[-1] + 1, len(mask)))
    weights[rows, np.arange(len(mask))] = ~mask
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=weights, where=total > 0)


def _shade_gaps(ax, place, empty):
    """Shade where there is no flux, and say so."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(int), [0]])))
    label = "masked"
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        ends = place[[max(low - 1, 0), min(high, len(place) - 1)]]
        if np.isfinite(ends).all():
            ax.axvspan(*ends, color=MASKED, lw=0, zorder=0, label=label)
            label = None


def _scale(ax, low, high, level):
    """Limits, on a scale that shows the continuum beneath lines that are far brighter."""
    if level > 0 and max(high, -low) > LARGEST_RANGE * level:
        ax.set_yscale("asinh", linear_width=2 * level)
        decades = 10.0 ** np.arange(np.ceil(np.log10(level)), np.log10(max(high, -low)))
        ticks = [*-decades[::-1], 0.0, *decades]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks([], minor=True)
    ax.set_ylim(low, high)


def _robust_limits(flux, error):
    """Limits that hold nearly all of a spectrum and its lines, but no spike of a single column."""
    known = np.isfinite(flux) & np.isfinite(error)
    flux, error = flux[known], error[known]
    if flux.size == 0:
        return []
    low, high = np.percentile(flux, [0.5, 99.5])
    padded = np.pad(np.abs(flux), 1)
    beside = STEEPEST * np.maximum(padded[:-2], padded[2:])
    certain = np.clip(flux, -beside, beside)[np.abs(flux) > CERTAIN * error]
    low, high = min(low, 0.0, *certain), max(high, 0.0, *certain)
    margin = 0.1 * (high - low) or 1.0
    return [low - 0.5 * margin, high + margin]
