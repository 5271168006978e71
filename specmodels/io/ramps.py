"""Reader of detector frames in time (`read_ramp`), and results in the kind that came in.

Ramps, integrations and images, from datamodels, FITS files of datamodels, NDData, Quantities and
bare arrays of two to four dimensions. Nothing that is read is changed.
"""

import copy
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty, VarianceUncertainty

from ..exposure import Exposure
from ..instruments import recognise_instrument
from ..numerics.readout import Readout
from ..ramp import Ramp
from .options import variance_of
from .planes import parsed_unit
from .regions import has_fixed_slits, light_regions
from .registry import reader, writer

__all__ = ["like_source", "read_ramp"]

DO_NOT_USE, SATURATED, JUMP, NON_SCIENCE = 1, 2, 4, 512
MSA_FAILED_OPEN = 1 << 29
OUTPUTS_OF_SUBARRAYS, LINE_OVERHEAD = 1, 12
# One-indexed rows 923 to 1116 of full frames hold the always open fixed slits.
FIXED_SLITS = slice(922, 1116)
MODES_WITH_FIXED_SLITS = ("NRS_IFU", "NRS_MSASPEC")


def read_ramp(obj, *, readout=None, mask=None, dispersion_axis=None):
    """Read frames in time.

    Parameters
    ----------
    obj : `Ramp`, datamodel, path, NDData, `Exposure`, array_like
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


def like_source(result):
    """The cleaned frames of a result in the kind that was read.

    Returns
    -------
    object
        A copy of the datamodel, NDData or Quantity with cleaned data, else an array.
    """
    source = result.ramp.source
    if isinstance(source, Path):
        from stdatamodels.jwst import datamodels

        with datamodels.open(source) as model:
            return _like_model(model, result) if _is_model(model) else result.cleaned
    if _is_model(source):
        return _like_model(source, result)
    if isinstance(source, NDData):
        return _like_nddata(source, result)
    if isinstance(source, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(source)
        return np.ma.MaskedArray(result.cleaned, mask=_of_integration(mask, result))
    unit = getattr(source, "unit", None) if source is not None else result.ramp.unit
    return result.cleaned if unit is None else result.cleaned * unit


@writer("stdatamodels.RampModel", "stdatamodels.CubeModel", "stdatamodels.ImageModel")
def like_model(result):
    """The cleaned frames as a datamodel, where one came in.

    Raises
    ------
    TypeError
        If something else came in.
    """
    made = like_source(result)
    if not _is_model(made):
        raise TypeError(
            "target: expected a path, since the result is not of a datamodel but of "
            f"{type(result.ramp.source).__name__}; a datamodel can be made of result.cleaned"
        )
    return made


def _is_model(obj):
    return hasattr(obj, "instance") and hasattr(obj, "meta") and "data" in obj.instance


def _of_integration(array, result):
    """The part of an array for all integrations that belongs to the result."""
    if result.integration is None or result.ramp.kind == "image":
        return array
    return array[result.integration]


def _like_nddata(source, result):
    uncertainty = source.uncertainty
    if uncertainty is not None:
        uncertainty = _with_variance(uncertainty, result)
    if source.data.dtype.kind == "f" and source.data.shape == result.cleaned.shape:
        out = copy.deepcopy(source)
        out.data[...] = result.cleaned
        if uncertainty is not None:
            out.uncertainty = uncertainty
        return out
    # Of another type or shape: made anew.
    mask = source.mask
    mask = _of_integration(mask, result) if np.ndim(mask) == source.data.ndim else mask
    return type(source)(np.array(result.cleaned), uncertainty=uncertainty, mask=mask,
                        meta=copy.deepcopy(source.meta), unit=source.unit)  # fmt: skip


def _like_model(model, result):
    out = model.copy()
    if result.integration is not None and result.ramp.kind != "image":
        return _one_integration(out, result)
    out.data = np.asarray(result.cleaned, dtype="f4")
    if result.ramp.kind != "ramp":
        extra = np.nan_to_num(result.variance)
        for name, power in (("var_rnoise", 1), ("err", 2)):
            value = np.asarray(model.instance.get(name))
            if value.shape == result.cleaned.shape:
                total = value.astype(float) ** power + extra
                setattr(out, name, (total ** (1 / power)).astype("f4"))
    return out


def _one_integration(out, result):
    """A model with the integration of a result as its only one."""
    shape, part = result.ramp.data.shape, slice(result.integration, result.integration + 1)
    extra = np.nan_to_num(result.variance)
    for name, value in list(out.instance.items()):
        if np.shape(value) == shape and np.ndim(value) > 2:
            setattr(out, name, np.array(value[part]))
    out.data = np.asarray(result.cleaned, dtype="f4")[np.newaxis]
    if result.ramp.kind != "ramp":
        for name, power in (("var_rnoise", 1), ("err", 2)):
            value = np.asarray(out.instance.get(name))
            if value.shape == out.data.shape:
                total = value.astype(float) ** power + extra
                setattr(out, name, (total ** (1 / power)).astype("f4"))
    return out


def _with_variance(uncertainty, result):
    """The uncertainty with the variance of the noise that is left, in its own unit."""
    unit = result.ramp.unit
    variance = _of_integration(_plain_variance(uncertainty, unit), result)
    variance = variance + np.nan_to_num(result.variance)
    if isinstance(uncertainty, StdDevUncertainty):
        own = uncertainty.unit
        factor = 1.0 if None in (own, unit) else unit.to(own)
        return StdDevUncertainty(factor * np.sqrt(variance), unit=own)
    return VarianceUncertainty(variance, unit=None if unit is None else unit**2)


def _plain_variance(uncertainty, unit):
    """Variances without a unit: in the square of that of the data."""
    variance = variance_of(uncertainty)
    if not isinstance(variance, u.Quantity):
        return np.asarray(variance)
    return variance.value if unit is None else variance.to_value(unit**2)


@reader("stdatamodels.RampModel", "stdatamodels.CubeModel")
def read_ramp_model(model, options):
    """Read the frames of a ramp or of several integrations, as `specmodels.read` does."""
    return read_ramp(model, mask=options.mask, dispersion_axis=options.dispersion_axis)


def _read(obj):
    if isinstance(obj, Ramp):
        return obj
    if isinstance(obj, Exposure):
        if obj.source is None:
            raise TypeError("obj: expected what an Exposure was read from, which it does not know")
        return _read(obj.source)
    if isinstance(obj, str | Path):
        return _read_path(Path(obj))
    if hasattr(obj, "instance") and hasattr(obj, "meta"):
        return _read_model(obj, obj)
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
    from stdatamodels.jwst import datamodels

    if not path.exists():
        raise FileNotFoundError(f"obj: there is no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "model_type not found")
            model = datamodels.open(path)
        with model:
            if _is_model(model):
                return _read_model(model, path)
        images = _fits_images(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"obj: {path} cannot be read: {error}") from error
    if not images:
        raise ValueError(f"obj: there is no image in {path}")
    return Ramp(np.array(images[0], dtype=images[0].dtype.newbyteorder("=")), source=path)


def _fits_images(path):
    try:
        with fits.open(path, memmap=False) as hdus:
            return [hdu.data for hdu in hdus if hdu.is_image and hdu.data is not None]
    except (TypeError, ValueError) as error:
        raise OSError(str(error)) from error


def _read_nddata(nddata):
    variance = None
    if nddata.uncertainty is not None:
        variance = _plain_variance(nddata.uncertainty, nddata.unit)
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


def _read_model(model, source):
    """Frames of a RampModel, CubeModel or ImageModel, read from its tree, which is not touched."""
    tree = model.instance
    data = np.array(tree["data"], dtype="f4")
    meta = _Meta(tree.get("meta") or {})
    flags = _plane(tree, "pixeldq" if data.ndim == 4 else "dq", data.shape)
    always, single = _flagged(flags, DO_NOT_USE | (NON_SCIENCE if meta.has_dark_parts else 0))
    group = _plane(tree, "groupdq", data.shape) if data.ndim == 4 else None
    if group is not None:
        single = (group & DO_NOT_USE) != 0
    shape = data.shape[-2:]
    always = np.zeros(shape, dtype=bool) if always is None else always
    return Ramp(
        data, readout=meta.readout(shape), mask=always, lit=meta.lit(tree, flags, shape),
        frame_mask=single if single is not None and single.any() else None,
        saturated=None if group is None else (group & SATURATED) != 0,
        jumped=None if group is None else (group & JUMP) != 0,
        variance=_variance(tree, data.shape), unit=meta.unit(),
        dispersion_axis=meta.dispersion_axis(), source=source,
    )  # fmt: skip


def _plane(tree, name, shape):
    """Flags of a datamodel, None where it has none of a shape that fits."""
    value = tree.get(name)
    if value is None:
        return None
    value = np.asarray(value)
    fits = value.shape == shape if name != "pixeldq" else value.shape == shape[-2:]
    if not fits:
        raise ValueError(
            f"{name}: expected flags of the shape of the data {shape}, got {value.shape}"
        )
    return value.astype(np.uint32)


def _flagged(flags, bits):
    """Pixels with any of the bits throughout, and in single frames where they have flags."""
    if flags is None:
        return None, None
    bad = (flags & bits) != 0
    if bad.ndim == 2:
        return bad, None
    return bad.all(axis=0), bad


def _variance(tree, shape):
    parts = {name: np.asarray(tree[name]) for name in ("var_rnoise", "var_poisson")
             if tree.get(name) is not None and np.size(tree[name])}  # fmt: skip
    for name, part in parts.items():
        if part.shape != shape:
            raise ValueError(
                f"{name}: expected variances of the shape of the data {shape}, got {part.shape}"
            )
    return np.sum(list(parts.values()), axis=0) if parts else None


class _Meta:
    """The metadata of a datamodel that say how the detector was read."""

    def __init__(self, meta):
        self.meta = meta

    def get(self, path):
        node = self.meta
        for key in path.split("."):
            node = node.get(key) if hasattr(node, "get") else None
        return node

    @cached_property
    def instrument(self):
        """The instrument and mode, None where unknown."""
        words = {"INSTRUME": "instrument.name", "EXP_TYPE": "exposure.type",
                 "FILTER": "instrument.filter", "PUPIL": "instrument.pupil"}  # fmt: skip
        return recognise_instrument({key: self.get(path) for key, path in words.items()})

    @property
    def exposure_type(self):
        return str(self.get("exposure.type") or "")

    @property
    def has_dark_parts(self):
        """Whether pixels flagged as non-science see other light than the rest."""
        return self.exposure_type == "MIR_IMAGE"

    def readout(self, shape):
        """Order of readout: axes from the metadata, the rest as the instrument has it."""
        known = None if self.instrument is None else self.instrument.readout
        known = Readout() if known is None else known
        fast, slow = self.get("subarray.fastaxis"), self.get("subarray.slowaxis")
        if not (fast and slow) or {abs(fast), abs(slow)} != {1, 2}:
            return known
        n_outputs = self.get("exposure.noutputs")
        if not n_outputs:
            full = shape[-abs(fast)] in (2048, 1032) and shape[-abs(slow)] in (2048, 1024)
            n_outputs = 4 if full else OUTPUTS_OF_SUBARRAYS
        return known.replace(
            fast_axis=-abs(fast), fast_direction=1 if fast > 0 else -1,
            slow_direction=1 if slow > 0 else -1, n_outputs=n_outputs,
            line_overhead=known.line_overhead or LINE_OVERHEAD,
        )  # fmt: skip

    def lit(self, tree, flags, shape):
        """Pixels known to see light, None if there are none."""
        out = np.zeros(shape, dtype=bool)
        always_open = self.exposure_type in MODES_WITH_FIXED_SLITS and shape == (2048, 2048)
        if always_open and not has_fixed_slits(self.get("wcs")):
            out[FIXED_SLITS] = True
        if self.get("instrument.name") == "NIRSPEC":
            regions = light_regions(tree, shape)
            out |= False if regions is None else regions
        if flags is not None:
            opened = (flags & MSA_FAILED_OPEN) != 0
            out |= opened.any(axis=tuple(range(opened.ndim - 2)))
        return out if out.any() else None

    def unit(self):
        text = self.get("bunit_data")
        return None if not text else parsed_unit(text, "bunit_data")

    def dispersion_axis(self):
        """Axis of dispersion: None for images of the sky."""
        if self.instrument is None:
            return -1 if self.exposure_type else None
        return self.instrument.dispersion_axis if self.instrument.dispersed else None
