"""Files of cleaned detector frames: datamodels with the mask beside them, or plain extensions.

The mask that was used is kept in every file, so that it can be looked at, changed and used again.
Files of plain extensions keep the order of readout and all else that is known of the frames.
"""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData

from ..exposure import Exposure
from ..ramp import Ramp
from .cleaned import like_source
from .exposure_frames import FLICKER, turn_of
from .frame_files import MARKS, plane_hdus
from .image_files import OWN_AXIS, image_hdus, notes_of
from .image_sets import ImageSets, write_image_sets
from .options import plain_variance
from .planes import native_copy
from .provenance import note_of
from .reading import is_asdf, reading
from .readout_keywords import readout_of
from .tables import primary_hdu, write_asdf
from .units import parsed_unit

__all__ = ["MASK_NAME", "read_background_mask", "read_cleaned", "write_cleaned"]

MASK_NAME, VARIANCE_NAME = "BACKGROUND_MASK", "FLICKER_VAR"


def write_cleaned(result, path):
    """Write a cleaned ramp, cube or image: in the kind that came in, where that is a datamodel.

    Parameters
    ----------
    result : `~specmodels.evaluators.FlickerResult`
    path : path
        Of a FITS file, or of an ASDF file for datamodels.

    Raises
    ------
    ValueError
        If arrays are to be written to an ASDF file.
    """
    path = Path(path)
    cleaned = like_source(result)
    is_asdf = path.suffix == ".asdf"
    if isinstance(result.ramp.source, ImageSets) and not is_asdf:
        write_image_sets(result, path, plane_hdus(_taken(result), result.ramp, ()))
        return
    if isinstance(cleaned, Exposure):
        _write_exposure(result, cleaned, path)
        return
    if not hasattr(cleaned, "to_fits"):
        if is_asdf:
            raise ValueError(f"target: arrays are written to FITS files, got {path.name!r}")
        hdus = list(_plain_hdus(result, cleaned))
        fits.HDUList([primary_hdu(len(hdus), result.ramp.source), *hdus]).writeto(path)
        return
    with cleaned:
        extra = cleaned.instance.setdefault("extra_fits", {})
        for name, array in _extra_planes(result).items():
            extra[name] = {"data": array}
        cleaned.meta.filename = path.name
        write = cleaned.to_asdf if is_asdf else cleaned.to_fits
        write(str(path))


def _write_exposure(result, exposure, path):
    """Write a cleaned exposure, and in FITS files what was taken from it."""
    if path.suffix == ".asdf":
        write_asdf(exposure, path)
        return
    turn = turn_of(result.ramp.source)
    planes = {name: (turn(array), unit) for name, (array, unit) in _taken(result).items()}
    hdus = list(image_hdus(exposure.single, 1, exposure.instrument))
    hdus += plane_hdus(planes, result.ramp, ())
    fits.HDUList([primary_hdu(len(hdus), exposure.source), *hdus]).writeto(path)


def read_background_mask(path):
    """Mask of a file written by `write_cleaned`, or an image that is not zero for background.

    Parameters
    ----------
    path : path
        Of a FITS file, or of an ASDF file.

    Returns
    -------
    ndarray of bool, shape (n_y, n_x) or (n_int, n_y, n_x)
        True for pixels that show background only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds no image, nor one for each integration.
    """
    with reading(path, "path") as path:
        if is_asdf(path):
            return _read_asdf_mask(path)
        with fits.open(path, memmap=False) as hdus:
            names = [hdu.name for hdu in hdus]
            chosen = next((name for name in (MASK_NAME, "SCI", "PRIMARY") if name in names), None)
            return _as_mask(None if chosen is None else hdus[chosen].data)


def _read_asdf_mask(path):
    import asdf

    with asdf.open(path, memmap=False) as file:
        data = file.tree.get("extra_fits", {}).get(MASK_NAME, {}).get("data")
        return _as_mask(None if data is None else np.array(data))


def _as_mask(data):
    """An image, or one for each integration, as a mask."""
    if data is None or data.ndim not in (2, 3):
        shape = "none" if data is None else f"shape {data.shape}"
        raise ValueError(f"path: expected a file with an image of a mask, got {shape}")
    return np.nan_to_num(data) != 0


def _extra_planes(result):
    """Mask, and the variance of what is left of the noise where the frames cannot carry it."""
    planes = {MASK_NAME: result.background_mask.astype(np.uint8)}
    if result.ramp.kind == "ramp":
        planes[VARIANCE_NAME] = np.asarray(result.variance, dtype="f4")
    return planes


def _taken(result):
    """What was taken from the frames, and how well that is known: arrays and units."""
    unit = result.ramp.unit
    return {
        "FLICKER": (result.noise, unit),
        "BACKGROUND": (result.background, unit),
        VARIANCE_NAME: (result.variance, None if unit is None else unit**2),
        MASK_NAME: (result.background_mask, None),
    }


def _plain_hdus(result, cleaned):
    ramp, unit = result.ramp, result.ramp.unit
    taken = _taken(result)
    data = cleaned.data if isinstance(cleaned, NDData) else u.Quantity(cleaned).value
    planes = {
        "SCI": (_whole(result, np.ma.getdata(data)), unit),
        **taken,
        "FLICKER": (_whole(result, result.noise), unit),
        VARIANCE_NAME: (np.asarray(result.variance, dtype="f4"), taken[VARIANCE_NAME][1]),
        **_errors(result, getattr(cleaned, "uncertainty", None)),
    }
    planes |= {name: (mark, None) for name, mark in _marks(result).items()}
    return plane_hdus(planes, ramp, (*ramp.notes, note_of(FLICKER)))


def _marks(result):
    """Masks of the frames that are written, by extension."""
    ramp = result.ramp
    found = {name: getattr(ramp, key) for name, key in MARKS.items()}
    found |= {name: None if found[name] is None else _part(result, found[name])
              for name in ("FRAME_MASK", "SATURATED", "JUMP")}  # fmt: skip
    if found["FRAME_MASK"] is not None and np.ndim(found["FRAME_MASK"]) == 2:
        found["MASK"] = ramp.bad | np.asarray(found.pop("FRAME_MASK"))
    return {name: mark for name, mark in found.items() if mark is not None}


def _errors(result, uncertainty):
    """Errors or variances, in the unit of the data, with that of the noise that is left."""
    unit = result.ramp.unit
    if uncertainty is not None:
        variance = _whole(result, plain_variance(uncertainty, unit))
        if uncertainty.uncertainty_type == "std":
            return {"ERR": (np.sqrt(variance), unit)}
        return {"VAR": (variance, None)}
    if result.ramp.variance is None:
        return {}
    variance = np.asarray(_part(result, result.ramp.variance))
    if result.ramp.kind != "ramp":
        variance = result.cleaned_variance(variance)
    return {"VAR": (variance, None)}


def _part(result, array):
    """What belongs to the result, of an array in the shape of all frames."""
    if result.integration is None or result.ramp.kind == "image":
        return array
    part = array[result.integration]
    return part[np.newaxis] if result.ramp.kind == "ramp" else part


def _whole(result, array):
    """An array in the shape of the result; groups are those of a ramp with one integration."""
    lone = result.ramp.kind == "ramp" and result.integration is not None
    return array[np.newaxis] if lone else array


def read_cleaned(hdus):
    """Frames of a file that `write_cleaned` made of arrays.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        Of any file.

    Returns
    -------
    `~specmodels.ramp.Ramp` or None
        None for other files.
    """
    planes = {hdu.name: hdu for hdu in hdus if hdu.is_image}
    if "SCI" not in planes:
        return None
    header = planes["SCI"].header
    readout = readout_of(header)
    if readout is None:
        return None
    marks = {key: planes[name].data != 0 for name, key in MARKS.items() if name in planes}
    variance = None
    if "ERR" in planes:
        variance = native_copy(planes["ERR"].data.astype(float) ** 2)
    elif "VAR" in planes:
        variance = native_copy(planes["VAR"].data)
    # Without a source, results of it are written as this file was.
    return Ramp(
        native_copy(planes["SCI"].data), readout=readout, variance=variance,
        unit=parsed_unit(header.get("BUNIT"), "BUNIT"),
        dispersion_axis=-header[OWN_AXIS] if OWN_AXIS in header else None,
        notes=notes_of(header), **marks,
    )  # fmt: skip
