"""What evaluators of a chain hand on: datamodels, else exposures and frames with all they know."""

import numpy as np

from ...dithers import Dithers
from ...exposure import Exposure
from ...io import read
from ...io.datamodels import is_datamodel, is_model, opened_source
from ...io.ramps import read_ramp
from ...ramp import Ramp
from ...slitless import SlitlessExposure
from ...spectral_image import SpectralImage

__all__ = ["handed_on", "taken_in", "unopened"]

KNOWN = (Exposure, Ramp, Dithers, SlitlessExposure)


def taken_in(data):
    """What a chain begins with: datamodels and their files as they are, other things as read.

    Files and arrays are read once, so that errors, masks and wavelengths stay with the data when
    an evaluator makes others of them.
    """
    if isinstance(data, KNOWN) or is_datamodel(data):
        return data
    if isinstance(data, np.ndarray) and np.ndim(data) > 2:
        return read_ramp(data)
    return read(data)


def handed_on(result):
    """The data that a result has made, for the next evaluator.

    Raises
    ------
    TypeError
        If the result has made no data of the kind that came in: spectra are the end of a chain.
    """
    hand = getattr(result, "passed_on", None) or getattr(result, "to_source", None)
    if hand is None:
        raise TypeError(
            "steps: expected results of which data are made for the next one, got a "
            f"{type(result).__name__}"
        )
    made = hand()
    if isinstance(made, SpectralImage):
        before = result.source_exposure
        return Exposure([made], instrument=before.instrument, source=before.source)
    return made


def unopened(data):
    """Data that can be written: the datamodel of a file, other things as they are."""
    if not is_datamodel(data) or is_model(data):
        return data
    with opened_source(data) as model:
        return model.copy()
