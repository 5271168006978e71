"""Reader of time series (`read_series`): three-dimensional data, one integration at a time.

Of a FITS file that is not compressed only the pixels of the integration that is asked for are read.
JWST products (``rateints``, ``calints``), other FITS files, datamodels, arrays and NDData.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.nddata import NDData

from ..exposure import Exposure
from ..ramp import Ramp
from ..time_series import LazyImages, TimeSeries
from .datamodels import is_model
from .fits import read_hdus
from .jwst import integrations_of, model_class
from .nddata import read_array, read_nddata
from .options import ReadOptions
from .reading import is_asdf, reading

__all__ = ["is_series", "read_series"]

# Planes of JWST files, by the names that they have in datamodels.
PLANES = {"data": "SCI", "err": "ERR", "dq": "DQ", "var_poisson": "VAR_POISSON",
          "var_rnoise": "VAR_RNOISE", "var_flat": "VAR_FLAT"}  # fmt: skip
DATA = ("SCI", "FLUX", "DATA", "PRIMARY")
CUBES = ("IFUCubeModel",)
SPECTRAL = ("WAVE", "AWAV", "FREQ", "ENER", "VELO", "VOPT", "VRAD")
# Columns of times in the middle of integrations, modified Julian dates, and their scales.
MIDDLES = {"int_mid_BJD_TDB": "tdb", "int_mid_MJD_UTC": "utc"}


def is_series(obj):
    """Whether an object, or the file at a path, holds integrations of two-dimensional spectra."""
    if isinstance(obj, TimeSeries):
        return True
    if isinstance(obj, Ramp):
        return obj.kind == "integrations"
    if isinstance(obj, str | os.PathLike):
        path = Path(obj)
        if not path.is_file() or is_asdf(path):
            return False
        with reading(path), fits.open(path, memmap=True) as hdus:
            return _cube_hdu(hdus) is not None
    if isinstance(obj, fits.HDUList):
        return _cube_hdu(obj) is not None
    if is_model(obj):
        return np.ndim(obj.instance.get("data")) == 3 and type(obj).__name__ not in CUBES
    if isinstance(obj, NDData):
        return np.ndim(obj.data) == 3 and type(obj).__name__ not in ("Spectrum", "Spectrum1D")
    return isinstance(obj, np.ndarray) and obj.ndim == 3


def read_series(obj, *, times=None, **options):
    """Read a time series: integrations of the spectrum of one slit.

    Parameters
    ----------
    obj : path, array_like, `~astropy.nddata.NDData`, datamodel, `~specmodels.Ramp`, `~specmodels.TimeSeries`
        Data of the shape (n_integration, n_y, n_x); or a sequence of anything that
        `~specmodels.read` understands, one for each integration.
    times : array_like, optional
        Time of the middle of each integration; default: what a JWST file says, else their numbers.
    **options
        As of `~specmodels.read`; variances and masks have the shape of the data, or that of one
        integration.

    Returns
    -------
    `~specmodels.TimeSeries`
        Dispersion along the last axis. Integrations are read when they are asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If the input or an option cannot be used.
    """  # noqa: E501
    chosen = ReadOptions(**options)
    if isinstance(obj, TimeSeries):
        if options:
            raise ValueError(f"obj: a TimeSeries takes no options, got {sorted(options)}")
        return obj if times is None else obj.replace(times=times)
    found = _images(obj, chosen)
    times, scale = (found.times, found.time_scale) if times is None else (times, None)
    return TimeSeries(found.images, times=times, time_scale=scale, instrument=found.instrument,
                      source=obj)  # fmt: skip


@dataclass(frozen=True)
class _Found:
    images: object
    times: object = None
    instrument: object = None
    time_scale: str | None = None


def _images(obj, options):
    if isinstance(obj, Ramp) and obj.kind == "integrations":
        return _of_ramp(obj, options)
    if isinstance(obj, str | os.PathLike):
        return _of_path(Path(obj), options)
    if isinstance(obj, fits.HDUList):
        return _of_hdus(obj, options, lambda hdu: hdu.data)
    if is_model(obj):
        return _of_model(obj, options)
    if isinstance(obj, NDData):
        return _of_nddata(obj, options)
    if isinstance(obj, np.ndarray):
        _check_shape(obj.shape)
        return _found(len(obj), lambda i: read_array(obj[i], _options_of(options, i)))
    return _of_sequence(obj, options)


def _found(length, function):
    """Images that a function makes as exposures of one image."""

    def single(i):
        return function(i).single

    return _Found(LazyImages(length, single), instrument=function(0).instrument)


def _of_sequence(obj, options):
    from .registry import read

    if isinstance(obj, Exposure):
        return _Found(list(obj.values()), instrument=obj.instrument)
    try:
        items = list(obj)
    except TypeError as error:
        raise TypeError(
            "obj: expected three-dimensional data, their file, or a sequence of integrations, got "
            f"{type(obj).__name__}"
        ) from error
    if not items:
        raise ValueError("obj: expected at least one integration, got none")
    given = {name: value for name, value in vars(options).items() if name != "uncertainty"}
    return _found(len(items), lambda i: read(items[i], **_given(given, i)))


def _given(options, i):
    own = {name: _part(value, i) for name, value in options.items()}
    return own | {"extensions": own["extensions"] or None}


def _of_ramp(ramp, options):
    if is_series(ramp.source) and not isinstance(ramp.source, Ramp):
        return _images(ramp.source, options)
    axis = options.dispersion_axis or ramp.dispersion_axis
    options = replace(options, dispersion_axis=axis)
    unit = 1 if ramp.unit is None else ramp.unit

    def integration(i):
        own = _options_of(options, i)
        bad = ramp.bad if ramp.frame_mask is None else ramp.bad | np.asarray(ramp.frame_mask[i])
        if own.variance is None and ramp.variance is not None:
            own = replace(own, variance=np.asarray(ramp.variance[i]))
        own = replace(own, mask=bad) if own.mask is None else own
        return read_array(np.asarray(ramp.data[i]) * unit, own)

    return _found(ramp.n_integrations, integration)


def _of_nddata(nddata, options):
    _check_shape(np.shape(nddata.data))

    def integration(i):
        mask = nddata.mask if np.ndim(nddata.mask) < 3 else nddata.mask[i]
        uncertainty = None if nddata.uncertainty is None else nddata.uncertainty[i]
        one = NDData(nddata.data[i], mask=mask, uncertainty=uncertainty, unit=nddata.unit,
                     meta=nddata.meta)  # fmt: skip
        return read_nddata(one, _options_of(options, i))

    return _found(len(nddata.data), integration)


def _of_model(model, options):
    shape = np.shape(model.instance.get("data"))
    _check_shape(shape)
    planes = {name: model.instance.get(name) for name in PLANES}
    planes = {name: plane for name, plane in planes.items() if np.shape(plane) == shape}
    times = _times(model.instance.get("int_times"), model.instance, shape[0])
    return _model_images(model, planes, options, shape[0], times)


def _model_images(model, planes, options, length, times):
    own = _options_of(options, 0)
    planes_of, instrument = integrations_of(model, planes, own)

    def integration(i):
        found = planes_of(i)
        return found.with_options(_options_of(options, i)).image(instrument)

    times, scale = (None, None) if times is None else times
    return _Found(LazyImages(length, integration), times, instrument, scale)


def _of_path(path, options):
    with reading(path) as path:
        if is_asdf(path):
            raise ValueError("obj: expected a FITS file of a time series, got an ASDF file")
        with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
            return _of_hdus(hdus, options, lambda hdu: _stored(path, hdu))


def _of_hdus(hdus, options, planes_of):
    """Integrations of a FITS file, whose planes a function makes of its extensions."""
    cube = _cube_hdu(hdus)
    if cube is None:
        raise ValueError(
            "obj: expected a FITS file with three-dimensional data, the integrations first, got "
            f"{[(hdu.name, hdu.shape) for hdu in hdus if hdu.is_image]}"
        )
    shape = cube.shape
    planes = {
        n: planes_of(hdu) for n, hdu in enumerate(hdus) if hdu.is_image and hdu.shape == shape
    }
    cls = None if options.extensions else model_class(hdus[0].header)
    if cls is None:
        rest = [None if n in planes else hdu.copy() for n, hdu in enumerate(hdus)]
        headers = {n: hdus[n].header.copy() for n in planes}
        kinds = {n: type(hdus[n]) for n in planes}

        def integration(i):
            slices = [kinds[n](planes[n][i], header=headers[n]) if hdu is None else hdu
                      for n, hdu in enumerate(rest)]  # fmt: skip
            return read_hdus(fits.HDUList(slices), _options_of(options, i))

        return _found(shape[0], integration)
    first = [fits.ImageHDU(planes[n][0][None], header=hdu.header) if n in planes else hdu
             for n, hdu in enumerate(hdus)]  # fmt: skip
    named = {hdus[n].name: plane for n, plane in planes.items()}
    known = {name: named[key] for name, key in PLANES.items() if key in named}
    with cls(fits.HDUList(first)) as model:
        table = hdus["INT_TIMES"].data if "INT_TIMES" in hdus else None
        times = _times(table, model.instance, shape[0])
        return _model_images(model, known, options, shape[0], times)


def _stored(path, hdu):
    """The planes of an extension, read from the file one by one where that can be done."""
    where = hdu.fileinfo()
    plain = isinstance(hdu, fits.ImageHDU | fits.PrimaryHDU) and where is not None
    with path.open("rb") as file:
        plain = plain and file.read(6) == b"SIMPLE"
    header = hdu.header
    if not plain or header.get("BSCALE", 1) != 1:
        return hdu.data
    dtype = np.dtype({8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}[
        header["BITPIX"]])  # fmt: skip
    return _StoredPlanes(path, hdu.shape, dtype, where["datLoc"], header.get("BZERO", 0))


@dataclass(frozen=True)
class _StoredPlanes:
    """Planes of a file, of which each is read when it is asked for."""

    path: Path
    shape: tuple
    dtype: np.dtype
    offset: int
    zero: float

    def __getitem__(self, i):
        size = int(np.prod(self.shape[1:]))
        start = self.offset + i * size * self.dtype.itemsize
        plane = np.fromfile(self.path, self.dtype, size, offset=start).reshape(self.shape[1:])
        if not self.zero:
            return plane.astype(self.dtype.newbyteorder("="))
        if self.dtype.kind == "f":
            return plane.astype(float) + self.zero
        return plane.astype(np.int64) + int(self.zero)


def _cube_hdu(hdus):
    """The extension of three-dimensional data; None where there is none, or of a spectral cube."""
    if hdus[0].header.get("DATAMODL") in CUBES:
        return None
    images = [hdu for hdu in hdus if hdu.is_image and hdu.shape]
    found = next((hdu for name in DATA for hdu in images if hdu.name == name), None)
    if found is None or len(found.shape) != 3 or 0 in found.shape:
        return None
    spectral = str(found.header.get("CTYPE3", "")).upper().startswith(SPECTRAL)
    return None if spectral else found


def _times(table, tree, length):
    """Times in the middle of the integrations of a JWST file, and their scale; None without."""
    names = getattr(getattr(table, "dtype", None), "names", None) or ()
    column = next((name for name in MIDDLES if name in names), None)
    if column is None:
        return None
    exposure = (tree.get("meta") or {}).get("exposure") or {}
    values = np.array(table[column], dtype=float)
    start = int(exposure.get("integration_start") or 1) - 1
    if len(values) != length:
        values = values[start : start + length]
    usable = len(values) == length and np.isfinite(values).all() and np.all(np.diff(values) > 0)
    return (values, MIDDLES[column]) if usable else None


def _options_of(options, i):
    """Options of one integration: of arrays with three dimensions its part."""
    own = {name: _part(getattr(options, name), i) for name in ("variance", "mask")}
    return options if not any(v is not None for v in own.values()) else replace(options, **own)


def _part(value, i):
    return value[i] if np.ndim(value) == 3 else value


def _check_shape(shape):
    if len(shape) != 3 or 0 in shape:
        raise ValueError(
            "obj: expected data of three dimensions (integration, row, column) with pixels, got "
            f"shape {shape}"
        )
