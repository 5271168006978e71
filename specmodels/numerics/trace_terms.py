"""Light of a trace along the stripes as a profile about a curve, and what may change of it.

The profile is a Moffat function written so that its Gaussian limit is an ordinary value. It is not
more than a mean: the profile may differ from it smoothly, by a part of its height and a little in
the wings, as point spread functions do.
"""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["TraceShape"]

# Steps of the derivatives; bounds of ln(width) and of one over the exponent of the Moffat function,
# and what is known of the latter: 0 is a Gaussian, 0.4 has the wings of seeing.
STEP, WIDTHS, FLATTEST, WINGS = 1e-4, (-1.0, 2.5), 0.6, (0.1, 0.15)
# Differences from the profile: nodes in units of its width, relative to the profile, and to one
# of three times the width.
NODES, OF_PROFILE, OF_WINGS, WIDER = np.arange(-9.0, 9.1), 0.05, 0.02, 3.0


@dataclass(frozen=True, eq=False)
class TraceShape:
    """Profile of a trace with the height one.

    Parameters
    ----------
    values : ndarray, shape (n_bend + 2,)
        Coefficients of the centre (Legendre polynomials of `along`), logarithm of the width, and
        one over the exponent of the Moffat function.
    along, across : ndarray, shape (...)
        Position of each pixel along the trace, from -1 to 1, and across it; what lies beyond the
        ends of the trace sees nothing of it.
    """

    values: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def moved(self, step):
        """The shape with other values, within bounds."""
        values = self.values + step
        values[-2] = np.clip(values[-2], *WIDTHS)
        values[-1] = np.clip(values[-1], 0, FLATTEST)
        return replace(self, values=values)

    @property
    def distance(self):
        """Distance from the centre in units of the width."""
        centre = np.polynomial.legendre.legval(self.along, self.values[:-2])
        return (self.across - centre) / np.exp(self.values[-2])

    def height(self, distance):
        """The profile at a distance in units of the width."""
        wings = max(self.values[-1], 1e-6)
        inside = np.abs(self.along) <= 1
        return np.where(inside, np.exp(-np.log1p(0.5 * wings * distance**2) / wings), 0.0)

    @property
    def light(self):
        """The profile of each pixel."""
        return self.height(self.distance)

    @property
    def derivatives(self):
        """Derivatives of the profile by its values, shape (n_value, ...)."""
        light, steps = self.light, STEP * np.eye(len(self.values))
        return np.stack(
            [(replace(self, values=self.values + step).light - light) / STEP for step in steps]
        )

    @property
    def differences(self):
        """What the profile may have more or less, in standard deviations, shape (n_node, ...)."""
        distance = self.distance
        scale = OF_PROFILE * self.height(distance) + OF_WINGS * self.height(distance / WIDER)
        return np.stack([scale * np.maximum(0, 1 - np.abs(distance - node)) for node in NODES])

    def prior(self):
        """Standard deviations of the values, infinite but for the wings; and what is expected."""
        spread = np.full(len(self.values), np.inf)
        spread[-1] = WINGS[1]
        return spread, np.append(self.values[:-1], WINGS[0])
