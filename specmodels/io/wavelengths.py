"""Wavelengths of pixels from what files carry: a gwcs, or the keywords of a FITS header."""

import warnings

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from .units import known_unit

__all__ = [
    "given_wavelengths", "header_axis", "steepest_axis", "wavelengths_from_gwcs",
    "wavelengths_from_header", "wavelengths_from_table",
]  # fmt: skip

SPECTRAL = ("WAVE", "AWAV", "LAMBDA", "FREQ", "ENER", "WAVN")
# Columns of tables that hold wavelengths.
TABLE_NAMES = ("wavelength", "wave", "lambda", "lam")
DEFAULT_UNITS = {"WAVE": u.m, "AWAV": u.m, "FREQ": u.Hz, "ENER": u.J, "WAVN": u.m**-1}


def given_wavelengths(given, shape):
    """Wavelengths of the pixels of an image from what a user gives.

    Parameters
    ----------
    given : array_like, `~gwcs.WCS`, tilt solution, or callable
        Arrays stay as they are. A tilt solution is what `specreduce` makes of arc lines: an object
        with ``d2c(along, across)``, the dispersion coordinate of a pixel in columns of the
        reference row, and ``disp_axis``, as numpy counts axes. A callable takes columns and rows.
    shape : tuple of int
        Shape of the image as it lies in the input, (n_y, n_x).

    Returns
    -------
    array_like or `~astropy.units.Quantity`

    Raises
    ------
    ValueError
        If a WCS leads to no wavelength, or a function to another shape than that of the image.
    """
    if not (callable(given) or hasattr(given, "d2c")):
        return given
    if hasattr(given, "output_frame"):
        found = wavelengths_from_gwcs(given, shape)
        if found is None:
            raise ValueError("wavelength: expected a WCS from two pixel coordinates to wavelengths")
        return found
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    if hasattr(given, "d2c"):
        along, across = (x, y) if getattr(given, "disp_axis", 1) in (1, -1) else (y, x)
        return np.asarray(given.d2c(along, across), dtype=float) * u.pix
    found = given(x, y)
    if np.shape(found) != tuple(shape):
        raise ValueError(
            f"wavelength: expected a function whose values have the shape {tuple(shape)} of the "
            f"image, got {np.shape(found)}"
        )
    return found


def wavelengths_from_gwcs(wcs, shape):
    """Return the wavelength of each pixel, NaN outside the bounding box.

    Parameters
    ----------
    wcs : `~gwcs.WCS`
        From the pixels of the array to coordinates of which one is spectral.
    shape : tuple of int
        Shape of the array, (n_y, n_x).

    Returns
    -------
    wavelength : `~astropy.units.Quantity`, shape (n_y, n_x), or None
        None with a warning where the WCS has no spectral output or does not start from pixels.
    """
    index, unit = _spectral_output(wcs)
    if index is None or getattr(wcs.forward_transform, "n_inputs", 2) != 2 or len(shape) != 2:
        warnings.warn(
            "the WCS does not lead from two pixel coordinates to a wavelength; no wavelengths "
            "are taken from it",
            AstropyUserWarning,
            stacklevel=2,
        )
        return None
    y, x = np.mgrid[: shape[0], : shape[1]]
    outputs = wcs(x, y)
    values = np.asarray(getattr(outputs[index], "value", outputs[index]), dtype=float)
    return values * unit if np.isfinite(values).any() else None


def _spectral_output(wcs):
    """Index and unit of the spectral output, (None, None) where there is none."""
    frame = wcs.output_frame
    types = getattr(frame, "axes_type", None) or ()
    units = getattr(frame, "unit", None) or ()
    types = (types,) if isinstance(types, str) else tuple(types)
    order = getattr(frame, "axes_order", None) or range(len(types))
    for place, kind, unit in zip(order, types, units, strict=False):
        if str(kind).upper() == "SPECTRAL":
            return place, unit
    for place, unit in zip(order, units, strict=False):
        if unit is not None and u.Unit(unit).is_equivalent(u.m, u.spectral()):
            return place, unit
    return None, None


def steepest_axis(wavelength):
    """Return the axis, -1 or -2, along which wavelengths change most, None if along neither."""
    values = np.asarray(getattr(wavelength, "value", wavelength), dtype=float)
    steps = []
    for axis in (-1, -2):
        step = np.abs(np.diff(values, axis=axis))
        step = step[np.isfinite(step)]
        steps.append(np.median(step) if step.size else 0.0)
    if steps[0] == steps[1]:
        return None
    return -1 if steps[0] > steps[1] else -2


def header_axis(header):
    """Return the axis whose FITS keywords are spectral, -1 or -2; None if none or both are."""
    spectral = [axis for axis in (-1, -2) if _is_spectral(header, -axis)]
    return spectral[0] if len(spectral) == 1 else None


def wavelengths_from_header(header, axis, shape):
    """Return the wavelengths along one axis of an image from its FITS keywords.

    Linear axes, ``-LOG`` axes of the FITS standard and ``DC-FLAG = 1`` (logarithms to base ten)
    are understood.

    Parameters
    ----------
    header : mapping
        With ``CTYPEn``, ``CRVALn``, ``CRPIXn``, ``CDn_n`` or ``CDELTn``, ``CUNITn``.
    axis : int
        Axis of the array, -1 or -2.
    shape : tuple of int
        Shape of the image.

    Returns
    -------
    wavelength : `~astropy.units.Quantity` or ndarray, shape (n_dispersion,), or None
        None where the axis is not spectral, with a warning where it is of an unknown kind.
    """
    n = -axis
    if not _is_spectral(header, n) or len(shape) != 2:
        return None
    start = float(header.get(f"CRVAL{n}", 0.0))
    step = float(header.get(f"CD{n}_{n}") or _step(header, n))
    offset = step * (np.arange(shape[axis]) + 1 - float(header.get(f"CRPIX{n}", 0.0)))
    kind = str(header.get(f"CTYPE{n}", "")).strip().upper()
    if int(header.get("DC-FLAG") or 0) == 1:
        return _with_unit(10 ** (start + offset), header, n)
    if kind.endswith("-LOG"):
        return _with_unit(start * np.exp(offset / start), header, n)
    if "-" in kind and not kind.endswith("-"):
        warnings.warn(
            f"CTYPE{n} = {kind!r} is a kind of axis that is not understood; no wavelengths are "
            "taken from it",
            AstropyUserWarning,
            stacklevel=2,
        )
        return None
    return _with_unit(start + offset, header, n)


def wavelengths_from_table(hdus, n_dispersion):
    """Return the wavelengths of the columns of an image from a table in the same file.

    A table of as many wavelengths as there are columns knows more than a linear axis of the header.

    Parameters
    ----------
    hdus : sequence of `~astropy.io.fits` extensions
    n_dispersion : int
        Length of the dispersion axis.

    Returns
    -------
    wavelength : ndarray, shape (n_dispersion,)
    unit : `~astropy.units.Unit`, or None
        Both in a tuple; None where there is no such table.
    """
    for hdu in hdus:
        for column in getattr(hdu, "columns", None) or ():
            if column.name.lower() not in TABLE_NAMES:
                continue
            values = np.ravel(np.asarray(hdu.data[column.name], dtype=float))
            rising = np.diff(values[np.isfinite(values)])
            if values.size == n_dispersion and (np.all(rising > 0) or np.all(rising < 0)):
                unit = u.Unit(column.unit, parse_strict="silent") if column.unit else None
                known = unit is not None and unit.is_equivalent(u.m, u.spectral())
                return values, unit if known else None
    return None


def _step(header, n):
    # A header made by `WCS.to_header` has the factor of the step in PCn_n.
    return float(header.get(f"CDELT{n}", 0.0)) * float(header.get(f"PC{n}_{n}", 1.0))


def _is_spectral(header, n):
    kind = str(header.get(f"CTYPE{n}", "")).strip().upper()
    if not (header.get(f"CD{n}_{n}") or header.get(f"CDELT{n}")):
        return False
    if kind.startswith(SPECTRAL):
        return True
    return kind in ("", "LINEAR") and (
        _unit(header, n) is not None or (n == 1 and header.get("DC-FLAG") is not None)
    )


def _unit(header, n):
    """The unit that a header states for an axis, if it is one of wavelength; else None."""
    text = str(header.get(f"CUNIT{n}") or "").strip()
    if not text and "units=angstrom" in str(header.get(f"WAT{n}_001", "")).lower():
        text = "Angstrom"
    if not text:
        return None
    unit = known_unit(text)
    return unit if unit is not None and unit.is_equivalent(u.m, u.spectral()) else None


def _with_unit(values, header, n):
    unit = _unit(header, n)
    if unit is not None:
        return values * unit
    kind = str(header.get(f"CTYPE{n}", "")).strip().upper()[:4]
    guess = u.AA if np.median(values) > 1000 and kind not in ("FREQ", "WAVN") else None
    if guess is None:
        guess = DEFAULT_UNITS.get(kind)
    if guess is not None:
        warnings.warn(
            f"there is no CUNIT{n}; wavelengths from {values[0]:.6g} to {values[-1]:.6g} are "
            f"taken to be in {guess}",
            AstropyUserWarning,
            stacklevel=2,
        )
    return values if guess is None else values * guess
