"""Arrays in, arrays out: the linear algebra under all models. No models, no astropy objects."""

from .normal import NormalEquations, Solution

__all__ = ["NormalEquations", "Solution"]
