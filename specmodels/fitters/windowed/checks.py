"""What a slit, windows and knots have to be for a profile to be fitted, and refusals."""

import numpy as np

from ...numerics.spline_grid import SplineGrid
from .layout import Layout
from .pixels import BINS_PER_PIXEL

__all__ = ["check_layout", "check_size", "layout_of"]

# Most coefficients for each pixel, and what is always allowed.
MOST_COEFFICIENTS, LEAST_COEFFICIENTS = 0.25, 300
LEAST_ROWS, LEAST_COLUMNS = 5, 6
# Terms of a spline with two knots a pixel beyond the number of its intervals.
LOCAL = 7


def check_size(pixels, image):
    """Refuse slits that are too small to tell a profile from the scales of columns.

    They need more pixels than two profiles with two knots a pixel and all columns have parameters.
    """
    low, high = pixels.range
    n_pixels = len(pixels.data)
    n_parameters = 2 * (round(2 * (high - low)) + LOCAL) + 3 * pixels.n_columns
    if n_pixels <= n_parameters:
        raise ValueError(
            f"{image.name}: {n_pixels} good pixels in {pixels.n_columns} columns do not "
            f"determine {n_parameters} parameters"
        )
    count = np.bincount(pixels.columns)
    n_rows = np.median(count[count > 0])
    if pixels.n_columns < LEAST_COLUMNS or n_rows < LEAST_ROWS:
        raise ValueError(
            f"{image.name}: {n_rows:g} good pixels in each of {pixels.n_columns} columns do not "
            f"determine a profile, expected {LEAST_ROWS} and {LEAST_COLUMNS}"
        )


def check_layout(layout, pixels, image):
    """Refuse windows and knots, as somebody wants them, that pixels cannot determine."""
    n_nodes, n_terms, spacing = len(layout.nodes), layout.grid.n_terms, layout.grid.spacing
    most = max(MOST_COEFFICIENTS * len(pixels.data), LEAST_COEFFICIENTS)
    if n_nodes * n_terms > most:
        raise ValueError(
            f"{image.name}: {n_nodes - 1} windows with knots every {spacing:g} pixels have "
            f"{n_nodes * n_terms} coefficients, expected at most {most:.0f}: a quarter of pixels"
        )


def layout_of(model, pixels):
    """Nodes and knots of a model, in pixels."""
    low, high = pixels.range
    inside = min(high, model.high / pixels.unit) - max(low, model.low / pixels.unit)
    if inside < 0.5 * (high - low):
        raise ValueError(
            f"model: its knots cover positions from {model.low:g} to {model.high:g}, expected "
            f"{low * pixels.unit:g} to {high * pixels.unit:g}"
        )
    spacing = model.knot_spacing / pixels.unit
    grid = SplineGrid.over(
        model.low / pixels.unit, model.high / pixels.unit, spacing, step=1 / BINS_PER_PIXEL
    )
    nodes = model.columns
    return Layout(nodes if nodes.size > 1 else np.array([nodes[0], nodes[0] + 1.0]), grid)
