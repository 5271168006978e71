"""Panels of a figure by their names: all together, or one by itself, for a talk or a page."""

from .style import sized_figure

__all__ = ["draw_panel"]


def draw_panel(panels, panel, ax=None):
    """Draw one of the panels of a figure.

    Parameters
    ----------
    panels : mapping of str to callable
        ``function(ax)`` draws a panel.
    panel : str
        Its name.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; default: those of a new figure.

    Returns
    -------
    `~matplotlib.figure.Figure`
        That of the axes.

    Raises
    ------
    ValueError
        If there is no such panel, or axes are given and none is named.
    """
    if panel not in panels:
        raise ValueError(f"panel: expected one of {list(panels)}, got {panel!r}")
    if ax is None:
        ax = sized_figure(None, (7, 4)).add_subplot()
    panels[panel](ax)
    return ax.figure
