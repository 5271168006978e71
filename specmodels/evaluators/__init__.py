"""What is done with a fitted model: one evaluator for each job."""

from .base import Chain, Evaluator, ImageEvaluator, ResultSet
from .chain.result import ChainResult
from .contamination.result import ContaminationResult
from .contamination.subtraction import ContaminationSubtraction
from .dithers.result import DitheredExtractionResult
from .extraction.guess.automatic import SlitModelBuilder
from .extraction.optimal import OptimalExtraction
from .extraction.result import ExtractionResult
from .flicker.background_series import MedianOverIntegrations
from .flicker.backgrounds import (
    Background,
    GivenBackground,
    MedianBackground,
    MeshBackground,
    NoBackground,
    SmoothBackground,
)
from .flicker.detected_mask import DetectedMask
from .flicker.result import FlickerResult
from .flicker.scene_mask import ClippedMask, GivenMask, MaskStrategy, SceneMask
from .flicker.subtraction import FlickerNoiseSubtraction
from .master_background.result import MasterBackgroundResult, SlitSky
from .master_background.slit_selection import FlaggedSlits, NamedSlits, SkyPixelSelection
from .master_background.subtraction import MasterBackgroundSubtraction
from .oversampling.oversample import TraceOversampling
from .oversampling.pixel_replacement import PixelReplacement, ReplacementResult
from .oversampling.residuals import FullResidual, NoResidual, SignificantResidual
from .oversampling.result import OversamplingResult
from .time_series.result import TimeSeriesResult
from .time_series.series import TimeSeriesExtraction

__all__ = [
    "Background",
    "Chain",
    "ChainResult",
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
