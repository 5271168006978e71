"""Files of this package for `specutils`: `Spectrum.read` and `SpectrumList.read`.

Spectra in tables, JWST products that were written here, and images as two-dimensional spectra.
Registered when specutils is imported, before or after this package: specutils knows no entry points
of loaders, and importing it here would take a second of everyone.
"""

import sys
from contextlib import nullcontext
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import PurePath

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.io import registry as io_registry
from astropy.nddata import StdDevUncertainty, VarianceUncertainty

from ..numerics.spectrum_covariance import SpectrumCovariance
from .fits_checks import is_own
from .planes import native_copy
from .reading import reading
from .registry import read
from .text import decoded
from .units import known_unit

__all__ = ["COVARIANCE", "UNIT_ASSUMED", "read_spectra", "read_spectrum_of", "register_loaders",
           "register_when_imported"]  # fmt: skip

FORMAT = "specmodels"
COLUMNS = ("wavelength", "flux", "flux_error")
COVARIANCE = "COVARIANCE"  # extensions with that of the samples of a spectrum
UNIT_ASSUMED = "NOUNIT"  # in headers of spectra whose data came without a unit
_PRIORITY = 20  # above those of specutils, which take the first table for all


def read_spectra(file, **options):
    """Read all spectra of a file.

    Parameters
    ----------
    file : path or file object
        As `specmodels.write` makes it of a result.
    **options
        Not used; what `astropy.io.fits.open` may be given.

    Returns
    -------
    `~specutils.SpectrumList`
        One spectrum per source in the order of the file: columns with a wavelength, by increasing
        wavelength. Of a file of images, one two-dimensional spectrum per image. ``meta`` has the
        headers of the file and of the table, and ``source``; where samples are not independent,
        ``covariance``, a `~specmodels.numerics.SpectrumCovariance`.
    """
    from specutils import SpectrumList

    with _checked(file) as file, fits.open(file, memmap=False) as hdus:
        primary = hdus[0].header
        tables = [hdu for hdu in hdus if _is_spectrum(hdu)]
        if not tables:
            return SpectrumList([_image(image, primary) for image in read(hdus).values()])
        found = dict(_covariance(hdu) for hdu in hdus if hdu.name == COVARIANCE)
        return SpectrumList([_spectrum(hdu, primary, found.get(decoded(hdu.name)))
                             for hdu in tables])  # fmt: skip


def _checked(file):
    """Context of a file: errors name it, and it is whole."""
    return reading(file, "file") if isinstance(file, str | PurePath) else nullcontext(file)


def read_spectrum_of(file, source=None, **options):
    """Read one spectrum of a file.

    Parameters
    ----------
    file : path or file object
    source : str, optional
        Name of the source; may be left out where there is only one.
    **options
        Not used.

    Raises
    ------
    ValueError
        If the file has several sources and none is named, or none of the name.
    """
    found = {spectrum.meta["source"]: spectrum for spectrum in read_spectra(file)}
    if source is None and len(found) == 1:
        return next(iter(found.values()))
    if source not in found:
        raise ValueError(
            f"source: expected one of {list(found)}, got {source!r}; SpectrumList.read reads all"
        )
    return found[source]


def _covariance(hdu):
    """Name of the source, and the covariance of its samples."""
    band = np.asarray(native_copy(hdu.data["band"]), dtype=float).reshape(len(hdu.data), -1)
    low_rank = np.zeros((len(band), 0))
    if "low_rank" in hdu.columns.names:
        low_rank = np.asarray(native_copy(hdu.data["low_rank"]), dtype=float)
    low_rank = low_rank.reshape(len(band), -1)
    return decoded(hdu.header["SOURCE"]), SpectrumCovariance(band, low_rank)


def _spectrum(hdu, primary, covariance):
    from specutils import Spectrum

    names = {name.lower(): name for name in hdu.columns.names}
    wavelength, flux, error = (np.asarray(native_copy(hdu.data[names[name]]), dtype=float)
                               for name in COLUMNS)  # fmt: skip
    order = np.argsort(wavelength, kind="stable")
    order = order[np.isfinite(wavelength[order])]
    unit = known_unit(hdu.columns[names["flux"]].unit) or u.dimensionless_unscaled
    unit = u.dimensionless_unscaled if hdu.header.get(UNIT_ASSUMED) else unit
    axis_unit = known_unit(hdu.columns[names["wavelength"]].unit) or u.pix
    bad = names.get("mask", names.get("dq"))
    mask = None if bad is None else np.array(hdu.data[bad], dtype=bool)[order]
    meta = {"header": primary, "table_header": hdu.header, "source": _name_of(hdu)}
    if covariance is not None:
        meta["covariance"] = covariance.selected(order)
    return Spectrum(
        flux=flux[order] * unit, spectral_axis=wavelength[order] * axis_unit, mask=mask,
        uncertainty=StdDevUncertainty(error[order], unit=unit), meta=meta,
    )  # fmt: skip


def _name_of(hdu):
    """Name of a source: that of its table, or what the table of a JWST product says of it."""
    return decoded(str(hdu.header.get("SLTNAME") or hdu.name))


def _image(image, primary):
    """An image as a two-dimensional spectrum; columns have one wavelength, or else their number."""
    from specutils import Spectrum

    unit = image.unit or u.dimensionless_unscaled
    uncertainty = None if image.variance is None else VarianceUncertainty(image.variance, unit**2)
    axis = image.x * u.pix
    if np.ndim(image.wavelength) == 1:
        axis = image.wavelength * (image.wavelength_unit or u.pix)
    return Spectrum(flux=image.data * unit, spectral_axis=axis, spectral_axis_index=1,
                    uncertainty=uncertainty, mask=image.mask,
                    meta={"header": primary, "source": image.name})  # fmt: skip


def _is_spectrum(hdu):
    if not isinstance(hdu, fits.BinTableHDU):
        return False
    return set(COLUMNS) <= {name.lower() for name in hdu.columns.names}


def register_loaders():
    """Let specutils open files of this package by themselves; again and again does no harm."""
    from specutils import Spectrum, SpectrumList

    for cls, function in ((Spectrum, read_spectrum_of), (SpectrumList, read_spectra)):
        io_registry.register_reader(FORMAT, cls, function, priority=_PRIORITY, force=True)
        io_registry.register_identifier(FORMAT, cls, _is_ours, force=True)


def register_when_imported():
    """The same now where specutils has been imported, else when it is."""
    if "specutils" in sys.modules:
        register_loaders()
    else:
        sys.meta_path.insert(0, _Waiting())


class _Waiting(MetaPathFinder):
    """Finds nothing itself; adds to what importing specutils does, once."""

    def find_spec(self, name, path=None, target=None):
        """The specification of specutils, with the loaders registered in the end."""
        if name != "specutils":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _followed(spec.loader.exec_module, register_loaders)
        return spec


def _followed(function, second):
    """A function after which another is called."""

    def both(module):
        function(module)
        second()

    return both


def _is_ours(origin, path, file, *args, **kwargs):
    """Whether a file holds spectra that this package has written."""
    if origin != "read" or path is None:
        return False
    try:
        with fits.open(path, memmap=False) as hdus:
            has_any = any(_is_spectrum(hdu) or hdu.name == "SCI" for hdu in hdus)
            return is_own(hdus) and has_any
    except (OSError, TypeError, ValueError):
        return False
