"""Figure of injected sources. Matplotlib is imported when it is drawn."""

from functools import partial

import numpy as np

__all__ = ["plot_injection"]

SNR = "signal-to-noise ratio per column"


def plot_injection(result, figure=None, *, panel=None, ax=None):
    """Draw what came back of the sources that were put in.

    Parameters
    ----------
    result : `InjectionResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.
    panel : str, optional
        To be drawn alone: one of ``"completeness"``, ``"ratios"`` and ``"pulls"``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ..plotting.panels import draw_panel
    from ..plotting.style import headed, sized_figure

    drawn = {"completeness": _draw_completeness, "ratios": _draw_ratios, "pulls": _draw_pulls}
    panels = {key: partial(draw, result) for key, draw in drawn.items()}
    if panel is not None or ax is not None:
        return draw_panel(panels, panel, ax)
    figure = sized_figure(figure, (8, 7.5))
    axes = figure.subplots(3, 1, sharex=True)
    for axis, draw in zip(axes, panels.values(), strict=True):
        draw(axis)
        axis.set_xlabel(axis.get_xlabel() if axis is axes[-1] else "")
    headed(figure, repr(result)[1:-1])
    return figure


def _draw_completeness(result, axis):
    from ..plotting.style import BLUE, plain_decades

    report = result.report()
    axis.plot(report["snr"], report["completeness"], "o-", color=BLUE)
    axis.set(xscale="log", xlabel=SNR, ylim=(-0.05, 1.08), ylabel="fraction found")
    plain_decades(axis.xaxis)


def _draw_ratios(result, axis):
    from ..plotting.style import legend_above

    _draw_points(result, result.ratios, 1, axis)
    axis.set(ylabel="flux found / put in", ylim=_limits(result.ratios))
    legend_above(axis)


def _draw_pulls(result, axis):
    from ..plotting.style import GREY

    _draw_points(result, result.pulls, 0, axis)
    axis.axhspan(-1, 1, color=GREY, alpha=0.3, lw=0)
    axis.set(ylabel="pull", ylim=(-6, 6))


def _draw_points(result, values, level, axis):
    """One point for each source, by what is said of it."""
    from ..plotting.style import BLUE, GREY, RED, plain_decades

    snr, flagged = np.asarray(result.table["snr"]), np.asarray(result.table["status"]) != "ok"
    axis.axhline(level, color=GREY, lw=1)
    axis.plot(snr[~flagged], values[~flagged], ".", color=BLUE, label='status "ok"')
    axis.plot(snr[flagged], values[flagged], "x", color=RED, label="flagged")
    axis.set(xscale="log", xlabel=SNR)
    plain_decades(axis.xaxis)


def _limits(ratios):
    good = ratios[np.isfinite(ratios)]
    reach = max(np.percentile(np.abs(good - 1), 95), 0.05) if good.size else 0.5
    return 1 - 1.3 * reach, 1 + 1.3 * reach
