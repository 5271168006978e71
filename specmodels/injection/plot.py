"""Figure of injected sources. Matplotlib is imported when it is drawn."""

import numpy as np

__all__ = ["plot_injection"]


def plot_injection(result, figure=None):
    """Draw what came back of the sources that were put in.

    Parameters
    ----------
    result : `InjectionResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ..plotting.style import BLUE, GREY, RED, headed, legend_above, sized_figure

    figure = sized_figure(figure, (8, 7.5))
    axes = figure.subplots(3, 1, sharex=True)
    report, snr = result.report(), np.asarray(result.table["snr"])
    flagged = np.asarray(result.table["status"]) != "ok"
    axes[0].plot(report["snr"], report["completeness"], "o-", color=BLUE)
    axes[0].set(ylim=(-0.05, 1.08), ylabel="fraction found")
    for axis, values, level, label in ((axes[1], result.ratios, 1, "flux found / put in"),
                                       (axes[2], result.pulls, 0, "pull")):  # fmt: skip
        axis.axhline(level, color=GREY, lw=1)
        axis.plot(snr[~flagged], values[~flagged], ".", color=BLUE, label='status "ok"')
        axis.plot(snr[flagged], values[flagged], "x", color=RED, label="flagged")
        axis.set(ylabel=label)
    axes[1].set_ylim(*_limits(result.ratios))
    axes[2].axhspan(-1, 1, color=GREY, alpha=0.3, lw=0)
    axes[2].set(xscale="log", xlabel="signal-to-noise ratio per column", ylim=(-6, 6))
    legend_above(axes[1])
    headed(figure, repr(result)[1:-1])
    return figure


def _limits(ratios):
    good = ratios[np.isfinite(ratios)]
    reach = max(np.percentile(np.abs(good - 1), 95), 0.05) if good.size else 0.5
    return 1 - 1.3 * reach, 1 + 1.3 * reach
