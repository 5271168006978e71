"""Figure of a fit: data, model and residual of each image."""

from .fitted_images import draw_fitted, fitted_panels
from .panels import draw_panel
from .style import headed, sized_figure, titled

__all__ = ["plot_fit"]


def plot_fit(fit, figure=None, *, panel=None, ax=None, n_most=4):
    """Draw data, model and residual of each image of a fit.

    Parameters
    ----------
    fit : `~specmodels.FitResult`
        The fit to draw.
    figure : `~matplotlib.figure.Figure`, optional
        Where to draw; default a new figure.
    panel : str, optional
        To be drawn alone: one of ``"data"``, ``"model"`` and ``"residual"``, of the first image.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw that panel; default: a new figure.
    n_most : int
        No more than this number of images are drawn.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    several = len(fit.images) > 1
    models, rejected = ((a if several else [a]) for a in (fit.predict(), fit.rejected))
    shown = list(zip(fit.images, models, rejected, fit.goodness(), strict=True))[:n_most]
    if panel is not None or ax is not None:
        return draw_panel(fitted_panels(*shown[0][:3]), panel, ax)
    figure = sized_figure(figure, (11, 0.6 + 4.2 * len(shown)))
    parts = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
    for part, (image, model, bad, row) in zip(parts, shown, strict=True):
        panels = part.subplots(3, 1, sharex=True, sharey=True)
        draw_fitted(fitted_panels(image, model, bad), panels)
        titled(panels[0], f"{row['image']}: chi2/dof {row['reduced_chi2']:.3g}, data")
    left_out = f", first {len(shown)} of {len(fit.images)} images"
    title = fit.message or f"converged, {fit.solver}"
    headed(figure, title + (left_out if len(fit.images) > len(shown) else ""), fontsize="medium")
    return figure
