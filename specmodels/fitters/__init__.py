"""How parameters are found: fitters take a model and an image and return a `FitResult`."""

from .base import FitResult, Fitter
from .kernel import KernelSliceFitter
from .linear import LinearFitter
from .robust import SigmaClipFitter
from .scene import SceneFitter
from .scene_fit import SceneFit
from .sky import SkyFit, SkyPixels, SlitFit
from .sky_polynomial import LogPolynomialSkyFitter
from .sky_spline import SkyFitter
from .staged import StagedFitter
from .statistics import (
    HuberStatistic,
    PoissonStatistic,
    ReweightedFitter,
    Statistic,
    StudentStatistic,
)
from .varpro import VarProFitter
from .windowed import WindowedFitter
from .windowed_fit import WindowedFit

__all__ = [
    "FitResult",
    "HuberStatistic",
    "PoissonStatistic",
    "ReweightedFitter",
    "Statistic",
    "StudentStatistic",
    "Fitter",
    "KernelSliceFitter",
    "LinearFitter",
    "LogPolynomialSkyFitter",
    "SigmaClipFitter",
    "StagedFitter",
    "SkyFit",
    "SkyFitter",
    "SkyPixels",
    "SlitFit",
    "VarProFitter",
    "WindowedFit",
    "WindowedFitter",
    "SceneFit",
    "SceneFitter",
]
