"""Panels of an image, its model, and what is left; rejected pixels are ringed."""

from functools import partial

import numpy as np

from .style import show_image, titled, with_unit

__all__ = ["draw_fitted", "fitted_panels", "light_norm", "mark_rejected", "show_pixels",
           "show_residual", "used_limits"]  # fmt: skip

# Marks of rejected pixels: rings, smaller where there are many.
MARK_SIZE, LEAST_MARK, MANY_MARKS = 3.0, 1.0, 100


def fitted_panels(image, model, rejected):
    """Functions of an axis that draw ``data``, ``model`` and ``residual`` of a fitted image."""
    mask = image.mask & ~rejected
    data = np.where(mask, np.nan, image.data)
    norm = light_norm(data)

    def draw_light(values, name, title, ax):
        show_pixels(ax, image, values, norm=norm, label=with_unit(name, image.unit))
        _finish(ax, image, mask, title)

    def draw_residual(ax):
        variance = 1.0 if image.variance is None else image.variance
        sigma = np.sqrt(np.where(mask, np.nan, variance))
        show_residual(ax, image, (data - model) / sigma)
        mark_rejected(ax, image, rejected)
        _finish(ax, image, mask, _residual_label(rejected))

    return {"data": partial(draw_light, data, "data", _data_label(mask)),
            "model": partial(draw_light, model, "model", "model"),
            "residual": draw_residual}  # fmt: skip


def _finish(ax, image, mask, title):
    titled(ax, title)
    ax.set_xlim(*used_limits(image.x, ~mask.all(axis=0)))
    ax.set_ylim(image.y[0] - 0.5, image.y[-1] + 0.5)


def draw_fitted(panels, axes):
    """The panels of an image beneath one another, with the columns at the lowest."""
    for ax, draw in zip(axes, panels.values(), strict=True):
        draw(ax)
        ax.tick_params(labelbottom=ax is axes[-1])
        ax.set_xlabel("column" if ax is axes[-1] else "")


def mark_rejected(ax, image, rejected):
    """Ring the rejected pixels, so that they can still be seen."""
    rows, columns = np.nonzero(rejected)
    size = MARK_SIZE * np.sqrt(MANY_MARKS / max(len(rows), MANY_MARKS))
    ax.plot(
        image.x[columns], image.y[rows], "o", mfc="none", mec="k", mew=0.3,
        ms=max(size, LEAST_MARK), alpha=0.5,
    )  # fmt: skip


def _data_label(mask):
    """Title of the data, which says what is grey."""
    if not mask.any():
        return "data"
    whole = int(np.count_nonzero(mask.all(axis=0)))
    columns = f", {whole} columns as a whole" if whole else ""
    return f"data (grey: masked, {np.mean(mask):.1%} of the pixels{columns})"


def _residual_label(rejected):
    number = int(np.count_nonzero(rejected))
    return "residual / sigma" + (f" (ringed: {number} rejected pixels)" if number else "")


def show_pixels(ax, image, values, **options):
    """Show values of the pixels of an image, at its columns and rows, with a bar."""
    extent = (image.x[0] - 0.5, image.x[-1] + 0.5, image.y[0] - 0.5, image.y[-1] + 0.5)
    show_image(ax, values, options.pop("label"), extent=extent, **options)


def show_residual(ax, image, residual):
    """Show residuals in standard deviations, on one scale for all."""
    show_pixels(ax, image, residual, vmin=-4, vmax=4, cmap="RdBu_r", label="residual / sigma")


def light_norm(data):
    """Stretch which shows the sky and the wings as well as the lines."""
    from astropy.visualization import AsinhStretch, ImageNormalize

    finite = data[np.isfinite(data)]
    low, high = np.percentile(finite, [2, 99.7]) if finite.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    return ImageNormalize(vmin=low, vmax=high, stretch=AsinhStretch(0.1))


def used_limits(x, used):
    """First and last coordinate that is used, with half a pixel on either side."""
    x = x[used] if used.any() else x
    return x[0] - 0.5, x[-1] + 0.5
