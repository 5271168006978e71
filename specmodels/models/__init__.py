"""What the pixels should be: Fittable astropy models. They know nothing of data or of fitting."""

from .correlated import CorrelatedNoise, FlickerSpectrum
from .drifting import DriftingBSplineProfile
from .empirical import BSplineProfile
from .flicker import FourierNoise, LineMedian, LineOffset
from .linear import (
    BasisModel,
    LinearForm,
    LinearParameter,
    TiedTo,
    design_matrix,
    linear_parameters,
)
from .nsclean import NSCleanNoise, NSCleanSubarrayNoise
from .priors import GaussianPrior
from .profiles import (
    BoxProfile,
    GaussianProfile,
    LorentzProfile,
    MoffatProfile,
    Profile,
    VoigtProfile,
)
from .psf import EffectivePSF, TabulatedPSF
from .sources import ColumnPolynomial, Source, UniformSky
from .traces import PolynomialTrace, SplineTrace, TabulatedTrace

__all__ = [
    "BSplineProfile",
    "BasisModel",
    "BoxProfile",
    "ColumnPolynomial",
    "CorrelatedNoise",
    "DriftingBSplineProfile",
    "EffectivePSF",
    "FlickerSpectrum",
    "FourierNoise",
    "GaussianPrior",
    "GaussianProfile",
    "LineMedian",
    "LineOffset",
    "LinearForm",
    "LinearParameter",
    "LorentzProfile",
    "MoffatProfile",
    "NSCleanNoise",
    "NSCleanSubarrayNoise",
    "PolynomialTrace",
    "Profile",
    "Source",
    "SplineTrace",
    "TabulatedPSF",
    "TabulatedTrace",
    "TiedTo",
    "UniformSky",
    "VoigtProfile",
    "design_matrix",
    "linear_parameters",
]
