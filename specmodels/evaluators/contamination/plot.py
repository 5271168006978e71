"""Figure of a contamination subtraction. Matplotlib is imported when it is drawn."""

from functools import partial

import numpy as np

__all__ = ["plot_contamination"]

MOST = 4


def plot_contamination(result, keys=None, figure=None, *, panel=None, ax=None):
    """Draw cutouts: before, contamination, after, and the spectrum of the source.

    Parameters
    ----------
    result : `~specmodels.evaluators.ContaminationResult`
    keys : sequence, optional
        Labels, or labels and orders. Default: the most contaminated cutouts.
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"before"``, ``"contamination"``, ``"after"`` and
        ``"spectrum"``, of the first cutout.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.panels import draw_panel
    from ...plotting.style import sized_figure

    slits = _worst(result.slits) if keys is None else [result[key] for key in keys]
    if panel is not None or ax is not None:
        return draw_panel(_panels(result, slits[0]) if slits else {}, panel, ax)
    figure = sized_figure(figure, (11, 2.2 * max(len(slits), 1)))
    if not slits:
        figure.text(0.5, 0.5, "no cutouts", ha="center")
        return figure
    axes = figure.subplots(len(slits), 4, squeeze=False)
    for row, slit in zip(axes, slits, strict=True):
        for axis, draw in zip(row, _panels(result, slit, one_bar=True).values(), strict=True):
            draw(axis)
            axis.tick_params(labelsize="x-small")
        for axis in row[:3]:
            axis.set(
                xlabel="column" if slit is slits[-1] else "",
                ylabel="" if axis is not row[0] else "row",
            )
    return figure


def _panels(result, slit, *, one_bar=False):
    """Functions of an axis that draw the panels of a cutout, whose images have the same scale."""
    from ...plotting.style import show_image, with_unit

    images = {"before": slit.data, "contamination": slit.contamination, "after": slit.corrected}
    shown = slit.data[np.isfinite(slit.data)]
    top = np.percentile(np.abs(shown), 99) if shown.size else 1.0
    label = with_unit("light", result.exposure.unit)

    def draw(title, axis):
        bar = None if one_bar and title != "after" else label
        show_image(axis, images[title], bar, title=f"{slit.name}: {title}", cmap="gray",
                   vmin=-0.2 * top, vmax=top or 1.0)  # fmt: skip

    return {**{title: partial(draw, title) for title in images},
            "spectrum": partial(_draw_spectrum, result=result, slit=slit)}  # fmt: skip


def _worst(slits):
    total = [-np.sum(np.abs(slit.contamination)) for slit in slits]
    return [slits[k] for k in np.argsort(total, kind="stable")[:MOST]]


def _draw_spectrum(axis, result, slit):
    if slit.own is None:
        axis.text(0.5, 0.5, slit.reason, ha="center", wrap=True, fontsize="x-small")
        axis.set_axis_off()
        return
    from ...plotting.style import BLUE, spectral_label, titled, with_unit

    spectrum = result.spectrum(slit.cutout.key)
    x, y = spectrum.spectral_axis.value, spectrum.flux.value
    error = spectrum.uncertainty.array
    axis.fill_between(x, y - error, y + error, color=BLUE, alpha=0.3, linewidth=0)
    axis.plot(x, y, color=BLUE, linewidth=1)
    titled(axis, f"{slit.name}: fitted spectrum")
    axis.set_xlabel(spectral_label(spectrum.spectral_axis))
    label = with_unit("flux", spectrum.flux.unit)  # the panel is low, and units may be long
    axis.set_ylabel(label.replace(" (", "\n(", 1), fontsize="x-small")
    axis.tick_params(labelsize="x-small")
