"""Finer rows: where they lie among those of an image, and linear interpolation between these.

Arrays only, rows along the first axis; what is not available has no weight.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .fine_pixels import LEAST_STEP, MOST_STEP

__all__ = ["FineRows", "isolated"]

# Of its two neighbours along the dispersion a hit has less than these parts of itself in the one
# and in the other; a line that is two pixels wide has more.
LEAST_NEIGHBOUR, MOST_NEIGHBOUR = 0.25, 0.6


@dataclass(frozen=True, eq=False)
class FineRows:
    """Rows of height ``1 / factor`` and the rows of an image that they lie in.

    Attributes
    ----------
    native : ndarray of int, shape (n_fine,)
        Row that holds the middle of each fine row.
    offset : ndarray, shape (n_fine,)
        Distance of the middle from that of the native row, from -0.5 to 0.5.
    n_rows : int
        Number of native rows.
    factor : float
    """

    native: np.ndarray
    offset: np.ndarray
    n_rows: int
    factor: float

    @classmethod
    def of(cls, n_rows, factor):
        """Fine rows of a whole image: ``round(n_rows * factor)`` of them."""
        fine = np.arange(max(1, round(n_rows * factor)))
        place = (fine + 0.5) / factor - 0.5
        native = np.clip(np.floor(place + 0.5).astype(np.intp), 0, n_rows - 1)
        return cls(native, place - native, n_rows, factor)

    def within(self, rows):
        """Fine rows of a slice of the native rows, which then count from its start."""
        start, stop, _ = rows.indices(self.n_rows)
        mine = self.slice_of(rows)
        return FineRows(self.native[mine] - start, self.offset[mine], stop - start, self.factor)

    def slice_of(self, rows):
        """Slice of the fine rows that lie in a slice of the native ones."""
        start, stop, _ = rows.indices(self.n_rows)
        first, last = np.searchsorted(self.native, [start, stop])
        return slice(int(first), int(last))

    @cached_property
    def neighbour(self):
        """Native row on the side to which each fine row is shifted; may lie outside."""
        return self.native + np.where(self.offset < 0, -1, 1)

    @cached_property
    def inside(self):
        """Whether the neighbour is a row of the image, shape (n_fine, 1)."""
        return ((self.neighbour >= 0) & (self.neighbour < self.n_rows))[:, None]

    @cached_property
    def distance(self):
        """Absolute offset, shape (n_fine, 1)."""
        return np.abs(self.offset)[:, None]

    def own(self, array):
        """Values of the native row of each fine one."""
        return array[self.native]

    def other(self, array):
        """Values of the neighbour row; those of the row itself at the ends."""
        return array[np.clip(self.neighbour, 0, self.n_rows - 1)]

    def weights(self, available, positions=None):
        """Weights of a linear interpolation between the pixels that are available.

        Parameters
        ----------
        available : ndarray of bool, shape (n_row, n_column)
        positions : ndarray, same shape, optional
            In pixels. With them, nothing is interpolated across gaps.

        Returns
        -------
        own, other : ndarray, shape (n_fine, n_column)
            They add up to one, or are zero where neither pixel is available.
        """
        own = (1 - self.distance) * self.own(available)
        linked = self.inside
        if positions is not None:
            linked = linked & _adjoin(self.own(positions), self.other(positions))
        other = self.distance * (self.other(available) & linked)
        total = own + other
        alone = (total > 0) & (total < 1)
        own[alone] /= total[alone]
        other[alone] /= total[alone]
        return own, other

    def coordinates(self, values, unit=None):
        """Smooth coordinates at the fine rows, carried on linearly beyond the last pixel.

        Parameters
        ----------
        values : ndarray, shape (n_row, n_column)
        unit : float, optional
            Usual difference of neighbouring rows. Across a gap, a row goes on as on its other side.
        """
        here, there = self.own(values), self.other(values)
        step = there - here
        known = np.isfinite(step) & self.inside
        if unit is not None:
            known &= _adjoin(here / unit, there / unit)
        rows, columns = np.nonzero(np.isfinite(here) & ~known)
        opposite = np.clip(2 * self.native - self.neighbour, 0, self.n_rows - 1)[rows]
        back = here[rows, columns] - values[opposite, columns]
        good = np.isfinite(back)
        if unit is not None:
            good &= _adjoin(back / unit, 0.0)
        step[rows, columns] = np.where(good, back, 0.0)
        step *= self.distance
        step += here
        return step


def _adjoin(here, there):
    """Whether positions in pixels are about one apart."""
    step = np.abs(there - here)
    return (step > LEAST_STEP) & (step < MOST_STEP)


def isolated(residual, suspects):
    """Suspects that stand alone along the dispersion, as hits do and spectral lines do not.

    One of the neighbours of a hit has next to nothing of it, the other may have some; that one is
    part of the hit if it is a suspect, too.

    Parameters
    ----------
    residual : ndarray, shape (n_row, n_column)
        Data minus model, zero where there is none.
    suspects : ndarray of bool, same shape
        Outliers.

    Returns
    -------
    ndarray of bool, same shape
    """
    n_column = residual.shape[1]
    rows, columns = np.divmod(np.flatnonzero(suspects), n_column)
    here = residual[rows, columns]
    sides = []
    for shift in (-1, 1):
        at = columns + shift
        inside = (at >= 0) & (at < n_column)
        at = np.clip(at, 0, n_column - 1)
        sides.append((at, inside, np.where(inside, np.sign(here) * residual[rows, at], 0.0)))
    size = np.abs(here)
    alone = np.minimum(sides[0][2], sides[1][2]) < LEAST_NEIGHBOUR * size
    alone &= np.maximum(sides[0][2], sides[1][2]) < MOST_NEIGHBOUR * size
    out = np.zeros(suspects.shape, dtype=bool)
    out[rows, columns] = alone
    beside = np.zeros(here.size, dtype=bool)
    for at, inside, _ in sides:
        larger = size < MOST_NEIGHBOUR * np.abs(residual[rows, at])
        beside |= out[rows, at] & inside & larger
    out[rows, columns] |= beside
    return out
