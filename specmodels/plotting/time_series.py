"""Figure of a time series. Matplotlib is imported inside; nothing is shown or closed."""

from functools import partial

import numpy as np

from .panels import draw_panel
from .style import BLUE, MASKED, headed, sized_figure, spectral_label, with_unit

__all__ = ["plot_time_series"]

# Times after so many days are counted from a whole one.
MANY_DAYS = 100
# Bands noisier than this are shown as masked; those within a few times the noise of the best tell
# the range of colours.
MOST_NOISE, FEW_TIMES = 0.5, 5.0
N_TIMES = 5  # at axes of times, whose numbers are long
# What moves, and what it is called.
MOVED = {"shift": "shift (pixel)", "stretch": "width, relative", "background": "background"}


def plot_time_series(result, figure=None, *, panel=None, ax=None, source=None):
    """Draw a time series: dynamic spectrum, mean spectrum, white light, and what moved.

    Parameters
    ----------
    result : `~specmodels.evaluators.TimeSeriesResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    panel : str, optional
        To be drawn alone: one of ``"dynamic"``, ``"mean"``, ``"white"``, ``"shift"``,
        ``"stretch"`` and ``"background"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.
    source : str, optional
        Default: the first.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    panels = {"dynamic": partial(_draw_dynamic, result, source),
              "mean": partial(_draw_mean, result, source),
              "white": partial(_draw_white, result, source)}  # fmt: skip
    moved = {key: partial(_draw_movement, result, key) for key in MOVED}
    if panel is not None or ax is not None:
        return draw_panel(panels | moved, panel, ax)
    figure = sized_figure(figure, (12, 8))
    left, right = figure.subfigures(1, 2, width_ratios=(1.3, 1))
    top, bottom = left.subplots(2, 1, sharex=True, height_ratios=(2.5, 1))
    panels["dynamic"](top)
    top.set_xlabel("")
    panels["mean"](bottom)
    rows = right.subplots(4, 1, sharex=True, height_ratios=(2, 1, 1, 1))
    for ax, draw in zip(rows, [panels["white"], *moved.values()], strict=True):
        draw(ax)
        ax.set_xlabel(ax.get_xlabel() if ax is rows[-1] else "")
    headed(
        figure,
        f"{result.series.name}: {len(result.series)} integrations, chi2/dof "
        f"{np.median(result.reduced_chi2):.3g}, {len(result.hits)} hits",
    )
    return figure


def _clock(result):
    """Times, those of many days counted from a whole one, and what to call them."""
    times = np.asarray(result.times, dtype=float)
    if not result.series.has_times:
        return times, "integration"
    day = np.floor(times[0])
    many = abs(day) > MANY_DAYS
    scale = result.series.time_scale
    name = "time" if scale is None else f"MJD ({scale.upper()})"
    return (times - day, f"{name} − {day:.0f}") if many else (times, name)


def _edges(values):
    """Edges of cells around increasing or decreasing values."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = 0.5 * (values[1:] + values[:-1])
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def _draw_dynamic(result, source, ax):
    """Flux over the mean spectrum, in cells of as many columns as make them stand out."""
    from matplotlib import colormaps

    name = result.sources[0] if source is None else source
    usable = ~result.mask(name).all(axis=0)
    curves = result.light_curves(min(120, max(1, int(usable.sum()))), source=name)
    flux = curves["flux"].value
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = flux / np.nanmedian(flux, axis=0)
        noise = np.nanmedian(curves["flux_error"].value / np.abs(flux), axis=0)
    relative[:, ~(noise < MOST_NOISE)] = np.nan  # without light
    clear = relative[:, noise <= FEW_TIMES * np.nanmin(noise, initial=1.0)]
    spread = np.nanpercentile(np.abs(clear - 1), 98) if np.isfinite(clear).any() else 0.01
    cmap = colormaps["RdBu_r"].with_extremes(bad=MASKED)
    times, label = _clock(result)
    mesh = ax.pcolormesh(
        _edges(curves.meta["wavelength"].value), _edges(times), relative, cmap=cmap,
        vmin=1 - spread, vmax=1 + spread,
    )  # fmt: skip
    ax.figure.colorbar(mesh, ax=ax, label="flux over its median in time")
    ax.set_xlabel(spectral_label(curves.meta["wavelength"]))
    ax.set_ylabel(label)


def _draw_mean(result, source, ax):
    name = result.sources[0] if source is None else source
    wavelength = result.wavelength(name)
    with np.errstate(invalid="ignore"):
        flux = np.where(result.mask(name), np.nan, result.flux[name])
    known = np.isfinite(flux).any(axis=0)
    mean = np.full(len(known), np.nan)
    mean[known] = np.nanmean(flux[:, known], axis=0)
    ax.plot(wavelength.value, mean, color=BLUE, lw=0.7)
    ax.set_xlabel(spectral_label(wavelength))
    ax.set_ylabel(with_unit("mean flux", result.unit))


def _draw_white(result, source, ax):
    white = result.white_light(source)
    flux, error = white["flux"].value, white["flux_error"].value
    middle = np.nanmedian(flux)
    times, label = _clock(result)
    ax.errorbar(times, flux / middle, error / abs(middle), fmt="k.", ms=3, lw=0.6)
    ax.set(xlabel=label, ylabel="white light over its median")
    ax.locator_params(axis="x", nbins=N_TIMES)


def _draw_movement(result, key, ax):
    table, (times, label) = result.movements(), _clock(result)
    values = table[key].value if key == "background" else table[key]
    errors = table[f"{key}_error"] if f"{key}_error" in table.colnames else None
    ax.errorbar(times, values, errors, fmt=".", color=BLUE, ms=3, lw=0.6)
    unit = result.unit if key == "background" else None
    ax.set(xlabel=label, ylabel=with_unit(MOVED[key], unit))
    ax.locator_params(axis="x", nbins=N_TIMES)
