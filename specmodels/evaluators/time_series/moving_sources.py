"""From the extraction of a mean image to the tables of which each integration is made."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ...fitters.free_parameters import FreeParameters
from ...models import UniformSky
from ...numerics.moving_kernels import Noise, light_of
from ...numerics.moving_profiles import MovingProfiles
from ...numerics.moving_tables import FINE, Shapes, integral_splines
from ...numerics.normal import factorise, invert_lower

__all__ = ["Geometry", "largest_movements"]

# Largest movements that are followed: full widths at half maximum, and relative stretch.
LARGEST_SHIFT, LARGEST_STRETCH = 3.0, 0.6
# What is expected of an integration: shift in full widths, and relative stretch.
SHIFT_SPREAD, STRETCH_SPREAD = 1.0, 0.3
# Columns over which the variance that light brings is taken to be alike, and the part of a variance
# that is there without light, at least.
GAIN_COLUMNS, LEAST_FLOOR = 31, 0.02


def largest_movements(mean):
    """Largest shift in pixels, and relative stretch, by the extraction of a mean image."""
    return np.array([LARGEST_SHIFT * _fwhm(mean), LARGEST_STRETCH])


def _fwhm(mean):
    return float(np.median(mean.fwhm(next(iter(mean.sources)))))


@dataclass(frozen=True, eq=False)
class Geometry:
    """Traces, profiles and sky that all integrations share.

    Attributes
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
        Extraction of the mean image.
    variance : ndarray, shape of the image fitted
        Variance of a typical integration.
    light : ndarray, same shape, optional
        Light of the sources to which these variances belong; default: that of the mean.
    structure : ndarray, shape (n_source, n_column, n_place), optional
        Integral of what profiles lack, the middle place upon the trace; see `ProfileStructure`.
    """

    result: object
    variance: np.ndarray
    light: np.ndarray = None
    structure: np.ndarray = None

    @property
    def image(self):
        """The mean image as it was fitted."""
        return self.result.fit.image

    def cut(self, image):
        """The part of an integration that was fitted in the mean image."""
        own = self.image
        rows = slice(*np.searchsorted(image.y, (own.y[0], own.y[-1] + 0.5)))
        columns = slice(*np.searchsorted(image.x, (own.x[0], own.x[-1] + 0.5)))
        return rows, columns

    @property
    def numbers(self):
        """Number of the flux of each source among the linear parameters of a column, by name."""
        linear = self.result.fit.form.linear
        return {name: linear.index(k) for name, k in self.result.carriers.items()}

    @property
    def levels(self):
        """Number of parameters that are one level of the sky for a whole integration."""
        form = self.result.fit.form
        return sum(isinstance(leaf, UniformSky) and positions[0] in form.nonlinear
                   for leaf, positions in form.leaves())  # fmt: skip

    def columns(self, y=None):
        """Offset and basis images, by position, at rows `y`; default: those of the image."""
        fit, x = self.result.fit, self.image.x
        y = self.image.y if y is None else y
        offset, found = fit.form.columns(fit.known_values, (x[None], y[:, None]))
        return offset, {k: np.broadcast_to(a, (len(y), len(x))) for k, a in found.items()}

    @cached_property
    def offset(self):
        """What does not depend on the coefficients of an integration, shape of the image."""
        return np.array(np.broadcast_to(self.columns()[0], self.image.shape), dtype=float)

    def background(self, fit):
        """Sky of an integration in one pixel at the trace of the first source, (n_column,)."""
        rows = np.clip(np.round(self.centers[0]), 0, len(self.image.y) - 1).astype(int)
        place = rows, np.arange(len(rows))
        n_source = len(self.numbers)
        sky = np.array(self.offset[place], dtype=float) + fit.level
        for basis, value in zip(fit.basis[n_source:], fit.particular[n_source:], strict=True):
            sky += basis[place[::-1]] * value
        return sky

    @cached_property
    def centers(self):
        """Row of each trace, counted from the first of the image, (n_source, n_column)."""
        traces = [self.result.trace(name) for name in self.numbers]
        return np.array(traces, dtype=float) - self.image.y[0]

    @property
    def fwhm(self):
        """Full width at half maximum of the first source, in pixels."""
        return _fwhm(self.result)

    @cached_property
    def fluxes(self):
        """Flux of each source in the mean, zero where it is not known, (n_source, n_column)."""
        return np.array([np.nan_to_num(self.result._flux(name)[0]) for name in self.numbers])

    def profiles(self):
        """What an integration is made of, and what is expected where nothing has moved.

        Returns
        -------
        profiles : `~specmodels.numerics.moving_profiles.MovingProfiles`
        weights : ndarray, shape (n_column, n_row)
            Inverse variances of a typical integration at rest.
        """
        limit = largest_movements(self.result)
        shapes = self.shapes(int(np.ceil(limit[0])))
        light = light_of(shapes, np.zeros(2), len(self.image.y))
        noise = self._noise(light)
        variance = noise.floor + np.einsum("kx,kxy->xy", noise.slope, np.maximum(light, 0))
        profiles = MovingProfiles(
            shapes=shapes, noise=noise, n_level=self.levels, limit=limit,
            spread=np.array([SHIFT_SPREAD * self.fwhm, STRETCH_SPREAD]),
        )  # fmt: skip
        return profiles, 1 / variance

    def shapes(self, margin):
        """Tables of the sources, some rows beyond the image, and the sky; a `Shapes`."""
        own, carriers = self.image, self.result.carriers.values()
        # Narrower sources show what lay beyond the ends.
        margin += len(own.y) // 2
        rows = np.arange(own.y[0] - margin, own.y[-1] + margin + 1)
        lights = np.empty((len(self.numbers), FINE, len(rows), len(own.x)), np.float32)
        for p in range(FINE):
            images = self.columns(rows + p / FINE)[1]
            for light, k in zip(lights, carriers, strict=True):
                light[p] = images[k]
        sky = [image.T for k, image in self.columns()[1].items() if k not in carriers]
        n_column, n_row = len(own.x), len(own.y)
        start, structure = -margin - 0.5, [None] * len(self.centers)
        if self.structure is not None:
            structure = self.structure
        first = [FINE * (start - t) + 0.5 * (np.shape(s)[-1] - 1) if s is not None else None
                 for t, s in zip(self.centers, structure, strict=True)]  # fmt: skip
        each = zip(lights, structure, first, strict=True)
        return Shapes(
            splines=np.array([integral_splines(*own) for own in each]),
            start=start,
            centers=self.centers,
            sky=np.array(sky, dtype=np.float32).reshape(-1, n_column, n_row),
        )

    def _noise(self, light):
        """Variances as a floor and what light brings, from those of a typical integration."""
        usable = (self.image.weights > 0).T
        mean = np.einsum("kx,kxy->xy", self.fluxes, light) if self.light is None else self.light.T
        variance = np.where(usable, self.variance.T, np.inf)
        weights = 1 / variance**2
        total = np.maximum(weights.sum(axis=1), np.finfo(float).tiny)
        off = mean - np.sum(weights * mean, axis=1, keepdims=True) / total[:, None]
        square = np.sum(weights * off**2, axis=1)
        product = np.sum(weights * off * np.where(usable, variance, 0.0), axis=1)
        gain = np.divide(product, square, out=np.zeros(len(square)), where=square > 0)
        gain = ndimage.median_filter(np.maximum(gain, 0.0), GAIN_COLUMNS, mode="nearest")
        floor = np.maximum(variance - gain[:, None] * mean, LEAST_FLOOR * variance)
        return Noise(np.ascontiguousarray(floor), gain * np.maximum(self.fluxes, 0.0))

    def shared_errors(self):
        """Relative errors that trace, width and shape bring to all integrations alike.

        Returns
        -------
        dict of str to ndarray, shape (n_shared, n_column)
            The covariance of the relative error of two columns is the sum over the first axis of
            products; zero where a column has no light.
        """
        fit = self.result.fit
        n_column = self.image.shape[1]
        if not fit.form.nonlinear:
            return {name: np.zeros((0, n_column)) for name in self.result.sources}
        parameters = FreeParameters(fit.form, 1)
        theta = np.array([[float(fit.values[k])] for k in parameters.free])
        found = parameters.linearise(fit.problem(), theta)
        information = parameters.with_priors(theta, found.gradient, found.information)[1]
        factor, scale, _ = factorise(information)
        root = np.nan_to_num((invert_lower(factor) * scale)[..., 0]).T
        moved = np.einsum("kpx,pr->rkx", found.response, root)
        out = {}
        for name, number in self.numbers.items():
            flux, error = self.result._flux(name)
            known = np.abs(np.nan_to_num(flux)) > 3 * np.nan_to_num(error)
            out[name] = np.divide(moved[:, number], flux, out=np.zeros((len(root), n_column)),
                                  where=known & (flux != 0))  # fmt: skip
        return out
