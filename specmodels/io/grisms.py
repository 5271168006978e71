"""JWST grisms, and scenes seen through them, from datamodels and reference files given by hand."""

import warnings

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from ..instruments import recognise_instrument
from ..instruments.grisms import WcsTransform
from ..models import BSplineSpectrum, GrismScene
from ..models.scenes.grism import Grism, Sensitivity
from .slitless import read_direct_image

__all__ = ["jwst_grism", "jwst_scene"]

CONVERSION = u.MJy * u.um * u.s / (u.ct * u.sr)


def jwst_grism(grism_model, direct_wcs, photom, wavelengthrange, *, orders=None,
               shape=(2048, 2048)):  # fmt: skip
    """Describe the grism of a JWST wide-field slitless exposure.

    Parameters
    ----------
    grism_model : datamodel
        A MultiSlitModel or ImageModel with a WCS.
    direct_wcs : callable
        WCS of the direct image.
    photom : datamodel
        Photometric reference model, with a table by filter, pupil and order.
    wavelengthrange : datamodel
        Reference model of wavelength ranges.
    orders : sequence of int, optional
        Default: all that the range reference and the WCS have.
    shape : tuple of int
        Of the detector.

    Returns
    -------
    `~specmodels.models.scenes.grism.Grism`
        Orders without a row in the photometric table have no sensitivity.

    Raises
    ------
    ValueError
        If the mode is unknown, or there is no range for the filter.
    """
    meta = grism_model.meta
    words = {"INSTRUME": meta.instrument.name, "EXP_TYPE": meta.exposure.type,
             "FILTER": meta.instrument.filter, "PUPIL": meta.instrument.pupil}  # fmt: skip
    instrument = recognise_instrument({k: v for k, v in words.items() if v})
    wheel = getattr(instrument, "band_wheel", None)
    if wheel is None:
        raise ValueError(f"grism_model: expected a wide-field grism mode, got {words}")
    band = words[wheel.upper()]
    slits = getattr(grism_model, "slits", None)
    wcs = slits[0].meta.wcs if slits is not None and len(slits) else meta.wcs
    transform = WcsTransform(direct_wcs, wcs)
    wanted = [int(n) for n in (wavelengthrange.order if orders is None else orders)]
    ranges = {}
    for order in wanted:
        limits = wavelengthrange.get_wfss_wavelength_range(band, [order]).get(order)
        if limits is not None and _has_order(transform, order, np.mean(limits), shape):
            ranges[order] = tuple(float(v) for v in limits)
    if not ranges:
        raise ValueError(f"wavelengthrange: no range for {band} in orders {wanted}")
    sensitivity = {order: _sensitivity(photom, words, order) for order in ranges}
    return Grism(transform, ranges, sensitivity, shape)


def jwst_scene(cutouts, direct, segmentation, photom, wavelengthrange, *, spectrum=None):
    """Scene of the sources on a direct image, as a JWST grism exposure shows it.

    Parameters
    ----------
    cutouts, direct, segmentation, photom, wavelengthrange : datamodel or path
        A MultiSlitModel of cutouts, the direct image, its segmentation map, and the reference files
        of photometry and wavelength ranges.
    spectrum : `~astropy.modeling.Model`, optional
        Spectrum of each source. Default: a spline of 40 pieces, which can follow lines.

    Returns
    -------
    `~specmodels.models.GrismScene`

    Raises
    ------
    ValueError
        As `jwst_grism`.
    """
    from stdatamodels.jwst import datamodels

    with (
        datamodels.open(cutouts) as model,
        datamodels.open(direct) as image,
        datamodels.open(photom) as table,
        datamodels.open(wavelengthrange) as limits,
    ):
        grism = jwst_grism(model, image.meta.wcs, table, limits)
        field = read_direct_image(image, segmentation)
    spectrum = BSplineSpectrum(40) if spectrum is None else spectrum
    return GrismScene.from_direct_image(field, grism=grism, spectrum=spectrum)


def _has_order(transform, order, wavelength, shape):
    """Whether the WCS can transform to an order."""
    x, y = np.array([shape[1] / 2]), np.array([shape[0] / 2])
    try:
        out = transform(x, y, np.array([wavelength]), order)
    except (ValueError, IndexError, KeyError):
        warnings.warn(f"the WCS has no order {order}: it is left out", AstropyUserWarning,
                      stacklevel=3)  # fmt: skip
        return False
    return bool(np.all(np.isfinite(out)))


def _sensitivity(photom, words, order):
    """Response of an order, None where the table has no row for it."""
    table = photom.phot_table
    text = {
        name: np.char.strip(np.asarray(table[name]).astype(str)) for name in ("filter", "pupil")
    }
    match = (text["filter"] == words["FILTER"]) & (text["pupil"] == words["PUPIL"])
    match &= np.asarray(table["order"]) == order
    if not match.any():
        return None
    row = table[int(np.flatnonzero(match)[0])]
    n = int(row["nelem"])
    unit = str(photom.phot_unit or "").replace("DN", "ct") or CONVERSION
    factor = float(row["photmjsr"]) * u.Unit(unit).to(CONVERSION)
    conversion = factor * np.asarray(row["relresponse"][:n], dtype=float)
    return Sensitivity(np.asarray(row["wavelength"][:n], dtype=float), conversion, inverse=True)
