"""Arrays in, arrays out: the linear algebra under all models. No models, no astropy objects."""

from .normal import NormalEquations, Solution
from .spectrum_covariance import SpectrumCovariance

__all__ = ["NormalEquations", "Solution", "SpectrumCovariance"]
