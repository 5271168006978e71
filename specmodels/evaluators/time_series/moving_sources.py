"""From the extraction of a mean image to the images of which each integration is made.

What the fitted profile leaves over in the mean image, where it stands out of the noise, belongs to
the profile: it is there in every integration.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ...fitters.free_parameters import FreeParameters
from ...models import UniformSky
from ...models.empirical import FWHM_OF_GAUSSIAN
from ...numerics.moving_images import padua_points, principal_images
from ...numerics.moving_profiles import MovingProfiles
from ...numerics.normal import factorise, invert_lower

__all__ = ["Geometry"]

# Bounds of the largest movements: full widths at half maximum, and relative stretch.
LEAST_REACH, MOST_REACH = (0.03, 0.03), (0.6, 0.5)
# Step for the second derivative by position, in full widths.
BLUR_STEP = 0.25
# What is expected of an integration: shift in full widths, and relative stretch.
SHIFT_SPREAD, STRETCH_SPREAD = 0.3, 0.3
# Neighbouring pixels in which structure must stand out, by so many standard errors.
BOX, STRUCTURE_SIGMA = (3, 31), 4.0
# Columns with less light than so many standard errors tell nothing of the profile.
LEAST_SNR, LEAST_FRACTION = 10.0, 1e-9


@dataclass(frozen=True, eq=False)
class Geometry:
    """Traces, profiles and sky that all integrations share.

    Attributes
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
        Extraction of the mean image.
    variance : ndarray, shape of the image fitted
        Variance of a typical integration.
    reach : tuple of float, optional
        Largest shift, in pixels, and largest relative stretch; default: all that can be followed.
    """

    result: object
    variance: np.ndarray
    reach: tuple = None

    def __post_init__(self):
        least = np.array([LEAST_REACH[0] * self.fwhm, LEAST_REACH[1]])
        most = np.array([MOST_REACH[0] * self.fwhm, MOST_REACH[1]])
        reach = most if self.reach is None else np.array(self.reach)
        object.__setattr__(self, "reach", tuple(np.clip(reach, least, most)))

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

    def columns(self, shift=0.0, stretch=0.0):
        """Offset and basis images, by position, with all sources moved and widened."""
        fit = self.result.fit
        values = list(fit.known_values)
        for leaf, positions in self.result.sources.values():
            for k in _width_positions(leaf, positions):
                values[k] = values[k] * (1 + stretch)
        inputs = (self.image.x[None], self.image.y[:, None] - shift)
        offset, found = fit.form.columns(values, inputs)
        return offset, {k: np.broadcast_to(image, self.image.shape) for k, image in found.items()}

    @cached_property
    def offset(self):
        """What does not depend on the coefficients of an integration, shape of the image."""
        return np.array(np.broadcast_to(self.columns()[0], self.image.shape), dtype=float)

    def background(self, fit):
        """Sky of an integration in one pixel at the trace of the first source, (n_column,)."""
        rows = np.round(self.result.trace(next(iter(self.result.sources))) - self.image.y[0])
        rows = np.clip(rows, 0, len(self.image.y) - 1).astype(int)
        place = rows, np.arange(len(rows))
        n_source = len(self.numbers)
        sky = np.array(self.offset[place], dtype=float)
        for basis, value in zip(fit.profiles.sky, fit.particular[n_source:], strict=True):
            sky += basis[place] * value
        return sky + np.sum(fit.theta[2:])

    @property
    def fwhm(self):
        """Full width at half maximum of the first source, in pixels."""
        return float(np.median(self.result.fwhm(next(iter(self.result.sources)))))

    def profiles(self):
        """The images of which an integration is made, a `MovingProfiles`."""
        names = self.result.carriers
        sky = [image for k, image in self.columns()[1].items() if k not in names.values()]
        shape = self.image.shape
        usable = self.image.weights > 0
        weights = np.divide(1.0, self.variance, out=np.zeros(shape), where=usable)
        return MovingProfiles(
            sources=self._moving_images(np.sqrt(weights)),
            sky=np.array(sky).reshape(-1, *shape),
            levels=np.ones((self.levels, *shape)),
            weights=weights,
            spread=np.array([SHIFT_SPREAD * self.fwhm, STRETCH_SPREAD]),
            limit=np.array(self.reach),
        )

    def _moving_images(self, root):
        """Light of each source, moved and widened; `root` is one over the noise of pixels."""
        structure = self._structure(self._moved_sources(0.0, 0.0))
        places = padua_points(self.reach)
        images = np.empty((len(self.result.sources), len(places), *self.image.shape), np.float32)
        for number, place in enumerate(places):
            images[:, number] = self._moved_sources(*place)
        images += structure[:, None]
        fluxes = [np.nan_to_num(self.result._flux(name)[0]) for name in self.result.sources]
        return tuple(principal_images(own, self.reach, np.abs(flux) * root)
                     for own, flux in zip(images, fluxes, strict=True))  # fmt: skip

    def _moved_sources(self, shift, stretch):
        """Light of each source, moved and widened; without a width, blurred like a Gaussian."""

        def light(offset, wider=0.0):
            images = self.columns(offset, wider)[1]
            return np.array([images[k] for k in self.result.carriers.values()])

        if any(_width_positions(*own) for own in self.result.sources.values()):
            return light(shift, stretch)
        step, middle = BLUR_STEP * self.fwhm, light(shift)
        bent = (light(shift + step) - 2 * middle + light(shift - step)) / step**2
        return middle + stretch * (self.fwhm / FWHM_OF_GAUSSIAN) ** 2 * bent

    def _structure(self, profiles):
        """What the mean image shows beyond the profiles, per light, (n_source, n_row, n_column)."""
        weights = self.image.weights
        residual = np.where(weights > 0, self.image.data - self.result.model, 0.0)
        residual = np.nan_to_num(residual)
        good = (weights > 0).astype(float)
        number = ndimage.uniform_filter(good, BOX, mode="constant")
        square = ndimage.uniform_filter(residual**2 * weights, BOX, mode="constant")
        mean = np.divide(square, number, out=np.zeros_like(square), where=number > 0)
        noise = 1 + STRUCTURE_SIGMA * np.sqrt(2 / (BOX[0] * BOX[1] * np.maximum(number, 0.1)))
        structure = residual * np.maximum(1 - noise / np.maximum(mean, noise), 0.0)
        fluxes = np.array([np.nan_to_num(self.result._flux(n)[0]) for n in self.result.sources])
        errors = np.array([np.nan_to_num(self.result._flux(n)[1]) for n in self.result.sources])
        bright = np.abs(fluxes) > LEAST_SNR * np.where(errors > 0, errors, np.inf)
        # Beyond the ends of all profiles structure belongs to the brightest sources.
        light = np.abs(fluxes * bright)[:, None] * (np.abs(profiles) + LEAST_FRACTION)
        total = light.sum(axis=0)
        share = np.divide(light, total, out=np.zeros_like(light), where=total > 0)
        per_light = np.divide(1.0, fluxes, out=np.zeros_like(fluxes), where=bright)
        return share * structure * per_light[:, None]

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


def _width_positions(leaf, positions):
    """Positions of the parameters that widen a source all together, where it has any."""
    if leaf.width is not None:
        linear = getattr(leaf.width, "linear", False)
        prefix = tuple(n for n in leaf.param_names if n.startswith("width_") and linear)
    else:
        prefix = () if leaf.width_parameter is None else (leaf.width_parameter,)
    return [k for n, k in zip(leaf.param_names, positions, strict=True) if n in prefix]
