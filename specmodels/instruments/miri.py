"""JWST MIRI: low-resolution spectrometer and medium-resolution integral field unit.

Light is dispersed along columns. Readout numbers are those of full-frame exposures; a datamodel's
own values replace them when read.
"""

from .base import Instrument, Readout
from .positions import SlitFrame

__all__ = ["MiriLrs", "MiriLrsSlitless", "MiriMrs", "MiriWfss"]

REFERENCE_PIXEL = 1 << 31
# 1032 columns are read by four interleaved outputs in 271 pixel times per line.
FULL_FRAME = Readout(fast_axis=-1, n_outputs=4, line_overhead=13, interleaved=True)


class MiriLrs(Instrument, key=("MIRI", "MIR_LRS-FIXEDSLIT")):
    """MIRI low-resolution spectrometer behind its slit: vertical dispersion.

    Its WCS has no frame of the slit, which is a line in the focal plane. Seen there, a star stays
    where it is; on the detector it moves by more than a pixel.
    """

    dispersion_axis = -2
    readout = FULL_FRAME
    slit_frame = SlitFrame("v2v3", (0, 1), -1)


class MiriLrsSlitless(Instrument, key=("MIRI", "MIR_LRS-SLITLESS")):
    """MIRI low-resolution spectrometer without slit, a subarray: vertical dispersion.

    It begins with four columns of reference pixels, which see no light and are not flagged as bad.
    """

    dispersion_axis = -2
    bad_flags = Instrument.bad_flags | REFERENCE_PIXEL
    readout = FULL_FRAME


class MiriMrs(Instrument, key=("MIRI", "MIR_MRS")):
    """MIRI medium-resolution spectrometer, two channels side by side: vertical dispersion."""

    dispersion_axis = -2
    readout = FULL_FRAME
    slit_frame = SlitFrame("alpha_beta")
    sliced = True


class MiriWfss(Instrument, key=("MIRI", "MIR_WFSS")):
    """MIRI wide-field slitless spectroscopy: vertical dispersion."""

    dispersion_axis = -2
    readout = FULL_FRAME
