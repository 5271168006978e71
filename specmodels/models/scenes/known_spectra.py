"""`grism_image`: what a grism shows of sources whose spectra are known."""

from collections.abc import Mapping

import numpy as np
from astropy import units as u

from ...numerics.dispersal import dispersed_image
from ..spectra import LegendreSpectrum
from .direct_image import DirectImage
from .grism import Grism
from .source_shapes import GrownShapes, SourceShapes

__all__ = ["grism_image"]


def grism_image(direct, grism, spectra, *, shapes=None, orders=None, steps_per_pixel=2.0):
    """Disperse sources whose spectra are known: one image, and no columns of basis functions.

    For simulations, and for sources that are not to be fitted: the image may be the ``known_light``
    of an exposure.

    Parameters
    ----------
    direct : `~specmodels.DirectImage`
    grism : `~specmodels.Grism`
    spectra : callable, or mapping of int to callable
        Of all sources, or by label: functions of wavelength, in the unit of the grism, whose values
        are relative to the direct image. Sources without one are left out.
    shapes : SourceShapes, optional
        Default: `~specmodels.GrownShapes`.
    orders : sequence of int, optional
        Default: all of the grism that have a response.
    steps_per_pixel : float
        Steps of wavelength for each pixel of the trace.

    Returns
    -------
    ndarray, shape (n_y, n_x)
        Of the detector.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If there is no source of a label, no response in an order, or a spectrum is not finite.

    Examples
    --------
    >>> import specmodels as sm
    >>> _, truth = sm.datasets.make_slitless(n_sources=2)
    >>> image = sm.grism_image(truth.direct, truth.grism, lambda wavelength: 2 - wavelength)
    >>> image.shape == truth.grism.shape
    True
    """
    shapes = GrownShapes() if shapes is None else shapes
    kinds = {"direct": (direct, DirectImage), "grism": (grism, Grism),
             "shapes": (shapes, SourceShapes)}  # fmt: skip
    for name, (value, kind) in kinds.items():
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected a {kind.__name__}, got {value!r}")
    labels, squares = shapes(direct)
    by_label = spectra if isinstance(spectra, Mapping) else dict.fromkeys(labels.tolist(), spectra)
    for label, spectrum in by_label.items():
        if label not in labels:
            raise ValueError(f"spectra: expected labels of sources, got {label!r}")
        if not callable(spectrum):
            raise TypeError(f"spectra: expected functions of wavelength, got {spectrum!r}")
    chosen = np.flatnonzero(np.isin(labels, list(by_label)))
    functions = [by_label[label] for label in labels[chosen].tolist()]
    image, part = np.zeros(grism.shape), squares.of(chosen)
    for order in _orders(grism, orders):
        limits = grism.wavelength_range[order]
        steps = grism.steps(order, LegendreSpectrum(0), steps_per_pixel=steps_per_pixel,
                            bands=direct.wavelength)  # fmt: skip
        wavelength = np.mean(limits) + steps.scaled * (limits[1] - limits[0]) / 2
        values = steps.values[:, 0] * _values(functions, labels[chosen], wavelength)
        traces = grism.traces(part.boxes(), order)
        image += dispersed_image(part, traces, steps, values, grism.shape)
    return image


def _orders(grism, orders):
    """The orders to disperse, each with a response."""
    known = tuple(order for order in grism.orders if order in grism.sensitivity)
    if orders is None:
        return known
    missing = [order for order in orders if order not in known]
    if missing:
        raise ValueError(f"orders: expected some of {known}, got {missing} as well")
    return orders


def _values(functions, labels, wavelength):
    """Spectra at all wavelengths, (n_source, n_wavelength); the same function is called once."""
    found, out = {}, np.empty((len(functions), len(wavelength)))
    for row, function, label in zip(out, functions, labels, strict=True):
        if id(function) not in found:
            found[id(function)] = _plain(function(wavelength), label)
        value = found[id(function)]
        if value.shape not in ((), wavelength.shape) or not np.all(np.isfinite(value)):
            raise ValueError(
                f"spectra[{label}]: expected finite values of the shape {wavelength.shape}, got "
                f"{value.shape}, {np.count_nonzero(~np.isfinite(value))} of them not finite"
            )
        row[:] = value
    return out


def _plain(value, label):
    """Values of a spectrum as plain numbers, over those of the direct image."""
    try:
        return np.asarray(u.Quantity(value, u.one).value, dtype=float)
    except u.UnitConversionError as error:
        raise ValueError(f"spectra[{label}]: expected values without a unit, relative to the "
                         f"direct image, got some in {value.unit}") from error  # fmt: skip
