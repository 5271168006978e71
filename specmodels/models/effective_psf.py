"""A profile that was measured as pixels see it, as those of `photutils.psf` are."""

import numpy as np

from ..numerics.positions import nearer
from .psf import TabulatedPSF
from .quantities import with_units

__all__ = ["EffectivePSF"]

FURTHEST = 1e6  # distance beyond which it does not matter where in a pixel a position lies


class EffectivePSF(TabulatedPSF):
    r"""A tabulated profile which holds the response of the pixels already:

    .. math::
        P(x, y) = E_x[(y - c) / s]\, h / s

    where :math:`E_x` is the cubic spline through the table: the fraction of the light in a pixel as
    a function of its distance from the trace (Anderson & King 2000, PASP 112, 1360). This is what
    `photutils.psf` makes and evaluates. It sums to one over pixels as far as the table does.

    The parameters and errors are those of `TabulatedPSF`.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> offsets = np.linspace(-5, 5, 51)
    >>> psf = sm.EffectivePSF(np.exp(-0.5 * offsets**2), offsets)
    >>> source = sm.Source(psf, sm.PolynomialTrace(1))
    """

    @staticmethod
    def _curve(density, cumulative):
        return density

    @classmethod
    def from_photutils(cls, psf, *, dispersion_axis=-1, **parameters):
        """Make the profile from a PSF of `photutils.psf`, summed along dispersion.

        Parameters
        ----------
        psf : `~photutils.psf.ImagePSF` or `~photutils.psf.GriddedPSFModel`
            One image, or images on a grid of positions: those at one coordinate along dispersion
            are averaged.
        dispersion_axis : int
            Axis of an image along which the light is dispersed; -1: the last.
        **parameters : float
            As for the class.
        """
        axis = dispersion_axis % 2
        data = np.array(psf.data, dtype=float, ndmin=3)
        positions = np.atleast_2d(getattr(psf, "grid_xypos", np.zeros((len(data), 2))))[:, 1 - axis]
        columns, group = np.unique(positions, return_inverse=True)
        images = np.stack([data[group == k].mean(axis=0) for k in range(columns.size)])
        sums = np.moveaxis(images, axis + 1, -1).sum(axis=-1)
        oversampling = np.broadcast_to(psf.oversampling, 2)[1 - axis]
        offsets, table = cls._samples(sums, oversampling)
        return cls(table, offsets, columns, **parameters)

    @staticmethod
    def _samples(sums, oversampling):
        """Samples as they are, at the centres of the pixels of the table."""
        n = sums.shape[1]
        return (np.arange(n) - (n - 1) / 2) / oversampling, sums

    @with_units
    def evaluate(self, x, y, center, scale):
        """Fraction of the light in the pixel of column `x` and row `y`."""
        value, _, u = self._look_up(x, nearer(y), center, scale)
        return value * np.where(self._beyond(u), 0.0, self.pixel_size / scale)

    def fit_deriv(self, x, y, center, scale):
        """Derivatives of `evaluate` by center and scale, as a list of arrays."""
        value, slope, u = self._look_up(x, nearer(y), center, scale, derivative=True)
        factor = np.where(self._beyond(u), 0.0, -self.pixel_size / scale**2)
        return [slope * factor, (slope * u + value) * factor]

    def cumulative(self, x, y, center, scale):
        """Fraction of the light below `y`: that of the pixels which end there and further down."""
        highest = center + scale * self.offsets[-1]
        y = np.minimum(nearer(y), highest + FURTHEST)
        empty = np.maximum(np.ceil((y - highest) / self.pixel_size - 0.5), 0.0)
        first = y - (empty + 0.5) * self.pixel_size
        reach = np.max(scale, initial=0.0) * np.ptp(self.offsets)
        n_pixels = int(reach / self.pixel_size) + 2
        centres = (first - k * self.pixel_size for k in range(n_pixels))
        return sum(self.evaluate(x, centre, center, scale) for centre in centres)
