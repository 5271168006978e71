"""Models of different coordinates in one compound: adapters, operators, and what binds them.

A model says by name what its inputs are, in its attribute ``coordinates``. Where two models with
other coordinates are combined, what is no function of column and row becomes one by way of
`Coordinate`, which an image (its wavelengths, its WCS, its readout) fills in when it is fitted.
"""

import math

import numpy as np
from astropy.modeling import CompoundModel, Model
from astropy.modeling.models import Mapping
from scipy.ndimage import map_coordinates

from .copies import DeepCopied

__all__ = [
    "Composable",
    "Composition",
    "Coordinate",
    "bound",
    "of_table",
    "on_pixels",
    "repeated_over",
    "sum_of",
]

PIXELS = ("x", "y")


class Coordinate(Model):
    """A coordinate of the pixels by its name, as a model of column and row.

    Put before a model with ``|``, it makes that a model of column and row:
    ``Coordinate("wavelength") | spectrum``. Operators between models of this package do so by
    themselves.

    Parameters
    ----------
    coordinate : str
        ``"x"``, ``"y"``, ``"wavelength"``, ``"spatial"``, ``"time"``, or any that images have.
    table : tuple of ndarray, optional
        Column numbers (n_x,), row numbers (n_y,), and the coordinate, (n_y, n_x), (1, n_x) or
        (n_y, 1). Where it is not given it is that of the image which the model is fitted to.
    name : str, optional
        Name of the model.

    Raises
    ------
    ValueError
        If the model is evaluated without a table.

    Examples
    --------
    >>> from specmodels import Coordinate
    >>> float(Coordinate("y")(3.0, 4.0))
    4.0
    """

    n_inputs = 2
    n_outputs = 1
    coordinates = PIXELS

    def __init__(self, coordinate, table=None, *, name=None, **settings):
        self.coordinate, self.table = str(coordinate), table
        super().__init__(name=name, **settings)

    def __repr__(self):
        known = self.coordinate in PIXELS or self.table is not None
        return f"<Coordinate({self.coordinate!r}){'' if known else ', of the image'}>"

    def bound_to(self, image):
        """Copy with the coordinates of the pixels of an image; its own where that has none."""
        if self.coordinate in PIXELS:
            return self
        try:
            values = varying(np.asarray(image.coordinate(self.coordinate), dtype=float))
        except ValueError:
            if self.table is None:
                raise
            return self
        return Coordinate(self.coordinate, (image.x, image.y, values), name=self.name)

    def evaluate(self, x, y):
        """Coordinate at columns and rows: linear between pixels, NaN outside of the table."""
        if self.coordinate in PIXELS:
            return 1.0 * (x if self.coordinate == "x" else y)
        if self.table is None:
            raise ValueError(
                f"coordinate {self.coordinate!r}: not known; fit the model to an image that has it,"
                f" or bind it by bound(model, image)"
            )
        return of_table(x, y, self.table)


def of_table(x, y, table):
    """Value of a table of pixels at columns and rows.

    Parameters
    ----------
    x, y : ndarray
        Column and row numbers.
    table : tuple of ndarray
        Column numbers (n_x,), row numbers (n_y,), and values, (n_y, n_x), (1, n_x) or (n_y, 1).

    Returns
    -------
    ndarray
        Linear between pixels, NaN outside of the table.
    """
    columns, rows, values = table
    if np.ndim(x) == np.ndim(y) == 2 and np.shape(x)[0] == np.shape(y)[1] == 1:
        grid = _run(y[:, 0], rows), _run(x[0], columns)
        if None not in grid:
            return cut_to(values, grid)
    return _interpolated(values, _places(y, rows), _places(x, columns))


def varying(values):
    """One row or column of an image whose rows or columns are all the same, else the image."""
    for axis in (0, 1):
        first = values.take([0], axis)
        if np.array_equal(values, np.broadcast_to(first, values.shape)):
            values = first
    return values


def cut_to(values, window):
    """The rows and columns of a window of what may be an image, a row, a column or a number."""
    if np.ndim(values) < 2:
        return values
    cut = [part if n > 1 else slice(None) for part, n in zip(window, np.shape(values), strict=True)]
    return values[tuple(cut)]


def _run(numbers, known):
    """Slice of the known numbers that these are; None where they are not."""
    start = int(np.searchsorted(known, numbers[0])) if len(numbers) else 0
    run = slice(start, start + len(numbers))
    return run if np.array_equal(known[run], numbers) else None


def _places(numbers, known):
    """Fractional index of column or row numbers among those that are known."""
    numbers = np.asarray(numbers, dtype=float)
    return np.interp(numbers, known, np.arange(len(known)), left=np.nan, right=np.nan)


def _interpolated(values, rows, columns):
    """Values of an image at fractional rows and columns, which may have one of either only."""
    rows, columns = np.broadcast_arrays(
        np.zeros_like(rows) if values.shape[0] == 1 else rows,
        np.zeros_like(columns) if values.shape[1] == 1 else columns,
    )
    known = np.isfinite(rows) & np.isfinite(columns)
    places = [np.where(known, place, 0.0) for place in (rows, columns)]
    out = map_coordinates(values, places, order=1, mode="nearest")
    return np.where(known, out, np.nan)


def on_pixels(model):
    """The model as one of column and row.

    Raises
    ------
    ValueError
        If the model does not say what its inputs are.
    """
    if model.n_inputs == 2 and coordinates_of(model) in (PIXELS, None):
        return model
    names = coordinates_of(model)
    if names is None:
        raise ValueError(
            f"{type(model).__name__}: a model of {model.n_inputs} input(s) without the attribute "
            f"`coordinates` cannot be combined with one of column and row; put a Coordinate or a "
            f"Mapping before it"
        )
    if len(names) == 1:
        return Composition("|", Coordinate(names[0]), model)
    first, *rest = (Coordinate(name) for name in names)
    for other in rest:
        first = CompoundModel("&", first, other)
    pixels = Mapping((0, 1) * len(names), n_inputs=2)
    return Composition("|", CompoundModel("|", pixels, first), model)


def coordinates_of(model):
    """Names of what a model is a function of; None where it does not say."""
    if isinstance(model, CompoundModel):
        if model.op == "|":
            return coordinates_of(model.left)
        if model.op in ("+", "-", "*", "/", "**"):
            known = (coordinates_of(model.left), coordinates_of(model.right))
            return next((names for names in known if names is not None), None)
        return None
    return getattr(model, "coordinates", None)


class Composable(DeepCopied):
    """Operators of models that may be functions of different coordinates.

    A mixin. Models of the same coordinates are combined as those of astropy are; others become
    models of column and row first.
    """

    def __init_subclass__(cls, **keywords):
        # Not in the class itself: astropy gives every class of models its own operators.
        super().__init_subclass__(**keywords)
        for name, operator in OPERATORS.items():
            setattr(cls, name, operator)

    def _initialize_slices(self):
        """As in astropy, which makes arrays of all values: of thousands that takes longest."""
        start, metrics = 0, self._param_metrics
        for name in self.param_names:
            shape = getattr(self, name).shape
            size = math.prod(shape)
            metrics[name] |= {"slice": slice(start, start + size), "shape": shape, "size": size}
            start += size
        self._parameters = np.empty(start)


def _arithmetic(symbol):
    def operator(left, right):
        if not isinstance(right, Model):
            return NotImplemented
        names = [coordinates_of(model) for model in (left, right)]
        differ = None not in names and names[0] != names[1]
        if differ or left.n_inputs != right.n_inputs:
            left, right = on_pixels(left), on_pixels(right)
        return Composition(symbol, left, right)

    return operator


def _sequence(symbol):
    def operator(left, right):
        return Composition(symbol, left, right) if isinstance(right, Model) else NotImplemented

    return operator


OPERATORS = {
    "__add__": _arithmetic("+"),
    "__sub__": _arithmetic("-"),
    "__mul__": _arithmetic("*"),
    "__truediv__": _arithmetic("/"),
    "__pow__": _arithmetic("**"),
    "__or__": _sequence("|"),
    "__and__": _sequence("&"),
}


class Composition(Composable, CompoundModel):
    """A compound of astropy whose operators know of coordinates."""


def bound(model, image):
    """Copy of a model whose coordinates are those of the pixels of an image.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound.
    image : `~specmodels.SpectralImage`
        Supplies wavelengths, positions along the slit and times of readout.

    Returns
    -------
    `~astropy.modeling.Model`
        The model itself where no part of it depends on such coordinates.
    """
    if isinstance(model, CompoundModel):
        if model.op == "fix_inputs":
            left = bound(model.left, image)
            same = left is model.left
            return model if same else type(model)(model.op, left, model.right, name=model.name)
        left, right = bound(model.left, image), bound(model.right, image)
        if left is model.left and right is model.right:
            return model
        return type(model)(model.op, left, right, name=model.name)
    return model.bound_to(image) if hasattr(model, "bound_to") else model


def repeated_over(model, *names):
    """Copy of an elementary model whose linear parameters repeat over something else.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A model, stock ones included.
    *names : str
        Any of ``"column"``, ``"row"``, ``"line"``, ``"output"``, ``"exposure"``, or a coordinate of
        the images with few values. No name: one for all pixels of all images.

    Returns
    -------
    `~astropy.modeling.Model`

    Examples
    --------
    A level for each exposure:

    >>> from astropy.modeling.models import Const2D
    >>> from specmodels import repeated_over
    >>> repeated_over(Const2D(), "exposure").over
    ('exposure',)
    """
    new = model.copy()
    new.over = tuple(str(name) for name in names)
    return new


def sum_of(models):
    """Sum of any number of models: sources of a hundred slits, say.

    As ``a + b + c + …``, but the tree of the sum is balanced, and not as deep as there are models.

    Parameters
    ----------
    models : sequence of `~astropy.modeling.Model`
        One or more.

    Returns
    -------
    `~astropy.modeling.Model`

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from astropy.modeling.models import Const1D
    >>> from specmodels import sum_of
    >>> float(sum_of([Const1D(n) for n in range(500)])(0.0))
    124750.0
    """
    models = list(models)
    if not models:
        raise ValueError("models: expected at least one, got none")
    while len(models) > 1:
        pairs = zip(models[::2], models[1::2], strict=False)
        models = [left + right for left, right in pairs] + models[len(models) - len(models) % 2 :]
    return models[0]
