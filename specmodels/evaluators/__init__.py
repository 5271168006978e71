"""What is done with a fitted model: one evaluator for each job."""

from .automatic import SlitModelBuilder
from .base import Evaluator, ImageEvaluator, ResultSet
from .batch import extract_many
from .extraction import ExtractionResult, OptimalExtraction

__all__ = [
    "Evaluator",
    "ExtractionResult",
    "ImageEvaluator",
    "OptimalExtraction",
    "ResultSet",
    "SlitModelBuilder",
    "extract_many",
]
