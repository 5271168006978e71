"""The adaptive trace model: a spatial profile in B-splines that changes along the dispersion."""

import numpy as np

from ..numerics.positions import finite, nearer, where_known
from ..numerics.spline_grid import SplineGrid
from .linear import BasisModel

__all__ = ["BSplineTrace"]


class BSplineTrace(BasisModel):
    r"""Spatial profile whose B-spline coefficients run linearly from node to node:

    .. math::
        P(x, \alpha) = \sum_{mk} c_{mk}\,T_m(x)\,\overline{B_k}(\alpha)

    with hat functions :math:`T_m` between the nodes, constant beyond them, and the mean
    :math:`\overline{B_k}` of a cubic B-spline over a pixel at :math:`\alpha`, so that other pixels
    are predicted by integration.

    Parameters
    ----------
    low, high : float
        Range of positions along the slit that the knots cover.
    knot_spacing : float
        Distance of knots, in the unit of the positions.
    columns : array_like, shape (n_nodes,)
        Columns of the nodes, increasing.
    pixel_size : float
        Size of a pixel in the unit of the positions; zero for the spline itself.
    name : str, optional
        Name of the model.
    **parameters : float
        ``c0``, ``c1``, …: the terms of the first node, then those of the next.

    Raises
    ------
    ValueError
        If the range is empty, the spacing not positive, the pixel size negative, or the columns do
        not increase.

    Examples
    --------
    >>> import specmodels as sm
    >>> trace = sm.BSplineTrace(-4, 4, columns=(0.0, 399.0))
    >>> trace.n_inputs, trace.n_terms  # terms of both nodes
    (2, 42)
    """

    n_inputs = 2
    coordinates = ("x", "spatial")
    vanishes_far_away = True

    def __init__(
        self, low=-5.0, high=5.0, *, knot_spacing=0.5, columns=(0.0, 2047.0), pixel_size=1.0,
        name=None, **parameters,
    ):  # fmt: skip
        columns = np.array(columns, dtype=float)
        if not high > low or not knot_spacing > 0 or not pixel_size >= 0:
            raise ValueError(
                "expected low < high, knot_spacing > 0 and pixel_size >= 0, got "
                f"{low!r}, {high!r}, {knot_spacing!r}, {pixel_size!r}"
            )
        if columns.ndim != 1 or columns.size < 1 or np.any(np.diff(columns) <= 0):
            raise ValueError(f"columns: expected increasing numbers, got {columns}")
        self.low, self.high, self.knot_spacing = float(low), float(high), float(knot_spacing)
        self.columns, self.pixel_size = columns, float(pixel_size)
        super().__init__(self.grid.n_terms * columns.size, name=name, **parameters)

    @property
    def grid(self):
        """The knots, as a `~specmodels.numerics.spline_grid.SplineGrid`."""
        return SplineGrid.over(
            self.low, self.high, self.knot_spacing, step=self.knot_spacing,
            reach=0.5 * self.pixel_size,
        )  # fmt: skip

    def basis(self, x, y):
        """Products of hats and averaged B-splines, shape (..., n_terms)."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        splines = self.grid.design(nearer(y), self.pixel_size)
        hats = self.hats(x)
        return (hats[..., :, None] * splines[..., None, :]).reshape(*x.shape, self.n_terms)

    def local_basis(self, x, y):
        """Numbers and values of the products that are not zero, both (..., n_entry)."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        terms, splines = self.grid.local_design(y, self.pixel_size)
        node, hats = self._local_hats(x)
        index = node[..., :, None] * self.grid.n_terms + terms[..., None, :]
        value = hats[..., :, None] * splines[..., None, :]
        return (array.reshape(*x.shape, -1) for array in (index, value))

    def _local_hats(self, x):
        """The two nodes next to a column, and their weights."""
        n = self.columns.size
        if n == 1:
            return np.zeros((*x.shape, 1), int), np.ones((*x.shape, 1))
        place = np.interp(x, self.columns, np.arange(n))
        left = np.clip(place.astype(int), 0, n - 2)
        right = place - left
        return np.stack([left, left + 1], axis=-1), np.stack([1 - right, right], axis=-1)

    def hats(self, x):
        """Weight of each node in a column, shape (..., n_nodes)."""
        nodes = self.columns
        x = finite(x)
        if nodes.size == 1:
            return where_known(np.ones((*x.shape, 1)), x[..., None])
        place = np.interp(x, nodes, np.arange(nodes.size))
        return np.clip(1 - np.abs(place[..., None] - np.arange(nodes.size)), 0, None)

    def profile_at(self, column):
        """Density of the light at one column, as a function of positions along the slit."""
        coefficients = self.hats(np.asarray(float(column))) @ self.node_coefficients

        def density(y):
            return self.grid.design(y, 0.0) @ coefficients

        return density

    @property
    def node_coefficients(self):
        """Coefficients by node, shape (n_nodes, n_terms of the splines)."""
        return np.reshape(self.coefficients, (self.columns.size, -1))
