"""`SlitlessExposure`: a grism image with the cutouts of its sources, in the file's orientation.

Spectra of many sources lie on one detector, so that pixels keep their place on it; a cutout is a
window. Nothing here knows files, datamodels or instruments.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .spectral_image import SpectralImage

__all__ = ["Cutout", "SlitlessExposure"]


@dataclass(frozen=True)
class Cutout:
    """Window of one source in one order.

    Attributes
    ----------
    label, order : int
    window : tuple of slice
        Rows and columns of the detector.
    """

    label: int
    order: int
    window: tuple

    @property
    def key(self):
        """Label and order."""
        return self.label, self.order


@dataclass(frozen=True, eq=False, repr=False)
class SlitlessExposure:
    """Grism image, in count rates with the sky subtracted.

    Parameters
    ----------
    data : array_like, shape (n_y, n_x)
    variance : array_like, shape (n_y, n_x), optional
        In the square of the data's unit. None where nothing is known.
    mask : array_like of bool, shape (n_y, n_x), optional
        True where a pixel is bad, or no cutout shows it. Pixels whose data or variance cannot be
        used are masked.
    cutouts : sequence of Cutout
    known_light : array_like, shape (n_y, n_x), optional
        Light that is known beforehand, in the data's unit: a background, or contamination by
        sources outside of the scene. It is no part of the fit, and is subtracted from cutouts.
    source : object, optional
        What was read, so that results can be written back in kind. Never changed.

    Raises
    ------
    ValueError
        If shapes differ, or a window lies outside.
    """

    data: np.ndarray
    variance: np.ndarray | None = None
    mask: np.ndarray | None = None
    cutouts: tuple = ()
    source: object = None
    unit: object = None
    known_light: np.ndarray | None = None
    masked: MappingProxyType = field(default_factory=dict, init=False)

    def __post_init__(self):
        data = np.array(self.data, dtype=float)
        if data.ndim != 2 or not data.size:
            raise ValueError(f"data: expected a two-dimensional image, got shape {data.shape}")
        given = self._array("mask", data.shape, bool)
        mask = np.zeros(data.shape, bool) if given is None else given
        counts = {"given": int(mask.sum()), "data not finite": int((~np.isfinite(data)).sum())}
        mask = mask | ~np.isfinite(data)
        known = self._array("known_light", data.shape, float)
        known = np.zeros(data.shape) if known is None else known
        unknown = int((~np.isfinite(known) & ~mask).sum())
        if self.known_light is not None:
            counts["known light not finite"] = unknown
        mask |= ~np.isfinite(known)
        known[mask & ~np.isfinite(known)] = 0.0
        variance = self._array("variance", data.shape, float)
        if variance is not None:
            unusable = ~(np.isfinite(variance) & (variance > 0))
            counts["variance not positive"] = int((unusable & ~mask).sum())
            mask |= unusable
            variance[mask] = 0.0
        data[mask] = 0.0
        for cutout in self.cutouts:
            self._check(cutout, data.shape)
        values = {"data": data, "variance": variance, "mask": mask, "cutouts": tuple(self.cutouts),
                  "known_light": known, "masked": MappingProxyType(counts)}  # fmt: skip
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def _array(self, name, shape, dtype):
        value = getattr(self, name)
        if value is None:
            return None
        value = np.array(value, dtype=dtype)
        if value.shape != shape:
            raise ValueError(f"{name}: expected the shape of the data {shape}, got {value.shape}")
        return value

    @staticmethod
    def _check(cutout, shape):
        for part, n in zip(cutout.window, shape, strict=True):
            if not 0 <= part.start < part.stop <= n:
                raise ValueError(
                    f"cutouts: the window of source {cutout.label}, {cutout.window}, is not within "
                    f"{shape}"
                )

    def __repr__(self):
        ny, nx = self.data.shape
        return (f"<SlitlessExposure: {ny} x {nx} pixels, {len(self.cutouts)} cutouts, "
                f"{self.mask.mean():.1%} masked>")  # fmt: skip

    @property
    def shape(self):
        """Shape of the detector, (n_y, n_x)."""
        return self.data.shape

    @property
    def weights(self):
        """Inverse variance, zero where masked; one where no variance is known."""
        use = ~self.mask
        if self.variance is None:
            return use.astype(float)
        return np.divide(1.0, self.variance, out=np.zeros(self.shape), where=use)

    def to_image(self, *, name="grism", readout=None, coordinates=None):
        """The exposure as an image that fitters take, less the light that is known.

        Parameters
        ----------
        name : str
        readout : `~specmodels.Readout`, optional
            Order of readout, for models of its lines.
        coordinates : mapping of str to array_like, optional
            Further coordinates of the pixels.

        Returns
        -------
        `~specmodels.SpectralImage`
            Rows and columns as on the detector.
        """
        return SpectralImage(
            self.data - self.known_light, variance=self.variance, mask=self.mask, unit=self.unit,
            name=name, readout=readout, coordinates=coordinates or {},
        )  # fmt: skip
