"""How parameters are found: fitters take a model and an image and return a `FitResult`."""

from .base import FitResult, Fitter
from .kernel import KernelSliceFitter
from .linear import LinearFitter
from .projection import Projection
from .robust import SigmaClipFitter
from .scene import SceneFitter
from .scene_fit import SceneFit
from .sky import SkyFit, SkyPixels, SlitFit, SlitSkyFitter
from .sky_model import SkyModelFitter
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
