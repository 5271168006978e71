"""An exposure as a frame of its detector, whose pixels are in the order of readout, and back."""

import numpy as np

from ..exposure import Exposure
from ..ramp import Ramp
from .datamodels import is_datamodel
from .planes import Planes, exposure_of, is_vertical
from .provenance import note_of
from .slit_models import with_new_slits

__all__ = ["FLICKER", "exposure_of_frame", "frame_of", "like_exposure", "model_of", "parts_after",
           "turn_of"]  # fmt: skip

FLICKER = "clean_flicker_noise"  # in ``meta.cal_step``


def frame_of(exposure):
    """The only image of an exposure as a frame, with what the exposure knows of it.

    It lies as it was read, as the order of readout of an instrument does; an image with an order of
    its own as it is.

    Raises
    ------
    TypeError
        If there are several images, which are no frame of a detector.
    """
    if len(exposure) != 1:
        raise TypeError(
            "obj: expected what an Exposure was read from, or an Exposure of one image, got one of "
            f"{len(exposure)} images: {list(exposure)}"
        )
    image, turn = exposure.single, turn_of(exposure)
    readout = image.readout or getattr(exposure.instrument, "readout", None)
    return Ramp(
        turn(image.data), readout=readout, mask=turn(image.mask), unit=image.unit,
        variance=None if image.variance is None else turn(image.variance),
        dispersion_axis=-1 if turn is np.asarray else -2, source=exposure, notes=image.notes,
    )  # fmt: skip


def model_of(exposure):
    """The datamodel that an exposure was read from, changed as its images were; None if none."""
    if not is_datamodel(exposure.source):
        return None
    if not any(image.notes for image in exposure.values()):
        return exposure.source
    return with_new_slits(exposure)


def exposure_of_frame(ramp, options):
    """The exposure of a frame: its image, turned so that its dispersion is along the last axis."""
    axis = ramp.dispersion_axis
    instrument = options.resolved(None, axis).replace(readout=ramp.readout)
    planes = Planes(ramp.data, variance=ramp.variance, mask=ramp.bad, unit=ramp.unit,
                    notes=ramp.notes)  # fmt: skip
    return exposure_of([planes], options, instrument, source=ramp.source)


def like_exposure(result):
    """The exposure of which a frame was cleaned, with cleaned data and their variance."""
    exposure = result.ramp.source
    image, turn = exposure.single, turn_of(exposure)
    changes = {"data": turn(result.cleaned), "notes": (*image.notes, note_of(FLICKER))}
    if result.shared_error is not None:
        own = result.shared_error if result.flat is None else result.shared_error * result.flat
        changes["shared_errors"] = {**image.shared_errors, FLICKER: turn(own)}
    if image.variance is not None:
        after = turn(result.cleaned_variance(turn(image.variance)))
        changes |= {"variance": after,
                    "components": _shared(image.components, image.variance, after)}  # fmt: skip
    known = exposure.instrument
    if known is not None and image.readout is None:
        known = known.replace(readout=result.ramp.readout)
    return Exposure([image.replace(**changes)], instrument=known, source=exposure.source)


def _shared(components, before, after):
    """Parts of a variance that has changed."""
    if not components:
        return {}
    if "read" not in components:
        return {**components, "flicker": after - before}
    return parts_after(components, "read", before, after)


def parts_after(parts, read, before, after):
    """Parts of a variance that has changed: the read noise, or all where it is less than that.

    Parameters
    ----------
    parts : dict of ndarray
    read : str
        Name of the part of the read noise.
    before, after : ndarray
        The whole variance.
    """
    changed = parts[read] + after - before
    enough = changed > 0
    share = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    scaled = {name: np.where(enough, part, part * share) for name, part in parts.items()}
    return {**scaled, read: np.where(enough, changed, scaled[read])}


def turn_of(exposure):
    """The function that turns the image to lie as its order of readout does, and back."""
    vertical = is_vertical(exposure.instrument)
    return np.transpose if vertical and exposure.single.readout is None else np.asarray
