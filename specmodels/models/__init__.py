"""What the pixels should be: Fittable astropy models. They know nothing of data or of fitting."""

from .background import LogPolynomialSpectrum, MasterBackgroundSpectrum
from .bspline_trace import BSplineTrace
from .composition import Coordinate, bound, on_pixels, repeated_over, sum_of
from .drifting import DriftingBSplineProfile
from .effective_psf import EffectivePSF
from .empirical import BSplineProfile
from .linear import BasisModel, LinearParameter, TiedTo
from .linear_form import LinearForm, design_matrix, linear_parameters
from .lorentz_profiles import LorentzProfile, VoigtProfile
from .noise.correlated import CorrelatedNoise, FlickerSpectrum
from .noise.lines import FourierNoise, LineMedian, LineOffset
from .noise.nsclean import NSCleanNoise, NSCleanSubarrayNoise
from .noise.plan import NoisePlan
from .orders import Order, Orders
from .priors import CoefficientPrior, FlickerPrior, GaussianPrior, RidgePrior, SmoothnessPrior
from .profiles import BoxProfile, GaussianProfile, MoffatProfile, Profile
from .psf import TabulatedPSF
from .scenes.direct_image import DirectImage
from .scenes.grism import DispersedSource, Grism, Sensitivity
from .scenes.known_spectra import grism_image
from .scenes.scene import GrismScene
from .scenes.selection import SourceSelection
from .scenes.source_shapes import GrownShapes, SegmentShapes, SourceShapes
from .scenes.stacked import StackedScene
from .sky import ColumnPolynomial, UniformSky, breakpoints, sky_of_wavelength
from .slits import BarShadow, SlitFunction, SlitThroughput
from .sources import Source
from .spectra import BSplineSpectrum, LegendreSpectrum, SourceSpectrum, TabulatedSpectrum
from .traces import DistortedTrace, PolynomialTrace, SplineTrace, TabulatedTrace
from .units import without_units
from .wavelength_map import WavelengthMap, with_wavelength_map

__all__ = [
    "BSplineProfile",
    "BSplineTrace",
    "BarShadow",
    "BasisModel",
    "CoefficientPrior",
    "Coordinate",
    "FlickerPrior",
    "RidgePrior",
    "SmoothnessPrior",
    "breakpoints",
    "sky_of_wavelength",
    "bound",
    "on_pixels",
    "repeated_over",
    "sum_of",
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
    "LogPolynomialSpectrum",
    "LorentzProfile",
    "MasterBackgroundSpectrum",
    "MoffatProfile",
    "NSCleanNoise",
    "NSCleanSubarrayNoise",
    "NoisePlan",
    "PolynomialTrace",
    "Profile",
    "SlitFunction",
    "SlitThroughput",
    "Source",
    "SplineTrace",
    "TabulatedPSF",
    "TabulatedTrace",
    "DistortedTrace",
    "Order",
    "Orders",
    "TiedTo",
    "UniformSky",
    "VoigtProfile",
    "WavelengthMap",
    "with_wavelength_map",
    "design_matrix",
    "linear_parameters",
    "without_units",
    "BSplineSpectrum",
    "LegendreSpectrum",
    "TabulatedSpectrum",
    "SourceSpectrum",
    "DirectImage",
    "DispersedSource",
    "Grism",
    "GrismScene",
    "GrownShapes",
    "SegmentShapes",
    "Sensitivity",
    "SourceSelection",
    "SourceShapes",
    "StackedScene",
    "grism_image",
]
