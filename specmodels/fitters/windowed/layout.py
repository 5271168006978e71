"""Nodes along the dispersion and knots along the slit, and the profiles that coefficients make."""

from dataclasses import dataclass

import numpy as np

from ...numerics.fine_pixels import ProfileTable, look_up
from ...numerics.spline_grid import SplineGrid

__all__ = ["Layout"]


@dataclass(frozen=True, eq=False)
class Layout:
    """Nodes along the dispersion and knots along the slit.

    Attributes
    ----------
    nodes : ndarray, shape (n_nodes,)
        Columns, two or more.
    grid : `~specmodels.numerics.spline_grid.SplineGrid`
        Positions in pixels.
    """

    nodes: np.ndarray
    grid: SplineGrid

    def place(self, x):
        """Interval between nodes of each column, and the fraction of it."""
        place = np.interp(x, self.nodes, np.arange(self.nodes.size))
        interval = np.minimum(place.astype(np.intp), self.nodes.size - 2)
        return interval, place - interval

    def table(self, coefficients, x, width=1.0):
        """Profiles averaged over pixels of a width in columns ``x``, as a `ProfileTable`."""
        grid = self.grid
        return ProfileTable.of_nodes(
            grid.profiles(coefficients, width), grid.low, grid.step, *self.place(x)
        )

    def shape(self, coefficients, positions, x, width=1.0):
        """Profile averaged over pixels of a width at positions in columns ``x`` (broadcast)."""
        columns = np.arange(np.size(x)).reshape(np.shape(x))
        positions, columns = np.broadcast_arrays(positions, columns)
        table = self.table(coefficients, np.ravel(x), width)
        return look_up(table, positions.ravel(), columns.ravel()).reshape(positions.shape)

    def wide_shape(self, coefficients, position, x, width):
        """Profile averaged over a width of any size about one position, in columns ``x``."""
        # Not wider than a pixel, for which the tables are made.
        n = int(np.ceil(width))
        middles = position + width * ((np.arange(n) + 0.5) / n - 0.5)
        return self.shape(coefficients, middles[:, None], x, width / n).mean(axis=0)
