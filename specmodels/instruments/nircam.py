"""JWST NIRCam: wide-field and time-series grisms.

Readout numbers are those of full-frame exposures; a datamodel's own values replace them when read.
"""

from .base import Instrument, Readout

__all__ = ["NircamGrismC", "NircamGrismR"]

FULL_FRAME = Readout(fast_axis=-1, n_outputs=4, line_overhead=12, dwell=1e-5)


class NircamGrismR(
    Instrument,
    key=[("NIRCAM", "NRC_WFSS", "GRISMR"), ("NIRCAM", "NRC_GRISM", "GRISMR"),
         ("NIRCAM", "NRC_TSGRISM")],
):  # fmt: skip
    """NIRCam grism R, wide-field or time series: horizontal dispersion."""

    readout = FULL_FRAME
    band_wheel = "filter"


class NircamGrismC(
    Instrument, key=[("NIRCAM", "NRC_WFSS", "GRISMC"), ("NIRCAM", "NRC_GRISM", "GRISMC")]
):
    """NIRCam grism C: vertical dispersion."""

    dispersion_axis = -2
    readout = FULL_FRAME
    band_wheel = "filter"
