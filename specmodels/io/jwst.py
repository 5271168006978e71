"""Reader of JWST datamodels: images, slits, several slits; s2d and cal products.

Nothing in a datamodel is touched, not even by looking: attributes of a datamodel are created when
asked for, so its tree is read instead.
"""

import warnings
from collections import ChainMap
from copy import copy

import numpy as np
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from ..instruments import recognise_instrument
from ..instruments.base import Readout
from .options import inverse, squared
from .planes import Planes, exposure_of, unique_names
from .registry import reader
from .units import parsed_unit, unit_factor
from .wavelengths import steepest_axis, wavelengths_from_gwcs

__all__ = ["integrations_of", "model_class", "read_model"]

COMPONENTS = {"read": "var_rnoise", "poisson": "var_poisson", "flat": "var_flat"}
NAMES = ("name", "source_name", "source_id")
DIRECTIONS = {1: -1, 2: -2}
KEPT = (
    "name", "slitlet_id", "source_id", "source_name", "source_alias", "stellarity", "source_type",
    "source_xpos", "source_ypos", "source_ra", "source_dec", "shutter_state", "quadrant",
    "slit_xscale", "slit_yscale", "wavelength_corrected", "pathloss_correction_type",
    "barshadow_corrected", "is_background",
)  # fmt: skip


def model_class(header):
    """Return the datamodel class that a primary header names, None if it names none."""
    name = header.get("DATAMODL")
    if not name:
        return None
    from stdatamodels.jwst import datamodels

    named = getattr(datamodels, str(name), None)
    is_model = isinstance(named, type) and issubclass(named, datamodels.JwstDataModel)
    return named if is_model else None


@reader("stdatamodels.JwstDataModel")
def read_model(model, options):
    """Read a datamodel with two-dimensional data, or with slits that have.

    Raises
    ------
    ValueError
        If there are no slits or no data, or a plane has another shape than the data.
    """
    trees = _slits(model)
    slits = [_Slit(tree, model) for tree in trees]
    known = options.instrument or recognise_instrument(slits[0].keywords())
    wavelengths = [slit.wavelength(options) for slit in slits]
    found = options.resolved(known, slits[0].dispersion_axis(known, wavelengths[0]))
    instrument = found.replace(readout=slits[0].readout(found.readout))
    names = unique_names([slit.name(i, len(slits)) for i, slit in enumerate(slits)])
    planes = [
        slit.planes(options, name, wavelength)
        for slit, name, wavelength in zip(slits, names, wavelengths, strict=True)
    ]
    _warn_without_wavelengths(planes, options)
    return exposure_of(planes, options, instrument, source=model)


def integrations_of(model, planes, options):
    """Reader of single integrations of a datamodel with three-dimensional data.

    Parameters
    ----------
    model : datamodel
        With the metadata and the wavelengths; not needed any more afterwards.
    planes : mapping of str to sequence of ndarray
        Planes of all integrations, by their names in the datamodel.
    options : `~specmodels.io.ReadOptions`

    Returns
    -------
    planes_of : callable
        ``planes_of(i)`` returns the `Planes` of integration `i`.
    instrument : `~specmodels.instruments.Instrument`
    """
    tree = {key: value for key, value in model.instance.items() if np.ndim(value) != 3}
    first = _Slit(tree | {name: plane[0] for name, plane in planes.items()}, model)
    known = options.instrument or recognise_instrument(first.keywords())
    wavelength = first.wavelength(options)
    found = options.resolved(known, first.dispersion_axis(known, wavelength))
    instrument = found.replace(readout=first.readout(found.readout))
    name = first.name(0, 1)
    _warn_without_wavelengths([first.planes(options, name, wavelength)], options)

    def planes_of(i):
        own = first.of_integration({name: plane[i] for name, plane in planes.items()})
        return own.planes(options, name, wavelength)

    return planes_of, instrument


def _slits(model):
    kind = type(model).__name__
    tree = model.instance
    if "slits" in tree or hasattr(type(model), "slits") or kind.startswith("MultiSlit"):
        slits = list(tree.get("slits") or ())
        if not slits:
            raise ValueError(f"obj: expected a {kind} with slits, got an empty one")
        return slits
    return [tree]


class _Slit:
    """The tree of one slit or image, with the metadata of the model where it has none."""

    def __init__(self, tree, model):
        self.tree = tree
        self.kind = type(model).__name__
        self.metas = [one.get("meta") or {} for one in (tree, model.instance)]

    def of_integration(self, planes):
        """The same slit with other planes."""
        new = copy(self)
        new.tree = {**self.tree, **planes}
        return new

    def meta(self, path):
        """The entry of the metadata at a dotted path: the slit's own, else the model's, or None."""
        for node in self.metas:
            for key in path.split("."):
                node = node.get(key) if hasattr(node, "get") else None
            if node is not None:
                return node
        return None

    def array(self, name):
        """A plane in the shape of the data, None if absent or empty."""
        value = self.tree.get(name)
        if value is None or (name != "data" and not np.size(value)):
            return None
        value = np.array(value)
        if name != "data" and value.shape != self.data().shape:
            raise ValueError(
                f"obj: expected the plane {name} of {self.kind} in the shape of its data, "
                f"{self.data().shape}, got {value.shape}"
            )
        return value

    def positive(self, name):
        """A plane with anything positive in it: a datamodel fills planes it lacks with zeros."""
        value = self.array(name)
        if value is None:
            return None
        with np.errstate(invalid="ignore"):
            return value if (value > 0).any() else None

    def data(self):
        data = self.array("data")
        if data is None or data.ndim != 2 or not data.size:
            shape = "none" if data is None else f"shape {data.shape}"
            hint = "; read_series reads integrations" if np.ndim(data) == 3 else ""
            raise ValueError(
                f"obj: expected a {self.kind} with two-dimensional data, got {shape}{hint}"
            )
        return data

    def keywords(self):
        """The header keywords by which instruments are recognised."""
        paths = {"INSTRUME": "instrument.name", "EXP_TYPE": "exposure.type",
                 "FILTER": "instrument.filter", "PUPIL": "instrument.pupil",
                 "GRATING": "instrument.grating"}  # fmt: skip
        return {keyword: self.meta(path) for keyword, path in paths.items()}

    def name(self, index, n_slits):
        for key in NAMES:
            value = self.tree.get(key)
            if value not in (None, ""):
                return str(value)
        return "image" if n_slits == 1 else str(index)

    def dispersion_axis(self, known, wavelength):
        """Axis that the metadata state, else the known instrument, else the wavelengths."""
        stated = DIRECTIONS.get(self.meta("wcsinfo.dispersion_direction"))
        if stated is not None or known is not None or wavelength is None:
            return stated
        return steepest_axis(wavelength)

    def readout(self, readout):
        """The readout with what the metadata state in place of an instrument's defaults."""
        fast, slow = self.meta("subarray.fastaxis"), self.meta("subarray.slowaxis")
        if not (fast and slow) or {abs(fast), abs(slow)} != {1, 2}:
            return readout
        default = readout or Readout()
        return Readout(
            fast_axis=-abs(fast),
            slow_axis=-abs(slow),
            n_outputs=self.meta("exposure.noutputs") or default.n_outputs,
            line_overhead=default.line_overhead,
            dwell=default.dwell,
        )

    def wavelength(self, options):
        """Wavelength of each pixel from the array, else the WCS; None if the user gave others."""
        if options.wavelength is not None:
            return None
        values = self.positive("wavelength")
        if values is not None:
            return np.where(values > 0, values, np.nan).astype(values.dtype) * u.um
        wcs = self.meta("wcs")
        shape = self.data().shape
        return None if wcs is None else wavelengths_from_gwcs(wcs, shape)

    def error_factor(self, name):
        """Factor from the unit of the errors to that of the data."""
        texts = self.meta("bunit_err"), self.meta("bunit_data")
        return unit_factor(*texts, 1, f"{name}: bunit_err")

    def planes(self, options, name, wavelength):
        """All planes of this slit."""
        components = {
            key: plane for key, plane in ((k, self.positive(v)) for k, v in COMPONENTS.items())
            if plane is not None
        }  # fmt: skip
        weight = self.positive("wht")
        error = self.positive("err")
        variance = None if error is None else squared(error * self.error_factor(name))
        if variance is None and not components and weight is not None:
            variance = inverse(weight * options.pixel_scale**4)
        return Planes(
            self.data(),
            variance=variance,
            mask=None if weight is None else ~(weight > 0),
            flags=self.array("dq"),
            wavelength=wavelength,
            components=components,
            unit=parsed_unit(self.meta("bunit_data"), f"{name}: bunit_data"),
            name=name,
            meta=self.kept(),
        )

    def kept(self):
        """What describes the source and the slit, for results."""
        own = {key: self.tree.get(key) for key in KEPT}
        described = {
            "spectral_order": self.meta("wcsinfo.spectral_order"),
            "dispersion_direction": self.meta("wcsinfo.dispersion_direction"),
            "pixel_area": self.meta("photometry.pixelarea_steradians"),
            "source_type": self.tree.get("source_type") or self.meta("target.source_type"),
            "instrument": self.meta("instrument.name"),
            "exposure_type": self.meta("exposure.type"),
        }
        merged = ChainMap({k: v for k, v in described.items() if v is not None}, own)
        return {key: value for key, value in merged.items() if value is not None}


def _warn_without_wavelengths(planes, options):
    missing = [one.name for one in planes if one.wavelength is None]
    if missing and options.wavelength is None:
        warnings.warn(
            f"no wavelength array and no usable WCS for {', '.join(missing)}: columns are "
            "numbered in pixels instead",
            AstropyUserWarning,
            stacklevel=2,
        )
