"""`Ramp`: detector frames as they were read, in time: images, integrations or groups of a ramp.

Unlike a `~specmodels.SpectralImage` it keeps the orientation of the file, since the order in which
pixels are read is what matters. Nothing here knows files, datamodels or instruments.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .numerics.readout import Readout

__all__ = ["Ramp"]

KINDS = {2: "image", 3: "integrations", 4: "ramp"}


@dataclass(frozen=True, eq=False, repr=False)
class Ramp:
    """Frames of one detector: an image, one image per integration, or the groups of a ramp.

    Parameters
    ----------
    data : array_like, shape (n_y, n_x), (n_int, n_y, n_x) or (n_int, n_group, n_y, n_x)
        Memory-mapped and dask arrays are read one integration at a time.
    readout : `~specmodels.numerics.readout.Readout`, optional
        Order in which pixels are read.
    mask : array_like of bool, shape (n_y, n_x), optional
        Pixels that are bad throughout.
    frame_mask : array_like of bool, shape of the data, optional
        Pixels that are bad in single frames (and those only).
    saturated, jumped : array_like of bool, shape of the data, optional
        Groups in which a pixel was saturated, or hit after the group before.
    variance : array_like, shape of the data, optional
        Of images and integrations, in the square of their unit.
    unit : `~astropy.units.Unit`, optional
        Of the data.
    lit : array_like of bool, shape (n_y, n_x), optional
        Pixels that are known to see light: slices, slits, open shutters.
    dispersion_axis : int, optional
        Axis along which light is dispersed, -1 or -2; None for images of the sky.
    source : object, optional
        What was read, so that results can be written back in kind. Never changed.

    Raises
    ------
    TypeError
        If the data are not real numbers, or `readout` is no `Readout`.
    ValueError
        If they have another number of dimensions, no pixels, or another array another shape.
    """

    data: object
    readout: Readout = field(default_factory=Readout)
    mask: np.ndarray | None = None
    frame_mask: object = None
    saturated: object = None
    jumped: object = None
    variance: object = None
    unit: object = None
    lit: np.ndarray | None = None
    dispersion_axis: int | None = None
    source: object = None

    def __post_init__(self):
        if not hasattr(self.data, "ndim"):
            object.__setattr__(self, "data", np.asarray(self.data))
        if isinstance(self.data, np.ma.MaskedArray):
            self._take_mask()
        if self.data.dtype.kind not in "iuf":
            raise TypeError(f"data: expected real numbers, got dtype {self.data.dtype}")
        if self.data.ndim not in KINDS or 0 in self.data.shape:
            raise ValueError(
                "data: expected an image, integrations of images or a ramp (2, 3 or 4 "
                f"dimensions) with pixels, got shape {self.data.shape}"
            )
        for name in ("frame_mask", "saturated", "jumped", "variance"):
            self._check(name, self.data.shape)
        for name in ("mask", "lit"):
            self._check(name, self.shape)
        if not isinstance(self.readout, Readout):
            raise TypeError(f"readout: expected a Readout, got {type(self.readout).__name__}")
        self.readout.frame_shape(self.shape)

    def _take_mask(self):
        """What a masked array marks is bad, throughout in images and else in single frames."""
        name = "mask" if self.data.ndim == 2 else "frame_mask"
        masked, given = np.ma.getmaskarray(self.data), getattr(self, name)
        object.__setattr__(self, "data", np.ma.getdata(self.data))
        object.__setattr__(self, name, masked if given is None else masked | np.asarray(given))

    def _check(self, name, shape):
        value = getattr(self, name)
        if value is not None and tuple(np.shape(value)) != tuple(shape):
            raise ValueError(f"{name}: expected shape {tuple(shape)}, got {np.shape(value)}")

    def __repr__(self):
        return f"<Ramp, {self.kind} of shape {self.data.shape}, {self.readout!r}>"

    @property
    def kind(self):
        """What the data are: ``"image"``, ``"integrations"`` or ``"ramp"``."""
        return KINDS[self.data.ndim]

    @property
    def shape(self):
        """Shape of one frame, (n_y, n_x)."""
        return tuple(self.data.shape[-2:])

    @property
    def n_integrations(self):
        """Number of integrations; an image counts as one."""
        return 1 if self.data.ndim == 2 else self.data.shape[0]

    @property
    def bad(self):
        """Pixels that are bad throughout, shape (n_y, n_x)."""
        return np.zeros(self.shape, dtype=bool) if self.mask is None else np.asarray(self.mask)

    @property
    def pixel_variance(self):
        """Variance of pixels, (n_y, n_x), on average over integrations; None where not known."""
        if self.variance is None:
            return None
        variance = np.asarray(self.variance)
        return variance.reshape(-1, *self.shape).mean(axis=0)

    def integration(self, i):
        """Frames of one integration, shape (n_y, n_x), or (n_group, n_y, n_x) for a ramp."""
        return np.asarray(self.data if self.data.ndim == 2 else self.data[i])

    def differences_bad(self, i):
        """Where the difference of two groups of integration `i` cannot be used, or None.

        Returns
        -------
        ndarray of bool, shape (n_group - 1, n_y, n_x), or None where all can.
        """
        if self.frame_mask is None and self.saturated is None and self.jumped is None:
            return None
        n_group = self.data.shape[1]
        bad = np.zeros((n_group - 1, *self.shape), dtype=bool)
        if self.jumped is not None:
            bad |= np.asarray(self.jumped[i])[1:]
        if self.saturated is not None:
            bad |= np.logical_or.accumulate(np.asarray(self.saturated[i]), axis=0)[1:]
        if self.frame_mask is not None:
            own = np.asarray(self.frame_mask[i])
            bad |= own[1:] | own[:-1]
        return bad

    def rate(self, i):
        """Image of integration `i`, or the draft rate of its groups, (n_y, n_x); NaN where bad."""
        if self.kind == "ramp":
            return self.draft_rate(i)
        image = self.integration(i)
        if self.frame_mask is None or self.kind == "image":
            return image
        return np.where(np.asarray(self.frame_mask[i]), np.nan, image)

    def draft_rate(self, i):
        """Change per group of integration `i`: differences in the weights of a straight line.

        Returns
        -------
        rate : ndarray of float32, shape (n_y, n_x)
            NaN where no difference can be used.

        Raises
        ------
        ValueError
            If there is one group only.
        """
        frames = self.integration(i)
        n_group = len(frames)
        if n_group < 2:
            raise ValueError("data: expected at least two groups for a rate, got one")
        j = np.arange(1, n_group)
        weights = (j * (n_group - j)).astype("f4")
        bad = self.differences_bad(i)
        if bad is None:
            own = -np.diff(weights, prepend=0, append=0) / weights.sum()
            rate = np.einsum("g,gyx->yx", own.astype("f4"), frames)
            if np.isfinite(rate).all():
                return rate
        total, norm = np.zeros((2, *self.shape), "f4")
        for g in range(n_group - 1):
            difference = np.subtract(frames[g + 1], frames[g], dtype="f4")
            use = np.isfinite(difference)
            if bad is not None:
                use &= ~bad[g]
            total += np.where(use, weights[g] * difference, np.float32(0))
            norm += np.where(use, weights[g], np.float32(0))
        return np.divide(total, norm, out=np.full(self.shape, np.nan, "f4"), where=norm > 0)

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        return replace(self, **changes)
