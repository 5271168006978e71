"""JWST datamodels behind what was read: told from other things, and opened."""

from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits

from .reading import is_asdf

__all__ = ["is_datamodel", "is_model", "opened_model", "opened_source"]


def is_model(obj):
    """Whether an object is a JWST datamodel, told without an import of them."""
    return hasattr(obj, "instance") and hasattr(obj, "meta")


def is_datamodel(source):
    """Whether an object is a JWST datamodel, or the path of a file that says it is one."""
    if is_model(source):
        return True
    if not isinstance(source, str | Path) or not Path(source).is_file():
        return False
    try:
        if is_asdf(Path(source)):
            return _asdf_names_one(source)
        return bool(fits.getheader(source).get("DATAMODL"))
    except (OSError, ValueError):
        return False


def _asdf_names_one(path):
    from asdf.util import load_yaml
    from yaml import YAMLError

    try:
        tree = load_yaml(path)  # without the objects that it stands for
    except YAMLError:
        return False
    meta = tree.get("meta") if hasattr(tree, "get") else None
    return hasattr(meta, "get") and bool(meta.get("model_type"))


def opened_model(source, **options):
    """A datamodel as it is, or that of a file, which stays open."""
    from stdatamodels.jwst import datamodels

    return source if is_model(source) else datamodels.open(source, **options)


@contextmanager
def opened_source(source):
    """The datamodel behind an exposure: itself, or the file opened; None for other sources."""
    if not is_datamodel(source):
        yield None
    elif is_model(source):
        yield source
    else:
        try:
            model = opened_model(source)
        except (OSError, TypeError, ValueError):
            yield None
            return
        with model:
            yield model
