"""Figures of results. Matplotlib is imported inside the functions; nothing is shown or closed."""

import numpy as np

from .spectra import draw_spectra
from .style import color_of, legend_above, show_image, with_unit

__all__ = ["plot_chain", "plot_dithers", "plot_extraction", "plot_fit", "plot_results"]

# Marks of rejected pixels: rings, smaller where there are many.
MARK_SIZE, LEAST_MARK, MANY_MARKS = 3.0, 1.0, 100
# The axis of the profile is linear to here, and logarithmic beyond.
PROFILE_LINEAR = 0.01
PROFILE_TICKS = (-0.1, 0, 0.01, 0.1, 1)
LEAST_STRENGTH = 0.05
TITLE = {"fontsize": "small", "loc": "left", "pad": 2}


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
    draw_spectra(result, figure.add_subplot(grid[3, :]))
    figure.suptitle(_title(result))
    return figure


def plot_dithers(result, figure=None, *, n_most=6):
    """Draw exposures that were extracted together, with their residuals, and the joint spectra.

    Parameters
    ----------
    result : `~specmodels.DitheredExtractionResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    n_most : int
        No more than this number of exposures are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    shown = list(result.views.items())[:n_most]
    size = (12, 3.2 + 1.3 * len(shown))
    figure = plt.figure(figsize=size, layout="constrained") if figure is None else figure
    grid = figure.add_gridspec(len(shown) + 1, 2, height_ratios=[*[1.0] * len(shown), 2.2])
    for row, (name, view) in enumerate(shown):
        axes = [figure.add_subplot(grid[row, 0])]
        axes.append(figure.add_subplot(grid[row, 1], sharex=axes[0], sharey=axes[0]))
        _draw_exposure(view, axes)
        shares = [f"{source}: {own[name]:.0%}" for source, own in result.shares.items()]
        axes[0].set_title(f"{name} ({', '.join(shares)} of the S/N\u00b2)", **TITLE)
        axes[1].set_title(f"residual / sigma, chi2/dof {view.fit.reduced_chi2:.3g}", **TITLE)
        for ax in axes:
            ax.tick_params(labelbottom=row == len(shown) - 1)
            ax.set_xlabel("column" if row == len(shown) - 1 else "")
    draw_spectra(result, figure.add_subplot(grid[-1, :]))
    more = f" (first {len(shown)} drawn)" if len(result.views) > len(shown) else ""
    figure.suptitle(f"{len(result.views)} exposures{more}: {_state(result.fit)}")
    return figure


def _draw_exposure(view, axes):
    """Data of an exposure with its traces, and what the fit leaves."""
    image = view.image
    mask = view.fit.image.mask & ~view.fit.rejected
    data = np.where(mask, np.nan, image.data)
    _show(axes[0], image, data, norm=_light_norm(data), label=with_unit("data", image.unit))
    sigma = np.sqrt(np.where(mask, np.nan, view.variance))
    _show_residual(axes[1], image, (data - view.model) / sigma)
    for number, name in enumerate(view.sources):
        axes[0].plot(image.x, view.trace(name), color=color_of(number), lw=1.1, ls="--")
    _mark(axes[1], image, view.fit.rejected)
    axes[0].set_xlim(*_used_limits(image.x, ~mask.all(axis=0)))
    axes[0].set_ylim(image.y[0] - 0.5, image.y[-1] + 0.5)
    axes[1].set_ylabel("")


def plot_fit(fit, figure=None, *, n_most=4):
    """Draw data, model and residual of each image of a fit.

    Parameters
    ----------
    fit : `~specmodels.FitResult`
        The fit to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    n_most : int
        No more than this number of images are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    several = len(fit.images) > 1
    models, rejected = ((a if several else [a]) for a in (fit.predict(), fit.rejected))
    shown = list(zip(fit.images, models, rejected, fit.goodness(), strict=True))[:n_most]
    size = (11, 0.6 + 4.2 * len(shown))
    figure = plt.figure(figsize=size, layout="constrained") if figure is None else figure
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    for part, (image, model, bad, row) in zip(parts, shown, strict=True):
        panels = part.subplots(3, 1, sharex=True, sharey=True)
        _draw_fitted(image, model, bad, panels)
        panels[0].set_title(f"{row['image']}: chi2/dof {row['reduced_chi2']:.3g}, data",
                            fontsize="small", loc="left", pad=2)  # fmt: skip
    left_out = f", first {len(shown)} of {len(fit.images)} images"
    title = fit.message or f"converged, {fit.solver}"
    figure.suptitle(title + (left_out if len(fit.images) > len(shown) else ""), fontsize="medium")
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
        draw_spectra(result, ax)
        ax.set_title(f"{name}", fontsize="small", loc="left")
    if len(results) > len(shown):
        figure.suptitle(f"first {len(shown)} of {len(results)}")
    return figure


def plot_chain(result, figure=None):
    """Draw the results of the steps of a chain, one beneath the other.

    Parameters
    ----------
    result : `~specmodels.evaluators.ChainResult`
        The result to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from matplotlib import pyplot as plt

    n_step = max(len(result), 1)
    figure = plt.figure(figsize=(11, 9 * n_step)) if figure is None else figure
    parts = figure.subfigures(n_step, 1, squeeze=False)[:, 0]
    for part, (name, one) in zip(parts, result.items(), strict=False):
        one.plot(figure=part.subfigures())
        part.suptitle(name, fontsize="x-large", x=0.01, ha="left")
    return figure


def _title(result):
    return f"{result.image.name}: {_state(result.fit)}"


def _state(fit):
    state = "" if fit.success else f", {fit.message}"
    return f"chi2/dof {fit.reduced_chi2:.3g}, {fit.n_rejected} pixels rejected{state}"


def _draw_images(result, axes):
    """Data with the traces, model, and residual; masked pixels are grey, rejected ones ringed."""
    image = result.image
    fitted = image.replace(mask=result.fit.image.mask, variance=result.variance)
    _draw_fitted(fitted, result.model, result.fit.rejected, axes)
    for number, name in enumerate(result.sources):
        axes[0].plot(image.x, result.trace(name), color=color_of(number), lw=1.1, ls="--")


def _draw_fitted(image, model, rejected, axes):
    """An image as it was fitted, its model, and the residual."""
    mask = image.mask & ~rejected
    data = np.where(mask, np.nan, image.data)
    variance = 1.0 if image.variance is None else image.variance
    sigma = np.sqrt(np.where(mask, np.nan, variance))
    norm = _light_norm(data)
    for ax, values, label in zip(axes, (data, model), ("data", "model"), strict=False):
        _show(ax, image, values, norm=norm, label=with_unit(label, image.unit))
    _show_residual(axes[2], image, (data - model) / sigma)
    _mark(axes[2], image, rejected)
    labels = (_data_label(mask), "model", _residual_label(rejected))
    for ax, label in zip(axes, labels, strict=True):
        ax.set_title(label, fontsize="small", loc="left", pad=2)
        ax.tick_params(labelbottom=ax is axes[-1])
        ax.set_xlabel("column" if ax is axes[-1] else "")
    axes[0].set_xlim(*_used_limits(image.x, ~mask.all(axis=0)))
    axes[0].set_ylim(image.y[0] - 0.5, image.y[-1] + 0.5)


def _mark(ax, image, rejected):
    """Ring the rejected pixels, so that they can still be seen."""
    rows, columns = np.nonzero(rejected)
    size = MARK_SIZE * np.sqrt(MANY_MARKS / max(len(rows), MANY_MARKS))
    ax.plot(
        image.x[columns], image.y[rows], "o", mfc="none", mec="k", mew=0.3,
        ms=max(size, LEAST_MARK), alpha=0.5,
    )  # fmt: skip


def _data_label(mask):
    """Title of the data, which says what is grey."""
    if not mask.any():
        return "data"
    whole = int(np.count_nonzero(mask.all(axis=0)))
    columns = f", {whole} columns as a whole" if whole else ""
    return f"data (grey: masked, {np.mean(mask):.1%} of the pixels{columns})"


def _residual_label(rejected):
    number = int(np.count_nonzero(rejected))
    return "residual / sigma" + (f" (ringed: {number} rejected pixels)" if number else "")


def _show(ax, image, values, **options):
    extent = (image.x[0] - 0.5, image.x[-1] + 0.5, image.y[0] - 0.5, image.y[-1] + 0.5)
    show_image(ax, values, options.pop("label"), extent=extent, **options)


def _show_residual(ax, image, residual):
    _show(ax, image, residual, vmin=-4, vmax=4, cmap="RdBu_r", label="residual / sigma")


def _light_norm(data):
    """Stretch which shows the sky and the wings as well as the lines."""
    from astropy.visualization import AsinhStretch, ImageNormalize

    finite = data[np.isfinite(data)]
    low, high = np.percentile(finite, [2, 99.7]) if finite.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    return ImageNormalize(vmin=low, vmax=high, stretch=AsinhStretch(0.1))


def _used_limits(x, used):
    """First and last coordinate that is used, with half a pixel on either side."""
    x = x[used] if used.any() else x
    return x[0] - 0.5, x[-1] + 0.5


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
    ax.set_title("profile", fontsize="small", loc="left", pad=2)
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
