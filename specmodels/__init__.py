"""Fittable astropy models of what a spectrograph puts on a detector.

>>> import specmodels as sm
"""

from . import datasets
from .evaluators import (
    Evaluator,
    ExtractionResult,
    ImageEvaluator,
    OptimalExtraction,
    ResultSet,
    extract_many,
)
from .exposure import Exposure, SpectralImage
from .fitters import (
    FitResult,
    Fitter,
    KernelSliceFitter,
    LinearFitter,
    SigmaClipFitter,
    VarProFitter,
)
from .instruments import Instrument, Readout, get_instrument
from .io import read, write
from .models import (
    BasisModel,
    BoxProfile,
    BSplineProfile,
    ColumnPolynomial,
    GaussianPrior,
    GaussianProfile,
    LinearParameter,
    LorentzProfile,
    MoffatProfile,
    PolynomialTrace,
    Profile,
    Source,
    SplineTrace,
    TabulatedPSF,
    TabulatedTrace,
    TiedTo,
    VoigtProfile,
    design_matrix,
    linear_parameters,
)
from .numerics import NormalEquations

try:
    from .version import version as __version__
except ImportError:  # a source tree that was never built
    __version__ = "0+unknown"

__all__ = [
    "BSplineProfile",
    "BasisModel",
    "BoxProfile",
    "ColumnPolynomial",
    "Evaluator",
    "Exposure",
    "ExtractionResult",
    "FitResult",
    "Fitter",
    "GaussianPrior",
    "GaussianProfile",
    "ImageEvaluator",
    "Instrument",
    "KernelSliceFitter",
    "LinearFitter",
    "LinearParameter",
    "LorentzProfile",
    "MoffatProfile",
    "NormalEquations",
    "OptimalExtraction",
    "PolynomialTrace",
    "Profile",
    "Readout",
    "ResultSet",
    "SigmaClipFitter",
    "Source",
    "SpectralImage",
    "SplineTrace",
    "TabulatedPSF",
    "TabulatedTrace",
    "TiedTo",
    "VarProFitter",
    "VoigtProfile",
    "datasets",
    "design_matrix",
    "extract_many",
    "get_instrument",
    "linear_parameters",
    "read",
    "write",
]
