"""Figure of an oversampled exposure. Matplotlib is imported when it is drawn."""

import numpy as np

__all__ = ["plot_oversampling"]


def plot_oversampling(result, figure=None):
    """Draw data, trace and oversampled image of the brightest slice, and a profile.

    Parameters
    ----------
    result : `~specmodels.evaluators.OversamplingResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    import matplotlib.pyplot as plt

    figure = figure or plt.figure(figsize=(11, 9), layout="constrained")
    name = _brightest(result)
    part = result.parts[name]
    rows, columns = result.sliced.boxes[name]
    fine = result.rows.slice_of(rows)
    mine = part.rows.own(part.inside)
    panels = figure.subplot_mosaic([["data"], ["oversampled"], ["trace"], ["profile"]])
    images = {
        "data": np.where(part.inside, part.image.data, np.nan),
        "oversampled": np.where(mine, result.data[fine, columns], np.nan),
        "trace": np.where(mine, result.oversampled_trace[fine, columns], np.nan),
    }
    low, high = np.nanpercentile(images["data"], [1, 99.5])
    for title, values in images.items():
        panels[title].imshow(values, vmin=low, vmax=high, origin="lower", aspect="auto")
        panels[title].set(title=title, ylabel="row")
    panels["trace"].set_xlabel("column of the slice")
    _draw_profile(panels["profile"], result, name, part)
    figure.suptitle(f"slice {name}")
    return figure


def _brightest(result):
    levels = {name: np.nanmax(fit.scale) for name, fit in result.fits.items()}
    return max(levels, key=levels.get) if levels else next(iter(result.parts))


def _draw_profile(axes, result, name, part):
    """Light along the slice in the brightest column: data, model and oversampled values."""
    rows, columns = result.sliced.boxes[name]
    use = part.available & part.inside
    light = np.where(use, part.image.filled, 0).sum(axis=0)
    column = int(np.argmax(light))
    own = use[:, column]
    axes.errorbar(part.positions[own, column], part.image.data[own, column],
                  1 / np.sqrt(part.image.weights[own, column]), fmt="o", label="data")  # fmt: skip
    fine = result.data[result.rows.slice_of(rows), columns][:, column]
    axes.plot(part.fine_positions[:, column], fine / result.share, ".-", label="oversampled")
    if part.fit is not None:
        low, high = np.nanmin(part.positions[:, column]), np.nanmax(part.positions[:, column])
        at = np.linspace(low, high, 500)
        x = part.image.x[column]
        scale, level, slope = part.fit.values[:, column]
        model = scale * part.fit.profile(at, x, 0.0) + level + slope * part.fit.height(at)
        axes.plot(at, model, lw=1, label="spline")
    axes.set(xlabel="position (native pixels)", ylabel="light", title=f"column {column}")
    axes.legend()
