"""JWST NIRISS: wide-field grisms and single-object slitless spectroscopy.

The detector is turned in the mission's frame, so lines are read along columns. Readout numbers are
those of full-frame exposures; a datamodel's own values replace them when read.
"""

from .base import Instrument, Readout

__all__ = ["NirissGr150C", "NirissGr150R", "NirissSoss"]

FULL_FRAME = Readout(fast_axis=-2, n_outputs=4, line_overhead=12, dwell=1e-5)


class NirissGr150R(Instrument, key=("NIRISS", "NIS_WFSS", "GR150R")):
    """NIRISS grism GR150R, which disperses along columns of the mission's frame."""

    dispersion_axis = -2
    readout = FULL_FRAME
    band_wheel = "pupil"


class NirissGr150C(Instrument, key=("NIRISS", "NIS_WFSS", "GR150C")):
    """NIRISS grism GR150C, which disperses along rows of the mission's frame."""

    readout = FULL_FRAME
    band_wheel = "pupil"


class NirissSoss(Instrument, key=("NIRISS", "NIS_SOSS")):
    """NIRISS single-object slitless spectroscopy, a subarray with curved orders: horizontal."""

    readout = Readout(fast_axis=-2, n_outputs=1, line_overhead=12, dwell=1e-5)
