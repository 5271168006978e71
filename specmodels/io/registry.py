"""`read` and `write`, and the registries of readers and writers behind them.

Readers are found by the type of the input, writers by the suffix, format or type of the target.
Types of packages that may be absent or slow to import are registered by name. Other packages add
theirs with the entry point group ``specmodels.io``, each entry naming a module whose import
registers readers and writers.
"""

import os
from collections.abc import Iterable
from inspect import signature
from pathlib import Path, PurePath

import numpy as np
from astropy.io import fits

from ..dithers import Dithers
from ..exposure import Exposure
from ..instruments.registry import load_entry_points
from ..ramp import Ramp
from ..spectral_image import SpectralImage
from .options import ReadOptions
from .planes import changed_images
from .replacing import replacing

__all__ = ["read", "reader", "reader_of", "write", "writer"]

# Entry points of other packages, whose import registers readers and writers.
PLUGINS = "specmodels.io"
_readers = {}
_writers = {}


def reader(*types):
    """Register a function as the reader of some types or files.

    Parameters
    ----------
    *types : type or str
        The types; by name, as ``"package.Class"``, where the package need not be imported; or
        suffixes of file names (``".dat"``).

    Returns
    -------
    decorator : callable
        For a function ``function(obj)``, which returns anything that `read` understands, to which
        its options are then applied; or ``function(obj, options)``, which applies its
        `ReadOptions` by itself, and returns an `Exposure`, a `SpectralImage` or several.
    """

    def decorate(function):
        _readers.update(dict.fromkeys(types, _with_options(function)))
        return function

    return decorate


def _with_options(function):
    """The reader itself, or one that applies the options to what it returns."""
    if len(signature(function).parameters) > 1:
        return function

    def reading(obj, options):
        found = function(obj)
        return _as_exposure(reader_of(found, "what a reader returned")(found, options), obj)

    return reading


def writer(*targets):
    """Register a function as the writer to some targets.

    Parameters
    ----------
    *targets : str
        A suffix of file names (``".fits"``), a format (``"jwst"``), or the name of a type of
        objects (``"package.Class"``).

    Returns
    -------
    decorator : callable
        For a function ``function(result, path)`` which writes a file, or ``function(result)``
        which returns an object of the type.
    """

    def decorate(function):
        _writers.update(dict.fromkeys(targets, function))
        return function

    return decorate


def read(
    obj, *, dispersion_axis=None, wavelength=None, variance=None, uncertainty=None, mask=None,
    instrument=None, name=None, extensions=None, pixel_scale=1.0,
):  # fmt: skip
    """Read anything that holds two-dimensional spectra.

    What is given here always wins over what is found in the input. Arrays lie as the data do in
    the input; for an input with several images they may be given by name, in a mapping.

    Parameters
    ----------
    obj : path, array_like, `~astropy.nddata.NDData`, `~specutils.Spectrum`, datamodel, …
        A FITS or ASDF file, an array, masked array or Quantity, NDData or CCDData, a
        two-dimensional Spectrum, a JWST datamodel, an HDUList. An `Exposure` is returned as it
        is, a `SpectralImage` as an exposure. A list or tuple of any of these is several exposures
        of the same sources, `Dithers`; options hold for each of them.
    dispersion_axis : int, optional
        Axis along which the input is dispersed: -1 (horizontal, along rows) or -2 (vertical).
    wavelength : array_like, `~astropy.units.Quantity`, `~gwcs.WCS`, callable, optional
        Per pixel, or one per step along the dispersion. A function of columns and rows will do, a
        gwcs, or the tilt solution that `specreduce` makes of arc lines (the dispersion coordinate,
        in pixels).
    variance : array_like or `~astropy.units.Quantity`, optional
        Variance per pixel.
    uncertainty : `~astropy.nddata.NDUncertainty` or array_like, optional
        Instead of the variance: an uncertainty of any kind, or standard deviations.
    mask : array_like of bool, optional
        True where a pixel is bad, in place of masks and flags in the input. Pixels whose data or
        variance cannot be used are masked all the same.
    instrument : `~specmodels.instruments.Instrument`, class, str or tuple of str, optional
        What is known about the detector; recognised from headers where not given.
    name : str, optional
        Name of the only image.
    extensions : mapping, optional
        Extensions of a FITS file, or keys of an ASDF file, by name or number, for the roles
        ``data``, ``error``, ``variance``, ``ivar``, ``mask``, ``flags``, ``wavelength``,
        ``spatial`` (positions along the slit) and ``weight``; common names are found without.
    pixel_scale : float
        Output over input pixel scale of resampled images, for variances from drizzle weights.

    Returns
    -------
    exposure : `Exposure`, `~specmodels.Dithers`, or `~specmodels.ramp.Ramp`
        Dispersion along the last axis. The input is never changed, and files are closed. JWST
        ramps and integrations are read as a `~specmodels.ramp.Ramp`, as they lie in the file, and
        grism cutouts of one source with its direct image as `~specmodels.io.Beams`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If the input or an option cannot be used.
    """
    options = ReadOptions(
        dispersion_axis=dispersion_axis, wavelength=wavelength, variance=variance,
        uncertainty=uncertainty, mask=mask, instrument=instrument, name=name,
        extensions=extensions or {}, pixel_scale=pixel_scale,
    )  # fmt: skip
    read_one = reader_of(obj)
    if extensions and not isinstance(obj, str | os.PathLike | fits.HDUList):
        raise ValueError(f"extensions: expected none for a {type(obj).__name__}, got {extensions}")
    return _as_exposure(read_one(obj, options), obj)


def write(result, target, *, overwrite=False, format=None):
    """Write a result to a file, or into an object of another package.

    Files are put in their place when complete: a process that is killed leaves an older file as it
    was. A symbolic link is kept, and so are the permissions of a file that is replaced.

    Parameters
    ----------
    result : object
        A result with a method ``tables()``, or ``save(path)`` for those that are written in the
        kind that was read; the result of a chain, of which the last is written; or, for FITS and
        ASDF, an `Exposure` or `SpectralImage`; for FITS, a `~specmodels.ramp.Ramp`.
    target : path or type
        A file whose suffix says the format, or a type such as
        `stdatamodels.jwst.datamodels.MultiSpecModel`.
    overwrite : bool
        Whether an existing file is replaced.
    format : str, optional
        A format that the suffix does not say: ``"jwst"`` for a JWST ``x1d`` product.

    Returns
    -------
    target : `~pathlib.Path` or object
        The path written, or the object made.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    FileNotFoundError
        If its folder does not exist.
    TypeError, ValueError
        If the result or the target is of an unknown kind.
    """
    load_entry_points(PLUGINS)
    result = getattr(result, "final", result)  # of a chain
    if isinstance(target, type):
        function = _by_type(_writers, target)
        if function is None:
            raise ValueError(f"target: no writer makes a {target.__name__}")
        return function(result)
    if not isinstance(target, str | os.PathLike):
        raise TypeError(f"target: expected a path or a type, got {type(target).__name__}")
    path = Path(target)
    function = _file_writer(path, format)
    if format is None and callable(getattr(result, "save", None)):
        function = type(result).save
    if not path.parent.is_dir():
        raise FileNotFoundError(f"target: there is no folder {path.parent}")
    if path.is_dir():
        raise ValueError(f"target: expected the name of a file, got the folder {path}")
    if path.exists() and not path.is_file():
        raise ValueError(f"target: expected the name of a file, got {path}, which is none")
    if path.exists() and not overwrite:
        raise FileExistsError(f"target: {path} exists; overwrite=True replaces it")
    with replacing(path) as temporary:
        function(result, temporary)
    return path


@reader(Exposure)
def _read_exposure(exposure, options):
    """Return the exposure as it is, or with the options applied to its images."""
    if options.dispersion_axis == -2:
        raise ValueError(
            "dispersion_axis: expected -1 for an Exposure or SpectralImage, whose dispersion is "
            "always along the last axis, got -2"
        )
    if options.instrument is None and not options.changes():
        return exposure
    images = changed_images(exposure.values(), options)
    instrument = options.instrument or exposure.instrument
    return Exposure(images, instrument=instrument, source=exposure.source)


@reader(SpectralImage)
def _read_image(image, options):
    return _read_exposure(Exposure([image]), options)


def find_reader(obj):
    """The reader for an object, or for a file of its name; None if there is none."""
    if isinstance(obj, str | os.PathLike):
        load_entry_points(PLUGINS)
        found = _by_suffix(_readers, os.path.basename(os.fspath(obj)))
        if found is not None:
            return found
    return _by_type(_readers, type(obj))


def reader_of(obj, name="obj"):
    """The reader for an object.

    Raises
    ------
    TypeError
        If there is none; `name` says what the object is.
    """
    function = find_reader(obj)
    if function is None:
        load_entry_points(PLUGINS)
        function = find_reader(obj)
    if function is None and isinstance(obj, os.PathLike):
        function = _readers[PurePath]
    if function is None:
        raise TypeError(
            f"{name}: expected a path, an array, NDData, a two-dimensional Spectrum, a datamodel "
            f"or an Exposure, got {type(obj).__module__}.{type(obj).__qualname__}"
        )
    return function


def _by_type(registry, cls):
    """The entry for the class or the nearest of its bases, registered by itself or by name."""
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        for key in (base, f"{package}.{base.__qualname__}"):
            if key in registry:
                return registry[key]
    return None


def _file_writer(path, format):
    if format is not None:
        formats = sorted(key for key in _writers if "." not in key)
        if format not in formats:
            raise ValueError(f"format: expected one of {formats}, got {format!r}")
        return _writers[format]
    found = _by_suffix(_writers, path.name)
    if found is None:
        suffixes = sorted(key for key in _writers if key.startswith("."))
        raise ValueError(f"target: expected a name ending in one of {suffixes}, got {path.name!r}")
    return found


def _by_suffix(registry, name):
    """The entry of the longest suffix that a file name ends in, None if there is none."""
    suffixes = [key for key in registry if isinstance(key, str) and key.startswith(".")]
    fitting = [key for key in suffixes if str(name).lower().endswith(key.lower())]
    return registry[max(fitting, key=len)] if fitting else None


def _as_exposure(result, source):
    if isinstance(result, Exposure | Ramp | Dithers):
        return result
    if isinstance(result, SpectralImage):
        return Exposure([result], source=source)
    if isinstance(result, Iterable) and not isinstance(result, np.ndarray):
        return Exposure(result, source=source)
    raise TypeError(f"a reader returned {type(result).__name__}; expected an Exposure")
