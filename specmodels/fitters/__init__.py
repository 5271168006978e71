"""How parameters are found: fitters take a model and an image and return a `FitResult`."""

from .base import FitResult, Fitter
from .kernel import KernelSliceFitter
from .linear import LinearFitter
from .projection import Projection
from .scene.fit import SceneFit
from .scene.fitter import SceneFitter
from .sigma_clip import SigmaClipFitter
from .sky.fit import SkyFit, SkyPixels, SlitFit, SlitSkyFitter
from .sky.model import SkyModelFitter
from .sky.polynomial import LogPolynomialSkyFitter
from .sky.spline import SkyFitter
from .staged import StagedFitter
from .statistics import (
    HuberStatistic,
    PoissonStatistic,
    ReweightedFitter,
    Statistic,
    StudentStatistic,
)
from .varpro import VarProFitter
from .windowed.fit import WindowedFit
from .windowed.fitter import WindowedFitter

__all__ = [
    "FitResult",
    "HuberStatistic",
    "PoissonStatistic",
    "Projection",
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
    "SkyModelFitter",
    "SkyPixels",
    "SlitFit",
    "SlitSkyFitter",
    "VarProFitter",
    "WindowedFit",
    "WindowedFitter",
    "SceneFit",
    "SceneFitter",
]
