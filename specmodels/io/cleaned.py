"""Cleaned frames in the kind that was read (`like_source`): datamodels, NDData, Quantities, arrays.

The variance of what is left of the noise enters the errors. Nothing that was read is changed.
"""

import copy
from pathlib import Path

import numpy as np
from astropy.nddata import NDData, StdDevUncertainty, VarianceUncertainty

from ..exposure import Exposure
from .exposure_frames import FLICKER, like_exposure, parts_after
from .options import plain_variance
from .provenance import recorded
from .ramp_models import is_ramp_model, opened
from .registry import writer

__all__ = ["like_model", "like_source"]


def like_source(result):
    """The cleaned frames of a result in the kind that was read.

    Returns
    -------
    object
        A copy of the datamodel, NDData, Exposure or Quantity with cleaned data, else an array.
    """
    source = result.ramp.source
    if isinstance(source, Exposure):
        return like_exposure(result)
    if isinstance(source, Path):
        with opened(source) as model:
            return _like_model(model, result) if is_ramp_model(model) else result.cleaned
    if is_ramp_model(source):
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
    if not is_ramp_model(made):
        raise TypeError(
            "target: expected a path, since the result is not of a datamodel but of "
            f"{type(result.ramp.source).__name__}; a datamodel can be made of result.cleaned"
        )
    return made


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
    return _with_noise_left(out, result)


def _one_integration(out, result):
    """A model with the integration of a result as its only one."""
    shape, part = result.ramp.data.shape, slice(result.integration, result.integration + 1)
    for name, value in list(out.instance.items()):
        if np.shape(value) == shape and np.ndim(value) > 2:
            setattr(out, name, np.array(value[part]))
    out.data = np.asarray(result.cleaned, dtype="f4")[np.newaxis]
    return _with_noise_left(out, result)


def _with_noise_left(out, result):
    """A model of images, of which errors and read noise are those of the cleaned ones."""
    recorded(out, FLICKER)
    if result.ramp.kind == "ramp":
        return out
    planes = {name: np.asarray(out.instance.get(name), dtype=float)
              for name in ("err", "var_rnoise", "var_poisson")
              if np.shape(out.instance.get(name)) == out.data.shape}  # fmt: skip
    if "err" in planes:
        before = planes["err"] ** 2
    elif "var_rnoise" in planes:
        before = planes["var_rnoise"] + planes.get("var_poisson", 0)
    else:
        return out
    after = result.cleaned_variance(before.reshape(result.cleaned.shape)).reshape(before.shape)
    if "err" in planes:
        out.err = np.sqrt(after).astype("f4")
    if "var_rnoise" in planes:
        parts = {name: plane for name, plane in planes.items() if name != "err"}
        for name, part in parts_after(parts, "var_rnoise", before, after).items():
            setattr(out, name, part.astype("f4"))
    return out


def _with_variance(uncertainty, result):
    """The uncertainty with the variance of the noise that is left, in its own unit."""
    unit = result.ramp.unit
    variance = _of_integration(plain_variance(uncertainty, unit), result)
    variance = result.cleaned_variance(variance)
    if isinstance(uncertainty, StdDevUncertainty):
        own = uncertainty.unit
        factor = 1.0 if None in (own, unit) else unit.to(own)
        return StdDevUncertainty(factor * np.sqrt(variance), unit=own)
    return VarianceUncertainty(variance, unit=None if unit is None else unit**2)
