"""Fittable astropy models of what a spectrograph puts on a detector.

>>> import specmodels as sm

Names are fetched from their modules when they are first used (Scientific Python SPEC 1), so that
the import itself takes no time.
"""

from difflib import get_close_matches
from importlib import import_module

try:
    from .version import version as __version__
except ImportError:  # a source tree that was never built
    __version__ = "0+unknown"

_NAMES: dict[str, tuple[str, ...]] = {
    "dithers": ("Dithers",),
    "evaluators": (
        "Background",
        "Chain",
        "ChainResult",
        "ClippedMask",
        "ContaminationResult",
        "ContaminationSubtraction",
        "DetectedMask",
        "DitheredExtractionResult",
        "Evaluator",
        "ExtractionResult",
        "FlaggedSlits",
        "FlickerNoiseSubtraction",
        "FlickerResult",
        "FullResidual",
        "GivenBackground",
        "GivenMask",
        "ImageEvaluator",
        "MaskStrategy",
        "MasterBackgroundResult",
        "MasterBackgroundSubtraction",
        "MedianBackground",
        "MedianOverIntegrations",
        "MeshBackground",
        "NamedSlits",
        "NoBackground",
        "NoResidual",
        "OptimalExtraction",
        "OversamplingResult",
        "PixelReplacement",
        "ReplacementResult",
        "ResultSet",
        "SignificantResidual",
        "SkyPixelSelection",
        "SmoothBackground",
        "TimeSeriesExtraction",
        "TimeSeriesResult",
        "TraceOversampling",
    ),
    "exposure": ("Exposure",),
    "fitters": (
        "FitResult",
        "Fitter",
        "HuberStatistic",
        "KernelSliceFitter",
        "LinearFitter",
        "LogPolynomialSkyFitter",
        "PoissonStatistic",
        "Projection",
        "ReweightedFitter",
        "SceneFit",
        "SceneFitter",
        "SigmaClipFitter",
        "SkyFit",
        "SkyFitter",
        "SkyModelFitter",
        "SkyPixels",
        "SlitSkyFitter",
        "StagedFitter",
        "Statistic",
        "StudentStatistic",
        "VarProFitter",
        "WindowedFit",
        "WindowedFitter",
    ),
    "injection": (
        "InjectionResult",
        "injection_recovery",
    ),
    "instruments": (
        "Instrument",
        "Readout",
        "get_instrument",
    ),
    "io": (
        "read",
        "read_fit",
        "read_series",
        "reader",
        "write",
        "writer",
    ),
    "many": (
        "MapResult",
        "TogetherResult",
        "extract_many",
        "fit_together",
        "map",
    ),
    "models": (
        "BSplineProfile",
        "BSplineSpectrum",
        "BSplineTrace",
        "BarShadow",
        "BasisModel",
        "BoxProfile",
        "CoefficientPrior",
        "ColumnPolynomial",
        "Coordinate",
        "CorrelatedNoise",
        "DirectImage",
        "DispersedSource",
        "DistortedTrace",
        "DriftingBSplineProfile",
        "EffectivePSF",
        "FlickerPrior",
        "FlickerSpectrum",
        "FourierNoise",
        "GaussianPrior",
        "GaussianProfile",
        "Grism",
        "GrismScene",
        "GrownShapes",
        "LegendreSpectrum",
        "LineMedian",
        "LineOffset",
        "LinearParameter",
        "LogPolynomialSpectrum",
        "LorentzProfile",
        "MasterBackgroundSpectrum",
        "MoffatProfile",
        "NSCleanNoise",
        "NSCleanSubarrayNoise",
        "NoisePlan",
        "Order",
        "Orders",
        "PolynomialTrace",
        "Profile",
        "RidgePrior",
        "SegmentShapes",
        "Sensitivity",
        "SlitFunction",
        "SlitThroughput",
        "SmoothnessPrior",
        "Source",
        "SourceSelection",
        "SplineTrace",
        "StackedScene",
        "TabulatedPSF",
        "TabulatedSpectrum",
        "TabulatedTrace",
        "TiedTo",
        "UniformSky",
        "VoigtProfile",
        "WavelengthMap",
        "bound",
        "breakpoints",
        "design_matrix",
        "grism_image",
        "linear_parameters",
        "on_pixels",
        "repeated_over",
        "sum_of",
        "sky_of_wavelength",
        "with_wavelength_map",
    ),
    "numerics": ("NormalEquations",),
    "ramp": ("Ramp",),
    "slitless": (
        "Cutout",
        "SlitlessExposure",
    ),
    "spectral_image": ("SpectralImage",),
    "time_series": ("TimeSeries",),
}
_HOMES: dict[str, str] = {name: module for module, names in _NAMES.items() for name in names}
_MODULES: frozenset[str] = frozenset({*_NAMES, "datasets", "numerics", "plotting"})

__all__: list[str] = sorted({*_HOMES, "datasets"})


def __getattr__(name: str) -> object:
    """Fetch a public name, or a module of the package, when it is first used."""
    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    else:
        close = get_close_matches(name, __all__, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
