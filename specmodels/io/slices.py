"""Slices and slits of an exposure: which pixels belong to them, and where along them they lie.

Both come from the gwcs by way of the instrument, where the caller does not give them.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.ndimage import find_objects

from ..instruments.positions import slice_map

__all__ = ["SlicedImage", "opened_source"]


@dataclass(frozen=True, eq=False)
class SlicedImage:
    """An image and its slices, the dispersion along the last axis.

    Attributes
    ----------
    image : `~specmodels.exposure.SpectralImage`
    exposure : `~specmodels.exposure.Exposure`
        That the image belongs to.
    regions : ndarray of int, shape (n_spatial, n_dispersion)
        Number of the slice of each pixel; zero where there is none.
    spatial : ndarray, same shape, or None
        Position along the slice.
    """

    image: object
    exposure: object
    regions: np.ndarray
    spatial: np.ndarray | None

    @classmethod
    def of(cls, image, exposure, *, regions=None, spatial=None):
        """Slices of an image of an exposure.

        Parameters
        ----------
        image : `~specmodels.exposure.SpectralImage`
        exposure : `~specmodels.exposure.Exposure`
            That the image belongs to.
        regions, spatial : array_like, optional
            Maps that the caller gives, dispersion along the last axis; they always win.

        Raises
        ------
        ValueError
            If a map has another shape than the image, or no pixel is in a slice.
        """
        found_regions, found_spatial = _from_wcs(image, exposure, regions is None, spatial is None)
        regions = found_regions if regions is None else _checked(regions, "regions", image.shape)
        if spatial is None:
            spatial = image.spatial if image.spatial is not None else found_spatial
        else:
            spatial = _checked(spatial, "spatial", image.shape).astype(float)
        if regions is None:
            regions = np.ones(image.shape, dtype=np.int32)
        regions = np.where(np.isfinite(regions), regions, 0).astype(np.int32)
        if not (regions > 0).any():
            raise ValueError("regions: expected numbers above zero where slices are, got none")
        return cls(image, exposure, regions, spatial)

    @cached_property
    def boxes(self):
        """Smallest box of rows and columns round each slice, by name: its number."""
        found = enumerate(find_objects(self.regions), start=1)
        return {str(number): box for number, box in found if box is not None}

    @cached_property
    def images(self):
        """Each slice as a `SpectralImage` in which pixels of others are masked, by name."""
        return {name: self._cutout(name, box) for name, box in self.boxes.items()}

    def inside(self, name):
        """Pixels of a slice within its box."""
        return self.regions[self.boxes[name]] == int(name)

    def _cutout(self, name, box):
        outside = ~self.inside(name)
        spatial = None
        if self.spatial is not None:
            spatial = np.where(outside, np.nan, self.spatial[box])
        part = self.image.cutout(*box)
        return part.replace(mask=part.mask | outside, spatial=spatial, name=name)


@contextmanager
def opened_source(source):
    """The datamodel behind an exposure: itself, or the file opened; None for other sources."""
    if hasattr(source, "instance") and hasattr(source, "meta"):
        yield source
    elif isinstance(source, str | Path) and str(source).lower().endswith((".fits", ".asdf")):
        from stdatamodels.jwst import datamodels

        try:
            model = datamodels.open(source)
        except (OSError, TypeError, ValueError):
            yield None
            return
        with model:
            yield model
    else:
        yield None


def _from_wcs(image, exposure, want_regions, want_spatial):
    """Regions and positions that the source's WCS and map of slices tell; None where unknown."""
    frame = getattr(exposure.instrument, "slit_frame", None)
    if frame is None or not (want_regions or want_spatial):
        return None, None
    vertical = exposure.instrument.dispersion_axis == -2
    turn = np.transpose if vertical else np.asarray
    with opened_source(exposure.source) as model:
        tree = _tree_of(model, list(exposure).index(image.name)) if model is not None else {}
        meta = tree.get("meta") or {}
        wcs = meta.get("wcs") if hasattr(meta, "get") else None
        if wcs is None:
            return None, None
        shape = image.shape[::-1] if vertical else image.shape
        regions = tree.get("regions")
        regions = slice_map(wcs) if regions is None else np.array(regions)
        if regions is None or regions.shape != shape:
            regions = _inside(wcs, shape)
        positions = frame.positions(wcs, regions)
    if positions is None:
        return turn(regions), None
    regions = np.where(np.isfinite(positions), regions, 0)
    return turn(regions), turn(positions)


def _tree_of(model, index):
    """The tree of a slit of a datamodel, with the metadata of the model where it has none."""
    tree = model.instance
    slits = tree.get("slits")
    return slits[index] if slits else tree


def _inside(wcs, shape):
    """One region: the bounding box of a slit, or all pixels."""
    out = np.ones(shape, dtype=np.int32)
    box = wcs.bounding_box
    if box is None or getattr(wcs.forward_transform, "n_inputs", 2) != 2:
        return out
    y, x = np.mgrid[: shape[0], : shape[1]]
    for values, interval in zip((x, y), box.bounding_box(order="F") if hasattr(
            box, "bounding_box") else box, strict=True):  # fmt: skip
        low, high = (float(getattr(end, "value", end)) for end in interval)
        out[(values < low) | (values > high)] = 0
    return out


def _checked(array, name, shape):
    array = np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{name}: expected the shape of the image, {shape}, got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    return array
