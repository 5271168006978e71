"""`Instrument`: the frozen description of a detector and mode, which concrete ones subclass.

A subclass is declared with its key and overrides attributes; a ground-based instrument whose files
have a layout of their own also writes `Instrument.read`. Files are opened in `specmodels.io`.
"""

import inspect
from dataclasses import dataclass, fields, replace

import numpy as np

from ..numerics.readout import HORIZONTAL, VERTICAL, Readout, normalised_axis
from ..spectral_image import SpectralImage
from . import registry

__all__ = ["Instrument", "Readout", "get_instrument", "normalised_axis"]


@dataclass(frozen=True)
class Instrument:
    """What is known about a detector and mode.

    Subclasses are declared with a key and override what differs; their own annotated attributes
    become settings of the constructor::

        class MySpectrograph(Instrument, key=("MYSPEC", "LONGSLIT")):
            dispersion_axis = -2
            gain: float = 1.3

    Parameters
    ----------
    dispersion_axis : int
        Axis of the raw array along which light is dispersed: -1 (horizontal) or -2 (vertical).
    bad_flags : int
        The bits of a data-quality array that make a pixel unusable.
    readout : `Readout`, optional
        How the detector is read.

    Raises
    ------
    ValueError
        If `dispersion_axis` or `bad_flags` cannot be used.
    """

    # A subclass must define: nothing; with a key it is found by name and from file headers.
    # A subclass may define: the attributes below; `read`, if its files are not images in
    #   extensions with common names; `recognises`, if they do not say INSTRUME.
    # A subclass need not define: the orientation and masking of what it reads, see `image`.

    dispersion_axis: int = HORIZONTAL
    bad_flags: int = 1
    readout: Readout | None = None

    # Not annotated, so that dataclasses take them for what they are: the same for every instance.
    keys = ()
    # Frame of a gwcs that has the position along the slit, a `positions.SlitFrame`.
    slit_frame = None
    sliced = False  # True for integral field units, whose images hold many slices
    dispersed = True  # False for imagers, of which only the readout matters

    def __init_subclass__(cls, *, key=None, **kwargs):
        """Register the class under `key`: a word, words, or a list of such."""
        super().__init_subclass__(**kwargs)
        inherited = {field.name: field.type for field in fields(cls) if field.name in cls.__dict__}
        cls.__annotations__ = inherited | inspect.get_annotations(cls)
        dataclass(frozen=True)(cls)
        cls.keys = registry.register(cls, key) if key is not None else ()

    def __post_init__(self):
        axis = normalised_axis(self.dispersion_axis, "dispersion_axis")
        object.__setattr__(self, "dispersion_axis", axis)
        if isinstance(self.bad_flags, bool) or int(self.bad_flags) != self.bad_flags:
            raise ValueError(f"bad_flags: expected an integer of bits, got {self.bad_flags!r}")

    @classmethod
    def recognises(cls, header):
        """Whether a file with this header is from this instrument and mode.

        Called for the header of every extension until one is recognised.

        Parameters
        ----------
        header : mapping
            A FITS header, or a mapping with the same keywords.
        """
        return any(registry.matches(key, header) for key in cls.keys)

    def read(self, hdus):
        """Return the images in a FITS file of this instrument: the hook for its own layout.

        Parameters
        ----------
        hdus : `~astropy.io.fits.HDUList`
            The open file.

        Returns
        -------
        `SpectralImage`, iterable of `SpectralImage`, or None
            Made with `image`, which turns and masks them. None, as here, where the planes are in
            extensions with common names and can be found by them.
        """
        return None

    def replace(self, **changes):
        """Return a copy with the named settings replaced."""
        return replace(self, **changes)

    def image(
        self, data, *, variance=None, mask=None, flags=None, wavelength=None, spatial=None,
        components=None, unit=None, wavelength_unit=None, name="image", meta=None,
    ):  # fmt: skip
        """Return a `SpectralImage` of arrays that lie as they do in the file.

        Parameters
        ----------
        data, variance, mask, spatial : array_like, shape as in the file
            As for `SpectralImage`.
        flags : array_like of int, optional
            Data-quality bits; pixels with any of `bad_flags` are masked.
        wavelength : array_like, optional
            Per pixel in the shape of the data, or one per step along the dispersion.
        components : mapping of str to array_like, optional
            Parts of the variance.
        unit, wavelength_unit, name, meta
            As for `SpectralImage`.

        Raises
        ------
        TypeError, ValueError
            If `flags` are not integers in the shape of the data, or as `SpectralImage` raises.
        """
        data = self._oriented(data, "data")
        mask = self._oriented(mask, "mask")
        flagged = self._flagged(self._oriented(flags, "flags"), data.shape)
        if flagged is not None:
            mask = flagged if mask is None else flagged | np.asarray(mask, dtype=bool)
        return SpectralImage(
            data=data,
            variance=self._oriented(variance, "variance"),
            mask=mask,
            wavelength=self._oriented(wavelength, "wavelength", dimensions=(1, 2)),
            spatial=self._oriented(spatial, "spatial"),
            components={k: self._oriented(v, k) for k, v in (components or {}).items()},
            unit=unit,
            wavelength_unit=wavelength_unit,
            name=name,
            meta=meta or {},
        )

    def _oriented(self, array, name, dimensions=(2,)):
        """The array with its dispersion along the last axis; one-dimensional ones as they are."""
        if array is None:
            return None
        array = array if hasattr(array, "ndim") else np.asarray(array)
        if array.ndim not in dimensions:
            wanted = " or ".join(str(n) for n in dimensions)
            raise ValueError(f"{name}: expected {wanted} dimensions, got shape {array.shape}")
        return array.T if array.ndim == 2 and self.dispersion_axis == VERTICAL else array

    def _flagged(self, flags, shape):
        if flags is None:
            return None
        flags = np.asarray(flags)
        if flags.dtype.kind not in "biu":
            raise TypeError(f"flags: expected integers of bits, got dtype {flags.dtype}")
        if flags.shape != shape:
            raise ValueError(f"flags: expected the shape of the data, {shape}, got {flags.shape}")
        return (flags.astype(np.int64) & int(self.bad_flags)) != 0


def get_instrument(key):
    """Return the instrument registered under a key.

    Parameters
    ----------
    key : str, tuple of str, `Instrument` or subclass
        Such as ``("NIRSPEC", "NRS_FIXEDSLIT")``. A part is enough where it fits one instrument
        only: ``"DEIMOS"``. An instrument is returned as it is.

    Raises
    ------
    TypeError
        If `key` is none of these.
    ValueError
        If no instrument fits, or several do.
    """
    if isinstance(key, Instrument):
        return key
    if isinstance(key, type) and issubclass(key, Instrument):
        return key()
    return registry.find_class(key)()
