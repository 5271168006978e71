"""Flicker noise as what it is, a stationary process in readout time: its conditional mean.

Neighbouring pixels, neighbouring lines and the outputs read at the same moment all know of each
other. The spectrum is given, or estimated from the pixels that show the noise alone. Frames are
computed in ``correlated_plan.py``, what is left of their noise in ``correlated_error.py``.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.modeling import Fittable1DModel, Parameter

from ..numerics.noise_spectrum import PowerLaws, fit_power_laws, lag_variogram, power_law
from ..numerics.positions import finite
from .correlated_error import (
    cleaned_variance,
    leverage,
    line_covariance,
    simulated_error,
    variance_left,
)
from .correlated_plan import CorrelatedPlan
from .linear import LinearParameter
from .quantities import UnitRules, with_units

__all__ = [
    "CorrelatedNoise",
    "FlickerSpectrum",
    "cleaned_variance",
    "leverage",
    "line_covariance",
    "simulated_error",
    "variance_left",
]

LINES_OF_LAGS = 8


class FlickerSpectrum(UnitRules, Fittable1DModel):
    r"""Power spectrum of flicker noise, :math:`A\,(2\nu)^{-\alpha}`.

    Parameters
    ----------
    amplitude : float
        Power at the highest frequency, in units in which white noise has its variance as power.
    exponent : float
        1 for flicker noise.
    """

    linear = False
    position_unit = u.dimensionless_unscaled
    data_parameters = ("amplitude",)
    amplitude = LinearParameter(default=1.0, bounds=(0, None), description="power at Nyquist")
    exponent = Parameter(default=1.0, bounds=(0, 3), description="slope of the spectrum")

    @with_units
    def evaluate(self, frequency, amplitude, exponent):
        """Power at a frequency in cycles per pixel time, from 0 to 0.5."""
        return power_law(finite(frequency), amplitude, exponent)

    @staticmethod
    def fit_deriv(frequency, amplitude, exponent):
        """Derivatives by amplitude and exponent."""
        frequency = finite(frequency)
        unit = power_law(frequency, 1.0, exponent)
        return [unit, -amplitude * unit * np.log(power_law(frequency, 1.0, -1.0))]


@dataclass(frozen=True)
class CorrelatedNoise:
    r"""The most probable correlated noise of all pixels given the unmasked ones.

    With the covariance :math:`K` of the noise in readout time and white noise :math:`N` (infinite
    for masked pixels and for the pauses between lines) it is :math:`K (K + N)^{-1} d`.

    Parameters
    ----------
    common, separate, alternating : `FlickerSpectrum`, optional
        Spectra of the noise that all outputs share, that each has for itself, and that changes its
        sign from pixel to pixel. Those not given are estimated from the data.
    white : float, optional
        Variance of the white noise of a pixel; default: estimated.
    tolerance : float
        Accuracy of the solution, in standard deviations of the white noise.
    seed : int
        Of the noise that is simulated to find the variance of what is left.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind or out of range.
    """

    common: object = None
    separate: object = None
    alternating: object = None
    white: float | None = None
    tolerance: float = 0.02
    seed: int = 1

    def __post_init__(self):
        for key in ("common", "separate", "alternating"):
            value = getattr(self, key)
            if value is not None and not isinstance(value, FlickerSpectrum):
                raise TypeError(f"{key}: expected a FlickerSpectrum, got {type(value).__name__}")
        if self.white is not None and not self.white > 0:
            raise ValueError(f"white: expected a positive variance, got {self.white!r}")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance: expected a positive number, got {self.tolerance!r}")

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask and noise like that of `sample`; see `NoisePlan`.

        Pixels whose `variance`, (n_y, n_x), is above that of the quieter ones count less.
        """
        return CorrelatedPlan(self, readout, use, white, sample, variance)

    def laws(self, series, use, grid, *, skip_lines=False):
        """Power laws: those given, and the others as the data have them.

        With `skip_lines`, pixels at the same place of different lines are not compared: what they
        have in common was subtracted.
        """
        given = {key: tuple(float(p) for p in getattr(self, key).parameters)
                 for key in ("common", "separate", "alternating")
                 if getattr(self, key) is not None}  # fmt: skip
        if self.white is not None:
            given["white"] = float(self.white)
        if len(given) == 4:
            return PowerLaws(**given)
        max_lag = min(LINES_OF_LAGS, max(grid.n_line // 4, 1)) * grid.line
        variograms = lag_variogram(series, use, max_lag)
        if skip_lines:
            for pairs in variograms[2:]:
                pairs[grid.line :: grid.line] = 0
        found = fit_power_laws(*variograms, grid.frequency)
        return PowerLaws(**(vars(found) | given))
