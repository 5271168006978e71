"""Figures of results. Matplotlib is imported inside the functions; nothing is shown or closed."""

import numpy as np

__all__ = ["plot_extraction", "plot_results"]

TRACE_COLORS = ("tab:red", "tab:orange", "tab:purple", "tab:green", "tab:brown")


def plot_extraction(result, figure=None):
    """Draw an extraction: data, model and residual, the profile, and the spectra.

    Parameters
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(11, 9), layout="constrained") if figure is None else figure
    grid = figure.add_gridspec(4, 2, width_ratios=(4, 1.3), height_ratios=(1, 1, 1, 2.2))
    axes = [figure.add_subplot(grid[0, 0])]
    axes += [figure.add_subplot(grid[k, 0], sharex=axes[0], sharey=axes[0]) for k in (1, 2)]
    _draw_images(result, axes)
    _draw_profile(result, figure.add_subplot(grid[:3, 1]))
    _draw_spectra(result, figure.add_subplot(grid[3, :]))
    figure.suptitle(_title(result))
    return figure


def plot_results(results, figure=None, *, n_most=8):
    """Draw the spectra of several images, one beneath the other.

    Parameters
    ----------
    results : `~specmodels.evaluators.ResultSet`
        The results.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    n_most : int
        No more than this number are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    shown = list(results.items())[:n_most]
    height = 1.0 + 2.4 * max(len(shown), 1)
    figure = plt.figure(figsize=(10, height), layout="constrained") if figure is None else figure
    axes = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    for ax, (name, result) in zip(axes, shown, strict=False):
        _draw_spectra(result, ax)
        ax.set_title(f"{name}", fontsize="small", loc="left")
    if len(results) > len(shown):
        figure.suptitle(f"first {len(shown)} of {len(results)}")
    return figure


def _title(result):
    fit = result.fit
    state = "" if fit.success else f", {fit.message}"
    return (
        f"{result.image.name}: chi2/dof {fit.reduced_chi2:.3g}, "
        f"{int(fit.rejected.sum())} pixels rejected{state}"
    )


def _draw_images(result, axes):
    from astropy.visualization import AsinhStretch, ImageNormalize

    image = result.image
    mask = result.fit.image.mask & ~result.fit.rejected
    data = np.where(image.mask, np.nan, image.data)
    low, high = np.nanpercentile(data, [2, 99.7])
    norm = ImageNormalize(vmin=low, vmax=max(high, low + 1e-300), stretch=AsinhStretch(0.1))
    extent = (image.x[0] - 0.5, image.x[-1] + 0.5, image.y[0] - 0.5, image.y[-1] + 0.5)
    options = dict(origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    axes[0].imshow(data, norm=norm, cmap="viridis", **options)
    axes[1].imshow(result.model, norm=norm, cmap="viridis", **options)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = np.where(mask, np.nan, result.residual) / np.sqrt(result.variance)
    axes[2].imshow(residual, vmin=-4, vmax=4, cmap="RdBu_r", **options)
    for number, name in enumerate(result.sources):
        color = TRACE_COLORS[number % len(TRACE_COLORS)]
        axes[0].plot(image.x, result.trace(name), color=color, lw=0.8, ls="--", label=name)
    axes[0].legend(loc="upper right", fontsize="x-small", framealpha=0.6)
    axes[0].set_ylim(extent[2], extent[3])
    for ax, label in zip(axes, ("data", "model", "residual / sigma"), strict=True):
        ax.text(0.01, 0.92, label, transform=ax.transAxes, va="top", color="k", fontsize="small",
                bbox=dict(facecolor="w", alpha=0.7, lw=0))  # fmt: skip
        ax.set_ylabel("row")
        ax.label_outer()
    axes[2].set_xlabel("column")


def _draw_profile(result, ax):
    """Data and model against the distance from the first trace, all columns together."""
    image = result.fit.image
    name = next(iter(result.sources))
    offset = image.y[:, None] - result.trace(name)
    weights = np.where(np.isfinite(result.model), image.weights, 0.0)
    edges = np.arange(np.floor(offset.min()), np.ceil(offset.max()) + 0.25, 0.25)
    index = np.digitize(offset, edges)

    def mean(values):
        safe = np.where(weights > 0, values, 0.0)
        total = np.bincount(index.ravel(), weights=weights.ravel(), minlength=len(edges) + 1)
        summed = np.bincount(index.ravel(), weights=(weights * safe).ravel(),
                             minlength=len(edges) + 1)  # fmt: skip
        with np.errstate(invalid="ignore", divide="ignore"):
            return (summed / total)[1:-1]

    middle = 0.5 * (edges[1:] + edges[:-1])
    ax.plot(mean(image.data), middle, "k.", ms=3, label="data")
    ax.plot(mean(result.model), middle, color=TRACE_COLORS[0], lw=1, label="model")
    ax.set_xscale("symlog", linthresh=max(np.nanmax(np.abs(mean(result.model))) / 100, 1e-300))
    ax.set_ylabel(f"distance from {name} / pixel")
    ax.set_xlabel("mean light")
    ax.legend(fontsize="x-small")


def _draw_spectra(result, ax):
    for number, name in enumerate(result.sources):
        table = result.table(name)
        color = TRACE_COLORS[number % len(TRACE_COLORS)]
        wavelength = table["wavelength"]
        flux, error = (np.where(table["mask"], np.nan, table[key].value)
                       for key in ("flux", "flux_error"))  # fmt: skip
        values = getattr(wavelength, "value", wavelength)
        ax.plot(values, np.where(table["mask"], np.nan, table["aperture_flux"].value), color="0.75",
                lw=0.6, label="aperture" if number == 0 else None, zorder=1)  # fmt: skip
        ax.plot(values, flux, color=color, lw=0.9, label=name, zorder=3)
        ax.fill_between(values, flux - error, flux + error, color=color, alpha=0.3, lw=0, zorder=2)
        _fit_limits(ax, flux, number == 0)
    unit = getattr(wavelength, "unit", None)
    ax.set_xlabel(f"wavelength / {unit}" if unit is not None and str(unit) != "pix" else "column")
    ax.set_ylabel(f"flux / {table['flux'].unit}" if str(table["flux"].unit) else "flux")
    ax.legend(fontsize="x-small")


def _fit_limits(ax, flux, first):
    """Limits that hold nearly all of the spectra and are not set by a few wild columns."""
    finite = flux[np.isfinite(flux)]
    if finite.size == 0:
        return
    low, high = np.percentile(finite, [0.5, 99.5])
    margin = 0.15 * (high - low) + 1e-300
    low, high = min(low - margin, 0.0), high + margin
    if not first:
        old = ax.get_ylim()
        low, high = min(low, old[0]), max(high, old[1])
    ax.set_ylim(low, high)
