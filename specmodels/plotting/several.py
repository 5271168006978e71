"""Figures of several results: of many images, and of the steps of a chain."""

from .spectra import draw_spectra
from .style import headed, sized_figure, titled

__all__ = ["plot_chain", "plot_results"]


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
    shown = list(results.items())[:n_most]
    height = 1.0 + 2.4 * max(len(shown), 1)
    figure = sized_figure(figure, (10, height))
    axes = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    for ax, (name, result) in zip(axes, shown, strict=False):
        draw_spectra(result, ax)
        titled(ax, f"{name}")
    if len(results) > len(shown):
        headed(figure, f"first {len(shown)} of {len(results)}")
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
    n_step = max(len(result), 1)
    figure = sized_figure(figure, (11, 9 * n_step), layout=None)
    parts = figure.subfigures(n_step, 1, squeeze=False)[:, 0]
    for part, (name, one) in zip(parts, result.items(), strict=False):
        one.plot(figure=part.subfigures())
        headed(part, name, fontsize="x-large", x=0.01, ha="left")
    return figure
