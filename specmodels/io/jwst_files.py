"""Writer of results as FITS files of JWST products: ``x1d``, or ``x1dints`` of time series."""

import os

from .jwst_spectra import to_multispec
from .jwst_time_series import is_time_series, to_tso_multispec
from .registry import writer

__all__ = ["write_jwst"]


@writer("jwst")
def write_jwst(result, path):
    """Write a FITS file that stdatamodels and the JWST loaders of specutils read."""
    with (to_tso_multispec if is_time_series(result) else to_multispec)(result) as model:
        model.save(os.fspath(path))
