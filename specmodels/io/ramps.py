"""Reader of detector frames in time (`read_ramp`), and results in the kind that came in.

Ramps, integrations and images, from datamodels, FITS files of datamodels, NDData, Quantities and
bare arrays of two to four dimensions. Nothing that is read is changed.
"""

import copy
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.nddata import NDData, StdDevUncertainty, VarianceUncertainty

from ..instruments import recognise_instrument
from ..numerics.readout import ReadoutOrder
from ..ramp import Ramp
from .options import variance_of
from .planes import parsed_unit
from .registry import writer

__all__ = ["like_source", "read_ramp"]

DO_NOT_USE, SATURATED, JUMP = 1, 2, 4
MSA_FAILED_OPEN = 1 << 29
OUTPUTS_OF_SUBARRAYS = 1
# One-indexed rows 923 to 1116 of full frames hold the always open fixed slits.
FIXED_SLITS = slice(922, 1116)
MODES_WITH_FIXED_SLITS = ("NRS_IFU", "NRS_MSASPEC")
IMAGING = ("IMAGE", "TACQ", "FOCUS", "CORON", "_AMI")


def read_ramp(obj, *, readout=None, mask=None, dispersion_axis=None):
    """Read frames in time.

    Parameters
    ----------
    obj : `Ramp`, datamodel, path, NDData, array_like
        A bare array is an image, integrations of images, or a ramp of integrations and groups.
    readout : object, optional
        Order of the pixels, where not known from metadata; see `ReadoutOrder`.
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
        changes["readout"] = ReadoutOrder.of(readout)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.shape != ramp.shape:
            raise ValueError(f"mask: expected shape {ramp.shape}, got {mask.shape}")
        changes["mask"] = ramp.bad | mask.astype(bool)
    if dispersion_axis is not None:
        changes["dispersion_axis"] = dispersion_axis
    return ramp.replace(**changes) if changes else ramp


@writer("stdatamodels.RampModel", "stdatamodels.CubeModel", "stdatamodels.ImageModel")
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
            return _like_model(model, result)
    if hasattr(source, "instance") and hasattr(source, "meta"):
        return _like_model(source, result)
    if isinstance(source, NDData):
        out = copy.deepcopy(source)
        out.data[...] = result.cleaned
        if source.uncertainty is not None:
            out.uncertainty = _with_variance(source.uncertainty, result)
        return out
    return result.cleaned * source.unit if isinstance(source, u.Quantity) else result.cleaned


def _like_model(model, result):
    out = model.copy()
    out.data = np.asarray(result.cleaned, dtype="f4")
    if result.ramp.kind != "ramp":
        extra = np.nan_to_num(result.variance)
        for name, power in (("var_rnoise", 1), ("err", 2)):
            value = np.asarray(model.instance.get(name))
            if value.shape == result.cleaned.shape:
                total = value.astype(float) ** power + extra
                setattr(out, name, (total ** (1 / power)).astype("f4"))
    return out


def _with_variance(uncertainty, result):
    variance = variance_of(uncertainty)
    variance = getattr(variance, "value", variance) + np.nan_to_num(result.variance)
    if isinstance(uncertainty, StdDevUncertainty):
        return StdDevUncertainty(np.sqrt(variance), unit=uncertainty.unit)
    return VarianceUncertainty(variance)


def _read(obj):
    if isinstance(obj, Ramp):
        return obj
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
    with datamodels.open(path) as model:
        return _read_model(model, path)


def _read_nddata(nddata):
    variance = None
    if nddata.uncertainty is not None:
        variance = variance_of(nddata.uncertainty)
        variance = getattr(variance, "value", variance)
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
    always, single = _flagged(flags, data.ndim)
    group = _plane(tree, "groupdq", data.shape) if data.ndim == 4 else None
    if group is not None:
        single = (group & DO_NOT_USE) != 0
    shape = data.shape[-2:]
    always = np.zeros(shape, dtype=bool) if always is None else always
    return Ramp(
        data, readout=meta.readout(shape), mask=always | meta.closed(shape),
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


def _flagged(flags, ndim):
    if flags is None:
        return None, None
    bad = (flags & (DO_NOT_USE | MSA_FAILED_OPEN)) != 0
    if bad.ndim == 2:
        return bad, None
    return bad.all(axis=0), bad


def _variance(tree, shape):
    parts = [np.asarray(tree[name]) for name in ("var_rnoise", "var_poisson")
             if tree.get(name) is not None and np.shape(tree[name]) == shape]  # fmt: skip
    return np.sum(parts, axis=0) if parts else None


class _Meta:
    """The metadata of a datamodel that say how the detector was read."""

    def __init__(self, meta):
        self.meta = meta

    def get(self, path):
        node = self.meta
        for key in path.split("."):
            node = node.get(key) if hasattr(node, "get") else None
        return node

    @property
    def exposure_type(self):
        return str(self.get("exposure.type") or "")

    @property
    def is_miri(self):
        return self.get("instrument.name") == "MIRI"

    def readout(self, shape):
        """Order of readout: axes from the metadata, the rest as the instrument has it."""
        fast, slow = self.get("subarray.fastaxis"), self.get("subarray.slowaxis")
        if not (fast and slow) or {abs(fast), abs(slow)} != {1, 2}:
            return self._of_instrument()
        n_outputs = self.get("exposure.noutputs")
        if not n_outputs:
            full = shape[-abs(fast)] in (2048, 1032) and shape[-abs(slow)] in (2048, 1024)
            n_outputs = 4 if full else OUTPUTS_OF_SUBARRAYS
        return ReadoutOrder(
            fast_axis=-abs(fast), fast_direction=1 if fast > 0 else -1,
            slow_direction=1 if slow > 0 else -1, n_outputs=n_outputs, interleaved=self.is_miri,
            line_overhead=12, stripes="slow" if self.is_miri and self.is_imaging else "fast",
        )  # fmt: skip

    def _of_instrument(self):
        words = {"INSTRUME": "instrument.name", "EXP_TYPE": "exposure.type",
                 "FILTER": "instrument.filter", "PUPIL": "instrument.pupil"}  # fmt: skip
        found = recognise_instrument({key: self.get(path) for key, path in words.items()})
        known = found.readout if found is not None else None
        return ReadoutOrder() if known is None else ReadoutOrder.of(known)

    def closed(self, shape):
        """The region of the always open fixed slits, where others are in use."""
        out = np.zeros(shape, dtype=bool)
        if self.exposure_type in MODES_WITH_FIXED_SLITS and shape == (2048, 2048):
            out[FIXED_SLITS] = True
        return out

    def unit(self):
        text = self.get("bunit_data")
        return None if not text else parsed_unit(text, "bunit_data")

    @property
    def is_imaging(self):
        """Whether no light is dispersed, as far as is known."""
        return not self.exposure_type or any(word in self.exposure_type for word in IMAGING)

    def dispersion_axis(self):
        """Axis of dispersion: None for images of the sky."""
        if self.is_imaging:
            return None
        return -2 if self.is_miri else -1
