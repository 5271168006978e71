"""Figure of a flicker-noise subtraction. Matplotlib is imported when it is drawn."""

from functools import cache, partial

import numpy as np

__all__ = ["plot_flicker"]


def plot_flicker(result, figure=None, *, panel=None, ax=None):
    """Draw the draft rates before and after, their noise, the mask and the power spectra.

    Parameters
    ----------
    result : `~specmodels.evaluators.FlickerResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"before"``, ``"after"``, ``"noise"``, ``"mask"`` and
        ``"power"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import headed, sized_figure

    panels = _panels(result)
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    figure = sized_figure(figure, (11, 9))
    headed(figure, _shown(result))
    axes = figure.subplot_mosaic([["before", "after"], ["noise", "mask"], ["power", "power"]])
    for name, draw in panels.items():
        draw(axes[name])
    return figure


def _panels(result):
    """Functions of an axis that draw the panels, by their names."""
    from ...plotting.style import show_image, with_unit

    scene = result.scenes[0]
    label = with_unit("rate", result.ramp.unit)

    @cache  # for panels that need them: they are read from the whole ramp
    def frames():
        before, after = result.draft_rates()
        shown = before[scene.use & np.isfinite(before)]
        low, high = np.percentile(shown if shown.size else np.zeros(1), [1, 99])
        half = max((high - low) / 2, np.finfo(float).tiny)
        return {"before": before, "after": after, "noise": before - after}, (low + high) / 2, half

    def frame(ax, name):
        values, middle, half = frames()
        middle = 0 if name == "noise" else middle
        show_image(ax, values[name], label, title=name, vmin=middle - half, vmax=middle + half,
                   cmap="gray")  # fmt: skip

    return {
        **{name: partial(frame, name=name) for name in ("before", "after", "noise")},
        "mask": partial(show_image, values=scene.use, label=None, title="pixels used (white)",
                        cmap="gray"),
        "power": partial(_draw_power, result),
    }  # fmt: skip


def _draw_power(result, ax):
    from ...plotting.style import color_of, legend_above, with_unit

    for number, (name, spectrum) in enumerate(result.spectra.items()):
        frequency, power = (a[1:].value for a in (spectrum.spectral_axis, spectrum.flux))
        ax.loglog(frequency, power, color=color_of(1 - number), label=name)
    ax.set(xlabel=with_unit("frequency", spectrum.spectral_axis.unit),
           ylabel=with_unit("power", spectrum.flux.unit))  # fmt: skip
    legend_above(ax)


def _shown(result):
    """What the panels show: the frames are cleaned one by one."""
    ramp = result.ramp
    single = ramp.kind == "image" or (ramp.kind == "integrations" and ramp.n_integrations == 1)
    return "image" if single else "draft rate of the frames, which are cleaned one by one"
