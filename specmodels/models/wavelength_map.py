"""Wavelengths of pixels with free parameters: flexure of an exposure, tilt and bow of lines.

What is known of the wavelengths comes from the image that a model is fitted to; here is by how
many columns it is wrong. Spectra behind a map, lines of the sky above all, tell.
"""

import numpy as np
from astropy import units as u
from astropy.modeling import CompoundModel, FittableModel, Parameter

from ..numerics.positions import finite, legendre_terms
from .composition import PIXELS, Composable, Coordinate
from .linear import TiedTo
from .parameters import declare, repeated
from .quantities import UnitRules, with_units

__all__ = ["WavelengthMap", "with_wavelength_map"]

NAMES = ("shift", "tilt", "bow")


class WavelengthMap(Composable, UnitRules, FittableModel):
    r"""Wavelengths of the pixels, moved along the dispersion: a coordinate with free parameters.

    .. math::
        \lambda(x, y) = \lambda_0(x - \Delta(x, y),\ y), \qquad
        \Delta = \mathrm{shift} + \mathrm{tilt}\,\frac{t}{2}
                 + \mathrm{bow}\left(t^2 - \frac{1}{3}\right) + \sum_{k \ge 3} c_k P_k(t)

    with the wavelengths :math:`\lambda_0` of the image, per column or per pixel, and :math:`t` from
    -1 to 1 between the limits. All parameters are in pixels: a line is moved by ``shift`` to larger
    columns, runs over ``tilt`` columns from the first to the last row, and bends by ``bow`` between
    its middle and its ends. Put before a model of wavelength with ``|`` it takes the place of
    ``Coordinate("wavelength")``; `with_wavelength_map` does so in a whole model, with one set of
    parameters for all of its spectra.

    Parameters
    ----------
    degree : int
        Of the polynomial of the row: 0 for a shift alone (flexure), 1 with a tilt, 2 with a bow.
    column_degree : int
        Degree with which each of these changes along the columns: parameters ``tilt_x1``, ….
    limits, column_limits : (float, float)
        First and last row, and column, of the polynomials.
    table : tuple of ndarray, optional
        Column numbers (n_x,), row numbers (n_y,), and wavelengths, shape (n_y, n_x) or (1, n_x).
        Where it is not given it is that of the image which the model is fitted to.
    over : tuple of str
        ``("exposure",)`` where each exposure has its own values. A shift that all exposures have in
        common moves the spectra with it: hold that of one, or give it a `GaussianPrior`.
    name : str, optional
        Name of the model.
    **parameters : float
        ``shift``, ``tilt``, ``bow``, ``c3``, …; by default zero.

    Raises
    ------
    ValueError
        If a degree is negative, limits do not increase, or the model is evaluated without a table.

    Examples
    --------
    Wavelengths that are a pixel off, of an image with one per column:

    >>> import numpy as np
    >>> from specmodels import WavelengthMap
    >>> table = (np.arange(5.0), np.arange(3.0), np.linspace(400, 404, 5)[None])
    >>> float(WavelengthMap(table=table, shift=1.0)(2.0, 1.0))
    401.0
    """

    _param_names = ()
    n_inputs = 2
    n_outputs = 1
    coordinates = PIXELS
    coordinate = "wavelength"
    linear = False
    _separable = False
    col_fit_deriv = True
    position_unit = u.pix

    def __init__(self, degree=0, *, column_degree=0, limits=(0.0, 63.0),
                 column_limits=(0.0, 2047.0), table=None, over=(), name=None,
                 **parameters):  # fmt: skip
        for key, value in (("degree", degree), ("column_degree", column_degree)):
            if int(value) != value or value < 0:
                raise ValueError(f"{key}: expected a whole number from 0, got {value!r}")
        self.degree, self.column_degree = int(degree), int(column_degree)
        self.limits = _increasing("limits", limits)
        self.column_limits = _increasing("column_limits", column_limits)
        self.table = table and tuple(np.array(values, dtype=float) for values in table)
        self.over = tuple(over)
        default = repeated(0.0, parameters)
        declare(self, [Parameter(n, default=default) for n in self._names()])
        super().__init__(name=name, **parameters)

    def _names(self):
        rows = [NAMES[k] if k < len(NAMES) else f"c{k}" for k in range(self.degree + 1)]
        columns = ["", *(f"_x{j}" for j in range(1, self.column_degree + 1))]
        return [row + column for column in columns for row in rows]

    @property
    def param_names(self):
        """Names of the parameters."""
        return self._param_names

    def bound_to(self, image):
        """Copy with the wavelengths of an image."""
        new = self.copy()
        wavelength = np.asarray(image.coordinate("wavelength"), dtype=float)
        new.table = (image.x, image.y, wavelength)
        return new

    def _terms(self, x, y):
        """Derivative of the shift by each parameter, in pixels."""
        rows = list(np.moveaxis(legendre_terms(y, self.limits, self.degree), -1, 0))
        for k, scale in ((1, 0.5), (2, 2 / 3)):
            if k <= self.degree:
                rows[k] = scale * rows[k]
        columns = legendre_terms(x, self.column_limits, self.column_degree)
        columns = np.moveaxis(columns, -1, 0)
        return [row * column for column in columns for row in rows]

    @with_units
    def evaluate(self, x, y, *values):
        """Wavelength at columns and rows; NaN where the image has none."""
        return self._value_and_slope(x, y, values)[0]

    def _value_and_slope(self, x, y, values):
        if self.table is None:
            raise ValueError(
                "wavelength map: the wavelengths are not known; fit the model to an image that has "
                "them, or bind it by bound(model, image)"
            )
        shift = sum(v * term for v, term in zip(values, self._terms(x, y), strict=True))
        columns, rows, wavelength = self.table
        place, step = _along(columns, finite(x) - shift)
        first, slope = (np.zeros(np.broadcast_shapes(np.shape(place), np.shape(y)))
                        for _ in range(2))  # fmt: skip
        for row, weight in _rows_near(y, rows if len(wavelength) > 1 else rows[:1]):
            value, change = _read(wavelength, row, place)
            first += np.where(weight > 0, weight * value, 0.0)
            slope += np.where(weight > 0, weight * change, 0.0)
        return first, slope / step

    def fit_deriv(self, x, y, *values):
        """Derivatives by the parameters, as a list of arrays."""
        _, slope = self._value_and_slope(x, y, values)
        return [-slope * term for term in self._terms(x, y)]


def with_wavelength_map(model, wavelength_map):
    """Copy of a model whose spectra take their wavelengths from a map with free parameters.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Spectra of wavelength with all that acts on them, of column and row.
    wavelength_map : WavelengthMap
        Put before each spectrum; the parameters of all but the first are tied to those of the
        first. Terms are to be added before, as ties are by the names in the whole.

    Returns
    -------
    `~astropy.modeling.Model`

    Raises
    ------
    ValueError
        If no part of the model is a function of the wavelength.
    """
    new, numbers, _ = _mapped(model, wavelength_map, 0)
    if not numbers:
        raise ValueError("model: expected a spectrum of wavelength, of column and row, got none")
    leaves = _leaves(new)
    for j in numbers[1:]:
        for n in leaves[j].param_names:
            tie = TiedTo(f"{n}_{numbers[0]}" if len(leaves) > 1 else n)
            leaves[j].tied[n] = tie
            getattr(leaves[j], n).tied = tie
    return new


def _mapped(model, wavelength_map, first):
    """Model with maps, the numbers of their leaves, and that of the leaf behind."""
    if isinstance(model, CompoundModel):
        left, found, first = _mapped(model.left, wavelength_map, first)
        right = model.right
        if model.op != "fix_inputs":
            right, more, first = _mapped(model.right, wavelength_map, first)
            found = found + more
        return type(model)(model.op, left, right, name=model.name), found, first
    if isinstance(model, Coordinate) and model.coordinate == "wavelength":
        return wavelength_map.copy(), [first], first + 1
    return model.copy(), [], first + 1


def _leaves(model):
    if isinstance(model, CompoundModel):
        right = [] if model.op == "fix_inputs" else _leaves(model.right)
        return [*_leaves(model.left), *right]
    return [model]


def _increasing(name, limits):
    low, high = (float(value) for value in limits)
    if not low < high:
        raise ValueError(f"{name}: expected increasing numbers, got {limits!r}")
    return low, high


def _along(columns, x):
    """Fractional index of column numbers, beyond the ends as well, and columns for each index."""
    last = len(columns) - 1
    place = np.interp(x, columns, np.arange(last + 1.0))
    step = (columns[-1] - columns[0]) / max(last, 1)
    place = place + np.where(x < columns[0], (x - columns[0]) / step, 0.0)
    return place + np.where(x > columns[-1], (x - columns[-1]) / step, 0.0), step


def _rows_near(y, rows):
    """The rows of a table on both sides of each row number, with their weights."""
    place = np.interp(finite(y), rows, np.arange(len(rows)))
    below = np.floor(np.nan_to_num(place)).astype(int)
    yield below, 1.0 - (place - below)
    if np.any(place > below):
        yield np.minimum(below + 1, len(rows) - 1), place - below


def _read(wavelength, row, place):
    """Wavelength of rows at fractional columns, and its change for each: linear, also beyond."""
    known = np.isfinite(wavelength)
    first = np.argmax(known, axis=1)
    last = wavelength.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    unknown = np.isnan(place)
    left = np.floor(np.where(unknown, 0.0, place)).astype(int)
    left = np.clip(left, first[row], np.maximum(last[row] - 1, first[row]))
    right = np.minimum(left + 1, wavelength.shape[1] - 1)
    value = wavelength[row, left]
    change = wavelength[row, right] - value
    return value + change * (place - left), change
