"""Readers of objects in memory: arrays, NDData and CCDData, two-dimensional Spectrum."""

from collections.abc import Mapping

import numpy as np
from astropy.nddata import NDData
from astropy.wcs import WCS

from ..instruments import recognise_instrument
from .options import variance_of
from .planes import Planes, exposure_of
from .registry import reader
from .wavelengths import header_axis, wavelengths_from_gwcs, wavelengths_from_header

__all__ = ["read_array", "read_nddata", "read_spectrum"]


@reader(np.ndarray)
def read_array(array, options):
    """Read an array, masked array or Quantity."""
    mask = getattr(array, "mask", None) if hasattr(array, "unmasked") else None
    data = array.unmasked if hasattr(array, "unmasked") else array
    planes = Planes(data, mask=mask)
    return exposure_of([planes], options, options.resolved(), source=array)


@reader(NDData)
def read_nddata(nddata, options):
    """Read NDData or CCDData, with its uncertainty, mask and, where it is spectral, its WCS."""
    header = nddata.meta if isinstance(nddata.meta, Mapping) else {}
    wavelength, axis = None, None
    if isinstance(nddata.wcs, WCS):
        coordinates = nddata.wcs.to_header()
        axis = header_axis(coordinates)
    instrument = options.resolved(recognise_instrument(header), axis)
    if isinstance(nddata.wcs, WCS):
        axis = instrument.dispersion_axis
        wavelength = wavelengths_from_header(coordinates, axis, np.shape(nddata.data))
    elif hasattr(nddata.wcs, "output_frame"):  # a gwcs
        wavelength = wavelengths_from_gwcs(nddata.wcs, np.shape(nddata.data))
    return exposure_of([_planes(nddata, wavelength, options)], options, instrument, source=nddata)


@reader("specutils.Spectrum", "specutils.Spectrum1D")
def read_spectrum(spectrum, options):
    """Read a two-dimensional Spectrum, whichever axis is the spectral one."""
    ndim = spectrum.flux.ndim
    if ndim != 2:
        raise ValueError(f"obj: expected a two-dimensional Spectrum, got shape {spectrum.shape}")
    axis = getattr(spectrum, "spectral_axis_index", ndim - 1)
    instrument = options.resolved(
        recognise_instrument(*_headers(spectrum.meta)), None if axis is None else axis - ndim
    )
    planes = _planes(spectrum, spectrum.spectral_axis.quantity, options)
    return exposure_of([planes], options, instrument, source=spectrum)


def _planes(nddata, wavelength, options):
    # Only what is used is converted: an uncertainty of unknown kind is no harm if one is given.
    variance = None
    if nddata.uncertainty is not None and options.variance is None:
        variance = variance_of(nddata.uncertainty)
    meta = dict(nddata.meta) if isinstance(nddata.meta, Mapping) else {}
    return Planes(
        nddata.data,
        variance=variance,
        mask=_full_mask(nddata.mask, nddata.data),
        wavelength=wavelength,
        unit=nddata.unit,
        meta=meta,
    )


def _full_mask(mask, data):
    """The mask in the shape of the data; NDData may have a single value for all pixels."""
    if mask is None or np.ndim(mask):
        return mask
    return np.full(np.shape(data), bool(mask))


def _headers(meta):
    inner = meta.get("header")
    return [meta] if not isinstance(inner, Mapping) else [meta, inner]
