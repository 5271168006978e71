"""Figures of extractions: images with traces, the profile, and spectra; several exposures."""

from functools import partial

import numpy as np

from .fitted_images import (
    draw_fitted,
    fitted_panels,
    light_norm,
    mark_rejected,
    show_pixels,
    show_residual,
    used_limits,
)
from .panels import draw_panel
from .spectra import draw_spectra
from .style import color_of, headed, legend_above, sized_figure, titled, with_unit

__all__ = ["plot_dithers", "plot_extraction"]

# The axis of the profile is linear to here, and logarithmic beyond.
PROFILE_LINEAR = 0.01
PROFILE_TICKS = (-0.1, 0, 0.01, 0.1, 1)
LEAST_STRENGTH = 0.05


def plot_extraction(result, figure=None, *, panel=None, ax=None):
    """Draw an extraction: data, model and residual, the profile, and the spectra.

    Parameters
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    panel : str, optional
        To be drawn alone: one of ``"data"``, ``"model"``, ``"residual"``, ``"profile"`` and
        ``"spectra"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    images = _image_panels(result)
    others = {"profile": partial(_draw_profile, result), "spectra": partial(draw_spectra, result)}
    if panel is not None or ax is not None:
        return draw_panel(images | others, panel, ax)
    figure = sized_figure(figure, (11, 9))
    grid = figure.add_gridspec(4, 2, width_ratios=(4, 1.3), height_ratios=(1, 1, 1, 2.2))
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[k, 0], sharex=axes[0], sharey=axes[0]) for k in (1, 2)]
    draw_fitted(images, axes)
    others["profile"](figure.add_subplot(grid[:3, 1]))
    others["spectra"](figure.add_subplot(grid[3, :]))
    headed(figure, f"{result.image.name}: {_state(result.fit)}")
    return figure


def plot_dithers(result, figure=None, *, panel=None, ax=None, n_most=6):
    """Draw exposures that were extracted together, with their residuals, and the joint spectra.

    Parameters
    ----------
    result : `~specmodels.DitheredExtractionResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    panel : str, optional
        To be drawn alone: one of ``"NAME: data"`` and ``"NAME: residual"`` of each exposure, and
        ``"spectra"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.
    n_most : int
        No more than this number of exposures are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    if panel is not None or ax is not None:
        return draw_panel(_dithered_panels(result), panel, ax)
    shown = list(result.views.items())[:n_most]
    figure = sized_figure(figure, (12, 3.6 + 1.7 * len(shown)))
    grid = figure.add_gridspec(len(shown) + 1, 2, height_ratios=[*[1.0] * len(shown), 2.2])
    for row, (name, view) in enumerate(shown):
        axes = [figure.add_subplot(grid[row, 0])]
        axes.append(figure.add_subplot(grid[row, 1], sharex=axes[0], sharey=axes[0]))
        _draw_light(result, name, view, axes[0])
        _draw_residual(view, axes[1])
        axes[1].set_ylabel("")
        for ax in axes:
            ax.tick_params(labelbottom=row == len(shown) - 1)
            ax.set_xlabel("column" if row == len(shown) - 1 else "")
    draw_spectra(result, figure.add_subplot(grid[-1, :]))
    more = f" (first {len(shown)} drawn)" if len(result.views) > len(shown) else ""
    headed(figure, f"{len(result.views)} exposures{more}: {_state(result.fit)}")
    return figure


def _dithered_panels(result):
    """Functions of an axis that draw the panels of exposures, by their names."""
    panels = {}
    for name, view in result.views.items():
        panels[f"{name}: data"] = partial(_draw_light, result, name, view)
        panels[f"{name}: residual"] = partial(_draw_residual, view)
    return {**panels, "spectra": partial(draw_spectra, result)}


def _draw_light(result, name, view, ax):
    """Data of an exposure with its traces."""
    image, mask = view.image, _masked(view)
    data = np.where(mask, np.nan, image.data)
    show_pixels(ax, image, data, norm=light_norm(data), label=with_unit("data", image.unit))
    for number, source in enumerate(view.sources):
        ax.plot(image.x, view.trace(source), color=color_of(number), lw=1.1, ls="--")
    ax.set_xlim(*used_limits(image.x, ~mask.all(axis=0)))
    ax.set_ylim(image.y[0] - 0.5, image.y[-1] + 0.5)
    shares = [f"{source}: {own[name]:.0%}" for source, own in result.shares.items()]
    titled(ax, f"{name} ({', '.join(shares)} of the S/N\u00b2)")


def _draw_residual(view, ax):
    """What the fit leaves of an exposure."""
    sigma = np.sqrt(np.where(_masked(view), np.nan, view.variance))
    show_residual(ax, view.image, (view.image.data - view.model) / sigma)
    mark_rejected(ax, view.image, view.fit.rejected)
    titled(ax, f"residual / sigma, chi2/dof {view.fit.reduced_chi2:.3g}")


def _masked(view):
    return view.fit.image.mask & ~view.fit.rejected


def _image_panels(result):
    """Data with the traces, model, and residual; masked pixels are grey, rejected ones ringed."""
    image = result.image
    fitted = image.replace(mask=result.fit.image.mask, variance=result.variance)
    panels = fitted_panels(fitted, result.model, result.fit.rejected)
    draw_data = panels["data"]

    def draw(ax):
        draw_data(ax)
        for number, name in enumerate(result.sources):
            ax.plot(image.x, result.trace(name), color=color_of(number), lw=1.1, ls="--")

    return panels | {"data": draw}


def _draw_profile(result, ax):
    """Data and model less sky, over the flux, against the distance from the first trace."""
    name = next(iter(result.sources))
    flux, error = (result.table(name)[key].value for key in ("flux", "flux_error"))
    with np.errstate(divide="ignore", invalid="ignore"):
        data, model = ((a - result.sky) / flux for a in (result.image.data, result.model))
        weights = result.fit.image.weights * flux**2
        strength = np.where(weights > 0, (flux / error) ** 2, 0.0)
    distance = result.image.y[:, None] - result.trace(name)
    usable = (weights > 0) & np.isfinite(data * model * strength * distance)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    ax.set_xscale("asinh", linear_width=PROFILE_LINEAR)
    ax.set_xticks(PROFILE_TICKS, [f"{tick:g}" for tick in PROFILE_TICKS])
    ax.set_xticks([], minor=True)
    if not usable.any():
        ax.text(0.5, 0.5, "no flux", transform=ax.transAxes, ha="center", va="center")
    else:
        values = [a[usable] for a in (distance, strength, weights, data, model)]
        _plot_profile(ax, *_binned_means(*values))
    titled(ax, "profile")
    ax.set_xlabel("light above the sky / flux")
    ax.set_ylabel(f"distance from {name} (pixel)")


def _plot_profile(ax, place, data, model):
    ax.plot(data, place, "k.", ms=3, label="data")
    ax.plot(model, place, color=color_of(0), lw=1, label="model")
    top = np.max(np.abs(model))
    low = min(np.percentile(data, 2), np.min(model), 0.0)
    ax.set_xlim(1.5 * low - 0.2 * PROFILE_LINEAR, max(1.3 * top, PROFILE_LINEAR))
    legend_above(ax)


def _binned_means(distance, strength, weights, *values):
    """Weighted means in quarter pixels of the distance: their places, then one for each array.

    Bins of little strength (signal-to-noise ratio squared of the columns) are left out.
    """
    _, bins = np.unique(np.floor(4 * distance), return_inverse=True)
    total, seen = np.bincount(bins, weights), np.bincount(bins, strength)
    used = seen > LEAST_STRENGTH * np.median(seen)
    return [(np.bincount(bins, weights * a) / total)[used] for a in (distance, *values)]


def _state(fit):
    state = "" if fit.success else f", {fit.message}"
    return f"chi2/dof {fit.reduced_chi2:.3g}, {fit.n_rejected} pixels rejected{state}"
