"""Figure of a contamination subtraction. Matplotlib is imported when it is drawn."""

import numpy as np

__all__ = ["plot_contamination"]

MOST = 4


def plot_contamination(result, keys=None, figure=None):
    """Draw cutouts: before, contamination, after, and the spectrum of the source.

    Parameters
    ----------
    result : `~specmodels.evaluators.ContaminationResult`
    keys : sequence, optional
        Labels, or labels and orders. Default: the most contaminated cutouts.
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    from ...plotting.style import show_image, sized_figure, with_unit

    slits = _worst(result.slits) if keys is None else [result[key] for key in keys]
    figure = sized_figure(figure, (11, 2.2 * max(len(slits), 1)))
    if not slits:
        figure.text(0.5, 0.5, "no cutouts", ha="center")
        return figure
    axes = figure.subplots(len(slits), 4, squeeze=False)
    for row, slit in zip(axes, slits, strict=True):
        images = {"before": slit.data, "contamination": slit.contamination,
                  "after": slit.corrected}  # fmt: skip
        shown = slit.data[np.isfinite(slit.data)]
        top = np.percentile(np.abs(shown), 99) if shown.size else 1.0
        for axis, (title, image) in zip(row, images.items(), strict=False):
            last = axis is row[2]  # all three have the same scale
            label = with_unit("light", result.exposure.unit) if last else None
            show_image(axis, image, label, title=f"{slit.name}: {title}", cmap="gray",
                       vmin=-0.2 * top, vmax=top or 1.0)  # fmt: skip
            axis.set(
                xlabel="column" if slit is slits[-1] else "",
                ylabel="" if axis is not row[0] else "row",
            )
            axis.tick_params(labelsize="x-small")
        _draw_spectrum(row[3], result, slit)
    return figure


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
