"""Flicker noise as what it is, a stationary process in readout time: its conditional mean.

Neighbouring pixels, neighbouring lines and the outputs read at the same moment all know of each
other. The spectrum is given, or estimated from the pixels that show the noise alone. Frames are
computed in ``correlated_plan.py``, what is left of their noise in ``correlated_error.py``.
"""

import numpy as np
from astropy import units as u
from astropy.modeling import CompoundModel, Fittable1DModel, Model, Parameter

from ...numerics.noise_spectrum import PowerLaws, fit_power_laws, lag_variogram, power_law
from ...numerics.positions import finite
from ..composition import PIXELS, Composable, of_table
from ..linear import LinearParameter
from ..quantities import UnitRules, with_units
from .correlated_error import (
    cleaned_variance,
    leverage,
    line_covariance,
    simulated_error,
    variance_left,
)
from .correlated_plan import CorrelatedPlan

__all__ = [
    "CorrelatedNoise",
    "FlickerSpectrum",
    "cleaned_variance",
    "leverage",
    "line_covariance",
    "simulated_error",
    "variance_left",
    "without_noise",
]

LINES_OF_LAGS = 8
PARTS = ("common", "separate", "alternating")


class FlickerSpectrum(UnitRules, Fittable1DModel):
    r"""Power spectrum of flicker noise, :math:`A\,(2\nu)^{-\alpha}`.

    Parameters
    ----------
    amplitude : float
        Power at the highest frequency, in units in which white noise has its variance as power.
    exponent : float
        1 for flicker noise.

    Examples
    --------
    >>> import specmodels as sm
    >>> spectrum = sm.FlickerSpectrum(amplitude=0.1, exponent=1.0)
    >>> float(spectrum(0.5)), float(spectrum(0.05))
    (0.1, 1.0)
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


class CorrelatedNoise(Composable, Model):
    r"""The most probable correlated noise of all pixels given the unmasked ones.

    With the covariance :math:`K` of the noise in readout time and white noise :math:`N` (infinite
    for masked pixels and for the pauses between lines) it is :math:`K (K + N)^{-1} d`.

    As a term of a sum that is fitted it is marginalised: everything else in the sum is fitted with
    the covariance :math:`K + N`, where :math:`N` are the variances of the image, and the noise is
    its conditional mean given the rest. Spectra that are not given then have the greatest
    restricted likelihood.

    Parameters
    ----------
    common, separate, alternating : `FlickerSpectrum`, optional
        Spectra of the noise that all outputs share, that each has for itself, and that changes its
        sign from pixel to pixel. Those not given are estimated from the data.
    white : float, optional
        Variance of the white noise of a pixel; default: estimated. Not for fits, where images have
        variances.
    tolerance : float
        Accuracy of the solution, in standard deviations of the white noise.
    seed : int
        Of the noise that is simulated to find the variance of what is left.
    name : str, optional
        Name of the model in compounds and results.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind or out of range.

    Examples
    --------
    >>> import specmodels as sm
    >>> noise = sm.CorrelatedNoise(common=sm.FlickerSpectrum(0.1))
    >>> clean = sm.FlickerNoiseSubtraction(noise)
    """

    n_inputs = 2
    n_outputs = 1
    coordinates = PIXELS
    # What images must know for it.
    coordinate = "clock"

    def __init__(self, common=None, separate=None, alternating=None, white=None, tolerance=0.05,
                 seed=1, *, name=None, **settings):  # fmt: skip
        for key, value in zip(PARTS, (common, separate, alternating), strict=True):
            if value is not None and not isinstance(value, FlickerSpectrum):
                raise TypeError(f"{key}: expected a FlickerSpectrum, got {type(value).__name__}")
        if white is not None and not white > 0:
            raise ValueError(f"white: expected a positive variance, got {white!r}")
        if not tolerance > 0:
            raise ValueError(f"tolerance: expected a positive number, got {tolerance!r}")
        self.common, self.separate, self.alternating = common, separate, alternating
        self.white, self.tolerance, self.seed = white, tolerance, seed
        self.table = None
        super().__init__(name=name, **settings)

    def __repr__(self):
        known = {**self.settings, "name": self.name}
        shown = ", ".join(f"{key}={one!r}" for key, one in known.items() if one is not None)
        return f"CorrelatedNoise({shown})"

    @property
    def settings(self):
        """Arguments of the constructor."""
        names = (*PARTS, "white", "tolerance", "seed")
        return {name: getattr(self, name) for name in names}

    def bound_to(self, image):
        """Copy for the pixels of an image, to be given the noise that is found there."""
        return CorrelatedNoise(**self.settings, name=self.name)

    def evaluate(self, x, y):
        """Noise that a fit has found at columns and rows; its mean, zero, where none was fitted."""
        if self.table is None:
            return np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
        return of_table(x, y, self.table)

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask and noise like that of `sample`; see `NoisePlan`.

        Pixels whose `variance`, (n_y, n_x), is above that of the quieter ones count less.
        """
        return CorrelatedPlan(self, readout, use, white, sample, variance)

    @property
    def given_laws(self):
        """Amplitude and exponent of the spectra that are given, by part."""
        return {key: tuple(float(p) for p in getattr(self, key).parameters)
                for key in PARTS if getattr(self, key) is not None}  # fmt: skip

    def laws(self, series, use, grid, *, skip_lines=False):
        """Power laws: those given, and the others as the data have them.

        With `skip_lines`, pixels at the same place of different lines are not compared: what they
        have in common was subtracted.
        """
        given = self.given_laws
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


def without_noise(model):
    """A sum without its terms of correlated noise; the model itself where it has none."""
    if not isinstance(model, CompoundModel) or model.op not in ("+", "-"):
        return model
    if isinstance(model.right, CorrelatedNoise):
        return without_noise(model.left)
    if isinstance(model.left, CorrelatedNoise) and model.op == "+":
        return without_noise(model.right)
    left, right = without_noise(model.left), without_noise(model.right)
    if left is model.left and right is model.right:
        return model
    return type(model)(model.op, left, right, name=model.name)
