"""Reader of FITS files: opening, recognising what is inside, and plain images with named planes.

A file that a JWST datamodel describes is handed to `specmodels.io.jwst`; an instrument with a
layout of its own reads it through its `read` hook.
"""

import logging
from pathlib import PurePath

import numpy as np
from astropy.io import fits

from ..exposure import Exposure
from ..instruments import recognise_instrument
from ..spectral_image import SpectralImage
from .asdf_files import read_asdf
from .beams import is_beams, read_beams
from .fits_checks import is_own
from .flicker_files import read_cleaned
from .image_files import ONE_ROW, OWN_AXIS, PARTS, own_extras
from .jwst import model_class, read_model
from .options import inverse, squared
from .planes import MAPS, NUMBERS, Planes, changed_images, exposure_of, unique_names
from .ramps import read_ramp, read_ramp_model
from .reading import is_asdf, reading
from .readout_keywords import readout_of
from .registry import find_reader, reader
from .text import decoded
from .units import parsed_unit, unit_factor
from .wavelengths import header_axis, wavelengths_from_header, wavelengths_from_table

__all__ = ["read_hdus", "read_path"]

log = logging.getLogger(__name__)

# Names of the planes, most telling first. UNCERT says in UTYPE which of the three it is.
NAMES = {
    "data": ("SCI", "FLUX", "DATA", "SPEC2D"),
    "error": ("ERR", "ERROR", "STDDEV", "STD", "SIGMA", "UNCERT"),
    "variance": ("VAR", "VARIANCE", "STAT", "UNCERT"),
    "ivar": ("IVAR", "INVVAR", "UNCERT"),
    "mask": ("MASK",),
    "flags": ("DQ",),
    "wavelength": ("WAVELENGTH", "WAVE", "LAMBDA", "WAVELEN"),
    "spatial": ("SPATIAL",),
    "weight": ("WHT", "WEIGHT"),
}
KINDS = {"error": "STD", "variance": "VAR", "ivar": "INV"}


@reader(str, PurePath)
def read_path(path, options):
    """Read a FITS or ASDF file, told apart by how it begins."""
    with reading(path) as path:
        if is_asdf(path):
            return read_asdf(path, options)
        # A file of our own, since astropy leaves its open when it fails in the middle.
        with path.open("rb") as file, fits.open(file, memmap=False, lazy_load_hdus=False) as hdus:
            return read_hdus(hdus, options, source=path)


@reader(fits.HDUList)
def read_hdus(hdus, options, *, source=None):
    """Read an open FITS file: by the instrument's own hook, as a datamodel, or by plane names."""
    source = hdus if source is None else source
    if not options.extensions and is_beams(hdus):
        return read_beams(hdus, options, source=source)
    headers = [hdu.header for hdu in hdus]
    known = options.instrument or recognise_instrument(*headers)
    instrument = options.resolved(known)
    images = None if options.extensions or is_own(hdus) else _hook_images(instrument, hdus, source)
    if images is not None:
        return _turned_exposure(images, options, instrument, source)
    ramp = None if options.extensions or not _has_frames(hdus) else read_cleaned(hdus)
    if ramp is not None:
        return read_ramp(ramp, mask=options.mask, dispersion_axis=options.dispersion_axis)
    cls = None if options.extensions else model_class(headers[0])
    if cls is not None:
        return _read_as_model(cls, hdus, options, source)
    return _read_planes(hdus, options, known, source)


def _has_frames(hdus):
    """Whether the data are more than an image: frames in time."""
    return any(hdu.name == "SCI" and hdu.is_image and len(hdu.shape) > 2 for hdu in hdus)


def _hook_images(instrument, hdus, source):
    """The images that an instrument's hook makes of a file; None where it has no hook."""
    try:
        images = instrument.read(hdus)
        if images is None or isinstance(images, SpectralImage):
            return images and [images]
        return list(images)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(
            f"obj: {source} is not laid out like a file of {type(instrument).__name__}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _turned_exposure(images, options, instrument, source):
    """Exposure of the images that an instrument's hook made, with the user's options applied."""
    images = changed_images(images, options.turned(instrument.dispersion_axis))
    return Exposure(images, instrument=instrument, source=source)


def _read_as_model(cls, hdus, options, source):
    with cls(hdus) as model:
        if find_reader(model) is read_ramp_model:
            return read_ramp_model(model, options).replace(source=source)
        exposure = read_model(model, options)
        return Exposure(exposure.values(), instrument=exposure.instrument, source=source)


def _read_planes(hdus, options, known, source):
    found = _data_hdus(hdus, options.extensions)
    header = found[0].header
    axis = -header[OWN_AXIS] if is_own(hdus) and OWN_AXIS in header else None
    axis = header_axis(header) if axis is None and not known else axis
    instrument = options.resolved(known, axis)
    readout = readout_of(header)
    if readout is not None:
        instrument = instrument.replace(readout=readout)
    versions = [None] if len(found) == 1 else [hdu.ver for hdu in found]
    names = unique_names(
        [_name_of(hdu, version) for hdu, version in zip(found, versions, strict=True)]
    )
    planes = [
        _planes(hdu, _Companions(hdus, options, version), instrument, name)
        for hdu, version, name in zip(found, versions, names, strict=True)
    ]
    if all(one.wavelength is None for one in planes) and options.wavelength is None:
        log.info("%s: no wavelengths found; columns are numbered in pixels", source)
    return exposure_of(planes, options, instrument, source=source)


class _Companions:
    """The planes that belong to one data extension: by the user's word, else by their names."""

    def __init__(self, hdus, options, version):
        self.hdus, self.options, self.version = hdus, options, version

    def hdu(self, role):
        if role in self.options.extensions:
            return _extension(self.hdus, self.options.extensions[role], role)
        for name in NAMES[role]:
            hdu = self.named(name)
            if hdu is not None and (name != "UNCERT" or _is_kind(hdu, role)):
                return hdu
        return None

    def named(self, name):
        fitting = [hdu for hdu in self.hdus if hdu.name == name and _has_image(hdu)]
        if self.version is not None:
            fitting = [hdu for hdu in fitting if hdu.ver == self.version]
        return fitting[0] if fitting else None

    def numbers(self, name):
        """Numbers of columns or rows, as cutouts are written with them."""
        hdu = self.named(name)
        return None if hdu is None else hdu.data

    def array(self, role):
        hdu = self.hdu(role)
        return None if hdu is None else hdu.data


def _planes(hdu, companions, instrument, name):
    """The planes of one data extension; arrays are copied by the conversions of `SpectralImage`."""
    header = hdu.header
    data_unit = header.get("BUNIT")
    components = {
        key: _in_unit(plane, data_unit, 2)
        for key, plane in ((k, companions.named(n)) for k, n in PARTS.items())
        if plane is not None
    }
    mask = companions.array("mask")
    extras = own_extras(companions.hdus, companions.version, header)
    components |= extras.pop("components")
    weight = companions.array("weight")
    variance = _variance(companions, data_unit)
    if variance is None and not components and weight is not None:
        variance = inverse(np.asarray(weight) * companions.options.pixel_scale**4)
    wavelength, wavelength_unit = _wavelength(companions, header, instrument, hdu.shape)
    return Planes(
        hdu.data,
        variance=variance,
        mask=None if mask is None else np.asarray(mask) != 0,
        flags=companions.array("flags"),
        wavelength=wavelength,
        wavelength_unit=wavelength_unit,
        spatial=companions.array("spatial"),
        components=components,
        unit=parsed_unit(data_unit, "BUNIT"),
        name=name,
        meta={"header": header.copy()} | _exposure_type(companions.hdus[0].header, header),
        maps={
            key: plane.data
            for key, plane in ((k, companions.named(n)) for k, n in MAPS.items())
            if plane is not None
        },
        **{key: companions.numbers(name) for key, name in NUMBERS.items()},
        **extras,
    )


def _exposure_type(*headers):
    """The kind of exposure that one of the headers names, to be kept; nothing where none does."""
    found = [header["EXP_TYPE"] for header in headers if header.get("EXP_TYPE")]
    return {"exposure_type": found[0]} if found else {}


def _variance(companions, data_unit):
    """Variance in the square of the unit of the data, from whatever plane there is."""

    def plane(role, power):
        hdu = companions.hdu(role)
        return None if hdu is None else _in_unit(hdu, data_unit, power)

    error = plane("error", 1)
    if error is not None:
        return squared(error)
    variance = plane("variance", 2)
    if variance is not None:
        return variance
    ivar = plane("ivar", -2)
    return None if ivar is None else inverse(ivar)


def _in_unit(hdu, data_unit, power):
    """The array of a plane in a power of the unit of the data."""
    factor = unit_factor(hdu.header.get("BUNIT"), data_unit, power, f"{hdu.name}: BUNIT")
    return hdu.data if factor == 1 else np.asarray(hdu.data, dtype=float) * factor


def _wavelength(companions, header, instrument, shape):
    """Wavelengths and their unit: from a plane, a table, or keywords of the dispersion axis."""
    plane = companions.hdu("wavelength")
    if plane is None:
        table = wavelengths_from_table(companions.hdus, shape[instrument.dispersion_axis])
        if table is not None:
            return table
        return wavelengths_from_header(header, instrument.dispersion_axis, shape), None
    text = plane.header.get("BUNIT") or plane.header.get("CUNIT1")
    values = plane.data[0] if plane.header.get(ONE_ROW) else plane.data
    return _without_zeros(values), parsed_unit(text, "unit of the wavelengths")


def _without_zeros(wavelength):
    """Wavelengths with NaN in place of zero, which stands for none."""
    values = np.asarray(wavelength)
    return np.where(values == 0, np.nan, values) if values.dtype.kind == "f" else values


def _data_hdus(hdus, extensions):
    """All extensions with data to read, of the first name there is."""
    if "data" in extensions:
        return [_extension(hdus, extensions["data"], "data")]
    images = [hdu for hdu in hdus if _has_image(hdu)]
    for name in NAMES["data"]:
        named = [hdu for hdu in images if hdu.name == name]
        if named:
            return named
    companions = {name for names in NAMES.values() for name in names}
    companions |= {*PARTS.values(), *MAPS.values(), *NUMBERS.values()}
    others = [hdu for hdu in images if hdu.name not in companions]
    if not others:
        names = [hdu.name for hdu in hdus]
        raise ValueError(f"obj: expected a FITS file with an image, got extensions {names}")
    return others[:1]


def _extension(hdus, key, role):
    try:
        hdu = hdus[key]
    except (KeyError, IndexError) as error:
        names = [hdu.name for hdu in hdus]
        raise ValueError(f"extensions[{role!r}]: expected one of {names}, got {key!r}") from error
    if not _has_image(hdu):
        raise ValueError(f"extensions[{role!r}]: {key!r} holds no image")
    return hdu


def _has_image(hdu):
    return hdu.is_image and bool(hdu.shape)


def _is_kind(hdu, role):
    kind = str(hdu.header.get("UTYPE", "STD")).upper()
    return kind.startswith(KINDS.get(role, "-"))


def _name_of(hdu, version):
    own = str(hdu.header.get("SLTNAME") or hdu.header.get("OBJECT") or "").strip()
    own = decoded(own)
    return own or (f"{hdu.name}_{version}" if version is not None else "image")
