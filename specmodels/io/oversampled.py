"""Oversampled or repaired exposures in the kind that came in: datamodels, else images.

The source is never changed; what is returned is a copy.
"""

from pathlib import Path

import numpy as np

from .datamodels import opened_source
from .oversampled_wcs import oversampled_wcs
from .planes import is_vertical
from .provenance import recorded
from .tables import write_asdf, write_fits

__all__ = ["like_source", "save_like_source"]

DO_NOT_USE, FLUX_ESTIMATED = 1, 1 << 28
AREAS = ("pixelarea_steradians", "pixelarea_arcsecsq")
# Names of what is done, in ``meta.cal_step``.
TRACE_MODEL, REPLACEMENT = "adaptive_trace_model", "pixel_replace"
VARIANCES = {"read": "var_rnoise", "poisson": "var_poisson", "flat": "var_flat"}


def like_source(results, exposure):
    """The oversampled exposure as a datamodel, or as a `SpectralImage` if it was read from none.

    Parameters
    ----------
    results : mapping of str to OversamplingResult or ReplacementResult
        By name of the image.
    exposure : `~specmodels.Exposure`
        What was read.

    Returns
    -------
    datamodel, `~specmodels.SpectralImage` or `~specmodels.Exposure`
        A datamodel has the trace model of its pixels, maps of regions and wavelengths, errors,
        flags, and a WCS whose first frame is ``coordinates``. With factor 1 it is the one that was
        read, with the trace model.
    """
    with opened_source(exposure.source) as model:
        if model is None:
            made = {name: result.image for name, result in results.items()}
            if len(made) == 1:
                return next(iter(made.values()))
            return exposure.map(lambda image: made.get(image.name, image))
        slits = model.instance.get("slits")
        trees = {
            name: slits[list(exposure).index(name)] if slits else model.instance for name in results
        }
        # What will be replaced need not be copied: the WCS of many slices takes seconds. One that
        # comes from a file has to be, for its arrays to be read before the file is closed.
        in_memory = not getattr(model, "_file_references", True)
        spared = [part for name, result in results.items()
                  for part in _replaced_parts(trees[name], result, with_wcs=in_memory)]  # fmt: skip
        out = model.copy(memo={id(part): part for part in spared})
        vertical = is_vertical(exposure.instrument)
        for name, result in results.items():
            made = out.instance["slits"][list(exposure).index(name)] if slits else out.instance
            fill = _replace if hasattr(result, "replaced") else _fill
            fill(made, trees[name], model, result, vertical)
        return recorded(out, REPLACEMENT if fill is _replace else TRACE_MODEL)


def save_like_source(results, exposure, path):
    """Write what `like_source` makes to a FITS or ASDF file."""
    path = Path(path)
    made = like_source(results, exposure)
    is_asdf = path.suffix == ".asdf"
    if not hasattr(made, "to_fits"):
        (write_asdf if is_asdf else write_fits)(made, path)
        return
    with made:
        made.meta.filename = path.name
        (made.to_asdf if is_asdf else made.to_fits)(str(path))


def _replaced_parts(tree, result, with_wcs):
    """Arrays and WCS of a slit or image of which the oversampled one has others."""
    if hasattr(result, "replaced") or result.factor == 1:
        return []
    shape = np.shape(tree["data"])
    planes = [tree[key] for key in tree if key != "meta" and _is_plane(tree, key, shape)]
    wcs = (tree.get("meta") or {}).get("wcs")
    return [*planes, wcs] if with_wcs and wcs is not None else planes


def _fill(out, tree, model, result, vertical):
    """Put the planes of a result into a copy of the tree that it was made from.

    The tree is not validated with each plane, but when it is written.
    """
    turn = (lambda a: np.ascontiguousarray(a.T)) if vertical else np.asarray
    if result.factor == 1:
        out["trace_model"] = turn(result.trace).astype("f4")
        return
    native = np.shape(tree["data"])
    dq = tree.get("dq")
    has = {
        name for name in ("err", *VARIANCES.values(), "wavelength") if _is_plane(tree, name, native)
    }
    for name in [key for key in tree if key != "meta" and _is_plane(tree, key, native)]:
        del out[name]
    data = turn(result.data).astype("f4")
    out["data"] = data
    if result.sliced.image.variance is not None and "err" in has:
        out["err"] = turn(result.error).astype("f4")
    for key, name in VARIANCES.items():
        if name in has and key in result.components:
            out[name] = turn(result.components[key]).astype("f4")
    if result.wavelength is not None and np.ndim(result.wavelength) == 2:
        out["wavelength"] = turn(result.wavelength).astype("f4")
    flags = np.zeros(native, "u4") if dq is None else np.array(dq)
    out["dq"] = turn(_flags(flags.T if vertical else flags, result))
    out["trace_model"] = turn(result.oversampled_trace).astype("f4")
    if hasattr(type(model), "regions") or "regions" in (model.schema.get("properties") or {}):
        out["regions"] = turn(result.regions).astype("i4")
    _describe(out, model, result)
    wcs = (tree.get("meta") or {}).get("wcs")
    if wcs is not None:
        axis = -1 if vertical else -2
        regions = turn(result.sliced.regions)
        out["meta"]["wcs"] = oversampled_wcs(wcs, result.factor, axis, regions)


def _describe(out, model, result):
    """Say in a slit or image how large it and its pixels now are."""
    for name, size in zip(("ysize", "xsize"), np.shape(out["data"]), strict=True):
        if out.get(name) is not None:
            out[name] = size
    own, common = ((one.get("meta") or {}).get("photometry") or {} for one in (out, model.instance))
    areas = {}
    for name in AREAS:
        native = own.get(name) if own.get(name) is not None else common.get(name)
        if native is not None:
            areas[name] = native / result.factor
    if areas:
        out.setdefault("meta", {})["photometry"] = {**own, **areas}


def _replace(out, tree, model, result, vertical):
    """Put the pixels that were replaced into a copy of the slit or image that they are from."""
    turn = (lambda a: np.ascontiguousarray(a.T)) if vertical else np.asarray
    replaced = turn(result.replaced)
    planes = {"data": result.data}
    if result.variance is not None:
        planes["err"] = np.sqrt(result.variance)
        components = result.trace_result.components
        planes |= {name: components[key] for key, name in VARIANCES.items() if key in components}
    for name, values in planes.items():
        if _is_plane(tree, name, replaced.shape):
            out[name] = np.where(replaced, turn(values), tree[name]).astype("f4")
    if _is_plane(tree, "dq", replaced.shape):
        dq = np.array(tree["dq"], dtype="u4")
        out["dq"] = np.where(replaced, (dq & ~np.uint32(DO_NOT_USE)) | FLUX_ESTIMATED, dq)
    out["trace_model"] = turn(result.trace_result.trace).astype("f4")


def _flags(dq, result):
    """Flags of the nearest pixel; what the model has filled is estimated and can be used."""
    out = np.array(result.rows.own(dq), dtype="u4")
    estimated = result.estimated
    out[estimated] = (out[estimated] & ~np.uint32(DO_NOT_USE)) | FLUX_ESTIMATED
    out[~np.isfinite(result.data)] |= DO_NOT_USE
    return out


def _is_plane(tree, name, shape):
    return tree.get(name) is not None and np.shape(tree[name]) == shape
