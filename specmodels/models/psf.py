"""Profiles that come as a table: a point-spread function along the slit, changing with wavelength.

Tables are arguments, made by a PSF library or measured elsewhere; nothing is read or downloaded
here. Profiles with a formula live in `specmodels.models.profiles`, tables of what pixels see in
`specmodels.models.effective_psf`.
"""

import numpy as np
from astropy.modeling import Parameter
from scipy.interpolate import CubicSpline

from ..numerics.positions import finite, nearer, where_known
from .profiles import Profile
from .quantities import with_units

__all__ = ["TabulatedPSF"]


class TabulatedPSF(Profile):
    r"""A tabulated profile, linear between columns of the detector:

    .. math::
        P(x, y) = C_x(u + h/2s) - C_x(u - h/2s), \qquad u = (y - c) / s

    where :math:`C_x` is the integral of the cubic spline through the table, interpolated to column
    ``x`` and constant beyond the first and last; ``h`` is the pixel size. Each row of the table is
    normalised to one: what falls outside of it is no part of the profile.

    Parameters
    ----------
    table : array_like, shape (n_dispersion, n_offset) or (n_offset,)
        Density of the light, in any unit: samples of what falls on the detector, not of what its
        pixels integrate (see `EffectivePSF`).
    offsets : array_like, shape (n_offset,)
        Increasing distances from the trace in detector pixels, usually finer than these.
    columns : array_like, shape (n_dispersion,), optional
        Increasing columns of the detector to which the rows of the table belong. Default: their
        numbers.
    **parameters : float
        ``center`` and ``scale``, a stretch of the table, which is fixed at 1 unless `fixed` says
        otherwise; and the settings of astropy models.

    Raises
    ------
    ValueError
        If shapes do not agree, there are fewer than four offsets, offsets or columns do not
        increase, or a row of the table is not finite or has no light.

    See Also
    --------
    from_wavelengths : from a table over wavelength.
    from_cube : from images at several wavelengths.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> offsets = np.linspace(-5, 5, 51)
    >>> psf = sm.TabulatedPSF(np.exp(-0.5 * (offsets / 0.7) ** 2), offsets)
    >>> float(psf(0.0, np.arange(-5.0, 6)).sum())
    1.0
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    scale = Parameter(default=1.0, bounds=(1e-3, None), fixed=True, description="stretch")
    n_inputs = 2
    width_parameter = "scale"
    position_parameters = ("center",)
    uses_dispersion = True

    def __init__(self, table, offsets, columns=None, **parameters):
        self.table = np.atleast_2d(np.array(table, dtype=float))
        self.offsets = np.array(offsets, dtype=float)
        n_columns = len(self.table)
        self.columns = np.array(np.arange(n_columns) if columns is None else columns, dtype=float)
        self._check_table()
        spline = CubicSpline(self.offsets, self.table, axis=1)
        curve = spline.antiderivative()
        totals = curve(self.offsets[-1])
        if not np.all(totals > 0):
            raise ValueError(f"table: expected light in every row, got totals {totals}")
        pieces = np.swapaxes(self._curve(spline, curve).c / totals, 1, 2)
        self._pieces = pieces.reshape(len(pieces), -1)
        super().__init__(**parameters)

    def _check_table(self):
        shape = (self.columns.size, self.offsets.size)
        if self.table.shape != shape or self.offsets.size < 4:
            raise ValueError(
                "table: expected shape (columns, four or more offsets), got "
                f"{self.table.shape} with {shape[0]} columns and {shape[1]} offsets"
            )
        for name in ("offsets", "columns"):
            if np.any(np.diff(getattr(self, name)) <= 0):
                raise ValueError(f"{name}: expected increasing values, got {getattr(self, name)}")
        if not np.isfinite(self.table).all():
            raise ValueError("table: expected finite values")

    @staticmethod
    def _curve(density, cumulative):
        """The piecewise polynomial that is looked up: here the cumulative distribution."""
        return cumulative

    @classmethod
    def from_wavelengths(cls, table, offsets, wavelengths, column_wavelengths, **parameters):
        """Make the profile from a table over wavelength.

        Parameters
        ----------
        table : array_like, shape (n_wavelength, n_offset)
            Density of the light.
        offsets : array_like, shape (n_offset,)
            Increasing distances from the trace, in detector pixels.
        wavelengths : array_like or `~astropy.units.Quantity`, shape (n_wavelength,)
            Increasing wavelengths of the rows of the table.
        column_wavelengths : array_like or `~astropy.units.Quantity`, shape (n_columns,)
            Wavelength of each column of the detector, rising or falling; NaN where there is none.
        **parameters : float
            As for the class.

        Raises
        ------
        ValueError
            If wavelengths do not increase, or those of the columns neither rise nor fall.
        """
        wavelengths, column_wavelengths = _in_one_unit(wavelengths, column_wavelengths)
        if np.any(np.diff(wavelengths) <= 0):
            raise ValueError(f"wavelengths: expected increasing values, got {wavelengths}")
        columns = np.flatnonzero(np.isfinite(column_wavelengths))
        found = column_wavelengths[columns]
        directions = np.unique(np.sign(np.diff(found)))
        if not found.size or directions.size > 1 or 0 in directions:
            raise ValueError("column_wavelengths: expected values that only rise or only fall")
        ascending = np.argsort(found)
        ends = found[ascending[[0, -1]]]
        between = wavelengths[(wavelengths > ends[0]) & (wavelengths < ends[1])]
        nodes = np.unique([*between, *ends])
        table = np.asarray(table, dtype=float)
        light = np.trapezoid(table, offsets, axis=1)[:, np.newaxis]
        rows = _interpolated_table(nodes, wavelengths, table / light)
        nodes = np.interp(nodes, found[ascending], columns[ascending])
        order = np.argsort(nodes)
        return cls(rows[order], offsets, nodes[order], **parameters)

    @classmethod
    def from_cube(
        cls,
        cube,
        wavelengths,
        oversampling,
        column_wavelengths,
        *,
        dispersion_axis=-1,
        **parameters,
    ):
        """Make the profile from images at several wavelengths, summed along dispersion.

        Parameters
        ----------
        cube : array_like, shape (n_wavelength, ny, nx)
            Images, centred in their frames. For `TabulatedPSF` each pixel holds the light that
            falls into it; for `EffectivePSF` its value is a sample of the effective PSF.
        wavelengths : array_like or `~astropy.units.Quantity`, shape (n_wavelength,)
            Increasing wavelengths of the images.
        oversampling : int or float
            Pixels of the cube per pixel of the detector, along the slit.
        column_wavelengths : array_like or `~astropy.units.Quantity`, shape (n_columns,)
            Wavelength of each column of the detector.
        dispersion_axis : int
            Axis of an image along which the light is dispersed; -1: the last.
        **parameters : float
            As for the class.

        Raises
        ------
        ValueError
            If the cube is not three-dimensional, or as for `from_wavelengths`.
        """
        cube = np.asarray(cube, dtype=float)
        if cube.ndim != 3:
            raise ValueError(f"cube: expected shape (n_wavelength, ny, nx), got {cube.shape}")
        images = np.moveaxis(cube, dispersion_axis % 2 + 1, -1)
        offsets, table = cls._samples(images.sum(axis=-1), oversampling)
        return cls.from_wavelengths(table, offsets, wavelengths, column_wavelengths, **parameters)

    @staticmethod
    def _samples(sums, oversampling):
        """Density at the edges of the pixels from the light inside of each."""
        n = sums.shape[1]
        offsets = (np.arange(n + 1) - n / 2) / oversampling
        below = np.cumsum(np.pad(sums, ((0, 0), (1, 0))), axis=1)
        return offsets, CubicSpline(offsets, below, axis=1, bc_type="clamped")(offsets, nu=1)

    @with_units
    def evaluate(self, x, y, center, scale):
        """Fraction of the light in the pixel of column `x` and row `y`."""
        y, is_column = self._edges(y)
        if is_column:
            above = self._look_up(x, y, center, scale)[0]
            return above[1:] - above[:-1]
        half = 0.5 * self.pixel_size
        above, below = (self._look_up(x, y + h, center, scale)[0] for h in (half, -half))
        return above - below

    def fit_deriv(self, x, y, center, scale):
        """Derivatives of `evaluate` by center and scale, as a list of arrays."""
        edges, is_column = self._edges(y)
        if is_column:
            columns = self._edge_derivatives(x, edges, center, scale)
            return [column[1:] - column[:-1] for column in columns]
        half = 0.5 * self.pixel_size
        above, below = (self._edge_derivatives(x, edges + h, center, scale) for h in (half, -half))
        return [a - b for a, b in zip(above, below, strict=True)]

    def cumulative(self, x, y, center, scale):
        """Fraction of the light below `y` in column `x`."""
        return self._look_up(x, nearer(y), center, scale)[0]

    def fwhm(self, scale):
        """Full width at half maximum of the mean row of the table."""
        fine = np.linspace(self.offsets[0], self.offsets[-1], 20 * self.offsets.size)
        rows = self.table / self.table.max(axis=1, keepdims=True)
        mean = CubicSpline(self.offsets, rows.mean(axis=0))(fine)
        above = np.flatnonzero(mean >= 0.5 * mean.max())
        return (fine[above[-1]] - fine[above[0]]) * scale

    def _edge_derivatives(self, x, y, center, scale):
        _, density, u = self._look_up(x, y, center, scale, derivative=True)
        by_center = -density / scale
        return [by_center, u * by_center]

    def _look_up(self, x, y, center, scale, *, derivative=False):
        """Curve in each pixel, its derivative (None unless wanted) and offset ``u``."""
        u = (y - center) / scale
        inside = np.clip(u, self.offsets[0], self.offsets[-1])
        interval = self._interval(inside)
        t = inside - self.offsets[interval]
        node, weight = self._node(x)
        place = interval + node * (self.offsets.size - 1)
        value, slope = where_known(0.0, weight), (0.0 if derivative else None)
        for piece in self._pieces:
            if derivative:
                slope = slope * t + value
            coefficient = self._blended(piece, place, weight)
            value = value * t + coefficient
        if derivative:
            slope = np.where(self._beyond(u), 0.0, slope)
        return value, slope, u

    def _beyond(self, u):
        """Whether offsets lie outside of the table."""
        return (u < self.offsets[0]) | (u > self.offsets[-1])

    def _interval(self, u):
        """Number of the table's interval which holds each offset."""
        number = np.searchsorted(self.offsets, u, side="right") - 1
        return np.minimum(number, self.offsets.size - 2)

    def _node(self, x):
        """Number of the table's row below each column, and the weight of the next."""
        position = np.interp(finite(x), self.columns, np.arange(self.columns.size))
        with np.errstate(invalid="ignore"):  # NaN stays in the weight
            node = np.clip(position.astype(int), 0, max(self.columns.size - 2, 0))
        return node, position - node

    def _blended(self, piece, place, weight):
        """Coefficient at flat positions `place`, linear between two rows of the table."""
        low = piece.take(place)
        if self.columns.size == 1:
            return low
        high = piece.take(place + self.offsets.size - 1)
        return low + weight * (high - low)


def _in_one_unit(wavelengths, others):
    """Arrays of numbers in the unit of the first, where they have units."""
    unit = getattr(wavelengths, "unit", None)
    others = others.to_value(unit) if unit is not None and hasattr(others, "unit") else others
    return (np.asarray(getattr(w, "value", w), dtype=float) for w in (wavelengths, others))


def _interpolated_table(nodes, wavelengths, table):
    """Rows of the table at other wavelengths, linear between its own and constant beyond."""
    position = np.interp(nodes, wavelengths, np.arange(wavelengths.size))
    low = np.minimum(position.astype(int), max(wavelengths.size - 2, 0))
    weight = (position - low)[:, np.newaxis]
    return (1 - weight) * table[low] + weight * table[np.minimum(low + 1, len(table) - 1)]
