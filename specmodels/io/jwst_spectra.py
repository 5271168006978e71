"""Writer of results as JWST ``x1d`` products, which are MultiSpecModels."""

from pathlib import Path

import numpy as np
from astropy import units as u

from ..dithers import Dithers
from ..exposure import Exposure
from .datamodels import opened_source
from .registry import writer
from .tables import UNITLESS, kept_header, tables_of
from .units import unit_text

__all__ = ["to_multispec"]

DO_NOT_USE = 1
COLUMNS = {"FLUX_ERROR": "flux_error", "BACKGROUND": "background", "BKGD_ERROR": "background_error",
           "NPIXELS": "n_pixels"}  # fmt: skip
BRIGHTNESS = {"SURF_BRIGHT": "FLUX", "SB_ERROR": "FLUX_ERROR", "SB_VAR_POISSON": "FLUX_VAR_POISSON",
              "SB_VAR_RNOISE": "FLUX_VAR_RNOISE", "SB_VAR_FLAT": "FLUX_VAR_FLAT"}  # fmt: skip
VARIANCES = {"POISSON": "var_poisson", "RNOISE": "var_read", "FLAT": "var_flat"}


@writer("stdatamodels.MultiSpecModel")
def to_multispec(result):
    """Return a `stdatamodels.jwst.datamodels.MultiSpecModel` with one spectrum per table.

    Metadata come from the datamodel or file that was read. Wavelengths are in micron. Sums of
    surface brightness become fluxes in jansky where the pixel area is known; other units stay, and
    data without a unit are written in adu. ``SURF_BRIGHT``, which readers take for sources that are
    ``EXTENDED``, is the sum over the slit as it is, or the flux over the pixel area: divided by the
    pixels of a source, it is the mean.

    Raises
    ------
    ValueError
        If a table has no wavelengths with a unit.
    """
    from stdatamodels.jwst import datamodels

    exposure = _one(getattr(result, "source_exposure", None))
    model = datamodels.MultiSpecModel()
    tables = tables_of(result)
    _copy_meta(model, getattr(exposure, "source", None))
    for name, table in tables.items():
        image = _image_of(table, exposure)
        model.spec.append(_spec(datamodels.SpecModel, name, table, image))
    return model


def _one(exposure):
    """An exposure itself, or the first of several of the same sources."""
    return next(iter(exposure.values())) if isinstance(exposure, Dithers) else exposure


def _copy_meta(model, source):
    """Copy the primary metadata of the datamodel that was read, itself or from its file."""
    source = Path(source) if isinstance(source, str) else source
    with opened_source(source) as read:
        if read is not None:
            model.update(read, only="PRIMARY")
            return
    header = kept_header(source)
    if header is not None:  # of a file that is no datamodel, as it is
        cards = [list(card) for card in header.cards if card.keyword]
        model.instance.setdefault("extra_fits", {})["PRIMARY"] = {"header": cards}


def _image_of(table, exposure):
    """The image from which a spectrum came: named in its metadata, or the only one."""
    if not isinstance(exposure, Exposure):
        return None
    name = table.meta.get("image", table.meta.get("slit"))
    if name in exposure:
        return exposure[name]
    return exposure.single if len(exposure) == 1 else None


def _spec(spec_class, name, table, image):
    described = {} if image is None else image.meta
    blank = spec_class()
    data = np.zeros(len(table), dtype=blank.get_dtype("spec_table"))
    for column in data.dtype.names:
        data[column] = np.nan if data.dtype[column].kind == "f" else 0
    unit, factor = _flux_unit(table, described.get("pixel_area"))
    bright, per_area = _brightness_unit(unit, described.get("pixel_area"))
    data["WAVELENGTH"] = _micron(table)
    data["FLUX"] = _values(table, "flux") * factor
    for column, name_in_table in COLUMNS.items():
        if name_in_table in table.colnames and column in data.dtype.names:
            scale = 1.0 if column == "NPIXELS" else factor
            data[column] = _values(table, name_in_table) * scale
    for part, name_in_table in VARIANCES.items():
        if name_in_table in table.colnames:
            data[f"FLUX_VAR_{part}"] = _values(table, name_in_table) * factor**2
    for name_in_spec, of_flux in BRIGHTNESS.items():
        power = 2 if "VAR" in of_flux else 1
        data[name_in_spec] = data[of_flux] * per_area**power
    if "mask" in table.colnames:
        data["DQ"] = np.where(np.asarray(table["mask"], dtype=bool), DO_NOT_USE, 0)
    spec = spec_class(spec_table=data)
    _set_units(spec, unit, bright)
    _describe(spec, name, table, described)
    return spec


def _describe(spec, name, table, described):
    parts = [spec.schema, *spec.schema.get("allOf", ())]
    known = {key for part in parts for key in part.get("properties", ())}
    for key, value in described.items():
        if key in known:
            setattr(spec, key, value)
    spec.name = name
    if not spec.source_name:
        spec.source_name = name
    spec.source_type = spec.source_type or "POINT"


def _set_units(spec, unit, bright=None):
    columns = spec.spec_table.columns
    text = unit_text(unit)
    columns["WAVELENGTH"].unit = "um"
    for column in BRIGHTNESS if bright is not None else ():
        columns[column].unit = unit_text(bright**2 if "VAR" in column else bright)
    for column in ("FLUX", "FLUX_ERROR", "BACKGROUND", "BKGD_ERROR"):
        columns[column].unit = text
    squared = unit_text(unit**2)
    for part in VARIANCES:
        columns[f"FLUX_VAR_{part}"].unit = squared


def _flux_unit(table, pixel_area):
    """Unit of the fluxes written, and the factor from the table's: jansky where possible."""
    unit = table["flux"].unit
    if unit in (None, u.dimensionless_unscaled):
        return UNITLESS, 1.0
    if unit.is_equivalent(u.Jy):
        return u.Jy, unit.to(u.Jy)
    if pixel_area and unit.is_equivalent(u.Jy / u.sr):
        return u.Jy, (unit * pixel_area * u.sr).to(u.Jy)
    return unit, 1.0


def _brightness_unit(unit, pixel_area):
    """Unit of the surface brightness, and the factor from the flux."""
    if unit == u.Jy and pixel_area:
        return u.MJy / u.sr, (1 * u.Jy / (pixel_area * u.sr)).to_value(u.MJy / u.sr)
    return unit, 1.0


def _micron(table):
    column = table["wavelength"]
    if column.unit is None or not column.unit.is_equivalent(u.m, u.spectral()):
        raise ValueError(
            f"result: a JWST spectrum needs wavelengths, got a column in {column.unit}"
        )
    return u.Quantity(_values(table, "wavelength"), column.unit).to_value(u.um, u.spectral())


def _values(table, name):
    """Plain numbers of a column in the unit of the flux or its own, masked ones NaN."""
    column = table[name]
    mask = getattr(column, "mask", None)
    values = np.array(getattr(getattr(column, "unmasked", column), "value", column), dtype=float)
    return values if mask is None else np.where(mask, np.nan, values)
