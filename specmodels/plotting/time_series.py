"""Figure of a time series. Matplotlib is imported inside; nothing is shown or closed."""

import numpy as np

from .spectra import MASKED, spectral_label, with_unit

__all__ = ["plot_time_series"]


def plot_time_series(result, figure=None, *, source=None):
    """Draw a time series: dynamic spectrum, mean spectrum, white light, and what moved.

    Parameters
    ----------
    result : `~specmodels.evaluators.TimeSeriesResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    source : str, optional
        Default: the first.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(12, 8), layout="constrained") if figure is None else figure
    left, right = figure.subfigures(1, 2, width_ratios=(1.3, 1))
    top, bottom = left.subplots(2, 1, sharex=True, height_ratios=(2.5, 1))
    _draw_dynamic(result, source, left, top)
    _draw_mean(result, source, bottom)
    rows = right.subplots(4, 1, sharex=True, height_ratios=(2, 1, 1, 1))
    _draw_white(result, source, rows[0])
    _draw_movements(result, rows[1:])
    figure.suptitle(
        f"{result.series.name}: {len(result.series)} integrations, chi2/dof "
        f"{np.median(result.reduced_chi2):.3g}, {len(result.hits)} hits"
    )
    return figure


def _time_label(result):
    return "time" if result.series.has_times else "integration"


def _edges(values):
    """Edges of cells around increasing or decreasing values."""
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = 0.5 * (values[1:] + values[:-1])
    return np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])


def _draw_dynamic(result, source, figure, ax):
    """Flux over the mean spectrum, in cells of as many columns as make them stand out."""
    from matplotlib import colormaps

    name = result.sources[0] if source is None else source
    usable = ~result.mask(name).all(axis=0)
    curves = result.light_curves(min(120, max(1, int(usable.sum()))), source=name)
    flux = curves["flux"].value
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = flux / np.nanmedian(flux, axis=0)
    spread = np.nanpercentile(np.abs(relative - 1), 98) if np.isfinite(relative).any() else 0.01
    cmap = colormaps["RdBu_r"].with_extremes(bad=MASKED)
    mesh = ax.pcolormesh(
        _edges(curves.meta["wavelength"].value), _edges(result.times), relative, cmap=cmap,
        vmin=1 - spread, vmax=1 + spread,
    )  # fmt: skip
    figure.colorbar(mesh, ax=ax, label="flux over its median in time")
    ax.set_ylabel(_time_label(result))


def _draw_mean(result, source, ax):
    name = result.sources[0] if source is None else source
    wavelength = result.wavelength(name)
    with np.errstate(invalid="ignore"):
        flux = np.where(result.mask(name), np.nan, result.flux[name])
    known = np.isfinite(flux).any(axis=0)
    mean = np.full(len(known), np.nan)
    mean[known] = np.nanmean(flux[:, known], axis=0)
    ax.plot(wavelength.value, mean, lw=0.7)
    ax.set_xlabel(spectral_label(wavelength))
    ax.set_ylabel(with_unit("mean flux", result.unit))


def _draw_white(result, source, ax):
    white = result.white_light(source)
    flux, error = white["flux"].value, white["flux_error"].value
    middle = np.nanmedian(flux)
    ax.errorbar(result.times, flux / middle, error / abs(middle), fmt="k.", ms=3, lw=0.6)
    ax.set_ylabel("white light")


def _draw_movements(result, axes):
    table = result.movements()
    for ax, key in zip(axes, ("shift", "stretch"), strict=False):
        ax.errorbar(result.times, table[key], table[f"{key}_error"], fmt=".", ms=3, lw=0.6)
        ax.set_ylabel("shift (pixel)" if key == "shift" else "width, relative")
    axes[2].plot(result.times, table["background"].value, ".", ms=3)
    axes[2].set_ylabel(with_unit("background", result.unit))
    axes[2].locator_params(axis="x", nbins=5)
    axes[2].set_xlabel(_time_label(result))
