"""`Rows`: what the linear parameters of an elementary model add to each pixel, sparse or not."""

from dataclasses import dataclass, replace

import numpy as np

from .composition import cut_to

__all__ = ["Rows", "inside", "is_empty", "is_grid", "rows_within"]


@dataclass(frozen=True, eq=False)
class Rows:
    """What the linear parameters of one elementary model add to each pixel.

    Attributes
    ----------
    leaf : `~astropy.modeling.Model`
        The elementary model.
    positions : ndarray of int, shape (n_terms,)
        Its linear parameters.
    index : ndarray of int, shape (..., n_entry)
        Number of the term of each entry.
    value : ndarray, shape (..., n_entry)
        Its value: the pixel is the sum of values times parameters. Broadcast to the pixels.
    inputs : tuple of ndarray
        What the elementary model is evaluated at.
    window : tuple of slice, optional
        Rows and columns of the pixels that they are of; None: of all.
    """

    leaf: object
    positions: np.ndarray
    index: np.ndarray
    value: np.ndarray
    inputs: tuple
    window: tuple | None = None

    def times(self, factor):
        """The rows of the model times a factor of each pixel."""
        factor = np.asarray(factor, dtype=float)
        if self.window is not None:
            factor = cut_to(factor, self.window)
        value = self.value * (factor[..., None] if factor.ndim else factor)
        return replace(self, value=value)

    def within(self, window):
        """The same rows of pixels of which those they are of are a window."""
        if window is None:
            return self
        own = self.window or (slice(0, None),) * 2
        moved = tuple(
            slice(outer.start + inner.start,
                  outer.stop if inner.stop is None else outer.start + inner.stop)
            for outer, inner in zip(window, own, strict=True)
        )  # fmt: skip
        return replace(self, window=moved)


def rows_within(window, inputs, rows_of):
    """Offset and rows of pixels of which only those of a window are seen.

    `rows_of` is a function of the inputs of the window that gives both for its pixels.
    """
    empty = is_empty(window)
    if empty:  # one pixel will tell which rows there are
        window = (slice(0, 1), slice(0, 1))
    offset, rows = rows_of([cut_to(values, window) for values in inputs])
    rows = [one.within(window) for one in rows]
    if empty:
        return 0.0, [replace(one, value=np.zeros(one.value.shape)) for one in rows]
    if not np.any(offset):
        return 0.0, rows
    whole = np.zeros(np.broadcast_shapes(*(values.shape for values in inputs)))
    whole[window] = offset
    return whole, rows


def is_empty(window):
    """Whether a window holds no pixel."""
    return any(part.stop is not None and part.start >= part.stop for part in window)


def is_grid(inputs):
    """Whether inputs are the columns of a row of pixels, and the rows of a column."""
    return len(inputs) == 2 and np.shape(inputs[0])[:1] == np.shape(inputs[1])[1:] == (1,)


def inside(values, ends):
    """Slice of increasing values within two ends."""
    return slice(int(np.searchsorted(values, ends[0])),
                 int(np.searchsorted(values, ends[1], side="right")))  # fmt: skip
