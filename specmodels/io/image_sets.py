"""Files with several images of a detector in extensions: the reads of WFC3, each with its planes.

`read_image_sets` makes frames of them; `write_image_sets` writes the file again with cleaned ones,
all else as it was but for the errors, and says in the header of each that it was cleaned.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from ..ramp import Ramp
from .exposure_frames import FLICKER
from .image_files import note_cards, notes_of
from .planes import native_copy
from .provenance import note_of
from .units import parsed_unit

__all__ = ["ImageSets", "read_image_sets", "write_image_sets"]


@dataclass(frozen=True)
class ImageSets:
    """A file of several images: where it is, and the versions of its extensions in order of time.

    Attributes
    ----------
    path : `~pathlib.Path`
    versions : tuple of int
        ``EXTVER`` of the images.
    """

    path: Path
    versions: tuple


def read_image_sets(hdus, path):
    """Frames of the images of a detector in the order of time.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        Of any file.
    path : path
        Where it is.

    Returns
    -------
    `~specmodels.ramp.Ramp` or None
        None where there are not several images. Pixels with any flag (``DQ``) are bad in their
        frame.

    Raises
    ------
    ValueError
        If the images differ in shape or unit, or are of several detectors.
    """
    found = sorted((hdu for hdu in hdus if hdu.name == "SCI" and hdu.is_image), key=_sample_number)
    if len(found) < 2:
        return None
    shapes = {hdu.shape for hdu in found}
    if len(shapes) > 1 or found[0].header["NAXIS"] != 2:
        raise ValueError(
            f"expected images of one shape, got {sorted(shapes)}; give one as an array"
        )
    if len({hdu.header.get("CCDCHIP") for hdu in found}) > 1:
        raise ValueError("expected images of one detector, got several; give an array")
    units = {hdu.header.get("BUNIT") for hdu in found}
    if len(units) > 1:
        raise ValueError(f"BUNIT: expected one unit of all images, got {sorted(map(str, units))}")
    frames = np.stack([native_copy(hdu.data) for hdu in found])
    versions = tuple(hdu.ver for hdu in found)
    return Ramp(frames, frame_mask=_flagged(hdus, versions, frames.shape),
                unit=parsed_unit(units.pop(), "BUNIT"), notes=_notes_of_all(found),
                source=ImageSets(Path(path), versions))  # fmt: skip


def _notes_of_all(hdus):
    """What was done to all images: of some files one alone was cleaned."""
    first, *others = (notes_of(hdu.header) for hdu in hdus)
    return tuple(note for note in first if all(note in notes for notes in others))


def _sample_number(hdu):
    """Reads of HST are numbered in the order of time, and written in the opposite one."""
    number = hdu.header.get("SAMPNUM", hdu.ver)
    return number if isinstance(number, int | float) else hdu.ver


def _plane(hdus, name, version):
    """Extension of a name that belongs to an image; None where it is not there, or empty."""
    fitting = [hdu for hdu in hdus if (hdu.name, hdu.ver) == (name, version)]
    return fitting[0] if fitting and fitting[0].data is not None else None


def _flagged(hdus, versions, shape):
    """Pixels of each frame that have flags; None where none has."""
    out = np.zeros(shape, dtype=bool)
    for frame, version in zip(out, versions, strict=True):
        plane = _plane(hdus, "DQ", version)
        if plane is not None and plane.data.shape != frame.shape:
            raise ValueError(f"DQ: expected the shape of the image, {frame.shape}, got "
                             f"{plane.data.shape}")  # fmt: skip
        if plane is not None:
            frame[...] = plane.data != 0
    return out if out.any() else None


def write_image_sets(result, path, extra):
    """Write the file of several images again, cleaned.

    Parameters
    ----------
    result : `~specmodels.evaluators.FlickerResult`
        Of frames that `read_image_sets` made.
    path : path
        Of the file to be written.
    extra : iterable of HDU
        Extensions that are put behind those of the file, in place of any of the same names.

    Raises
    ------
    OSError
        If the file that was read is not there any more.
    """
    source = result.ramp.source
    whole = range(len(source.versions))
    chosen = whole if result.integration is None else [whole[result.integration]]
    cleaned = np.asarray(result.cleaned).reshape(-1, *result.ramp.shape)
    with fits.open(source.path, memmap=False) as hdus:
        errors = [_plane(hdus, "ERR", source.versions[k]) for k in chosen]
        before = np.ones(cleaned.shape)
        for own, plane in zip(before, errors, strict=True):
            if plane is not None:
                own[...] = np.asarray(plane.data, dtype=float) ** 2
        after = result.cleaned_variance(before.reshape(np.shape(result.cleaned)))
        after = after.reshape(before.shape)
        for k, frame, variance, error in zip(chosen, cleaned, after, errors, strict=True):
            image = _plane(hdus, "SCI", source.versions[k])
            image.data = frame.astype("f4")
            image.header.update(note_cards((*result.ramp.notes, note_of(FLICKER))))
            if error is not None:
                error.data = np.sqrt(variance).astype("f4")
        extra = list(extra)
        for name in {hdu.name for hdu in extra} & {hdu.name for hdu in hdus}:
            del hdus[name]
        hdus.extend(extra)
        hdus.writeto(path)
