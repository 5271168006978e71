"""What is done with a fitted model: one evaluator for each job."""

from .automatic import SlitModelBuilder
from .backgrounds import (
    GivenBackground,
    MedianBackground,
    MeshBackground,
    NoBackground,
    SmoothBackground,
)
from .base import Evaluator, ImageEvaluator, ResultSet
from .batch import extract_many
from .extraction import ExtractionResult, OptimalExtraction
from .flicker import FlickerNoiseSubtraction
from .flicker_result import FlickerResult
from .scene_mask import ClippedMask, DetectedMask, GivenMask, SceneMask

__all__ = [
    "ClippedMask",
    "DetectedMask",
    "Evaluator",
    "ExtractionResult",
    "FlickerNoiseSubtraction",
    "FlickerResult",
    "GivenBackground",
    "GivenMask",
    "ImageEvaluator",
    "MedianBackground",
    "MeshBackground",
    "NoBackground",
    "OptimalExtraction",
    "ResultSet",
    "SceneMask",
    "SlitModelBuilder",
    "SmoothBackground",
    "extract_many",
]
