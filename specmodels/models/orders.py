"""Spectral orders: one light seen in several places, each with wavelengths of its own."""

from dataclasses import dataclass

import numpy as np
from astropy.modeling import Model

from .composition import Coordinate
from .linear import TiedTo
from .traces import DistortedTrace

__all__ = ["Order", "Orders", "with_shared_spectrum"]


@dataclass(frozen=True, eq=False)
class Order:
    """Where one spectral order of a source lies, and what it shows.

    Parameters
    ----------
    trace : `~astropy.modeling.Model` or array_like, shape (n_column,)
        Row of the order as a function of the column: a model, whose free parameters are fitted, or
        the rows that were measured or predicted, in each column of the image; those may be off by a
        shift and a distortion, which are fitted.
    wavelength : array_like or `~astropy.units.Quantity`, shape (n_column,), optional
        Wavelength of each column; default: that of the image along the trace.
    throughput : array_like, shape (n_column,), optional
        Light in a column for a spectrum of one, where orders share a spectrum.
    name : str, optional
        Name of the order; default: its number among the orders.

    Raises
    ------
    ValueError
        If an array is not one-dimensional, the rows or the throughput are not finite, or they have
        other numbers of columns.
    """

    trace: object
    wavelength: object = None
    throughput: object = None
    name: str | None = None

    def __post_init__(self):
        lengths = {}
        for key in ("trace", "wavelength", "throughput"):
            value = getattr(self, key)
            if value is None or isinstance(value, Model):
                continue
            array = np.asarray(getattr(value, "value", value), dtype=float)
            if array.ndim != 1 or (key != "wavelength" and not np.isfinite(array).all()):
                raise ValueError(f"{key}: expected a finite value for each column, got {value!r}")
            lengths[key] = len(array)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Order: expected arrays of one number of columns, got {lengths}")

    def trace_model(self, x, degree):
        """The trace as a model of the columns `x` of an image."""
        if isinstance(self.trace, Model):
            return self.trace.copy()
        rows = np.asarray(self.trace, dtype=float)
        if len(rows) != len(x):
            raise ValueError(
                f"trace: expected a row for each of the {len(x)} columns, got {len(rows)}"
            )
        return DistortedTrace(x, rows, degree=degree)


@dataclass(frozen=True, eq=False)
class Orders:
    """Spectral orders of one source, and what they have in common.

    Parameters
    ----------
    orders : sequence of Order
        At least one; their names differ.
    distortion : int
        Degree of the distortion of traces that are given as rows.
    common_distortion : bool
        Whether all orders have the same one.
    spectrum : `~astropy.modeling.Model`, optional
        A spectrum of wavelength, such as `~specmodels.MasterBackgroundSpectrum`, that all orders
        show, times their throughputs. Default: each order has fluxes of its own in each column.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If two orders have the same name.
    """

    orders: tuple
    distortion: int = 2
    common_distortion: bool = False
    spectrum: object = None

    def __post_init__(self):
        orders = (self.orders,) if isinstance(self.orders, Order) else tuple(self.orders)
        if not orders or not all(isinstance(order, Order) for order in orders):
            raise TypeError(f"orders: expected one Order or more, got {self.orders!r}")
        if self.spectrum is not None and not isinstance(self.spectrum, Model):
            raise TypeError(f"spectrum: expected a Model, got {self.spectrum!r}")
        object.__setattr__(self, "orders", orders)
        if len(set(self.names)) < len(orders):
            raise ValueError(f"orders: names must differ, got {self.names}")

    def __iter__(self):
        return iter(self.orders)

    def __len__(self):
        return len(self.orders)

    @property
    def names(self):
        """Name of each order; its number among them where it has none."""
        return [order.name or f"order {number + 1}" for number, order in enumerate(self.orders)]

    @property
    def wavelengths(self):
        """Wavelengths of the orders that have any, by name."""
        named = zip(self.names, self.orders, strict=True)
        return {name: order.wavelength for name, order in named if order.wavelength is not None}


def with_shared_spectrum(sources, orders, spectrum, x):
    """Sum of the orders of one spectrum of wavelength.

    Parameters
    ----------
    sources : sequence of `~specmodels.Source`
        One for each order; their fluxes become one.
    orders : sequence of Order
        Their wavelengths and throughputs.
    spectrum : `~astropy.modeling.Model`
        Spectrum as a function of wavelength, linear in its parameters.
    x : ndarray, shape (n_column,)
        Columns of the image.

    Returns
    -------
    `~astropy.modeling.Model`
        Of column and row. The coefficients of all spectra are tied to those of the first.

    Raises
    ------
    ValueError
        If an order has no wavelengths.
    """
    model, first = None, None
    for source, order in zip(sources, orders, strict=True):
        if order.wavelength is None:
            raise ValueError(
                f"orders: expected wavelengths of {source.name!r}, to share a spectrum with others"
            )
        own = spectrum.copy()
        own.name = f"{source.name} spectrum"
        if model is not None:
            for name in own.param_names:
                own.tied[name] = getattr(own, name).tied = TiedTo(f"{name}_{first}")
        part = _seen(source, order, own, x)
        model = part if model is None else model + part
        first = model.submodel_names.index(f"{sources[0].name} spectrum")
    return model


def _seen(source, order, spectrum, x):
    """One order: a source of flux one, times the spectrum and the throughput in each column."""
    source = source.copy()
    source.flux = 1.0
    source.flux.fixed = True
    wavelength = np.asarray(getattr(order.wavelength, "value", order.wavelength), dtype=float)
    part = source * (_of_column(f"wavelength of {source.name}", x, wavelength) | spectrum)
    if order.throughput is None:
        return part
    throughput = np.asarray(order.throughput, dtype=float)
    return part * _of_column(f"throughput of {source.name}", x, throughput)


def _of_column(name, x, values):
    """A coordinate that is known per column."""
    return Coordinate(name, (x, np.array([0.0]), values[None]))
