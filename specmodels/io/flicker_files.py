"""Files of cleaned detector frames: datamodels with the mask beside them, or plain extensions.

The mask that was used is kept in every file, so that it can be looked at, changed and used again.
"""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData

from .cleaned import like_source
from .planes import unit_text

__all__ = ["MASK_NAME", "read_background_mask", "write_cleaned"]

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
    if not hasattr(cleaned, "to_fits"):
        if is_asdf:
            raise ValueError(f"target: arrays are written to FITS files, got {path.name!r}")
        fits.HDUList([fits.PrimaryHDU(), *_plain_hdus(result, cleaned)]).writeto(path)
        return
    with cleaned:
        extra = cleaned.instance.setdefault("extra_fits", {})
        for name, array in _extra_planes(result).items():
            extra[name] = {"data": array}
        cleaned.meta.filename = path.name
        write = cleaned.to_asdf if is_asdf else cleaned.to_fits
        write(str(path))


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
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path: there is no file {path}")
    if path.suffix == ".asdf":
        return _read_asdf_mask(path)
    with fits.open(path, memmap=False) as hdus:
        names = [hdu.name for hdu in hdus]
        chosen = next((name for name in (MASK_NAME, "SCI", "PRIMARY") if name in names), None)
        data = None if chosen is None else hdus[chosen].data
        return _as_mask(data)


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


def _plain_hdus(result, cleaned):
    unit = result.ramp.unit
    squared = None if unit is None else unit**2
    data = cleaned.data if isinstance(cleaned, NDData) else u.Quantity(cleaned).value
    planes = {
        "SCI": (np.asarray(data), unit),
        "FLICKER": (result.noise, unit),
        "BACKGROUND": (result.background, unit),
        VARIANCE_NAME: (np.asarray(result.variance, dtype="f4"), squared),
        MASK_NAME: (result.background_mask.astype(np.uint8), None),
    }
    uncertainty = getattr(cleaned, "uncertainty", None)
    if uncertainty is not None:
        kind = {"std": "ERR", "var": "VAR"}[uncertainty.uncertainty_type]
        planes[kind] = (uncertainty.array, None if kind == "VAR" else unit)
    for name, (array, own) in planes.items():
        hdu = fits.ImageHDU(np.asarray(array), name=name)
        if own is not None:
            hdu.header["BUNIT"] = unit_text(own)
        yield hdu
