"""Writer of results as FITS files of JWST products: ``x1d``, or ``x1dints`` of time series."""

import os

from .jwst_spectra import to_multispec
from .jwst_time_series import is_time_series, to_tso_multispec
from .provenance import recorded
from .registry import writer
from .tables import creator_card

__all__ = ["EXTRACTION", "spectra_model", "write_jwst"]

EXTRACTION = "extract_1d"  # in ``meta.cal_step``


@writer("jwst")
def write_jwst(result, path):
    """Write a FITS file that stdatamodels and the JWST loaders of specutils read."""
    with spectra_model(result) as model:
        if str(path).endswith(".fits"):  # for readers to know it by; not in the schema of the model
            primary = model.instance.setdefault("extra_fits", {}).setdefault("PRIMARY", {})
            primary["header"] = [*primary.get("header", ()), ["CREATOR", *creator_card()]]
        model.save(os.fspath(path))


def spectra_model(result):
    """The datamodel of extracted spectra: of each source, or of each integration.

    It says in ``meta.cal_step`` and its history that they were extracted.
    """
    model = (to_tso_multispec if is_time_series(result) else to_multispec)(result)
    return recorded(model, EXTRACTION)
