"""How parameters are found: fitters take a model and an image and return a `FitResult`."""

from .base import FitResult, Fitter
from .kernel import KernelSliceFitter
from .linear import LinearFitter
from .robust import SigmaClipFitter
from .varpro import VarProFitter

__all__ = [
    "FitResult",
    "Fitter",
    "KernelSliceFitter",
    "LinearFitter",
    "SigmaClipFitter",
    "VarProFitter",
]
