"""Cores that a detector or a converter has clipped, with no flag to say so."""

import numpy as np

__all__ = ["clipped_cores"]

# So many columns have the very same value in the core, which lies so many errors above zero: noise
# has other numbers, even as integers.
LEAST_COLUMNS, LEAST_HEIGHT = 5, 20.0


def clipped_cores(result, name):
    """Columns in which pixels of a source all have the largest value that there is in it."""
    image, zone = result.image, result.source_fluxes[name].zone & ~result.image.mask
    if not zone.any():
        return
    top = np.max(image.data, where=zone, initial=-np.inf)
    clipped = zone & (image.data == top)
    columns = int(np.count_nonzero(clipped.any(axis=0)))
    if columns < LEAST_COLUMNS:
        return
    noise = 0.0 if image.variance is None else np.sqrt(np.median(image.variance[clipped]))
    if top > LEAST_HEIGHT * noise:
        yield (
            f"the largest value, {top:.6g}, is that of pixels in {columns} columns: saturated or "
            "clipped without a flag; mask it"
        )
