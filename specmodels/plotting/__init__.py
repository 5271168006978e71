"""Figures of results. Matplotlib is imported inside the functions; nothing is shown or closed."""

from .extraction import plot_dithers, plot_extraction
from .fits import plot_fit
from .several import plot_chain, plot_results

__all__ = ["plot_chain", "plot_dithers", "plot_extraction", "plot_fit", "plot_results"]
