"""JWST imagers: no light is dispersed, but how the detectors are read matters for flicker noise.

Readout numbers are those of full-frame exposures; a datamodel's own values replace them when read.
"""

from .base import Instrument
from .miri import FULL_FRAME as MIRI_FULL_FRAME
from .nircam import FULL_FRAME as NIRCAM_FULL_FRAME
from .niriss import FULL_FRAME as NIRISS_FULL_FRAME
from .nirspec import FULL_FRAME as NIRSPEC_FULL_FRAME

__all__ = ["MiriImage", "NircamImage", "NirissImage", "NirspecImage"]


def _keys(instrument, prefix, words):
    return [(instrument, f"{prefix}_{word}") for word in words.split()]


class MiriImage(
    Instrument, key=_keys("MIRI", "MIR", "IMAGE TACQ TACONFIRM LYOT 4QPM CORONCAL FLATIMAGE")
):
    """MIRI imager and coronagraphs: besides 1/f noise, offsets along columns, over all lines."""

    dispersed = False
    readout = MIRI_FULL_FRAME.replace(stripes="slow")


class NircamImage(
    Instrument, key=_keys("NIRCAM", "NRC", "IMAGE TACQ TACONFIRM CORON FOCUS TSIMAGE")
):
    """NIRCam imager and coronagraphs."""

    dispersed = False
    readout = NIRCAM_FULL_FRAME


class NirissImage(Instrument, key=_keys("NIRISS", "NIS", "IMAGE AMI TACQ TACONFIRM FOCUS EXTCAL")):
    """NIRISS imager and aperture-masking interferometer."""

    dispersed = False
    readout = NIRISS_FULL_FRAME


class NirspecImage(
    Instrument,
    key=_keys("NIRSPEC", "NRS", "IMAGE TACQ TASLIT TACONFIRM CONFIRM FOCUS MIMF WATA MSATA VERIFY"),
):
    """NIRSpec target acquisition and imaging."""

    dispersed = False
    readout = NIRSPEC_FULL_FRAME
