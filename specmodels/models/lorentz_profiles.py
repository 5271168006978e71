"""Profiles with the wide wings of a Lorentz function: `LorentzProfile` and `VoigtProfile`."""

import numpy as np
from astropy.modeling import Parameter
from scipy import special

from ..numerics.positions import nearer
from ..numerics.voigt import voigt_cumulative
from .profiles import SQRT_2PI, Profile

__all__ = ["LorentzProfile", "VoigtProfile"]


class LorentzProfile(Profile):
    r"""Lorentz: :math:`C(y) = \frac12 + \frac1\pi \arctan[(y - c) / \gamma]`.

    Its wings are wide: the fraction :math:`2\gamma / \pi d` of the light lies further than ``d``
    from the centre.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> profile = sm.LorentzProfile(gamma=1.0)
    >>> round(float(profile(np.arange(-9.0, 10)).sum()), 2)  # of all light
    0.93
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    gamma = Parameter(default=1.0, bounds=(1e-3, None), description="half width at half maximum")
    width_parameter = "gamma"

    def cumulative(self, y, center, gamma):
        """Fraction of the light below `y`."""
        return 0.5 + np.arctan((y - center) / gamma) / np.pi

    def cumulative_derivatives(self, y, center, gamma):
        """Derivatives of `cumulative` by center and gamma."""
        t = (y - center) / gamma
        by_center = -1 / (np.pi * gamma * (1 + t**2))
        return [by_center, t * by_center]

    @staticmethod
    def fwhm(gamma):
        """Full width at half maximum."""
        return 2 * gamma


class VoigtProfile(Profile):
    r"""Voigt: a Gaussian of ``stddev`` convolved with a Lorentz profile of half width ``gamma``.

    With the Faddeeva function :math:`w` and :math:`z = (y - c + i\gamma) / \sqrt2\sigma`,

    .. math::
        C(y) = \frac1{\sqrt\pi} \Re \int_{-\infty}^{z} w(z')\,dz'
             = \frac12 - \frac1\pi \arg(L - iz)
               + \frac1{L\sqrt\pi} \Im \sum_{n=1}^{N} \frac{a_n}{n} Z^n,
        \qquad Z = \frac{L + iz}{L - iz},

    the integral, term by term, of Weideman's series for :math:`w` (1994, SIAM J. Numer. Anal. 31,
    1497, eq. 38), which holds in the whole upper half plane: with its 20 terms to 3e-10.

    Examples
    --------
    >>> import specmodels as sm
    >>> import numpy as np
    >>> profile = sm.VoigtProfile(stddev=1.0, gamma=0.1)
    >>> round(float(profile(np.arange(-9.0, 10)).sum()), 2)
    0.99
    """

    center = Parameter(default=0.0, description="position of the centre, in pixels")
    stddev = Parameter(default=1.0, bounds=(1e-3, None), description="of the Gaussian, in pixels")
    gamma = Parameter(default=0.5, bounds=(0, None), description="half width of the Lorentz part")
    width_parameter = "stddev"
    position_parameters = ("center", "stddev", "gamma")

    def cumulative(self, y, center, stddev, gamma):
        """Fraction of the light below `y`."""
        z = _voigt_argument(y, center, stddev, gamma)
        return voigt_cumulative(z)

    def cumulative_derivatives(self, y, center, stddev, gamma):
        """Derivatives of `cumulative` by center, stddev and gamma."""
        z = _voigt_argument(y, center, stddev, gamma)
        w = special.wofz(z) / (SQRT_2PI * stddev)
        return [-w.real, -np.sqrt(2) * (z * w).real, -w.imag]

    @staticmethod
    def fwhm(stddev, gamma):
        """Full width at half maximum, to 0.02 % (Olivero & Longbothum 1977, JQSRT 17, 233)."""
        gaussian, lorentz = np.sqrt(8 * np.log(2)) * stddev, 2 * gamma
        return 0.5346 * lorentz + np.sqrt(0.2166 * lorentz**2 + gaussian**2)


def _voigt_argument(y, center, stddev, gamma):
    return ((nearer(y) - center) + 1j * gamma) / (np.sqrt(2) * stddev)
