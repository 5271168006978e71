"""The light of a source like one that was seen: its profile, elsewhere along the slit."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Template"]

CLEARANCE = 2.5  # full widths at half maximum between the injected source and any other
MARGIN = 1.0  # and to the ends of the slit


@dataclass(frozen=True, eq=False)
class Template:
    """A source of an extraction that can be put elsewhere.

    Parameters
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
        Extraction of the data as they are.
    name : str
        Which of its sources.
    """

    result: object
    name: str

    def places(self):
        """Shifts along the slit, in pixels, at which nothing else is near: there may be none."""
        result, image = self.result, self.result.image
        trace, width = result.trace(self.name), float(np.max(result.fwhm(self.name)))
        low = image.y[0] + MARGIN * width - trace.min()
        high = image.y[-1] - MARGIN * width - trace.max()
        shifts = np.arange(low, high, 0.1)
        for other in result.sources:
            distance = result.trace(other) - trace - shifts[:, None]
            near = CLEARANCE * max(width, float(np.max(result.fwhm(other))))
            shifts = shifts[np.abs(distance).min(axis=1) > near]
        return shifts

    def fraction(self, shift):
        """Fraction of the light in each pixel, shape of the image."""
        leaf, positions = self.result.sources[self.name]
        values = [self.result.fit.values[k] for k in positions]
        image = self.result.image
        y, x = np.meshgrid(image.y - shift, image.x, indexing="ij")
        return np.asarray(leaf.fraction(x, y, values), dtype=float)

    def error(self, fraction):
        """Smallest possible error of the flux in each column (profile and sky known)."""
        variance, mask = self.result.variance, self.result.fit.image.mask
        weight = np.divide(
            1.0, variance, out=np.zeros(variance.shape), where=~mask & (variance > 0)
        )
        information = np.sum(weight * fraction**2, axis=0)
        return np.divide(
            1.0, np.sqrt(information), out=np.full(information.shape, np.inf), where=information > 0
        )
