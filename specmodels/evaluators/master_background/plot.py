"""Figures of a master background. Matplotlib is imported when they are drawn."""

import numpy as np

from .residuals import EDGES, gaussian_of, histogram

__all__ = ["plot_background", "plot_slit"]

MAX_POINTS = 20_000


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
    import matplotlib.pyplot as plt

    figure = figure or plt.figure(figsize=(12, 9), layout="constrained")
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
    import matplotlib.pyplot as plt

    figure = figure or plt.figure(figsize=(11, 9), layout="constrained")
    rows = ["data", "sky", "subtracted", "residual / error", "distribution"]
    panels = figure.subplot_mosaic([[row] for row in rows])
    image, sky = result.exposure[name], result.background(name)
    data = np.where(image.mask, np.nan, image.data)
    normalised = result.normalised_residual(name)
    planes = {"data": data, "sky": sky, "subtracted": data - sky}
    top, left = 2 * _percentile(sky, 95), _percentile(np.abs(planes["subtracted"]), 98)
    for title, plane in planes.items():
        low, high = (-left, left) if title == "subtracted" else (0, top)
        drawn = panels[title].imshow(plane, vmin=low, vmax=high, origin="lower", aspect="auto",
                                     interpolation="nearest")  # fmt: skip
        figure.colorbar(drawn, ax=panels[title], label=str(image.unit or ""))
        panels[title].set_title(f"{name}: {title}")
    drawn = panels[rows[3]].imshow(normalised, vmin=-5, vmax=5, origin="lower", aspect="auto",
                                   cmap="RdBu_r", interpolation="nearest")  # fmt: skip
    figure.colorbar(drawn, ax=panels[rows[3]])
    panels[rows[3]].set_title("subtracted, over the error of the data")
    _draw_residuals(normalised, panels["distribution"])
    return figure


def _percentile(values, percent):
    """Percentile of the finite values; one where there are none."""
    finite = values[np.isfinite(values)]
    return np.percentile(finite, percent) if finite.size else 1.0


def _draw_sky(result, axes, below):
    axis_unit = result.wavelength_unit
    for name in result.fit.used:
        image, sky = result.exposure[name], result.skies[name]
        index = np.flatnonzero(result.sky_pixels(name))
        index = index[:: max(1, index.size // (MAX_POINTS // len(result.fit.used)))]
        wavelength = result.wavelengths(name).ravel()[index]
        seen = sky.factor * image.data.ravel()[index]
        axes.plot(wavelength, seen / (sky.level * sky.throughput.ravel()[index]), ",",
                  color="0.6", rasterized=True)  # fmt: skip
    grid = np.linspace(*result.fit.curve.limits, 4000)
    value, variance = result.fit.curve(grid)
    axes.plot(grid, value, color="C3", lw=0.9)
    shown = value[np.isfinite(value)]
    low, high = np.percentile(shown, [0.5, 99.5]) if shown.size else (0, 1)
    axes.set(xlabel=f"wavelength ({axis_unit or 'pixel'})", ylabel=f"sky ({result.unit or ''})",
             ylim=(low - 0.5 * (high - low), high + 0.8 * (high - low)),
             title="sky, and the pixels of the background slits")  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.sqrt(variance) / np.abs(value)
    below.plot(grid, relative, color="C3", lw=0.8)
    scale = "log" if np.any(relative > 0) else "linear"
    below.set(yscale=scale, xlabel=f"wavelength ({axis_unit or 'pixel'})",
              ylabel="relative error of the sky")  # fmt: skip


def _draw_levels(result, axes):
    report = result.report()
    for role, color in (("background", "C0"), ("science", "C1"), ("left out", "C3")):
        own = np.flatnonzero(report["role"] == role)
        if own.size:
            axes.errorbar(own, report["level"][own], report["level_error"][own], fmt="o", ms=3,
                          color=color, label=role)  # fmt: skip
    axes.axhline(1, color="0.8", zorder=0)
    axes.set(xlabel="number of the slit", ylabel="grey factor")
    axes.legend()


def _draw_residuals(residual, axes):
    center, counts = histogram(residual)
    axes.stairs(counts, EDGES, color="C0", label="residuals")
    amplitude, mean, width = gaussian_of(residual)
    if np.isfinite(width):
        axes.plot(center, amplitude * np.exp(-0.5 * ((center - mean) / width) ** 2), color="C3",
                  label=f"Gaussian: mean {mean:.3f}, width {width:.3f}")  # fmt: skip
    top = max(counts.max(), 1)
    scale = "log" if counts.any() else "linear"
    axes.set(xlabel="residual / error", ylabel="pixels", yscale=scale, ylim=(0.5, 3 * top))
    axes.legend()


def _draw_misfits(result, axes):
    names = list(result.fit.slits)
    values = [result.fit.slits[name].misfit for name in names]
    colors = ["C3" if result.fit.slits[name].reason else "C0" for name in names]
    axes.bar(np.arange(len(names)), values, color=colors)
    axes.set_xticks(np.arange(len(names)), names, rotation=60, fontsize="x-small")
    axes.set(ylabel="rms misfit / sky", title="background slits (red: left out)")
