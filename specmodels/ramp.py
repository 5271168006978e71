"""`Ramp`: detector frames as they were read, in time: images, integrations or groups of a ramp.

Unlike a `~specmodels.SpectralImage` it keeps the orientation of the file, since the order in which
pixels are read is what matters. Nothing here knows files, datamodels or instruments.
"""

from dataclasses import dataclass, replace

import numpy as np

from .numerics.readout import Readout, normalised_axis
from .numerics.stripes import stripe_axis

__all__ = ["Ramp"]

KINDS = {2: "image", 3: "integrations", 4: "ramp"}
MARKS = ("frame_mask", "saturated", "jumped")
# Pauses may make the grid of time so many times larger than a frame, or this large in any case.
MOST_PAUSES, LEAST_GRID = 4, 2**21


@dataclass(frozen=True, eq=False, repr=False)
class Ramp:
    """Frames of one detector: an image, one image per integration, or the groups of a ramp.

    Parameters
    ----------
    data : array_like, shape (n_y, n_x), (n_int, n_y, n_x) or (n_int, n_group, n_y, n_x)
        Memory-mapped and dask arrays are read one integration at a time.
    readout : `~specmodels.numerics.readout.Readout`, optional
        Order in which pixels are read; default: along rows, or along columns where the stripes
        of the frames run along these.
    mask : array_like of bool, shape (n_y, n_x), optional
        Pixels that are bad throughout. Of masks of whole numbers, here and below, all but zero
        are True.
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
        Axis along which light is dispersed, -1 or -2 (1 or 0 of an image will do); None for
        images of the sky.
    source : object, optional
        What was read, so that results can be written back in kind. Never changed.
    notes : tuple of str
        What was done to the frames since they were read.

    Raises
    ------
    TypeError
        If the data are not real numbers, a mask is not of true and false or whole numbers, or
        `readout` is no `Readout`.
    ValueError
        If the data have another number of dimensions, no pixels, or another array another shape;
        if the axis of dispersion is none of theirs, pauses between lines are far too long, or no
        `readout` is given and stripes run along both axes.
    """

    data: object
    readout: Readout | None = None
    mask: np.ndarray | None = None
    frame_mask: object = None
    saturated: object = None
    jumped: object = None
    variance: object = None
    unit: object = None
    lit: np.ndarray | None = None
    dispersion_axis: int | None = None
    source: object = None
    notes: tuple = ()

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
        for name in (*MARKS, "variance"):
            self._check(name, self.data.shape)
        for name in ("mask", "lit"):
            self._check(name, self.shape)
        for name in (*MARKS, "mask", "lit"):
            self._to_bool(name)
        if self.dispersion_axis is not None:
            object.__setattr__(self, "dispersion_axis", self._axis(self.dispersion_axis))
        if self.readout is None:
            object.__setattr__(self, "readout", self._found_readout())
        if not isinstance(self.readout, Readout):
            raise TypeError(f"readout: expected a Readout, got {type(self.readout).__name__}")
        n_output, n_line, width = self.readout.frame_shape(self.shape)
        size = n_output * n_line * (width + self.readout.overhead)
        if size > max(MOST_PAUSES * self.shape[0] * self.shape[1], LEAST_GRID):
            raise ValueError(
                "line_overhead: expected pauses that are not far longer than lines, got "
                f"{self.readout.overhead} pixel times after each {width} pixels"
            )

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

    def _to_bool(self, name):
        value = getattr(self, name)
        if value is None:
            return
        if not hasattr(value, "dtype"):
            value = np.asarray(value)
        if value.dtype.kind not in "biu":
            raise TypeError(f"{name}: expected true and false, got dtype {value.dtype}")
        object.__setattr__(self, name, value if value.dtype == bool else value.astype(bool))

    def _axis(self, axis):
        """An axis of frames: the first ones of several frames are no axes of theirs."""
        if self.data.ndim > 2 and axis not in (-1, -2):
            raise ValueError(f"dispersion_axis: expected -1 or -2, got {axis!r}")
        return normalised_axis(axis, "dispersion_axis")

    def _found_readout(self):
        """Readout along the axis along which stripes run."""
        frame, bad = self._dark_frame()
        axis = stripe_axis(frame, np.isfinite(frame) & ~bad)
        if axis is None:
            raise ValueError(
                "readout: expected a Readout that says along which axis lines are read, since "
                "neighbouring rows differ by as much as neighbouring columns"
            )
        return Readout(fast_axis=axis)

    def _dark_frame(self):
        """A difference of frames, as far as there are some, in which light cancels, and its bad."""
        if self.data.ndim == 2:
            return self.integration(0).astype(float), self.bad
        frames = self.integration(0) if self.data.ndim == 4 else np.asarray(self.data[:3])
        last = min(len(frames), 3)
        bad = [self.bad]
        for name in MARKS:
            marks = getattr(self, name)
            if marks is not None:
                marks = marks[0] if self.data.ndim == 4 else marks
                bad.append(np.asarray(marks[:last]).any(axis=0))
        with np.errstate(invalid="ignore"):  # infinite values
            frame = np.diff(np.asarray(frames[:last], dtype=float), n=last - 1, axis=0)[0]
        return frame, np.any(bad, axis=0)

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
        variance = np.asarray(self.variance).reshape(-1, *self.shape)
        return variance[0] if len(variance) == 1 else variance.mean(axis=0)

    def integration(self, i):
        """Frames of one integration, shape (n_y, n_x), or (n_group, n_y, n_x) for a ramp."""
        frames = np.asarray(self.data if self.data.ndim == 2 else self.data[i])
        # Half precision, and the byte order of others, are not what numerics take.
        return frames if frames.dtype.kind != "f" else frames.astype(_precision(frames), copy=False)

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


def _precision(frames):
    """Single or double precision in the byte order of the machine."""
    return "f8" if frames.dtype.itemsize > 4 else "f4"
