"""Frames of a detector in FITS files: their planes, marks and order of readout."""

import numpy as np
from astropy.io import fits

from .image_files import OWN_AXIS, note_cards
from .readout_keywords import readout_cards
from .units import unit_text

__all__ = ["MARKS", "frame_hdus", "plane_hdus"]

# Extensions of what is known of the frames besides their values.
MARKS = {"MASK": "mask", "FRAME_MASK": "frame_mask", "SATURATED": "saturated", "JUMP": "jumped",
         "LIT": "lit"}  # fmt: skip


def frame_hdus(ramp):
    """Extensions of a `~specmodels.Ramp`, which `specmodels.read` gives back."""
    marks = {name: (getattr(ramp, key), None) for name, key in MARKS.items()}
    planes = {"SCI": (ramp.data, ramp.unit), "VAR": (ramp.variance, None), **marks}
    known = {name: pair for name, pair in planes.items() if pair[0] is not None}
    return plane_hdus(known, ramp, ramp.notes)


def plane_hdus(planes, ramp, notes):
    """Extensions of planes, the data with the order of readout and what was done to them.

    Parameters
    ----------
    planes : mapping of str to (array_like, unit)
        By name of the extension; true and false become bytes.
    ramp : `~specmodels.Ramp`
        The frames.
    notes : sequence of str

    Yields
    ------
    `~astropy.io.fits.ImageHDU`
    """
    for name, (array, unit) in planes.items():
        array = np.asarray(array)
        hdu = fits.ImageHDU(array.astype("u1") if array.dtype == bool else array, name=name)
        if unit is not None:
            hdu.header["BUNIT"] = unit_text(unit)
        if name == "SCI":
            hdu.header.extend(readout_cards(ramp.readout))
            hdu.header.extend(note_cards(notes))
            if ramp.dispersion_axis is not None:
                hdu.header[OWN_AXIS] = (-ramp.dispersion_axis, "axis of dispersion")
        yield hdu
