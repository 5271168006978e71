"""How parameters are found: fitters take a model and an image and return a `FitResult`."""

from .base import FitResult, Fitter
from .linear import LinearFitter
from .robust import SigmaClipFitter
from .varpro import VarProFitter

__all__ = ["FitResult", "Fitter", "LinearFitter", "SigmaClipFitter", "VarProFitter"]
