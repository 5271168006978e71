"""Figures of a master background. Matplotlib is imported when they are drawn."""

import numpy as np
from astropy import units as u

from .residuals import EDGES, gaussian_of, histogram

__all__ = ["plot_background", "plot_slit"]

MAX_POINTS = 20_000
LEAST_MISFIT = 1e-4  # where bars begin


def plot_background(result, figure=None):
    """Draw the sky with its cloud of pixels, its relative error, levels and residuals.

    Parameters
    ----------
    result : `~specmodels.evaluators.MasterBackgroundResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.style import sized_figure

    figure = sized_figure(figure, (12, 9))
    panels = figure.subplot_mosaic(
        [["sky", "sky"], ["error", "levels"], ["residuals", "misfits"]]
    )  # fmt: skip
    _draw_sky(result, panels["sky"], panels["error"])
    _draw_levels(result, panels["levels"])
    residual = np.concatenate(
        [result.normalised_residual(name)[result.sky_pixels(name)] for name in result.fit.used]
    )
    _draw_residuals(residual, panels["residuals"])
    _draw_misfits(result, panels["misfits"])
    return figure


def plot_slit(result, name, figure=None):
    """Draw data, sky and what is left of one slit, its residual map and their distribution.

    Parameters
    ----------
    result : `~specmodels.evaluators.MasterBackgroundResult`
    name : str
        The slit.
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.style import show_image, sized_figure, with_unit

    figure = sized_figure(figure, (11, 9))
    rows = ["data", "sky", "subtracted", "residual / error", "distribution"]
    panels = figure.subplot_mosaic([[row] for row in rows])
    image, sky = result.exposure[name], result.background(name)
    data = np.where(image.mask, np.nan, image.data)
    normalised = result.normalised_residual(name)
    planes = {"data": data, "sky": sky, "subtracted": data - sky}
    top, left = 2 * _percentile(sky, 95), _percentile(np.abs(planes["subtracted"]), 98)
    for title, plane in planes.items():
        low, high = (-left, left) if title == "subtracted" else (0, top)
        show_image(panels[title], plane, with_unit("light", image.unit), title=f"{name}: {title}",
                   vmin=low, vmax=high)  # fmt: skip
        panels[title].set_xlabel("")
    show_image(panels[rows[3]], normalised, rows[3], vmin=-5, vmax=5, cmap="RdBu_r",
               title="subtracted, over the error of the data")  # fmt: skip
    _draw_residuals(normalised, panels["distribution"])
    return figure


def _percentile(values, percent):
    """Percentile of the finite values; one where there are none."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, percent) if finite.size else 1.0


def _draw_sky(result, axes, below):
    from ...plotting import style

    place = style.with_unit("wavelength", result.wavelength_unit or u.pix)
    for name in result.fit.used:
        image, sky = result.exposure[name], result.skies[name]
        index = np.flatnonzero(result.sky_pixels(name))
        index = index[:: max(1, index.size // (MAX_POINTS // len(result.fit.used)))]
        wavelength = result.wavelengths(name).ravel()[index]
        seen = sky.factor * image.data.ravel()[index]
        axes.plot(wavelength, seen / (sky.level * sky.throughput.ravel()[index]), ",",
                  color=style.GREY, rasterized=True)  # fmt: skip
    grid = np.linspace(*result.fit.curve.limits, 4000)
    value, variance = result.fit.curve(grid)
    axes.plot(grid, value, color=style.RED, lw=0.9)
    shown = value[np.isfinite(value)]
    low, high = np.percentile(shown, [0.5, 99.5]) if shown.size else (0, 1)
    axes.set(xlabel=place, ylabel=style.with_unit("sky", result.unit),
             ylim=(low - 0.5 * (high - low), high + 0.8 * (high - low)),
             title="sky, and the pixels of the background slits")  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.sqrt(variance) / np.abs(value)
    below.plot(grid, relative, color=style.RED, lw=0.8)
    scale = "log" if np.any(relative > 0) else "linear"
    below.set(yscale=scale, xlabel=place, ylabel="relative error of the sky")


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
