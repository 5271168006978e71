"""Reader of lists: several exposures of the same sources."""

from ..dithers import Dithers
from ..ramp import Ramp
from .registry import reader, reader_of

__all__ = ["read_list"]

# What says whose light is in an image: entries of the metadata, and keywords of its header.
SOURCES = ("source_id", "source_name")
TARGETS = ("TARGNAME", "TARGPROP", "OBJECT")


@reader(list, tuple)
def read_list(exposures, options):
    """Read each exposure; they must not say that they are of different sources."""
    if not exposures:
        raise ValueError("obj: expected at least one exposure, got an empty list")
    read = []
    for number, one in enumerate(exposures):
        if isinstance(one, list | tuple):
            raise TypeError(
                "obj: expected a path, an array, an Exposure, …, or a list of them, got a list of "
                f"{type(one).__name__}"
            )
        found = reader_of(one, f"obj[{number}]")(one, options)
        if isinstance(found, Ramp | Dithers):
            raise TypeError(
                f"obj[{number}]: expected two-dimensional spectra, got {type(found).__name__}"
            )
        read.append(found)
    dithers = Dithers(read, source=exposures)
    for slit, images in dithers.slits.items():
        _check_sources(slit, images)
    return dithers


@reader(Dithers)
def _read_dithers(dithers, options):
    """Return the exposures as they are."""
    if options.dispersion_axis == -2 or options.instrument is not None or options.changes():
        raise ValueError("obj: expected no options for Dithers, which are read already")
    return dithers


def _check_sources(slit, images):
    """Refuse images that say whose light they hold, if that is not the same."""
    for key in (*SOURCES, *TARGETS):
        said = [_said(image, key) for image in images]
        if None not in said and len(set(said)) > 1:
            raise ValueError(
                f"obj: expected exposures of the same source, got {key} {said} of {slit!r}; "
                "extract_many takes different ones, Dithers takes them for the same all the same"
            )


def _said(image, key):
    """What an image says, None where it is silent."""
    header = image.meta.get("header")
    value = image.meta.get(key) if key in SOURCES else None if header is None else header.get(key)
    text = str(value).strip() if value is not None else ""
    return text or None
