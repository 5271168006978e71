"""What is done with a fitted model: one evaluator for each job."""

from .automatic import SlitModelBuilder
from .background import MasterBackgroundSubtraction
from .background_result import MasterBackgroundResult, SlitSky
from .background_series import MedianOverIntegrations
from .backgrounds import (
    Background,
    GivenBackground,
    MedianBackground,
    MeshBackground,
    NoBackground,
    SmoothBackground,
)
from .base import Evaluator, ImageEvaluator, ResultSet
from .contamination import ContaminationSubtraction
from .contamination_result import ContaminationResult
from .detected_mask import DetectedMask
from .dithered_result import DitheredExtractionResult
from .extraction import ExtractionResult, OptimalExtraction
from .flicker import FlickerNoiseSubtraction
from .flicker_result import FlickerResult
from .oversampling import TraceOversampling
from .oversampling_result import OversamplingResult
from .pixel_replacement import PixelReplacement, ReplacementResult
from .residuals import FullResidual, NoResidual, SignificantResidual
from .scene_mask import ClippedMask, GivenMask, MaskStrategy, SceneMask
from .slit_selection import FlaggedSlits, NamedSlits, SkyPixelSelection
from .time_series import TimeSeriesExtraction
from .time_series_result import TimeSeriesResult

__all__ = [
    "Background",
    "ClippedMask",
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
    "SceneMask",
    "SignificantResidual",
    "SkyPixelSelection",
    "SlitModelBuilder",
    "SlitSky",
    "SmoothBackground",
    "TimeSeriesExtraction",
    "TimeSeriesResult",
    "TraceOversampling",
    "ContaminationResult",
    "ContaminationSubtraction",
]
