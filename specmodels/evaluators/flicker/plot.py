"""Figure of a flicker-noise subtraction. Matplotlib is imported when it is drawn."""

import numpy as np

__all__ = ["plot_flicker"]


def plot_flicker(result, figure=None):
    """Draw the draft rates before and after, their noise, the mask and the power spectra.

    Parameters
    ----------
    result : `~specmodels.evaluators.FlickerResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.style import (
        color_of,
        headed,
        legend_above,
        show_image,
        sized_figure,
        with_unit,
    )

    figure = sized_figure(figure, (11, 9))
    headed(figure, _shown(result))
    scene = result.scenes[0]
    panels = figure.subplot_mosaic([["before", "after"], ["noise", "mask"], ["power", "power"]])
    before, after = result.draft_rates()
    frames = {"before": before, "after": after, "noise": before - after}
    shown = before[scene.use & np.isfinite(before)]
    shown = shown if shown.size else np.zeros(1)
    low, high = np.percentile(shown, [1, 99])
    for name, frame in frames.items():
        middle = 0 if name == "noise" else (low + high) / 2
        half = max((high - low) / 2, np.finfo(float).tiny)
        show_image(panels[name], frame, with_unit("rate", result.ramp.unit), title=name,
                   vmin=middle - half, vmax=middle + half, cmap="gray")  # fmt: skip
    show_image(panels["mask"], scene.use, None, title="pixels used (white)", cmap="gray")
    for number, (name, spectrum) in enumerate(result.spectra.items()):
        frequency, power = (a[1:].value for a in (spectrum.spectral_axis, spectrum.flux))
        panels["power"].loglog(frequency, power, color=color_of(1 - number), label=name)
    panels["power"].set(xlabel=with_unit("frequency", spectrum.spectral_axis.unit),
                        ylabel=with_unit("power", spectrum.flux.unit))  # fmt: skip
    legend_above(panels["power"])
    return figure


def _shown(result):
    """What the panels show: the frames are cleaned one by one."""
    ramp = result.ramp
    single = ramp.kind == "image" or (ramp.kind == "integrations" and ramp.n_integrations == 1)
    return "image" if single else "draft rate of the frames, which are cleaned one by one"
