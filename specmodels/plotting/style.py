"""What all figures have in common: colours, labels with units, images with a bar, legends."""

import textwrap

__all__ = ["color_of", "headed", "legend_above", "plain_decades", "show_image", "sized_figure",
           "spectral_label", "titled", "with_unit"]  # fmt: skip

# Okabe and Ito (2008), told apart by all eyes.
RED, BLUE, GREEN, ORANGE, PURPLE = "#D55E00", "#0072B2", "#009E73", "#E69F00", "#CC79A7"
COLORS = (RED, BLUE, GREEN, PURPLE, ORANGE)
GREY, MASKED = "0.6", "0.85"
# Mean width of a letter in sizes of the font, and the least number of letters in a line.
LETTER, SHORTEST = 0.68, 12
BAR = {"pad": 0.01, "fraction": 0.03}


def sized_figure(figure, size, layout="constrained"):
    """The figure given, or, for None, a new one of this size in inches."""
    from matplotlib import pyplot as plt

    return plt.figure(figsize=size, layout=layout) if figure is None else figure


def headed(figure, title, **options):
    """Give a figure a title, on several lines where it is wider than the figure.

    Parameters
    ----------
    figure : `~matplotlib.figure.Figure` or `~matplotlib.figure.SubFigure`
    title : str
    **options
        As of ``suptitle``.
    """
    text = figure.suptitle(title, **options)
    text.set_text(_wrapped(title, figure.bbox.width, text))


def titled(ax, title):
    """Give an axis a small title at its left end, on several lines where it is wider."""
    text = ax.set_title(title, fontsize="small", loc="left", pad=2)
    text.set_text(_wrapped(title, ax.bbox.width, text))


def _wrapped(title, width, text):
    """A title in lines of a width in pixels; names of files are broken where they are longer."""
    letter = LETTER * text.get_fontsize() * text.figure.dpi / 72
    return textwrap.fill(title, max(int(width / letter), SHORTEST))


def color_of(number):
    """Color of a source, by its number."""
    return COLORS[number % len(COLORS)]


def legend_above(ax):
    """Legend over the upper right end of an axis, where no data are."""
    handles = ax.get_legend_handles_labels()[0]
    if handles:
        ax.legend(fontsize="x-small", loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False,
                  ncols=len(handles), borderaxespad=0.1, columnspacing=1.0)  # fmt: skip


def show_image(ax, values, label, *, title=None, cmap="viridis", **options):
    """Draw pixels, with rows, columns and a bar of colours; what is not finite is grey.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
    values : ndarray, shape (n_y, n_x)
    label : str or None
        What the bar shows, with its unit; without one there is no bar.
    title, cmap : str, optional
    **options
        As of ``imshow``.
    """
    from matplotlib import colormaps

    drawn = ax.imshow(values, origin="lower", aspect="auto", interpolation="nearest",
                      cmap=colormaps[cmap].with_extremes(bad=MASKED), **options)  # fmt: skip
    if label is not None:
        bar = ax.figure.colorbar(drawn, ax=ax, **BAR)
        bar.set_label(label, fontsize="small")
        bar.ax.tick_params(labelsize="small")
    ax.set(xlabel="column", ylabel="row")
    if title is not None:
        titled(ax, title)


def plain_decades(axis):
    """Label a logarithmic axis, as ``ax.xaxis``, with 1, 2, 5, 10, … and nothing between."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def spectral_label(wavelength):
    """Label of an axis of wavelengths, or of columns."""
    unit = getattr(wavelength, "unit", None)
    return "column" if unit == "pix" else with_unit("wavelength", unit)


def with_unit(label, unit):
    """Label with a unit, if there is one."""
    text = "" if unit is None else unit.to_string("unicode").replace("\u03bc", "\u00b5")
    return f"{label} ({text})" if text else label
