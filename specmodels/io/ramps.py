"""Reader of detector frames in time (`read_ramp`); ``cleaned.py`` gives back what came in.

Ramps, integrations and images, from datamodels, FITS files of datamodels, NDData, Quantities and
bare arrays of two to four dimensions. Nothing that is read is changed.
"""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData

from ..exposure import Exposure
from ..ramp import Ramp
from ..spectral_image import SpectralImage
from .cleaned import like_source
from .datamodels import is_model
from .exposure_frames import exposure_of_frame, frame_of, model_of
from .flicker_files import read_cleaned
from .image_sets import read_image_sets
from .options import plain_variance
from .planes import native_copy
from .ramp_models import is_ramp_model, opened, ramp_of_model
from .reading import is_asdf, reading
from .registry import reader

__all__ = ["like_source", "read_ramp"]


def read_ramp(obj, *, readout=None, mask=None, dispersion_axis=None):
    """Read frames in time.

    Parameters
    ----------
    obj : `Ramp`, datamodel, path, NDData, `Exposure`, `SpectralImage`, array_like
        A bare array is an image, integrations of images, or a ramp of integrations and groups.
    readout : object, optional
        Order of the pixels, where not known from metadata; see `Readout`.
    mask : array_like of bool, shape (n_y, n_x), optional
        Pixels that are bad throughout, besides those flagged.
    dispersion_axis : int, optional
        Axis along which light is dispersed, -1 or -2.

    Returns
    -------
    Ramp

    Raises
    ------
    TypeError, ValueError
        If the input cannot be used.
    """
    ramp = _read(obj)
    changes = {}
    if readout is not None:
        changes["readout"] = readout
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != ramp.shape:
            raise ValueError(f"mask: expected shape {ramp.shape}, got {mask.shape}")
        changes["mask"] = ramp.bad | mask.astype(bool)
    if dispersion_axis is not None:
        changes["dispersion_axis"] = dispersion_axis
    return ramp.replace(**changes) if changes else ramp


@reader("stdatamodels.RampModel", "stdatamodels.CubeModel")
def read_ramp_model(model, options):
    """Read the frames of a ramp or of several integrations, as `specmodels.read` does."""
    return read_ramp(model, mask=options.mask, dispersion_axis=options.dispersion_axis)


@reader(Ramp)
def read_frames(ramp, options):
    """An image of a detector as an exposure; several frames as they are."""
    if ramp.kind == "image":
        return exposure_of_frame(ramp, options)
    return read_ramp(ramp, mask=options.mask, dispersion_axis=options.dispersion_axis)


def _read(obj):
    if isinstance(obj, Ramp):
        return obj
    if isinstance(obj, SpectralImage):
        obj = Exposure([obj])
    if isinstance(obj, Exposure):
        model = model_of(obj)
        return frame_of(obj) if model is None else _read(model)
    if isinstance(obj, str | Path):
        return _read_path(Path(obj))
    if is_model(obj):
        return ramp_of_model(obj, obj)
    if isinstance(obj, NDData):
        return _read_nddata(obj)
    data = obj.value if isinstance(obj, u.Quantity) else obj
    mask = np.ma.getmask(data)
    data = np.ma.getdata(data) if isinstance(data, np.ma.MaskedArray) else data
    if not hasattr(data, "ndim"):
        data = np.asarray(data)
    always, single = _masks(None if mask is np.ma.nomask else mask, data.ndim)
    return Ramp(data, mask=always, frame_mask=single, unit=getattr(obj, "unit", None), source=obj)


def _read_path(path):
    with reading(path) as path:
        ramp = _read_plain(path)
        if ramp is not None:
            return ramp
        with opened(path) as model:
            if is_ramp_model(model):
                return ramp_of_model(model, path)
        images = _fits_images(path)
        if not images:
            raise ValueError(f"obj: there is no image in {path}")
        return Ramp(native_copy(images[0]), source=path)


def _read_plain(path):
    """Frames of a file of cleaned arrays, or of several images; None for others."""
    if is_asdf(path):
        return None
    with fits.open(path, memmap=False) as hdus:
        ramp = None if "DATAMODL" in hdus[0].header else read_image_sets(hdus, path)
        # Without a source results are written as arrays.
        return read_cleaned(hdus) if ramp is None else ramp


def _fits_images(path):
    with fits.open(path, memmap=False) as hdus:
        return [hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None]


def _read_nddata(nddata):
    variance = None
    if nddata.uncertainty is not None:
        variance = plain_variance(nddata.uncertainty, nddata.unit)
    data = np.asarray(nddata.data)
    always, single = _masks(nddata.mask, data.ndim)
    return Ramp(data, mask=always, frame_mask=single, variance=variance, unit=nddata.unit,
                source=nddata)  # fmt: skip


def _masks(mask, ndim):
    """A mask as one of pixels that are bad throughout, or one of single frames."""
    if mask is None or np.ndim(mask) == 0:
        return None, None
    mask = np.asarray(mask, dtype=bool)
    return (mask, None) if ndim == 2 else (mask.all(axis=tuple(range(ndim - 2))), mask)
