"""Entry points of `asdf`: where it finds the extension, schemas and manifest of this package."""

from importlib.resources import files

from asdf.resource import DirectoryResourceMapping

from .converters import MODEL_TYPES, OLD_MANIFESTS, declared_models, extension

__all__ = ["get_extensions", "get_resource_mappings"]


def get_resource_mappings():
    """Schemas and manifests: entry point ``asdf.resource_mappings``."""
    folder = files(__package__)
    base = "asdf://specmodels.readthedocs.io"
    return [
        DirectoryResourceMapping(folder / "schemas", f"{base}/schemas/"),
        DirectoryResourceMapping(folder / "manifests", f"{base}/manifests/"),
    ]


def get_extensions():
    """Extensions: entry point ``asdf.extensions``."""
    old = [extension(model_types=[], manifest=manifest) for manifest in OLD_MANIFESTS]
    return [extension([*MODEL_TYPES, *declared_models()]), *old]
