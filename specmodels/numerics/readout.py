"""The order in which the pixels of a detector are read: images to lines of readout and back.

`Readout` turns an image into ``(n_output, n_line, width)``: pixels of one line as they follow
one another in time, the lines likewise, the outputs that are read at the same moment side by side.
Views wherever NumPy allows; no statistics here.
"""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Readout", "normalised_axis"]

HORIZONTAL, VERTICAL = -1, -2


def normalised_axis(axis, name):
    """Return -1 or -2 for an axis of a two-dimensional array: 0, 1, -1 or -2."""
    known = {-1: -1, 1: -1, -2: -2, 0: -2}
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or axis not in known:
        raise ValueError(
            f"{name}: expected -1 (horizontal, along rows) or -2 (vertical, along columns), "
            f"got {axis!r}"
        )
    return known[axis]


@dataclass(frozen=True)
class Readout:
    """The order and the pace in which a detector is read.

    Parameters
    ----------
    fast_axis, slow_axis : int
        Axes of the raw array, -1 (along rows) or -2 (along columns), along which pixels and lines
        follow one another. The slow axis is the other one by default.
    n_outputs : int
        Outputs read at the same time.
    line_overhead : float
        Pixel times lost after each line; frames are laid out in time with whole ones.
    dwell : float
        Time per pixel in seconds.
    fast_direction, slow_direction : int
        1 where pixels, or lines, are read in the order of their index, -1 where backwards.
    interleaved : bool
        Whether neighbouring pixels of a line belong to different outputs; else each output has a
        strip of its own along the slow axis.
    alternating : bool
        Whether every second strip is read in the opposite direction.
    stripes : {"fast", "slow"}
        Whether offsets are shared by the pixels of a line (1/f noise), or by those of the other
        direction, over all lines of a frame.

    Raises
    ------
    TypeError
        If a number is none.
    ValueError
        If an axis is unknown, both are the same, or another setting is out of range.
    """

    fast_axis: int = HORIZONTAL
    slow_axis: int | None = None
    n_outputs: int = 1
    line_overhead: float = 0
    dwell: float = 1e-5
    fast_direction: int = 1
    slow_direction: int = 1
    interleaved: bool = False
    alternating: bool = True
    stripes: str = "fast"

    def __post_init__(self):
        fast = normalised_axis(self.fast_axis, "fast_axis")
        slow = HORIZONTAL + VERTICAL - fast
        if self.slow_axis is not None:
            slow = normalised_axis(self.slow_axis, "slow_axis")
        if fast == slow:
            raise ValueError(f"slow_axis: expected another axis than the fast one, got {slow}")
        if self.stripes not in ("fast", "slow"):
            raise ValueError(f"stripes: expected 'fast' or 'slow', got {self.stripes!r}")
        for name in ("fast_direction", "slow_direction"):
            if getattr(self, name) not in (1, -1):
                raise ValueError(f"{name}: expected 1 or -1, got {getattr(self, name)!r}")
        for name in ("n_outputs", "line_overhead", "dwell"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise TypeError(f"{name}: expected a plain number, got {value!r}")
        if not (np.isfinite(self.n_outputs) and self.n_outputs == int(self.n_outputs) >= 1):
            raise ValueError(f"n_outputs: expected a whole number from 1, got {self.n_outputs!r}")
        if not (np.isfinite(self.line_overhead) and self.line_overhead >= 0):
            raise ValueError(
                f"line_overhead: expected no negative number, got {self.line_overhead!r}"
            )
        if not (np.isfinite(self.dwell) and self.dwell > 0):
            raise ValueError(f"dwell: expected a positive time, got {self.dwell!r}")
        object.__setattr__(self, "n_outputs", int(self.n_outputs))
        object.__setattr__(self, "fast_axis", fast)
        object.__setattr__(self, "slow_axis", slow)

    def replace(self, **changes):
        """Return a copy with the named settings replaced; a new fast axis turns the slow one."""
        if "fast_axis" in changes:
            changes = {"slow_axis": None} | changes
        return replace(self, **changes)

    @property
    def overhead(self):
        """Whole pixel times lost after each line."""
        return round(self.line_overhead)

    @property
    def stripe_axis(self):
        """Axis of the image along which stripes run."""
        return self.fast_axis if self.stripes == "fast" else self.slow_axis

    def along_stripes(self):
        """The order whose lines are the stripes: itself, or one output across the lines."""
        if self.stripes == "fast":
            return self
        return Readout(fast_axis=self.slow_axis, fast_direction=self.slow_direction,
                       slow_direction=self.fast_direction)  # fmt: skip

    def lines(self, image):
        """The image with one line per row, pixels in the order of their index: a view."""
        return image.T if self.fast_axis == -2 else image

    def parts(self, n_fast):
        """Pixels of a line that belong together, and the time of each within its line.

        Parameters
        ----------
        n_fast : int
            Pixels of a line, of all outputs.

        Returns
        -------
        parts : list of slice
            One for each output, in the order of the index.
        positions : ndarray of int, shape (n_output, width)
            Pixel times since the start of the line.
        """
        n_output, _, width = self.frame_shape((1, n_fast) if self.fast_axis == -1 else (n_fast, 1))
        times = np.broadcast_to(np.arange(width), (n_output, 1, width))
        times = self.lines(self.image(times))[0]
        parts = [self._part(k, width) for k in range(n_output)]
        return parts, np.stack([times[part] for part in parts])

    def frame_shape(self, shape):
        """Shape (n_output, n_line, width) of an image of this shape in readout order.

        Raises
        ------
        ValueError
            If the outputs do not share the line evenly.
        """
        n_fast, n_line = shape[self.fast_axis], shape[self.slow_axis]
        if n_fast % self.n_outputs:
            raise ValueError(
                f"n_outputs: expected a divisor of the {n_fast} pixels of a line, got "
                f"{self.n_outputs}"
            )
        return self.n_outputs, n_line, n_fast // self.n_outputs

    def frames(self, image):
        """Pixels of an image in readout order.

        Parameters
        ----------
        image : ndarray, shape (n_y, n_x)

        Returns
        -------
        ndarray, shape (n_output, n_line, width)
        """
        n_output, n_line, width = self.frame_shape(image.shape)
        lines = self._lines(image)
        if self.interleaved:
            return np.moveaxis(lines.reshape(n_line, width, n_output), -1, 0)
        frames = np.moveaxis(lines.reshape(n_line, n_output, width), 1, 0)
        if not self.alternating or n_output == 1:
            return frames
        frames = frames.copy()
        frames[1::2] = frames[1::2, :, ::-1].copy()
        return frames

    def coordinates(self, shape):
        """Line, output and times of each pixel of an image of this shape.

        Returns
        -------
        dict of str to ndarray, each of shape (n_y, n_x)
            ``line``, ``output``, ``time`` since the start of the line, and ``clock``, that since
            the start of the frame, pauses between lines included; both in pixel times.
        """
        frame = self.frame_shape(shape)
        output, line, time = np.indices(frame).astype(float)
        numbers = {"line": line, "output": output, "time": time,
                   "clock": line * (frame[2] + self.overhead) + time}  # fmt: skip
        return {name: self.image(array) for name, array in numbers.items()}

    def image(self, frames):
        """Image of pixels in readout order: the inverse of `frames`.

        Parameters
        ----------
        frames : ndarray, shape (n_output, n_line, width)

        Returns
        -------
        ndarray, shape (n_y, n_x)
        """
        n_output, n_line, width = frames.shape
        lines = np.empty((n_line, n_output * width), frames.dtype)
        for k in range(n_output):
            turned = self.alternating and not self.interleaved and k % 2
            own = frames[k, :, ::-1] if turned else frames[k]
            lines[:, self._part(k, width)] = own
        return self._lines(lines, back=True)

    def _part(self, k, width):
        """Pixels of a line that belong to output `k`."""
        if self.interleaved:
            return slice(k, None, self.n_outputs)
        return slice(k * width, (k + 1) * width)

    def _lines(self, image, back=False):
        """The image with lines along the first axis, both axes in the order of time, or back."""
        turned = image.T if self.fast_axis == -2 and not back else image
        turned = turned[:: self.slow_direction, :: self.fast_direction]
        return turned.T if self.fast_axis == -2 and back else turned
