"""Slices and slits of an exposure: which pixels belong to them, and where along them they lie.

Both come from the gwcs by way of the instrument, where the caller does not give them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import find_objects

from ..instruments.positions import slice_map
from .datamodels import opened_source
from .planes import is_vertical, own_map

__all__ = ["SlicedImage"]


@dataclass(frozen=True, eq=False)
class SlicedImage:
    """An image and its slices, the dispersion along the last axis.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
    exposure : `~specmodels.Exposure`
        That the image belongs to.
    regions : ndarray of int, shape (n_spatial, n_dispersion)
        Number of the slice of each pixel; zero where there is none.
    spatial : ndarray, same shape, or None
        Position along the slice, NaN where there is none.
    spatial_unit : `~astropy.units.Unit`, optional
        Unit of the positions where it is known.
    """

    image: object
    exposure: object
    regions: np.ndarray
    spatial: np.ndarray | None
    spatial_unit: object = None

    @classmethod
    def of(cls, image, exposure, *, regions=None, spatial=None):
        """Slices of an image of an exposure.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`
        exposure : `~specmodels.Exposure`
            That the image belongs to.
        regions, spatial : array_like, optional
            Maps that the caller gives, dispersion along the last axis; they always win. Positions
            may be a `~astropy.units.Quantity`.

        Raises
        ------
        ValueError
            If a map has another shape than the image, numbers of slices are not whole, no pixel is
            in a slice, or the image is that of an integral field unit whose slices, or positions
            along them, are not known.
        """
        given = regions is not None, spatial is not None
        found = _Maps() if all(given) else _from_source(image, exposure)
        unit = getattr(spatial, "unit", None) if given[1] else None
        if not given[1] and image.spatial is not None:
            spatial = image.spatial
        elif not given[1]:
            spatial, unit = found.spatial, found.unit
        spatial = _checked(spatial, "spatial", image.shape)
        regions = found.regions if regions is None else regions
        regions = _whole(_checked(regions, "regions", image.shape))
        if found.sliced:
            _check_slices(regions, spatial)
        if regions is None:
            regions = np.ones(image.shape, dtype=np.int32)
        if not (regions > 0).any():
            raise ValueError("regions: expected numbers above zero where slices are, got none")
        if spatial is not None and np.isinf(spatial).any():
            spatial = np.where(np.isinf(spatial), np.nan, spatial)
        return cls(image, exposure, regions, spatial, unit)

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


@dataclass(frozen=True, eq=False)
class _Maps:
    """What the source of an image tells: regions and positions, or None; and whether it is an IFU.

    Dispersion along the last axis.
    """

    regions: np.ndarray | None = None
    spatial: np.ndarray | None = None
    unit: object = None
    sliced: bool = False


def _from_source(image, exposure):
    """Regions and positions that the source's WCS and map of slices tell, or an image's own map."""
    own = own_map(image, "regions")
    instrument = exposure.instrument
    frame = getattr(instrument, "slit_frame", None)
    sliced = getattr(instrument, "sliced", False)
    if own is not None:
        return _Maps(regions=own, sliced=sliced)
    vertical = is_vertical(instrument)
    turn = np.transpose if vertical else np.asarray
    shape = image.shape[::-1] if vertical else image.shape
    with opened_source(exposure.source) as model:
        sliced = sliced or type(model).__name__ == "IFUImageModel"
        if not sliced and frame is None:
            return _Maps()
        tree = _tree_of(model, list(exposure).index(image.name)) if model is not None else {}
        meta = tree.get("meta") or {}
        wcs = meta.get("wcs") if hasattr(meta, "get") else None
        regions = _map_of_slices(tree, wcs, shape)
        if regions is None and (sliced or wcs is None):
            return _Maps(sliced=sliced)
        regions = _inside(wcs, shape) if regions is None else regions
        positions = frame.positions(wcs, regions) if frame and wcs is not None else None
        unit = frame.unit(wcs) if positions is not None else None
    if positions is None:
        return _Maps(turn(regions) if sliced or wcs is not None else None, sliced=sliced)
    regions = np.where(np.isfinite(positions), regions, 0)
    return _Maps(turn(regions), turn(positions), unit, sliced)


def _map_of_slices(tree, wcs, shape):
    """The map of slices of a datamodel: its plane ``regions``, or else the one in the WCS."""
    name, regions = "regions of the datamodel", tree.get("regions")
    if regions is None or not np.size(regions):
        name, regions = "map of slices of the WCS", None if wcs is None else slice_map(wcs)
    if regions is None:
        return None
    if np.shape(regions) != shape:
        raise ValueError(
            f"{name}: expected the shape of the data, {shape}, got {np.shape(regions)}; "
            "regions= takes another map"
        )
    return np.array(regions)


def _check_slices(regions, spatial):
    """Refuse an integral field unit without slices, which cannot be modelled as one slit."""
    missing = {"a map of its slices (regions)": regions, "positions along them (spatial)": spatial}
    missing = [name for name, value in missing.items() if value is None]
    if missing:
        raise ValueError(
            "exposure: expected an integral field unit with a WCS that tells its slices, or "
            f"regions= and spatial=; got none with {' and '.join(missing)}"
        )


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
    """Plain numbers in the shape of the image; None stays."""
    if array is None:
        return None
    array = np.asarray(array)
    if array.shape != shape:
        turned = array.shape == shape[::-1]
        hint = ", which is turned: the dispersion is along the last axis" if turned else ""
        raise ValueError(
            f"{name}: expected the shape of the image, {shape}, got {array.shape}{hint}"
        )
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    return array if name == "regions" else array.astype(float, copy=False)


def _whole(regions):
    """Numbers of slices as integers, zero where they are not finite; None stays."""
    if regions is None:
        return None
    if regions.dtype.kind == "f":
        regions = np.where(np.isfinite(regions), regions, 0)
        broken = regions[regions != np.rint(regions)]
        if broken.size:
            raise ValueError(f"regions: expected whole numbers, got {broken[0]:g}")
    return regions.astype(np.int32)
