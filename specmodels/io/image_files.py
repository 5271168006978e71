"""Images of an exposure in FITS and ASDF files, with all that is known of them.

Written with the dispersion along the last axis; `specmodels.read` gives back the same image.
"""

import numpy as np
from astropy.io import fits

from ..spectral_image import OF_READOUT
from .planes import MAPS, NUMBERS, own_map
from .readout_keywords import readout_cards, readout_of
from .text import decoded, encoded
from .units import unit_text

__all__ = [
    "ONE_ROW",
    "OWN_AXIS",
    "image_hdus",
    "image_tree",
    "note_cards",
    "notes_of",
    "own_extras",
]

# Keywords: axis of dispersion as FITS counts, what was done, and whose the order of readout is.
OWN_AXIS, NOTE, OWN_READOUT = "DISPAXIS", "NOTE", "IMGREAD"
# Datamodels have wavelengths for all pixels; with this one row of them tells all.
ONE_ROW = "ONEROW"
PARTS = {"read": "VAR_RNOISE", "poisson": "VAR_POISSON", "flat": "VAR_FLAT"}
# Arrays by names that users and evaluators choose: prefix of the extension, and keyword.
NAMED = {"components": ("COMPONENT", "COMPNENT"), "coordinates": ("COORDINATE", "COORDNAM"),
         "shared_errors": ("SHARED_ERROR", "SHAREDER")}  # fmt: skip


def image_hdus(image, version, instrument=None):
    """Extensions of one image.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    version : int
        EXTVER of them all.
    instrument : `~specmodels.Instrument`, optional
        That of the exposure, whose order of readout is kept.

    Yields
    ------
    `~astropy.io.fits.ImageHDU`
    """
    planes = {
        "SCI": (image.data, image.unit),
        "VAR": (image.variance, None if image.unit is None else image.unit**2),
        "MASK": (image.mask, None),
        "WAVELENGTH": (image.wavelength, image.wavelength_unit),
        "SPATIAL": (image.spatial, None),
        **{PARTS[key]: (image.components.get(key), None) for key in PARTS},
        **{MAPS[key]: (array, None) for key, array in _maps(image).items()},
        **{NUMBERS[key]: (array, None) for key, array in _numbers(image).items()},
    }
    for name, (array, unit) in planes.items():
        if array is None:
            continue
        one_row = name == "WAVELENGTH" and np.ndim(array) == 1
        hdu = _hdu(np.broadcast_to(array, image.shape) if one_row else array, name, version)
        if one_row:
            hdu.header[ONE_ROW] = (True, "the same in all rows")
        if name == "SCI":
            _describe(hdu.header, image, instrument)
        if unit is not None:
            hdu.header["BUNIT"] = unit_text(unit)
        yield hdu
    yield from _named_hdus(image, version)


def _hdu(array, name, version):
    array = np.asarray(array)
    array = array.astype(np.uint8) if array.dtype == bool else array
    return fits.ImageHDU(array, name=name, ver=version)


def _describe(header, image, instrument):
    header["SLTNAME"] = encoded(image.name)
    header[OWN_AXIS] = (1, "axis of dispersion")
    header.extend(note_cards(image.notes))
    readout = image.readout
    if readout is not None:
        header[OWN_READOUT] = (True, "the image has the order of readout")
    elif getattr(instrument, "readout", None) is not None:
        readout = _turned(instrument.readout, instrument.dispersion_axis)
    if readout is not None:
        header.extend(readout_cards(readout))


def _named_hdus(image, version):
    """Parts of the variance, coordinates and errors that have no extension of their own."""
    arrays = {
        "components": {k: v for k, v in image.components.items() if k not in PARTS},
        "coordinates": _own_coordinates(image),
        "shared_errors": image.shared_errors,
    }
    for kind, named in arrays.items():
        prefix, keyword = NAMED[kind]
        for number, (name, array) in enumerate(named.items()):
            hdu = _hdu(array, f"{prefix}{number + 1}", version)
            hdu.header[keyword] = encoded(name)
            yield hdu


def _own_coordinates(image):
    """Coordinates besides those that the order of readout gives again."""
    again = () if image.readout is None else OF_READOUT
    return {key: array for key, array in image.coordinates.items() if key not in again}


def own_extras(hdus, version, header):
    """What `image_hdus` wrote of an image beside its common planes.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
    version : int or None
        EXTVER of the image; None where there is only one.
    header : `~astropy.io.fits.Header`
        Of its data.

    Returns
    -------
    dict
        ``components``, ``coordinates`` and ``shared_errors`` by name, ``notes``, and the
        ``readout`` of the image.
    """
    found = {kind: {} for kind in NAMED}
    for hdu in hdus:
        if version is not None and hdu.ver != version:
            continue
        for kind, (prefix, keyword) in NAMED.items():
            if hdu.is_image and hdu.name.startswith(prefix) and keyword in hdu.header:
                found[kind][decoded(hdu.header[keyword])] = hdu.data
    readout = readout_of(header) if header.get(OWN_READOUT) else None
    return {**found, "notes": notes_of(header), "readout": readout}


def note_cards(notes):
    """Cards of what was done to an image."""
    return [(f"{NOTE}{number + 1}", encoded(note)) for number, note in enumerate(notes)]


def notes_of(header):
    """What was done to an image, of a header with the cards of `note_cards`."""
    notes = []
    while f"{NOTE}{len(notes) + 1}" in header:
        notes.append(decoded(str(header[f"{NOTE}{len(notes) + 1}"])))
    return tuple(notes)


def _turned(readout, dispersion_axis):
    """The order of readout of images turned so that the dispersion is along the last axis."""
    if dispersion_axis == -1:
        return readout
    return readout.replace(fast_axis=readout.slow_axis, slow_axis=readout.fast_axis)


def image_tree(image):
    """Tree of one image for ASDF files."""
    planes = {
        "name": image.name,
        "data": image.data,
        "variance": image.variance,
        "mask": image.mask,
        "wavelength": image.wavelength,
        "spatial": image.spatial,
        "unit": None if image.unit is None else image.unit.to_string(),
        "wavelength_unit": image.wavelength_unit and image.wavelength_unit.to_string(),
        "components": dict(image.components) or None,
        "coordinates": _own_coordinates(image) or None,
        "shared_errors": dict(image.shared_errors) or None,
        "notes": list(image.notes) or None,
        "readout": image.readout,
        **_maps(image),
        **_numbers(image),
    }
    return {key: value for key, value in planes.items() if value is not None}


def _maps(image):
    """What a trace model has added to an image."""
    maps = {key: own_map(image, key) for key in MAPS}
    return {key: np.asarray(plane) for key, plane in maps.items() if plane is not None}


def _numbers(image):
    """Numbers of columns and rows, where they do not just count from zero: those of cutouts."""
    numbers = {key: getattr(image, key) for key in NUMBERS}
    return {k: n for k, n in numbers.items() if not np.array_equal(n, np.arange(len(n)))}
