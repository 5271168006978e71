"""`Planes`: the arrays of one image as a reader finds them, before the user's options are applied.

Also the names that readers of several kinds have to make sense of.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ..exposure import Exposure
from .wavelengths import given_wavelengths

__all__ = [
    "MAPS", "NUMBERS", "Planes", "changed_images", "exposure_of", "is_vertical", "native_copy",
    "own_map", "unique_names",
]  # fmt: skip

# What a trace model adds to an image, kept in its metadata: names there and of FITS extensions.
MAPS = {"regions": "REGIONS", "trace_model": "TRACEMODEL", "estimated": "ESTIMATED"}
# Numbers of columns and rows of a cutout, likewise.
NUMBERS = {"x": "X_NUMBERS", "y": "Y_NUMBERS"}


@dataclass(frozen=True, eq=False)
class Planes:
    """The arrays of one image as they lie in the input; fields as in `Instrument.image`.

    `maps` are planes that are kept in the metadata of the image, turned like its data; `x` and `y`
    are the numbers of columns and rows as they lie in the input, where it is a cutout. The last
    ones are those of `SpectralImage`, in files that are its own.
    """

    data: object
    variance: object = None
    mask: object = None
    flags: object = None
    wavelength: object = None
    spatial: object = None
    components: dict = field(default_factory=dict)
    unit: object = None
    wavelength_unit: object = None
    name: str = "image"
    meta: dict = field(default_factory=dict)
    maps: dict = field(default_factory=dict)
    x: object = None
    y: object = None
    coordinates: dict = field(default_factory=dict)
    shared_errors: dict = field(default_factory=dict)
    notes: tuple = ()
    readout: object = None

    def with_options(self, options):
        """Return the planes with what the user gave in place of what was found."""
        changes = options.changes()
        if "wavelength" in changes:
            changes["wavelength"] = given_wavelengths(changes["wavelength"], np.shape(self.data))
        if "mask" in changes:
            changes |= {"flags": None, "data": _unmasked(self.data)}
        return replace(self, **changes)

    def image(self, instrument):
        """Return the `SpectralImage`, turned and masked as `instrument` says."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data, maps = fields.pop("data"), fields.pop("maps")
        turn = np.transpose if is_vertical(instrument) else np.asarray
        kept = {name: turn(native_copy(plane)) for name, plane in maps.items()}
        if "estimated" in kept:
            kept["estimated"] = kept["estimated"] != 0
        numbers = [fields.pop("x"), fields.pop("y")]
        more = {key: fields.pop(key) for key in ("notes", "readout")}
        more |= {key: {k: turn(native_copy(v)) for k, v in fields.pop(key).items()}
                 for key in ("coordinates", "shared_errors")}  # fmt: skip
        image = instrument.image(data, **(fields | {"meta": {**self.meta, **kept}}))
        x, y = numbers[::-1] if is_vertical(instrument) else numbers
        more |= {"x": x, "y": y}
        changes = {k: v for k, v in more.items() if v is not None and not _is_empty(v)}
        return image.replace(**changes) if changes else image


def is_vertical(instrument):
    """Whether files of an instrument, if there is one, have the dispersion along columns."""
    return getattr(instrument, "dispersion_axis", -1) == -2


def _is_empty(value):
    return isinstance(value, dict | tuple) and not value


def own_map(image, name):
    """A map that is kept in the metadata of an image, cut like the image; None where there is none.

    Raises
    ------
    ValueError
        If it is no map of the image, nor of what that was cut from.
    """
    plane = image.meta.get(name)
    if plane is None or np.shape(plane) == image.shape:
        return plane
    rows, columns = image.y.astype(int), image.x.astype(int)
    if np.ndim(plane) != 2 or rows[-1] >= plane.shape[0] or columns[-1] >= plane.shape[1]:
        raise ValueError(
            f"meta[{name!r}]: expected the shape of the image, {image.shape}, got {np.shape(plane)}"
        )
    return plane[np.ix_(rows, columns)]


def exposure_of(planes, options, instrument, *, source):
    """Return the `Exposure` of several planes which one instrument turns and masks."""
    planes = list(planes)
    each = options.for_images([one.name for one in planes])
    images = [
        one.with_options(own).image(instrument) for one, own in zip(planes, each, strict=True)
    ]
    return Exposure(images, instrument=instrument, source=source)


def changed_images(images, options):
    """Return images with what the user gave in place of what they have."""
    images = list(images)
    each = options.for_images([image.name for image in images])
    return [image.replace(**own.changes()) for image, own in zip(images, each, strict=True)]


def unique_names(names):
    """Return the names with ``_2``, ``_3``… appended where they repeat."""
    taken = []
    for name in names:
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.append(unique)
    return taken


def native_copy(array):
    """A copy in the byte order of this computer."""
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("="))


def _unmasked(data):
    return np.ma.getdata(data) if isinstance(data, np.ma.MaskedArray) else data
