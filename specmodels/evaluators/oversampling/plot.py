"""Figure of an oversampled exposure. Matplotlib is imported when it is drawn."""

from functools import partial

import numpy as np

__all__ = ["plot_oversampling", "plot_slits"]


def plot_oversampling(result, figure=None, *, panel=None, ax=None):
    """Draw data, trace and oversampled image of the brightest slice, and a profile.

    Parameters
    ----------
    result : `~specmodels.evaluators.OversamplingResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"data"``, ``"oversampled"``, ``"trace"`` and ``"profile"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import headed, sized_figure

    name = _brightest(result)
    panels = _panels(result, name, _images(result, name))
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    figure = sized_figure(figure, (11, 9))
    axes = figure.subplot_mosaic([[key] for key in panels])
    for key, draw in panels.items():
        draw(axes[key])
        if key in ("data", "oversampled"):
            axes[key].set_xlabel("")
    headed(figure, f"slice {name}")
    return figure


def _panels(result, name, images, before=""):
    """Functions of an axis that draw the panels of a slice; `before` stands in titles of images."""
    from ...plotting.style import legend_above, show_image, with_unit

    part = result.parts[name]
    low, high = _limits(images["data"])
    label = with_unit("light", result.sliced.image.unit)

    def draw_image(key, ax):
        show_image(ax, images[key], label, title=f"{before}{key}", vmin=low, vmax=high)
        ax.set_xlabel("column of the slice")

    def draw_profile(ax):
        _draw_profile(ax, result, name, part)
        legend_above(ax)

    return {**{key: partial(draw_image, key) for key in images}, "profile": draw_profile}


def plot_slits(results, figure=None, *, panel=None, ax=None, n_most=8):
    """Draw data, fine image and profile of several slits, one beneath the other.

    Parameters
    ----------
    results : mapping of str to `OversamplingResult` or `ReplacementResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"NAME: data"``, ``"NAME: oversampled"``, or ``"NAME: replaced"``
        where pixels were, ``"NAME: trace"`` and ``"NAME: profile"`` of each slit.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.
    n_most : int
        No more than this number are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import headed, legend_above, show_image, sized_figure, with_unit

    if panel is not None or ax is not None:
        return draw_panel(_slit_panels(results), panel, ax)
    shown = list(results.items())[:n_most]
    n_rows = max(len(shown), 1)
    figure = sized_figure(figure, (13, 1.0 + 2.4 * n_rows))
    panels = figure.subplots(n_rows, 3, squeeze=False, width_ratios=(2, 2, 1))
    for axes, (title, result) in zip(panels, shown, strict=False):
        trace = _trace_of(result)
        name = _brightest(trace)
        images = _slit_images(result, name)
        low, high = _limits(images["data"])
        for ax, key in zip(axes, ("data", _made(result)), strict=False):
            label = None if key == "data" else with_unit("light", trace.sliced.image.unit)
            show_image(ax, images[key], label, title=f"{title}: {key}", vmin=low, vmax=high)
        _draw_profile(axes[2], trace, name, trace.parts[name])
    if shown:
        legend_above(panels[0, 2])
    if len(results) > len(shown):
        headed(figure, f"first {len(shown)} of {len(results)}")
    return figure


def _slit_panels(results):
    """Functions of an axis that draw the panels of slits, by the names of both."""
    return {f"{title}: {key}": partial(_draw_slit_panel, title, result, key)
            for title, result in results.items()
            for key in ("data", _made(result), "trace", "profile")}  # fmt: skip


def _draw_slit_panel(title, result, key, ax):
    trace = _trace_of(result)
    name = _brightest(trace)
    _panels(trace, name, _slit_images(result, name), f"{title}: ")[key](ax)


def _trace_of(result):
    """The trace model that a result is of, or has replaced pixels by."""
    return getattr(result, "trace_result", result)


def _made(result):
    """What a result is called among the images of its slit."""
    return "replaced" if hasattr(result, "trace_result") else "oversampled"


def _slit_images(result, name):
    """Images of a slice as of `_images`, the second with the pixels that were replaced."""
    trace = _trace_of(result)
    images = _images(trace, name)
    if trace is result:
        return images
    box, inside = trace.sliced.boxes[name], trace.parts[name].inside
    return {"data": images["data"], "replaced": np.where(inside, result.data[box], np.nan),
            "trace": images["trace"]}  # fmt: skip


def _images(result, name):
    """Data, oversampled image and its trace model of a slice; NaN outside of it."""
    part = result.parts[name]
    rows, columns = result.sliced.boxes[name]
    fine = result.rows.slice_of(rows)
    mine = part.rows.own(part.inside)
    return {
        "data": np.where(part.inside, part.image.data, np.nan),
        "oversampled": np.where(mine, result.data[fine, columns] / result.share, np.nan),
        "trace": np.where(mine, result.oversampled_trace[fine, columns] / result.share, np.nan),
    }


def _limits(data):
    """Lowest and highest value to show; zero and one where there are none."""
    finite = data[np.isfinite(data)]
    return np.percentile(finite, [1, 99.5]) if finite.size else (0.0, 1.0)


def _brightest(result):
    levels = {name: np.nanmax(fit.scale) for name, fit in result.fits.items()}
    return max(levels, key=levels.get) if levels else next(iter(result.parts))


def _draw_profile(axes, result, name, part):
    """Light along the slice in the brightest column: data, model and oversampled values."""
    from ...plotting.style import BLUE, GREEN, ORANGE, titled, with_unit

    rows, columns = result.sliced.boxes[name]
    use = part.available & part.inside
    light = np.where(use, part.image.filled, 0).sum(axis=0)
    column = int(np.argmax(light))
    own = use[:, column]
    if own.any():
        errors = 1 / np.sqrt(part.image.weights[own, column])
        data = part.image.data[own, column]
        axes.errorbar(part.positions[own, column], data, errors, fmt="o", color=BLUE, label="data")
    fine = result.data[result.rows.slice_of(rows), columns][:, column]
    axes.plot(part.fine_positions[:, column], fine / result.share, ".-", color=ORANGE,
              label="oversampled")  # fmt: skip
    if part.fit is not None:
        low, high = np.nanmin(part.positions[:, column]), np.nanmax(part.positions[:, column])
        at = np.linspace(low, high, 500)
        x = part.image.x[column]
        scale, level, slope = part.fit.values[:, column]
        model = scale * part.fit.profile(at, x, 0.0) + level + slope * part.fit.height(at)
        axes.plot(at, model, color=GREEN, lw=1, label="spline")
    axes.set(xlabel="position (native pixels)", ylabel=with_unit("light", part.image.unit))
    titled(axes, f"column {column}")
