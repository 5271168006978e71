"""Reader of beams files: one source behind grisms, cut out of each exposure with its direct image.

The layout is that of grizli (Brammer 2019): for each exposure a piece of the direct image (``REF``)
and of its segmentation map (``SEG``), the grism image (``SCI``, ``ERR``, ``DQ``), the light of all
other sources there (``CONTAM``), and where the light of the source falls, as a linear WCS in the
header of the image and, in newer files, as a table with the sensitivity (``TRACE``).
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from ..exposure import Exposure
from ..models import BSplineSpectrum, GrismScene, SourceSelection
from ..models.scenes.direct_image import DirectImage
from ..models.scenes.grism import Grism
from ..models.scenes.tabulated_path import TracePath
from ..slitless import Cutout, SlitlessExposure
from .options import squared
from .planes import Planes, exposure_of, unique_names
from .units import parsed_unit

__all__ = ["Beam", "Beams", "is_beams", "read_beams"]

PLANES = ("REF", "SEG", "SCI", "ERR", "DQ")
TRACE_WCS = "BeamLinear2D"
ORDERS = {"A": 1, "B": 0, "C": 2, "D": 3, "E": -1}
MICRON = 1e-4  # of an Angstrom
# Where grisms let light through that files without a sensitivity name; micron, from the handbooks.
RANGES = {"G102": (0.78, 1.17), "G141": (1.05, 1.71), "G800L": (0.54, 1.06)}
# Light of neighbours that is brighter than anything on the image by this factor is none.
NO_LIGHT = 1e3


@dataclass(frozen=True, eq=False, repr=False)
class Beam:
    """One source behind one grism in one exposure.

    Attributes
    ----------
    name : str
        As in `Beams`.
    label : int
        Of the source that the file is about, on the segmentation map.
    direct : `~specmodels.DirectImage`
    grism : `~specmodels.Grism`
        Without a sensitivity in the file, all wavelengths count the same.
    exposure : `~specmodels.SlitlessExposure`
        The light of all other sources, where the file has it, is its ``known_light``.
    """

    name: str
    label: int
    direct: DirectImage
    grism: Grism
    exposure: SlitlessExposure

    def __repr__(self):
        ny, nx = self.exposure.shape
        return f"<Beam {self.name!r}: source {self.label}, {ny} x {nx} pixels>"

    def scene(self, **settings):
        """Scene of the source, or of several.

        Parameters
        ----------
        **settings
            Of `~specmodels.GrismScene.from_direct_image`. By default the source of the file alone,
            since the light of all others is known, with a spline of 40 terms.

        Raises
        ------
        ValueError
            If the source of the file is not on its segmentation map.
        """
        if "selection" not in settings and self.label not in self.direct.labels:
            raise ValueError(
                f"selection: expected one, as source {self.label} of the file is not on its "
                f"segmentation map, which has {self.direct.labels.tolist()}"
            )
        defaults = {"selection": SourceSelection(labels=[self.label]),
                    "spectrum": BSplineSpectrum(40)}  # fmt: skip
        return GrismScene.from_direct_image(self.direct, grism=self.grism, **(defaults | settings))

    def shifted(self, x=0.0, y=0.0):
        """Copy whose light falls so many columns and rows further, for traces that are off."""
        path = self.grism.transform.shifted(x, y)
        return replace(self, grism=replace(self.grism, transform=path))

    def with_known_light(self, image=None):
        """Copy with other known light, or without any.

        Parameters
        ----------
        image : array_like, shape (n_y, n_x), optional
        """
        return replace(self, exposure=replace(self.exposure, known_light=image))


class Beams(Exposure):
    """Cutouts of one source behind grisms: what `~specmodels.read` makes of a beams file.

    An `~specmodels.Exposure` whose images are the cutouts as they are in the file, by the name of
    the grism, with the wavelengths of their columns. What is behind each for models of its light
    is in `beams`.

    Parameters
    ----------
    images : iterable of `~specmodels.SpectralImage`
    beams : iterable of Beam
        As many.
    instrument, source
        As of `~specmodels.Exposure`.
    """

    def __init__(self, images, beams, *, instrument=None, source=None):
        super().__init__(images, instrument=instrument, source=source)
        self._beams = tuple(beams)

    @property
    def beams(self):
        """The beams by name, a dict of str to `Beam`."""
        return {beam.name: beam for beam in self._beams}


def is_beams(hdus):
    """Whether an open FITS file has the layout of a beams file."""
    header, names = hdus[0].header, {hdu.name for hdu in hdus}
    return "COUNT" in header and "GRIS0000" in header and names >= set(PLANES)


def read_beams(hdus, options, *, source=None):
    """Read the cutouts of a source.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
    options : `~specmodels.io.ReadOptions`
    source : object, optional
        What was read.

    Returns
    -------
    Beams

    Raises
    ------
    ValueError
        If planes are missing or do not fit together, or nothing tells where light falls.
    """
    if options.dispersion_axis == -2:
        raise ValueError("dispersion_axis: expected -1 for a beams file, got -2")
    label = int(hdus[0].header.get("ID", 0))
    groups = [_Group(planes) for planes in _groups(hdus)]
    names = unique_names([group.grism_name for group in groups])
    planes = [group.planes(name) for group, name in zip(groups, names, strict=True)]
    exposure = exposure_of(planes, options, options.resolved(None, -1), source=source)
    beams = [group.beam(image, label)
             for group, image in zip(groups, exposure.values(), strict=True)]  # fmt: skip
    return Beams(exposure.values(), beams, instrument=exposure.instrument, source=source)


def _groups(hdus):
    """The extensions of each cutout by name: each group begins with a direct image."""
    groups = []
    for hdu in hdus[1:]:
        if hdu.name == "REF":
            groups.append({})
        if groups:
            groups[-1][hdu.name] = hdu
    for number, group in enumerate(groups):
        missing = [name for name in PLANES if name not in group]
        if missing:
            raise ValueError(f"obj: cutout {number} of the beams file lacks {missing}")
    wanted = int(hdus[0].header["COUNT"])
    if len(groups) != wanted:
        raise ValueError(f"obj: expected {wanted} cutouts, as the header says, got {len(groups)}")
    return groups


class _Group:
    """The extensions of one cutout, and what they say."""

    def __init__(self, planes):
        self.hdus, self.header = planes, planes["SCI"].header
        self.trace = _Trace.of(self.header, planes.get("TRACE"))

    @property
    def grism_name(self):
        """Name of the grism: that of the filter, with which files name it."""
        return str(self.header.get("FILTER") or "beam").strip()

    def planes(self, name):
        """What an image takes."""
        n_columns = self.hdus["SCI"].data.shape[1]
        return Planes(
            self.hdus["SCI"].data, variance=squared(self.hdus["ERR"].data),
            mask=self.hdus["DQ"].data != 0, wavelength=self.trace.wavelengths(n_columns),
            wavelength_unit="um", unit=parsed_unit(self.header.get("BUNIT"), "BUNIT"), name=name,
            meta={"header": self.header.copy()},
        )  # fmt: skip

    def beam(self, image, label):
        """What models of the light take; `image` is the cutout, with the user's options."""
        reference = self.hdus["REF"]
        unit = parsed_unit(reference.header.get("BUNIT"), "BUNIT")
        direct = DirectImage(reference.data, self.hdus["SEG"].data, unit=unit)
        order = ORDERS.get(str(self.header.get("BEAM", "A")).strip(), 1)
        limits = self.trace.limits(self.grism_name, image.shape[1])
        grism = Grism(self.trace.path, {order: limits}, {order: self.trace.response(limits)},
                      image.shape)  # fmt: skip
        window = tuple(slice(0, n) for n in image.shape)
        exposure = SlitlessExposure(
            image.data, image.variance, image.mask, (Cutout(label, order, window),),
            source=image, unit=image.unit, known_light=self._known_light(image),
        )  # fmt: skip
        return Beam(image.name, label, direct, grism, exposure)

    def _known_light(self, image):
        """Light of all other sources; None, with a warning, where the plane holds none."""
        if "CONTAM" not in self.hdus:
            return None
        light = np.array(self.hdus["CONTAM"].data, dtype=float)
        brightest = np.max(np.abs(image.data[~image.mask]), initial=0.0)
        if np.nanmax(np.abs(light), initial=0.0) <= NO_LIGHT * brightest:
            return light
        warnings.warn(
            f"obj: CONTAM of {image.name} reaches {np.nanmax(np.abs(light)):.2g}, the image only "
            f"{brightest:.2g}: it is not used",
            AstropyUserWarning,
            stacklevel=2,
        )
        return None


@dataclass(frozen=True, eq=False)
class _Trace:
    """Where light of the source falls: wavelengths of columns in micron, and its own column."""

    column: float  # of the source on the direct image, from zero
    columns: np.ndarray
    wavelength: np.ndarray
    dy: np.ndarray
    sensitivity: np.ndarray | None = None

    @classmethod
    def of(cls, header, table):
        """The trace of a beam, from its table or else from the WCS of its header."""
        key = _wcs_key(header)
        words = {word: header.get(word + key) for word in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")}
        scale = header.get(f"PC1_1{key}", header.get(f"CD1_1{key}"))
        if None in words.values() or scale is None or scale * words["CRVAL1"] == 0:
            raise ValueError(f"obj: the WCS {TRACE_WCS} of {header.get('EXTNAME')} is not complete")
        column, row = words["CRPIX1"] - 1, words["CRPIX2"] - 1
        if table is not None:
            found = {name: np.asarray(table.data[name], dtype=float)
                     for name in ("wavelength", "trace", "sensitivity")}  # fmt: skip
            return cls(column, np.arange(len(found["trace"])), found["wavelength"] * MICRON,
                       found["trace"] - 1 - row, found["sensitivity"])  # fmt: skip
        scale = scale * header.get(f"CDELT1{key}", 1.0)
        tilt = header.get(f"PC2_1{key}", header.get(f"CD2_1{key}", 0.0))
        columns = np.arange(header["NAXIS1"])
        steps = columns - column
        return cls(column, columns, (words["CRVAL1"] + scale * steps) * MICRON,
                   -words["CRVAL2"] - tilt * steps)  # fmt: skip

    @property
    def path(self):
        """Where light of each pixel of the direct image falls."""
        return TracePath(self.wavelength, self.columns - self.column, self.dy)

    def wavelengths(self, n_columns):
        """Wavelengths of the columns of the cutout, for light of the source's middle."""
        if len(self.columns) != n_columns:
            raise ValueError(f"obj: expected a TRACE of {n_columns} columns, as the image has, "
                             f"got {len(self.columns)}")  # fmt: skip
        return self.wavelength

    def limits(self, name, n_columns):
        """First and last wavelength of light."""
        low, high = self.wavelength[0], self.wavelength[-1]
        if self.sensitivity is not None and np.any(self.sensitivity > 0):
            lit = self.wavelength[self.sensitivity > 1e-3 * self.sensitivity.max()]
            low, high = lit[0], lit[-1]
        elif name in RANGES:
            low, high = max(low, RANGES[name][0]), min(high, RANGES[name][1])
        if not low < high:
            raise ValueError(f"obj: expected wavelengths of {name} in the {n_columns} columns of "
                             f"the cutout, got {self.wavelength[0]:.3g} to "
                             f"{self.wavelength[-1]:.3g} micron")  # fmt: skip
        return float(low), float(high)

    def response(self, limits):
        """Table of wavelength and response per micron; even where the file has none."""
        if self.sensitivity is None or not np.any(self.sensitivity > 0):
            return np.array(limits), np.ones(2)
        return self.wavelength, self.sensitivity / np.gradient(self.wavelength)


def _wcs_key(header):
    """Letter of the WCS that describes the trace."""
    keys = [word[7:] for word in header if word.startswith("WCSNAME")
            and str(header[word]).strip() == TRACE_WCS]  # fmt: skip
    if not keys:
        raise ValueError(f"obj: no WCS {TRACE_WCS} in the header of {header.get('EXTNAME')}, which "
                         "would tell where light falls")  # fmt: skip
    return keys[0]
