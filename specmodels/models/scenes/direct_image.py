"""`DirectImage`: the picture of the field from which sources are dispersed.

Pixels, their errors, and which source each belongs to. How light lies within and beyond the
segments is found in `shapes`.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from scipy import ndimage

__all__ = ["DirectImage"]


@dataclass(frozen=True, eq=False, repr=False)
class DirectImage:
    """A background-subtracted image of the field, or one per band, and its segmentation map.

    If a background is left in the image, subtract it with `without_background`.

    Parameters
    ----------
    data : array_like or `~astropy.units.Quantity`, shape (n_y, n_x) or (n_band, n_y, n_x)
        Surface brightness. Pixels that are not finite are masked.
    segmentation : array_like of int, shape (n_y, n_x)
        Label of the source of each pixel, zero where there is none. Gaps between labels are fine.
    error : float or array_like, shape (n_y, n_x), optional
        Standard deviation; by default estimated from pixels without a source.
    mask : array_like of bool, shape (n_y, n_x), optional
        True where a pixel is bad.
    wavelength : array_like or Quantity, shape (n_band,), optional
        Of the bands, increasing.

    Raises
    ------
    TypeError
        If the data are no numbers or the labels no integers.
    ValueError
        If shapes differ, a label is negative, nothing is finite, or wavelengths do not increase.
    """

    data: np.ndarray
    segmentation: np.ndarray
    error: np.ndarray | None = None
    mask: np.ndarray | None = None
    wavelength: np.ndarray | None = None
    unit: u.UnitBase | None = None

    def __post_init__(self):
        unit = getattr(self.data, "unit", None) if isinstance(self.data, u.Quantity) else self.unit
        data = np.array(getattr(self.data, "value", self.data))
        if data.dtype.kind not in "iuf":
            raise TypeError(f"data: expected real numbers, got dtype {data.dtype}")
        if data.ndim not in (2, 3) or not data.size:
            raise ValueError(f"data: expected one image or one per band, got shape {data.shape}")
        bands = np.atleast_3d(data.astype(float)) if data.ndim == 3 else data.astype(float)[None]
        shape = bands.shape[1:]
        labels = _labels(self.segmentation, shape)
        mask = np.zeros(shape, bool) if self.mask is None else np.array(self.mask, dtype=bool)
        if mask.shape != shape:
            raise ValueError(f"mask: expected shape {shape}, got {mask.shape}")
        mask |= ~np.isfinite(bands).all(axis=0)
        if mask.all():
            raise ValueError("data: expected finite pixels, got none")
        bands[:, mask] = 0.0
        values = {
            "data": bands, "segmentation": labels, "mask": mask, "unit": unit,
            "error": self._error(bands, labels, mask), "wavelength": self._wavelength(len(bands)),
        }  # fmt: skip
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def _error(self, bands, labels, mask):
        """Standard deviation of each pixel of the mean of the bands."""
        shape = labels.shape
        if self.error is None:
            sky = bands.mean(axis=0)[(labels == 0) & ~mask]
            spread = 1.4826 * np.median(np.abs(sky - np.median(sky))) if sky.size else 0.0
            return np.full(shape, spread if spread > 0 else 1e-3 * np.max(np.abs(bands)) or 1.0)
        error = np.array(np.broadcast_to(np.asarray(self.error, dtype=float), shape))
        if np.min(error) > 0 and np.max(error) < np.inf:
            return error
        usable = np.isfinite(error) & (error > 0)
        if not usable.any():
            raise ValueError("error: expected positive values, got none")
        return np.where(usable, error, np.max(error[usable]))

    def _wavelength(self, n_band):
        if self.wavelength is None:
            if n_band > 1:
                raise ValueError(f"wavelength: expected those of the {n_band} bands, got None")
            return None
        wavelength = np.array(getattr(self.wavelength, "value", self.wavelength), dtype=float)
        if wavelength.shape != (n_band,) or not np.all(np.diff(wavelength) > 0):
            raise ValueError(
                f"wavelength: expected {n_band} increasing values, got {self.wavelength}"
            )
        return wavelength

    def __repr__(self):
        bands = f", {len(self.data)} bands" if len(self.data) > 1 else ""
        ny, nx = self.segmentation.shape
        return f"<DirectImage: {ny} x {nx} pixels{bands}, {len(self.labels)} sources>"

    def without_background(self, box_size=64, *, grow=8):
        """Copy from which a smooth background is subtracted, band by band.

        The clipped medians of boxes of pixels without a source, interpolated:
        `photutils.background.Background2D`. For images that are not background-subtracted, the
        light of whose sky would else be dispersed with every source.

        Parameters
        ----------
        box_size : int
            Pixels along each side of a box, large against the sources.
        grow : int
            Pixels around segments that are left out as well, for the wings of sources.

        Returns
        -------
        DirectImage
            With the same error.

        Raises
        ------
        ValueError
            If no box has enough pixels without a source.
        """
        from photutils.background import Background2D, MedianBackground

        near = ndimage.binary_dilation(self.segmentation > 0, iterations=grow) if grow else (
            self.segmentation > 0)  # fmt: skip
        box = tuple(min(int(box_size), n) for n in self.segmentation.shape)
        sky = [
            Background2D(band, box, mask=near, coverage_mask=self.mask, exclude_percentile=90.0,
                         fill_value=0.0, bkg_estimator=MedianBackground()).background
            for band in self.data
        ]  # fmt: skip
        wavelength, data = self.wavelength, self.data - np.stack(sky)
        return DirectImage(data if wavelength is not None else data[0], self.segmentation,
                           self.error, self.mask, wavelength, self.unit)  # fmt: skip

    @property
    def labels(self):
        """Labels of the sources, increasing, shape (n_source,)."""
        return np.unique(self.segmentation[self.segmentation > 0])

    @property
    def mean(self):
        """Mean of the bands, shape (n_y, n_x)."""
        return self.data.mean(axis=0) if len(self.data) > 1 else self.data[0]


def _labels(segmentation, shape):
    labels = np.asarray(segmentation)
    if labels.dtype.kind == "f" and np.all(np.isfinite(labels)) and np.all(labels % 1 == 0):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"segmentation: expected integer labels, got dtype {labels.dtype}")
    if labels.shape != shape:
        raise ValueError(f"segmentation: expected the image's shape {shape}, got {labels.shape}")
    if labels.size and labels.min() < 0:
        raise ValueError(f"segmentation: expected no negative label, got {labels.min()}")
    return labels.astype(np.int32)
