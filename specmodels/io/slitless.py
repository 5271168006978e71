"""Reader of grism images with cutouts (`read_slitless`) and direct images, and cleaned cutouts.

JWST MultiSlitModels and ImageModels, their files, and arrays. Nothing that is read is changed.
"""

from pathlib import Path

import numpy as np

from ..models.scenes.direct_image import DirectImage
from ..slitless import Cutout, SlitlessExposure
from .datamodels import is_model
from .options import squared
from .provenance import recorded
from .reading import reading
from .units import parsed_unit

__all__ = ["cleaned_cutouts", "contamination_cutouts", "read_direct_image", "read_slitless",
           "simulated_model"]  # fmt: skip

DO_NOT_USE = 1
CONTAMINATION = "wfss_contam"  # in ``meta.cal_step``


def read_slitless(obj, *, shape=(2048, 2048), variance=None, mask=None, cutouts=()):
    """Read a grism image, whole or as cutouts of its sources.

    Parameters
    ----------
    obj : SlitlessExposure, datamodel, path or array_like
        A MultiSlitModel, whose cutouts are put back on the detector (pixels that none shows are
        masked), an ImageModel, or an image.
    shape : tuple of int
        Shape of the detector, for cutouts.
    variance, mask : array_like, optional
        Of an image.
    cutouts : sequence of Cutout
        Of an image.

    Returns
    -------
    SlitlessExposure

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If the input cannot be used.
    """
    if isinstance(obj, SlitlessExposure):
        return obj
    if isinstance(obj, str | Path):
        return _from_path(Path(obj), shape)
    if is_model(obj):
        return _from_model(obj, shape, obj)
    return SlitlessExposure(obj, variance=variance, mask=mask, cutouts=tuple(cutouts), source=obj)


def read_direct_image(direct, segmentation, **settings):
    """Direct image and segmentation map from datamodels, their files, or arrays.

    Parameters
    ----------
    direct, segmentation : datamodel, path or array_like
    **settings
        Of `DirectImage`: ``error``, ``mask``, …

    Returns
    -------
    DirectImage
    """
    tree = _tree(direct)
    if isinstance(tree, dict):
        error = _plane(tree, "err", np.shape(tree["data"]))
        if error is not None and "error" not in settings and np.any(error > 0):
            settings["error"] = error
        meta = tree.get("meta") or {}
        settings.setdefault("unit", parsed_unit(meta.get("bunit_data"), "direct: bunit_data"))
        direct = np.array(tree["data"])
    labels = _tree(segmentation)
    labels = np.array(labels["data"]) if isinstance(labels, dict) else segmentation
    return DirectImage(direct, labels, **settings)


def _tree(obj):
    """The tree of a datamodel or of the file of one; other things as they are."""
    if isinstance(obj, str | Path):
        from stdatamodels.jwst import datamodels

        with reading(obj) as path, datamodels.open(path) as model:
            return _loaded(model.instance)
    return dict(obj.instance) if is_model(obj) else obj


def _loaded(tree):
    """The arrays of a file that is about to be closed."""
    planes = {name: np.array(tree[name]) for name in ("data", "err") if tree.get(name) is not None}
    return dict(tree) | planes


def _from_path(path, shape):
    from stdatamodels.jwst import datamodels

    with reading(path) as path, datamodels.open(path) as model:
        return _from_model(model, shape, path)


def _from_model(model, shape, source):
    tree = model.instance
    if not (tree.get("slits") or type(model).__name__.startswith("MultiSlit")):
        if tree.get("data") is None:
            raise ValueError(f"obj: expected data or slits, got an empty {type(model).__name__}")
        data = np.array(tree["data"])
        variance, bad = _variance_and_mask(tree, data)
        return SlitlessExposure(data, variance, bad, source=source, unit=_unit(tree))
    slits = list(tree.get("slits") or ())
    if not slits:
        raise ValueError("obj: expected a MultiSlitModel with slits, got an empty one")
    frame, squared = np.zeros(shape), np.ones(shape)
    mask, cutouts, known = np.ones(shape, dtype=bool), [], True
    for slit in slits:
        data = np.array(slit["data"], dtype=float)
        window = _window(slit, data.shape, shape)
        variance, bad = _variance_and_mask(slit, data)
        known &= variance is not None
        good = ~bad
        frame[window][good] = data[good]
        if variance is not None:
            squared[window][good] = variance[good]
        mask[window] &= bad
        cutouts.append(Cutout(int(slit.get("source_id") or 0), _order(slit, tree), window))
    return SlitlessExposure(frame, squared if known else None, mask, tuple(cutouts), source=source,
                            unit=_unit(slits[0]) or _unit(tree))  # fmt: skip


def _window(slit, own, shape):
    """Rows and columns of a cutout; FITS counts from one."""
    x, y = int(slit.get("xstart") or 1) - 1, int(slit.get("ystart") or 1) - 1
    window = (slice(y, y + own[0]), slice(x, x + own[1]))
    if x < 0 or y < 0 or y + own[0] > shape[0] or x + own[1] > shape[1]:
        raise ValueError(
            f"shape: the cutout of source {slit.get('source_id')}, rows {y} to {y + own[0]} and "
            f"columns {x} to {x + own[1]}, is not within {shape}"
        )
    return window


def _order(slit, tree):
    for node in (slit, tree):
        order = ((node.get("meta") or {}).get("wcsinfo") or {}).get("spectral_order")
        if order is not None:
            return int(order)
    return 1


def _unit(tree):
    return parsed_unit((tree.get("meta") or {}).get("bunit_data"), "obj: bunit_data")


def _plane(tree, name, shape):
    value = tree.get(name)
    return None if value is None or np.shape(value) != shape else np.array(value)


def _variance_and_mask(tree, data):
    """Variance, None where unknown, and pixels that are flagged or not finite."""
    bad = ~np.isfinite(data)
    flags = _plane(tree, "dq", data.shape)
    if flags is not None:
        bad |= (flags.astype(np.uint32) & DO_NOT_USE) != 0
    error = _plane(tree, "err", data.shape)
    if error is None or not np.any(error > 0):
        return None, bad
    variance = squared(error)
    return variance, bad | ~(np.isfinite(variance) & (variance > 0))


def cleaned_cutouts(result):
    """Copy of the MultiSlitModel that was read, without contamination.

    The variance of the contamination model is added to the read-noise variance and to the error.

    Raises
    ------
    TypeError
        If something else was read.
    """
    out = _copy_of_source(result)
    for slit, cleaned in zip(out.slits, result.slits, strict=True):
        _replace(slit, "data", cleaned.corrected)
        extra = cleaned.variance
        for name, power in (("var_rnoise", 1), ("err", 2)):
            value = slit.instance.get(name)
            if value is not None and np.shape(value) == extra.shape:
                total = np.asarray(value, dtype=float) ** power + extra
                _replace(slit, name, total if power == 1 else np.sqrt(total))
    return recorded(out, CONTAMINATION)


def contamination_cutouts(result):
    """Copy of the MultiSlitModel that was read, with the contamination as data."""
    out = _copy_of_source(result)
    for slit, cleaned in zip(out.slits, result.slits, strict=True):
        _replace(slit, "data", cleaned.contamination)
    return out


def _replace(model, name, values):
    """Put an array into a model, in the place of another of its shape, if there is one.

    Past the attribute, which would check each array against the schema: that takes longer than the
    fit, and is done when the model is saved.
    """
    model.instance[name] = values.astype("f4")


def simulated_model(result):
    """The simulated image of the whole detector as an ImageModel."""
    from stdatamodels.jwst import datamodels

    model = datamodels.ImageModel()
    _replace(model, "data", result.simulated_image)
    source = result.exposure.source
    if isinstance(source, datamodels.JwstDataModel):
        model.update(source, only="PRIMARY")
    return model


def _copy_of_source(result):
    from stdatamodels.jwst import datamodels

    source = result.exposure.source
    if isinstance(source, Path):
        with datamodels.open(source) as model:
            return model.copy()
    if not hasattr(source, "slits"):
        raise TypeError(
            f"expected a result of a MultiSlitModel, got one of {type(source).__name__}"
        )
    # The WCS, which nothing here changes, and copying of which takes longest, are shared.
    wcs = [(slit.instance.get("meta") or {}).get("wcs") for slit in source.slits]
    return source.copy(memo={id(one): one for one in wcs if one is not None})
