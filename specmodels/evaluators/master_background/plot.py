"""Figures of a master background. Matplotlib is imported when they are drawn."""

from functools import partial

import numpy as np
from astropy import units as u

from .residuals import EDGES, gaussian_of, histogram

__all__ = ["plot_background", "plot_slit"]

MAX_POINTS = 20_000
LEAST_MISFIT = 1e-4  # where bars begin
N_GRID = 4000


def plot_background(result, figure=None, *, panel=None, ax=None):
    """Draw the sky with its cloud of pixels, its relative error, levels and residuals.

    Parameters
    ----------
    result : `~specmodels.evaluators.MasterBackgroundResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"sky"``, ``"error"``, ``"levels"``, ``"residuals"`` and
        ``"misfits"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import sized_figure

    drawn = {"sky": _draw_sky, "error": _draw_error, "levels": _draw_levels,
             "residuals": _draw_all_residuals, "misfits": _draw_misfits}  # fmt: skip
    panels = {key: partial(draw, result) for key, draw in drawn.items()}
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    figure = sized_figure(figure, (12, 9))
    axes = figure.subplot_mosaic(
        [["sky", "sky"], ["error", "levels"], ["residuals", "misfits"]]
    )  # fmt: skip
    for key, draw in panels.items():
        draw(axes[key])
    return figure


def plot_slit(result, name, figure=None, *, panel=None, ax=None):
    """Draw data, sky and what is left of one slit, its residual map and their distribution.

    Parameters
    ----------
    result : `~specmodels.evaluators.MasterBackgroundResult`
    name : str
        The slit.
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"data"``, ``"sky"``, ``"subtracted"``, ``"residual"`` and
        ``"distribution"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import sized_figure

    panels = _slit_panels(result, name)
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    figure = sized_figure(figure, (11, 9))
    axes = figure.subplot_mosaic([[key] for key in panels])
    for key, draw in panels.items():
        draw(axes[key])
        if key in ("data", "sky", "subtracted"):
            axes[key].set_xlabel("")
    return figure


def _slit_panels(result, name):
    """Functions of an axis that draw the panels of a slit, by their names."""
    from ...plotting.style import show_image, with_unit

    image, sky = result.exposure[name], result.background(name)
    data = np.where(image.mask, np.nan, image.data)
    normalised = result.normalised_residual(name)
    planes = {"data": data, "sky": sky, "subtracted": data - sky}
    top, left = 2 * _percentile(sky, 95), _percentile(np.abs(planes["subtracted"]), 98)

    def draw(title, ax):
        low, high = (-left, left) if title == "subtracted" else (0, top)
        show_image(ax, planes[title], with_unit("light", image.unit), title=f"{name}: {title}",
                   vmin=low, vmax=high)  # fmt: skip

    residual = partial(show_image, values=normalised, label="residual / error", vmin=-5, vmax=5,
                       cmap="RdBu_r", title="subtracted, over the error of the data")  # fmt: skip
    return {**{title: partial(draw, title) for title in planes}, "residual": residual,
            "distribution": partial(_draw_residuals, normalised)}  # fmt: skip


def _percentile(values, percent):
    """Percentile of the finite values; one where there are none."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, percent) if finite.size else 1.0


def _draw_sky(result, axes):
    from ...plotting import style

    for name in result.fit.used:
        image, sky = result.exposure[name], result.skies[name]
        index = np.flatnonzero(result.sky_pixels(name))
        index = index[:: max(1, index.size // (MAX_POINTS // len(result.fit.used)))]
        wavelength = result.wavelengths(name).ravel()[index]
        seen = sky.factor * image.data.ravel()[index]
        axes.plot(wavelength, seen / (sky.level * sky.throughput.ravel()[index]), ",",
                  color=style.GREY, rasterized=True)  # fmt: skip
    grid = np.linspace(*result.fit.curve.limits, N_GRID)
    value, _ = result.fit.curve(grid)
    axes.plot(grid, value, color=style.RED, lw=0.9)
    shown = value[np.isfinite(value)]
    low, high = np.percentile(shown, [0.5, 99.5]) if shown.size else (0, 1)
    axes.set(xlabel=_place(result), ylabel=style.with_unit("sky", result.unit),
             ylim=(low - 0.5 * (high - low), high + 0.8 * (high - low)))  # fmt: skip
    style.titled(axes, "sky, and the pixels of the background slits")


def _place(result):
    from ...plotting.style import with_unit

    return with_unit("wavelength", result.wavelength_unit or u.pix)


def _draw_error(result, axes):
    from ...plotting.style import RED

    grid = np.linspace(*result.fit.curve.limits, N_GRID)
    value, variance = result.fit.curve(grid)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.sqrt(variance) / np.abs(value)
    axes.plot(grid, relative, color=RED, lw=0.8)
    scale = "log" if np.any(relative > 0) else "linear"
    axes.set(yscale=scale, xlabel=_place(result), ylabel="relative error of the sky")


def _draw_levels(result, axes):
    from ...plotting import style

    report = result.report()
    for role, color in (
        ("background", style.BLUE),
        ("science", style.ORANGE),
        ("left out", style.RED),
    ):
        own = np.flatnonzero(report["role"] == role)
        if own.size:
            axes.errorbar(own, report["level"][own], report["level_error"][own], fmt="o", ms=3,
                          color=color, label=role)  # fmt: skip
    axes.axhline(1, color="0.8", zorder=0)
    axes.set(xlabel="number of the slit", ylabel="grey factor")
    style.legend_above(axes)


def _draw_all_residuals(result, axes):
    """Residuals of the pixels of all background slits."""
    found = [result.normalised_residual(name)[result.sky_pixels(name)] for name in result.fit.used]
    _draw_residuals(np.concatenate(found), axes)


def _draw_residuals(residual, axes):
    from ...plotting import style

    center, counts = histogram(residual)
    axes.stairs(counts, EDGES, color=style.BLUE, label="residuals")
    amplitude, mean, width = gaussian_of(residual)
    if np.isfinite(width):
        gaussian = amplitude * np.exp(-0.5 * ((center - mean) / width) ** 2)
        axes.plot(center, gaussian, color=style.RED,
                  label=f"Gaussian: mean {mean:.3f}, width {width:.3f}")  # fmt: skip
    top = max(counts.max(), 1)
    scale = "log" if counts.any() else "linear"
    axes.set(xlabel="residual / error", ylabel="pixels", yscale=scale, ylim=(0.5, 3 * top))
    style.legend_above(axes)


def _draw_misfits(result, axes):
    from ...plotting import style

    names = list(result.fit.slits)
    values = [result.fit.slits[name].misfit for name in names]
    colors = [style.RED if result.fit.slits[name].reason else style.BLUE for name in names]
    axes.bar(np.arange(len(names)), values, color=colors)
    axes.set_xticks(np.arange(len(names)), names, rotation=60, fontsize="x-small")
    # One slit with a source must not hide what the others are.
    top = max([0.1, *(value for value in values if value > 0)])
    axes.set(yscale="log", ylim=(LEAST_MISFIT, 3 * top),
             ylabel="rms misfit / sky", xlabel="background slit (red: left out)")  # fmt: skip
