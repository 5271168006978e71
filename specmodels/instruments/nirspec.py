"""JWST NIRSpec: fixed slits, micro-shutters and integral field unit.

The detectors are turned in the mission's frame, so lines are read along columns. Readout numbers
are those of traditional full-frame exposures; a datamodel's own values replace them when read.
"""

from .base import Instrument, Readout
from .positions import SlitFrame

__all__ = ["NirspecIfu", "NirspecMos", "NirspecSlit"]

# Positions along slits and slices fall with the row.
SLIT = SlitFrame("slit_frame", 1, -1)
FULL_FRAME = Readout(fast_axis=-2, n_outputs=4, line_overhead=12, dwell=1e-5)


class NirspecSlit(
    Instrument,
    key=[("NIRSPEC", "NRS_FIXEDSLIT"), ("NIRSPEC", "NRS_BRIGHTOBJ"), ("NIRSPEC", "NRS_LAMP"),
         ("NIRSPEC", "NRS_AUTOWAVE"), ("NIRSPEC", "NRS_AUTOFLAT")],
):  # fmt: skip
    """NIRSpec fixed slits, bright objects and lamp exposures: horizontal dispersion."""

    readout = FULL_FRAME
    slit_frame = SLIT


class NirspecMos(Instrument, key=("NIRSPEC", "NRS_MSASPEC")):
    """NIRSpec multi-object spectroscopy with micro-shutters: horizontal dispersion."""

    readout = FULL_FRAME
    slit_frame = SLIT


class NirspecIfu(Instrument, key=("NIRSPEC", "NRS_IFU")):
    """NIRSpec integral field unit, 30 slices: horizontal dispersion."""

    readout = FULL_FRAME
    slit_frame = SlitFrame("slicer", 1, -1)
    sliced = True
