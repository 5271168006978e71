"""Positions along slits and slices, and maps of the slices, from the gwcs of an exposure.

Which frame of a pipeline holds the position, and how slices are told apart, is said by the
instruments; how to ask a gwcs lives here.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from scipy.ndimage import find_objects

from ..numerics.smooth_maps import smooth_map

__all__ = ["SlitFrame", "slice_map"]


@dataclass(frozen=True)
class SlitFrame:
    """The frame of a gwcs that has the position along the slit.

    Parameters
    ----------
    frame : str
        Name of the frame.
    output : int or tuple of int
        Which of its outputs, of those without names of slits. Of several, coordinates of a plane in
        which the slit is a straight line, the distance along that line is taken.
    sign : int
        -1 where the position, or the first of several outputs, falls with the pixel number.
    """

    frame: str
    output: int | tuple = 0
    sign: int = 1

    def positions(self, wcs, regions):
        """Position of each pixel along its slit, NaN where there is none.

        Parameters
        ----------
        wcs : `~gwcs.WCS`
            From pixels, or from pixels and the number of a slice, which counts from zero.
        regions : ndarray of int, shape (n_y, n_x)
            Number of the slice of each pixel, counted from one; zero outside.

        Returns
        -------
        ndarray, shape (n_y, n_x), or None
            None where the WCS has no such frame.
        """
        if self.frame not in wcs.available_frames:
            return None
        transform = wcs.get_transform(wcs.available_frames[0], self.frame)
        out = np.full(regions.shape, np.nan)
        sliced = transform.n_inputs != 2
        slices = np.asarray(regions if sliced else regions > 0).astype(int)
        for number, box in enumerate(find_objects(slices)):
            if box is None:
                continue
            inside, extra = slices[box] == number + 1, (number,) if sliced else ()
            corner = [side.start for side in box]
            values = self._values(lambda x, y, extra=extra: transform(x, y, *extra), inside, corner,
                                  smooth=sliced)  # fmt: skip
            out[box][inside] = self.sign * self._along(values)
        return out if np.isfinite(out).any() else None

    def unit(self, wcs):
        """Unit of the positions as the WCS states it, None where it states none."""
        first = self.output if isinstance(self.output, int) else self.output[0]
        units = getattr(getattr(wcs, self.frame, None), "unit", None) or ()
        return u.Unit(units[first]) if len(units) > first else None

    def _values(self, transform, inside, corner, *, smooth):
        """The outputs that tell the position in the pixels of a box, each of shape (n_pixel,).

        The transform of one slice has dozens of parts, but is smooth: where a few of its values
        tell all others to 1e-4 pixel they are interpolated, else all are computed.
        """

        def wanted(x, y):
            # Names of slits are passed along as single numbers.
            values = (np.asarray(v, dtype=float) for v in transform(x, y))
            values = [v for v in values if v.shape == x.shape]
            return [values[k] for k in np.atleast_1d(self.output)]

        top, left = corner
        found = smooth_map(lambda x, y: wanted(x + left, y + top), inside) if smooth else None
        if found is not None:
            return [values[inside] for values in found]
        y, x = np.nonzero(inside)
        return wanted(x + left + 0.0, y + top + 0.0)

    def _along(self, values):
        """Position from the wanted outputs of the frame, each of shape (n_pixel,)."""
        if isinstance(self.output, int):
            return values[0]
        points = np.array(values)
        points = points - np.nanmean(points, axis=1, keepdims=True)
        known = points[:, np.isfinite(points).all(axis=0)]
        direction = np.linalg.eigh(known @ known.T)[1][:, -1]
        return np.sign(direction[0]) * (direction @ points)


def slice_map(wcs):
    """Map of the slices that a gwcs selects its transforms by, None if it has none."""
    for step in wcs.pipeline:
        mapper = getattr(getattr(step.transform, "label_mapper", None), "mapper", None)
        if isinstance(mapper, np.ndarray):
            return np.array(mapper)
    return None
