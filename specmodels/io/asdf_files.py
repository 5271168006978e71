"""Reader of ASDF files: JWST datamodels, or a tree with arrays or objects that are readable."""

import warnings
from collections.abc import Mapping

import numpy as np

from ..exposure import Exposure
from ..numerics.readout import Readout
from .jwst import model_class, read_model
from .options import inverse, squared
from .planes import MAPS, Planes, exposure_of
from .registry import find_reader

__all__ = ["IMAGES", "opened", "read_asdf"]

IMAGES = "images"  # the key of a list of images: no name of one can be in the way of a key
KEYS = {
    "data": ("data", "sci", "flux"),
    "error": ("error", "err", "stddev"),
    "variance": ("variance", "var"),
    "ivar": ("ivar",),
    "mask": ("mask",),
    "flags": ("dq", "flags"),
    "wavelength": ("wavelength", "wave"),
    "spatial": ("spatial",),
    "weight": ("weight", "wht"),
}


def read_asdf(path, options):
    """Read an ASDF file.

    Parameters
    ----------
    path : `~pathlib.Path`
        Of a JWST datamodel; or with a mapping that has an entry ``data`` and, by name, its planes;
        or with NDData or Spectrum objects, whose keys become names.
    options : `ReadOptions`
        The user's options.

    Raises
    ------
    ValueError
        If the file is broken or holds nothing of that kind.
    """
    with opened(path) as file:
        exposure = _read_tree(file, options)
    return Exposure(exposure.values(), instrument=exposure.instrument, source=path)


def opened(path):
    """An open ASDF file with all arrays loaded; their check sums are compared."""
    import asdf

    with warnings.catch_warnings(), asdf.config_context() as config:
        # An object which cannot be made is an error, whatever the release of asdf.
        config.warn_on_failed_conversion = False
        warnings.simplefilter("ignore", asdf.exceptions.AsdfWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return asdf.open(path, memmap=False, lazy_load=False, validate_checksums=True)


def _read_tree(file, options):
    tree = file.tree
    meta = tree.get("meta")
    if isinstance(meta, Mapping) and meta.get("model_type") and not options.extensions:
        cls = model_class({"DATAMODL": meta["model_type"]})
        if cls is not None:
            with cls(file) as model:
                return read_model(model, options)
    planes = _candidates(tree, options.extensions)
    if planes:
        named = [_planes(value, name, options) for name, value in planes]
        return exposure_of(named, options, options.resolved(), source=None)
    objects = {key: value for key, value in tree.items() if _is_readable(value)}
    if len(objects) == 1 and not options.extensions:
        (value,) = objects.values()
        return find_reader(value)(value, options)
    wanted = options.extensions.get("data", "data")
    raise ValueError(
        f"obj: expected an ASDF file with an entry {wanted!r}, or one readable object, got "
        f"{list(tree)}; fits are opened by read_fit"
    )


def _candidates(tree, extensions):
    """Names and mappings of arrays in a tree: in a list of images, itself, or mappings in it."""
    if isinstance(tree.get(IMAGES), list):
        named = [("image", value) for value in tree[IMAGES]]
    elif _find(tree, "data", extensions) is not None:
        return [("image", tree)]
    else:
        named = [(str(key), value) for key, value in tree.items()]
    return [
        (name, value)
        for name, value in named
        if isinstance(value, Mapping) and _find(value, "data", extensions) is not None
    ]


def _find(tree, role, extensions):
    for key in (extensions[role],) if role in extensions else KEYS[role]:
        if key in tree:
            return tree[key]
    return None


def _planes(tree, name, options):
    def find(role):
        value = _find(tree, role, options.extensions)
        if value is None and role in options.extensions:
            wanted = options.extensions[role]
            raise ValueError(f"extensions[{role!r}]: expected one of {list(tree)}, got {wanted!r}")
        return value if value is None or hasattr(value, "unit") else np.array(value)

    error, ivar, weight = find("error"), find("ivar"), find("weight")
    variance = find("variance")
    if error is not None:
        variance = squared(error)
    elif variance is None and ivar is not None:
        variance = inverse(ivar)
    elif variance is None and weight is not None:
        variance = inverse(weight * options.pixel_scale**4)
    mask = find("mask")
    return Planes(
        find("data"),
        variance=variance,
        mask=None if mask is None else mask != 0,
        flags=find("flags"),
        wavelength=find("wavelength"),
        spatial=find("spatial"),
        components={key: np.array(part) for key, part in tree.get("components", {}).items()},
        unit=None if hasattr(find("data"), "unit") else tree.get("unit"),
        wavelength_unit=None
        if hasattr(find("wavelength"), "unit")
        else tree.get("wavelength_unit"),
        name=str(tree.get("name", name)),
        maps={key: np.array(tree[key]) for key in MAPS if key in tree},
        x=tree.get("x"),
        y=tree.get("y"),
        coordinates={key: np.array(one) for key, one in tree.get("coordinates", {}).items()},
        shared_errors={key: np.array(e) for key, e in tree.get("shared_errors", {}).items()},
        notes=tuple(tree.get("notes", ())),
        readout=tree["readout"] if isinstance(tree.get("readout"), Readout) else None,
    )


def _is_readable(value):
    other = str | np.ndarray | list | tuple  # of which readers think in other ways than a tree
    return find_reader(value) is not None and not isinstance(value, other)
