"""Figures of several results: of many images, and of the steps of a chain."""

from functools import partial

from .panels import draw_panel
from .spectra import draw_spectra
from .style import headed, sized_figure, titled

__all__ = ["plot_chain", "plot_results"]


def plot_results(results, figure=None, *, panel=None, ax=None, n_most=8):
    """Draw the spectra of several images, one beneath the other.

    Parameters
    ----------
    results : `~specmodels.evaluators.ResultSet`
        The results.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    panel : str, optional
        To be drawn alone: one of the names of the images.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.
    n_most : int
        No more than this number are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    panels = {name: partial(_draw_named, name, result) for name, result in results.items()}
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    shown = list(panels.values())[:n_most]
    height = 1.0 + 2.4 * max(len(shown), 1)
    figure = sized_figure(figure, (10, height))
    axes = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    for axis, draw in zip(axes, shown, strict=False):
        draw(axis)
    if len(results) > len(shown):
        headed(figure, f"first {len(shown)} of {len(results)}")
    return figure


def _draw_named(name, result, ax):
    draw_spectra(result, ax)
    titled(ax, f"{name}")


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
    n_step = max(len(result), 1)
    figure = sized_figure(figure, (11, 9 * n_step), layout=None)
    parts = figure.subfigures(n_step, 1, squeeze=False)[:, 0]
    for part, (name, one) in zip(parts, result.items(), strict=False):
        one.plot(figure=part.subfigures())
        headed(part, name, fontsize="x-large", x=0.01, ha="left")
    return figure
