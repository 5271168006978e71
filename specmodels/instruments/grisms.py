"""From direct image to grism image by way of the sky, with the WCS of both."""

import numpy as np

__all__ = ["WcsTransform"]


class WcsTransform:
    """Where light of a pixel of a direct image falls on a grism image.

    Parameters
    ----------
    direct_wcs : callable
        WCS of the direct image: pixels to the sky.
    grism_wcs : `~gwcs.WCS`
        WCS of the grism image; it has the frames ``world`` and ``grism_detector``, as those of JWST
        do, and takes wavelength and order along.

    Raises
    ------
    TypeError
        If the grism's WCS has no such frames.
    """

    def __init__(self, direct_wcs, grism_wcs):
        frames = set(getattr(grism_wcs, "available_frames", ()))
        if not {"world", "grism_detector"} <= frames:
            raise TypeError(
                "grism_wcs: expected a gWCS with the frames 'world' and 'grism_detector', got "
                f"{sorted(frames)}"
            )
        self.direct_wcs, self.grism_wcs = direct_wcs, grism_wcs
        self._to_grism = grism_wcs.get_transform("world", "grism_detector")

    def __call__(self, x, y, wavelength, order):
        """Position on the grism image, for flat arrays and one order."""
        ra, dec = self.direct_wcs(x, y, with_bounding_box=False)
        return self._to_grism(ra, dec, wavelength, np.full(np.shape(x), order))[:2]

    def __reduce__(self):
        return WcsTransform, (self.direct_wcs, self.grism_wcs)
