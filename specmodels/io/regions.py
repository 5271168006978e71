"""Pixels of a detector that are known to see light: slices and slits, by their footprints.

Read from the tree of a datamodel, which is not touched.
"""

import numpy as np

__all__ = ["footprints", "has_fixed_slits", "light_regions"]

SLIT_FRAME = "slit_frame"
QUADRANT_OF_FIXED_SLITS = 5


def light_regions(tree, shape):
    """Pixels within slices or slits, as far as a datamodel tells.

    Parameters
    ----------
    tree : mapping
        Tree of a datamodel: its plane ``regions`` (numbers of slices), or else ``meta.wcs``.
    shape : tuple of int
        Shape of a frame, (n_y, n_x).

    Returns
    -------
    ndarray of bool, shape (n_y, n_x), or None
        None where neither is there.
    """
    regions = tree.get("regions")
    if np.shape(regions) == tuple(shape):
        return np.asarray(regions) > 0
    wcs = (tree.get("meta") or {}).get("wcs")
    return None if wcs is None else footprints(wcs, shape)


def footprints(wcs, shape):
    """Pixels within the bounding boxes of the slits of a WCS for which it has coordinates.

    Parameters
    ----------
    wcs : `~gwcs.WCS`
        With a bounding box for each slit or slice.
    shape : tuple of int
        Shape of a frame, (n_y, n_x).

    Returns
    -------
    ndarray of bool, shape (n_y, n_x), or None
        None where the WCS knows no slits.
    """
    boxes = getattr(wcs.bounding_box, "bounding_boxes", None)
    if not boxes:
        return None
    transform = _to_slit(wcs)
    out = np.zeros(shape, dtype=bool)
    for key, box in boxes.items():
        rows, columns = (_pixels(box[name], n) for name, n in zip("yx", shape, strict=True))
        y, x = np.mgrid[rows, columns].astype(float)
        inside = np.ones(x.shape, dtype=bool)
        if transform is not None and x.size:
            for coordinate in transform(x, y, key[0], with_bounding_box=False):
                inside &= np.isfinite(np.broadcast_to(coordinate, x.shape).astype(float))
        out[rows, columns] |= inside
    return out


def has_fixed_slits(wcs):
    """Whether fixed slits are among the slits of a WCS: they are in a quadrant of their own."""
    if wcs is None or SLIT_FRAME not in getattr(wcs, "available_frames", ()):
        return False
    frames = wcs.available_frames
    before = frames[frames.index(SLIT_FRAME) - 1]
    slits = getattr(wcs.get_transform(before, SLIT_FRAME), "slits", ())
    return any(getattr(slit, "quadrant", None) == QUADRANT_OF_FIXED_SLITS for slit in slits)


def _to_slit(wcs):
    """Transform from pixels and the name of a slit to coordinates within it, None if unknown."""
    if SLIT_FRAME not in wcs.available_frames:
        return None
    transform = wcs.get_transform(wcs.available_frames[0], SLIT_FRAME).copy()
    outputs = [k for k, name in enumerate(transform.outputs) if name != "name"]
    return lambda x, y, key, **options: [transform(x, y, key, **options)[k] for k in outputs]


def _pixels(interval, n):
    """Whole pixels within an interval, cut to an axis of `n`."""
    low, high = (float(getattr(bound, "value", bound)) for bound in interval)
    return slice(min(max(int(np.ceil(low)), 0), n), min(max(int(np.floor(high)) + 1, 0), n))
