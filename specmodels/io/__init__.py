"""Data in and out: everything readable becomes an `~specmodels.Exposure`, every result a file.

With `specmodels.instruments` the only place that knows file formats and datamodels. Heavy packages
are imported when one of their objects is met.
"""

# Imported for the readers and writers that they register.
from . import asdf_files, dithers, fits, jwst, jwst_files, nddata, tables  # noqa: F401
from .beams import Beam, Beams
from .fit_files import read_fit
from .grisms import jwst_grism, jwst_scene
from .options import ReadOptions
from .planes import Planes
from .registry import read, reader, write, writer
from .slitless import read_direct_image, read_slitless
from .spectra_files import register_when_imported
from .time_series import is_series, read_series

__all__ = [
    "read",
    "write",
    "reader",
    "writer",
    "Beam",
    "Beams",
    "Planes",
    "ReadOptions",
    "is_series",
    "jwst_grism",
    "jwst_scene",
    "read_direct_image",
    "read_fit",
    "read_series",
    "read_slitless",
]

register_when_imported()
