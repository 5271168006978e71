"""Profiles of light across a trace: which fraction falls in each pixel.

A profile is one-dimensional, integrates to one, and is integrated over pixels by its base class; a
subclass gives its cumulative distribution only. Where the light lies on the detector and how much
of it there is are the business of `specmodels.models.sources`; tabulated ones live in
`specmodels.models.psf`, those with the wings of a Lorentz function in
`specmodels.models.lorentz_profiles`.
"""

from functools import lru_cache

import numpy as np
from astropy.modeling import FittableModel, Parameter
from scipy import special

from ..numerics.moffat_sums import add_slopes
from ..numerics.positions import nearer, where_known
from .copies import DeepCopied
from .quantities import UnitRules, with_units

__all__ = [
    "BoxProfile",
    "GaussianProfile",
    "MoffatProfile",
    "Profile",
]

SQRT_2PI, STEP = np.sqrt(2 * np.pi), 1e-5
# Number of nodes by which a Moffat core of at least so many pixels (gamma over the root of alpha)
# is integrated to 1e-8.
GAUSS_NODES = {1.5: 5, 0.8: 7, 0.45: 11}


class Profile(DeepCopied, UnitRules, FittableModel):
    r"""Base of all profiles: the fraction of the light in a pixel centred on ``y``.

    .. math::
        P(y) = C(y + h/2) - C(y - h/2)

    with the cumulative distribution :math:`C` and the pixel size :math:`h`.

    Notes
    -----
    A subclass *must* define

    * its parameters, the first of which is ``center``;
    * ``cumulative(y, center, *shape)``: the fraction of the light below ``y``; a pure function that
      broadcasts.

    It *may* define

    * ``width_parameter``: the name of the parameter that a model of the width replaces;
    * ``cumulative_derivatives(y, center, *shape)``: derivatives of ``cumulative`` by each
      parameter, in order (the default takes finite differences);
    * ``fwhm(*shape)``: full width at half maximum;
    * ``position_parameters``: names of those in pixels, where they are not centre and width.

    It *need not* define ``evaluate`` or ``fit_deriv``.

    Examples
    --------
    >>> import specmodels as sm
    >>> from astropy.modeling import Parameter
    >>> from scipy import special
    >>> class Logistic(sm.Profile):
    ...     center = Parameter(default=0.0)
    ...     scale = Parameter(default=1.0, bounds=(1e-3, None))
    ...     width_parameter = "scale"
    ...
    ...     def cumulative(self, y, center, scale):
    ...         return special.expit((y - center) / scale)
    >>> round(float(Logistic(scale=2.0)(0.0)), 4)
    0.1244
    """

    n_inputs = 1
    n_outputs = 1
    linear = False
    pixel_size = 1.0
    width_parameter = None
    uses_dispersion = False

    @property
    def _separable(self):
        return self.n_inputs == 1

    @property
    def position_parameters(self):
        """Names of the parameters in the unit of the position: centre and width."""
        return tuple(n for n in ("center", self.width_parameter) if n is not None)

    def cumulative(self, y, center, *shape):
        """Fraction of the light below `y`."""
        raise NotImplementedError(f"{type(self).__name__} must define cumulative(y, center, ...)")

    def cumulative_derivatives(self, y, *values):
        """Derivatives of `cumulative` by each parameter, by finite differences."""
        columns = []
        for j, value in enumerate(values):
            step = STEP * np.maximum(np.abs(value), 1.0)
            up = self.cumulative(y, *values[:j], value + step, *values[j + 1 :])
            down = self.cumulative(y, *values[:j], value - step, *values[j + 1 :])
            columns.append((up - down) / (2 * step))
        return columns

    def fwhm(self, *shape):
        """Full width at half maximum, read off the profile in small steps (one shape for all)."""
        scalars = [float(np.mean(value)) for value in shape]
        y = np.arange(-50.0, 50.0, 0.02)
        density = np.diff(self.cumulative(y, 0.0, *scalars))
        above = np.flatnonzero(density >= 0.5 * density.max())
        return (above[-1] - above[0] + 1) * 0.02

    @with_units
    def evaluate(self, y, *values):
        """Fraction of the light in the pixel centred on `y`."""
        y, is_column = self._edges(y)
        if is_column:
            return _steps(self.cumulative(y, *values))
        half = 0.5 * self.pixel_size
        return self.cumulative(y + half, *values) - self.cumulative(y - half, *values)

    def fit_deriv(self, y, *values):
        """Derivatives of `evaluate` by each parameter, as a list of arrays."""
        y, is_column = self._edges(y)
        if is_column:
            return [_steps(d) for d in self.cumulative_derivatives(y, *values)]
        half = 0.5 * self.pixel_size
        above = self.cumulative_derivatives(y + half, *values)
        below = self.cumulative_derivatives(y - half, *values)
        return [a - b for a, b in zip(above, below, strict=True)]

    def value_and_derivatives(self, *inputs_and_values):
        """What `evaluate` and `fit_deriv` give; a profile may work out both at once."""
        return self.evaluate(*inputs_and_values), self.fit_deriv(*inputs_and_values)

    def _edges(self, y):
        """Edges of a column of adjoining pixels, which share them; else the centres as they are."""
        y = nearer(y)
        if y.ndim != 2 or y.shape[1] != 1 or np.any(np.diff(y[:, 0]) != self.pixel_size):
            return y, False
        return np.append(y, y[-1:] + self.pixel_size, axis=0) - 0.5 * self.pixel_size, True


def _steps(values):
    return values[1:] - values[:-1]


class GaussianProfile(Profile):
    r"""Gaussian: :math:`C(y) = \frac12 [1 + \mathrm{erf}((y - c) / \sqrt2\sigma)]`.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> profile = sm.GaussianProfile(center=0.3, stddev=1.2)
    >>> float(profile(np.arange(-9.0, 10)).sum())
    1.0
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    stddev = Parameter(
        default=1.0, bounds=(1e-3, None), description="standard deviation, in pixels"
    )
    width_parameter = "stddev"

    def cumulative(self, y, center, stddev):
        """Fraction of the light below `y`."""
        return special.ndtr((y - center) / stddev)

    def cumulative_derivatives(self, y, center, stddev):
        """Derivatives of `cumulative` by center and stddev."""
        z = (y - center) / stddev
        by_center = np.exp(-0.5 * z**2) * (-1 / (SQRT_2PI * stddev))
        return [by_center, z * by_center]

    @staticmethod
    def fwhm(stddev):
        """Full width at half maximum."""
        return np.sqrt(8 * np.log(2)) * stddev


class MoffatProfile(Profile):
    r"""Moffat: density proportional to :math:`[1 + t^2]^{-\alpha}`, :math:`t = (y - c) / \gamma`.

    .. math::
        C(y) = \frac12 \left[1 \pm I_{t^2/(1+t^2)}(\tfrac12, \alpha - \tfrac12)\right]

    The cumulative distribution is that of Student's t (Moffat 1969, A&A 3, 455, for the profile).

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> profile = sm.MoffatProfile(gamma=2.0, alpha=3.0)
    >>> round(float(profile(np.arange(-30.0, 31)).sum()), 3)
    1.0
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    gamma = Parameter(default=2.0, bounds=(1e-3, None), description="core width, in pixels")
    alpha = Parameter(default=3.0, bounds=(0.6, 30.0), description="steepness of the wings")
    width_parameter = "gamma"

    def cumulative(self, y, center, gamma, alpha):
        """Fraction of the light below `y`."""
        degrees = 2 * alpha - 1
        return special.stdtr(degrees, (y - center) / gamma * np.sqrt(degrees))

    def cumulative_derivatives(self, y, center, gamma, alpha):
        """Derivatives of `cumulative` by center, gamma and alpha."""
        t = (y - center) / gamma
        by_center = _moffat_norm(alpha) * (1 + t**2) ** -alpha * (-1 / gamma)
        up = self.cumulative(y, center, gamma, alpha + STEP)
        down = self.cumulative(y, center, gamma, alpha - STEP)
        return [by_center, t * by_center, (up - down) / (2 * STEP)]

    @with_units
    def evaluate(self, y, center, gamma, alpha):
        """Fraction of the light in the pixel centred on `y`.

        Where the core is not much narrower than a pixel the density is integrated by Gauss's rule,
        to 1e-8 or better, several times faster than by the cumulative distribution.
        """
        return self._by_core(y, (center, gamma, alpha), derivatives=False)[0]

    def fit_deriv(self, y, center, gamma, alpha):
        """Derivatives of `evaluate` by each parameter, as a list of arrays."""
        return self._by_core(y, (center, gamma, alpha), derivatives=True)[1:]

    def value_and_derivatives(self, y, center, gamma, alpha):
        """Value and derivatives, which share the density."""
        value, *rest = self._by_core(y, (center, gamma, alpha), derivatives=True)
        return value, rest

    def _by_core(self, y, values, *, derivatives):
        """Value, and derivatives if wanted; columns with a narrow core by other means."""
        y, (_, gamma, alpha) = nearer(y), values
        core = np.asarray(gamma / np.sqrt(alpha) / self.pixel_size)
        narrow = np.ravel(core < min(GAUSS_NODES))
        per_column = core.ndim > 0 and core.shape[-1] == core.size == np.shape(y - core)[-1]
        if narrow.all() or (narrow.any() and not per_column):
            return self._exact(y, values, derivatives=derivatives)
        widest = np.min(core, where=core >= min(GAUSS_NODES), initial=np.inf)
        n_nodes = next(n for limit, n in GAUSS_NODES.items() if widest >= limit)
        images = self._integrated(y, values, n_nodes, derivatives=derivatives)
        if narrow.any():
            some = [v[..., narrow] if np.size(v) > 1 else v for v in values]
            y = y[..., narrow] if np.ndim(y) and np.shape(y)[-1] > 1 else y
            exact = self._exact(y, some, derivatives=derivatives)
            for image, columns in zip(images, exact, strict=True):
                image[..., narrow] = columns
        return images

    def _exact(self, y, values, *, derivatives):
        """Value, and derivatives if wanted, by the cumulative distribution."""
        value = super().evaluate(y, *values)
        return [value, *super().fit_deriv(y, *values)] if derivatives else [value]

    def _integrated(self, y, values, n_nodes, *, derivatives=False):
        """Gauss-Legendre integral of the density over pixels, and of its derivatives."""
        center, gamma, alpha = values
        offset, step = (y - center) / gamma, 0.5 * self.pixel_size / gamma
        norm = _moffat_norm(alpha) * step
        shape = np.broadcast_shapes(np.shape(offset), np.shape(alpha))
        offset, alpha = np.broadcast_to(offset, shape), np.asarray(alpha, dtype=float)
        slope = special.digamma(alpha) - special.digamma(alpha - 0.5)
        of_pixels = [np.ravel(v if v.size == 1 else np.broadcast_to(v, shape))
                     for v in (alpha, np.asarray(slope))]  # fmt: skip
        out = np.zeros((4 if derivatives else 1, offset.size))
        for node, weight in zip(*_gauss_rule(n_nodes), strict=True):
            t = offset + node * step
            logarithm = np.log1p(t * t)
            density = np.exp(-alpha * logarithm)
            if derivatives:
                images = (image.ravel() for image in (t, logarithm, density))
                add_slopes(out, weight, *images, *of_pixels)
            else:
                out[0] += weight * density.ravel()
        factors = norm, norm / gamma, norm / gamma, norm
        return [factor * one.reshape(shape) for factor, one in zip(factors, out, strict=False)]

    @staticmethod
    def fwhm(gamma, alpha):
        """Full width at half maximum."""
        return 2 * gamma * np.sqrt(2 ** (1 / alpha) - 1)


@lru_cache
def _gauss_rule(n_nodes):
    """Nodes between -1 and 1, and weights, of Gauss's rule."""
    return np.polynomial.legendre.leggauss(n_nodes)


def _moffat_norm(alpha):
    """Density of a Moffat of unit width at its centre."""
    return np.exp(special.gammaln(alpha) - special.gammaln(alpha - 0.5)) / np.sqrt(np.pi)


class BoxProfile(Profile):
    r"""Box of constant light: :math:`C(y) = (y - c) / w + \frac{1}{2}` between 0 and 1.

    Examples
    --------
    >>> import specmodels as sm
    >>> profile = sm.BoxProfile(width=4.0)
    >>> float(profile(0.0)), float(profile(2.0))  # half of the second pixel is lit
    (0.25, 0.125)
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    width = Parameter(default=3.0, bounds=(1e-3, None), description="full width, in pixels")
    width_parameter = "width"

    def cumulative(self, y, center, width):
        """Fraction of the light below `y`."""
        return np.clip((y - center) / width + 0.5, 0, 1)

    def cumulative_derivatives(self, y, center, width):
        """Derivatives of `cumulative` by center and width."""
        t = (y - center) / width
        inside = np.abs(t) < 0.5
        by_center = where_known(np.where(inside, -1 / width, 0.0), t)
        return [by_center, t * by_center]

    @staticmethod
    def fwhm(width):
        """Full width at half maximum."""
        return width
