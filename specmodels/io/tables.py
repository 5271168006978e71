"""Writers of results to FITS, ASDF and ECSV: a table for each source, or images of an exposure."""

import math
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from ..exposure import Exposure
from ..fitters import FitResult
from ..ramp import Ramp
from ..spectral_image import SpectralImage
from ..version import __version__
from .asdf_files import IMAGES
from .fit_files import write_fits_of
from .fits_checks import CREATOR
from .frame_files import frame_hdus
from .image_files import image_hdus, image_tree
from .provenance import made_by
from .reading import is_asdf
from .registry import writer
from .spectra_files import COVARIANCE, UNIT_ASSUMED
from .text import encoded, readable
from .units import unit_text

# Readers of spectra want a unit; this one says the least.
UNITLESS = u.adu
OF_THE_FILE = ("DATAMODL", "CHECKSUM", "DATASUM", "NEXTEND", "EXTEND", "CREATOR", "FILENAME",
               "FILETYPE", "BUNIT", "EXTNAME", "EXTVER", "BSCALE", "BZERO", "INHERIT")  # fmt: skip

__all__ = ["UNITLESS", "creator_card", "kept_header", "primary_hdu", "tables_of", "write_asdf",
           "write_fits"]  # fmt: skip


def tables_of(result):
    """Return the tables of a result, checked: a dictionary of at least one.

    Raises
    ------
    TypeError
        If the result has no method ``tables``.
    ValueError
        If it has no table.
    """
    if not callable(getattr(result, "tables", None)):
        raise TypeError(
            "result: expected a result with a method tables(), or for ASDF a FitResult, got "
            f"{type(result).__name__}"
        )
    tables = result.tables()
    if not tables:
        raise ValueError("result: expected at least one spectrum, got none")
    return tables


@writer(".fits", ".fit", ".fits.gz", ".fits.bz2")
def write_fits(result, path):
    """Write one binary table per source, with units; or one set of extensions per image.

    `specutils.Spectrum.read` and `specutils.SpectrumList.read` open the tables.
    """
    if isinstance(result, SpectralImage):
        result = Exposure([result])
    if isinstance(result, Ramp):
        hdus = list(frame_hdus(result))
    elif isinstance(result, Exposure):
        hdus = [hdu for n, image in enumerate(result.values())
                for hdu in image_hdus(image, n + 1, result.instrument)]  # fmt: skip
    else:
        tables = tables_of(result)
        names = _extension_names(tables)
        pairs = zip(tables.values(), names, strict=True)
        hdus = [_table_hdu(table, *name) for table, name in pairs]
        hdus += [_covariance_hdu(*pair, n + 1) for n, pair in enumerate(_covariances(result))]
    exposure = (
        result if isinstance(result, Exposure | Ramp) else getattr(result, "source_exposure", None)
    )
    source = getattr(exposure, "source", None)
    primary = primary_hdu(len(hdus), source)
    for line in made_by(result):
        primary.header.add_history(readable(line))
    fits.HDUList([primary, *hdus]).writeto(path)


@writer(".asdf")
def write_asdf(result, path):
    """Write the tables of a result, by source name; or the planes of images; or a fit, whole."""
    import asdf

    if isinstance(result, SpectralImage):
        result = Exposure([result])
    if isinstance(result, FitResult):
        return write_fits_of(result, path)
    if isinstance(result, Exposure):
        tree = {IMAGES: [image_tree(image) for image in result.values()]}
    else:
        tree = {"spectra": {name: _plain(table) for name, table in tables_of(result).items()}}
        found = {name: {"band": one.band, "low_rank": one.low_rank}
                 for name, one in _covariances(result)}  # fmt: skip
        tree |= {"covariance": found} if found else {}
    with asdf.AsdfFile(tree) as file:
        file.write_to(path)


@writer(".ecsv")
def write_ecsv(result, path):
    """Write the table of the one source as text.

    Raises
    ------
    ValueError
        If there are several sources: such a file has one table.
    """
    tables = tables_of(result)
    if len(tables) > 1:
        raise ValueError(
            f"target: expected a FITS or ASDF file for several sources, {list(tables)}: ECSV has "
            "one table"
        )
    (table,) = tables.values()
    _plain(table).write(path, format="ascii.ecsv")


def primary_hdu(n_extensions, source=None):
    """A primary header which says who wrote the file and how many extensions it has.

    By their number a file is told from one that was cut between two of them. The header of the
    FITS file that was read, if `source` is one, is kept, but for what describes that file.
    """
    hdu = fits.PrimaryHDU(header=kept_header(source))
    hdu.header["CREATOR"] = creator_card()
    hdu.header["NEXTEND"] = (n_extensions, "number of extensions")
    return hdu


def creator_card():
    """Value and comment of the keyword that says who wrote a file."""
    return f"{CREATOR} {__version__}", "software that wrote this file"


def kept_header(source):
    """The primary header of a FITS file or HDUList that was read, None of other things."""
    if isinstance(source, fits.HDUList):
        header = source[0].header.copy(strip=True)
    elif isinstance(source, Path) and source.is_file() and not is_asdf(source):
        header = fits.getheader(source).copy(strip=True)
    else:
        return None
    for keyword in OF_THE_FILE:
        header.remove(keyword, ignore_missing=True, remove_all=True)
    return header


def _extension_names(tables):
    """Name and version of each extension; FITS takes names that differ in case as the same."""
    seen = []
    for name in tables:
        seen.append(name.upper())
        yield name, seen.count(name.upper())


def _table_hdu(table, name, version):
    units = {column: table[column].unit for column in table.colnames}
    hdu = fits.table_to_hdu(_without_units(table))
    bare = units.get("flux") in (None, u.dimensionless_unscaled) and "flux" in units
    for column in hdu.columns:
        unit = units[column.name]
        if unit == u.dimensionless_unscaled and bare:
            column.unit = unit_text(UNITLESS)
        elif unit is not None:
            column.unit = unit_text(unit)
    if bare:
        hdu.header[UNIT_ASSUMED] = (True, f"data without a unit, written as {UNITLESS}")
    hdu.header["EXTNAME"] = (encoded(name), "source")
    if version > 1:
        hdu.header["EXTVER"] = version
    for key, value in table.meta.items():
        for card in _cards(key, value):
            hdu.header.append(card, end=True)
    return hdu


def _covariances(result):
    """Names of sources, and covariances of spectra whose samples are not independent."""
    found = getattr(result, "covariances", None)
    return list(found().items()) if callable(found) else []


def _covariance_hdu(name, covariance, version):
    """Band and low rank of a covariance: a row for each sample, as the table of the source has."""
    table = Table({"band": covariance.band, "low_rank": covariance.low_rank})
    if not covariance.low_rank.shape[1]:
        table.remove_column("low_rank")
    hdu = fits.table_to_hdu(table)
    hdu.header["EXTNAME"], hdu.header["EXTVER"] = COVARIANCE, version
    hdu.header["SOURCE"] = (encoded(name), "EXTNAME of the spectrum")
    return hdu


def _cards(key, value):
    """Header cards of an entry of metadata: lists are joined or become HISTORY, None is skipped."""
    lines = value if isinstance(value, list | tuple) else [value]
    if key.upper() in ("HISTORY", "COMMENT"):
        return [(key.upper(), readable(str(line))) for line in lines]
    if isinstance(value, list | tuple):
        value = ", ".join(str(line) for line in lines)
    comment = ""
    if isinstance(value, u.Quantity) and value.isscalar:
        value, comment = value.value, f"[{value.unit}]"
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return []
    if not isinstance(value, bool | int | float | str) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        value = str(value)
    if isinstance(value, str):
        value = readable(value)
    short = len(key) <= 8 and key.replace("_", "").replace("-", "").isalnum()
    return [(key.upper() if short else f"HIERARCH {key}", value, comment)]


def _without_units(table):
    """A copy of a table with bare numbers: units that FITS lacks would be refused."""
    plain = Table(table, copy=True)
    plain.meta.clear()
    for column in plain.itercols():
        column.unit = None
    return plain


def _plain(table):
    """A copy of a table without what ASDF cannot hold, such as quantities of special kinds."""
    plain = QTable(table, copy=True)
    for name in plain.colnames:
        if isinstance(plain[name], u.Quantity) and type(plain[name]) is not u.Quantity:
            plain[name] = u.Quantity(plain[name].value, plain[name].unit)
    plain.meta.clear()
    plain.meta.update({key: _simple(value) for key, value in table.meta.items()})
    return plain


def _simple(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_simple(one) for one in value]
    simple = value is None or isinstance(value, bool | int | float | str | u.Quantity)
    return value if simple else str(value)
