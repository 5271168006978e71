"""What the pixels should be: Fittable astropy models. They know nothing of data or of fitting."""

from .drifting import DriftingBSplineProfile
from .empirical import BSplineProfile
from .linear import (
    BasisModel,
    LinearForm,
    LinearParameter,
    TiedTo,
    design_matrix,
    linear_parameters,
)
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
from .sources import ColumnPolynomial, Source
from .traces import PolynomialTrace, SplineTrace, TabulatedTrace

__all__ = [
    "BSplineProfile",
    "BasisModel",
    "BoxProfile",
    "ColumnPolynomial",
    "DriftingBSplineProfile",
    "EffectivePSF",
    "GaussianPrior",
    "GaussianProfile",
    "LinearForm",
    "LinearParameter",
    "LorentzProfile",
    "MoffatProfile",
    "PolynomialTrace",
    "Profile",
    "Source",
    "SplineTrace",
    "TabulatedPSF",
    "TabulatedTrace",
    "TiedTo",
    "VoigtProfile",
    "design_matrix",
    "linear_parameters",
]
