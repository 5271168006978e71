"""What every model of the package must do, and one example of each: used by `test_contract`.

A new model needs an entry in `examples`; without one the tests fail.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from astropy.modeling import models

import specmodels.models
from specmodels.models.background import LogPolynomialSpectrum, MasterBackgroundSpectrum
from specmodels.models.bspline_trace import BSplineTrace
from specmodels.models.drifting import DriftingBSplineProfile
from specmodels.models.effective_psf import EffectivePSF
from specmodels.models.empirical import BSplineProfile
from specmodels.models.linear import BasisModel
from specmodels.models.lorentz_profiles import LorentzProfile, VoigtProfile
from specmodels.models.noise.correlated import FlickerSpectrum
from specmodels.models.noise.lines import FourierNoise, LineMedian, LineOffset
from specmodels.models.profiles import (
    BoxProfile,
    GaussianProfile,
    MoffatProfile,
    Profile,
)
from specmodels.models.psf import TabulatedPSF
from specmodels.models.scenes.grism import DispersedSource
from specmodels.models.settings import constructor_settings
from specmodels.models.sky import ColumnPolynomial, UniformSky
from specmodels.models.slits import BarShadow, SlitFunction, SlitThroughput
from specmodels.models.sources import Source
from specmodels.models.spectra import (
    BSplineSpectrum,
    LegendreSpectrum,
    SourceSpectrum,
    TabulatedSpectrum,
)
from specmodels.models.traces import (
    DistortedTrace,
    PolynomialTrace,
    SplineTrace,
    TabulatedTrace,
)
from specmodels.models.wavelength_map import WavelengthMap

BASES = (Profile, BasisModel, Source, UniformSky, FlickerSpectrum, LogPolynomialSpectrum, BarShadow,
         WavelengthMap)  # fmt: skip
ABSTRACT = {Profile, BasisModel, SourceSpectrum}

ROWS = np.arange(41.0)
COLUMNS = np.linspace(0, 100, 31)
PIXELS = tuple(grid.ravel() for grid in np.meshgrid(np.arange(12.0), ROWS))
WAVELENGTH_TABLE = (np.arange(12.0), ROWS[:1], 500 + 2.5 * np.arange(12.0)[np.newaxis])
TABLE_OFFSETS = np.linspace(-12, 12, 193)
TABLE_COLUMNS = np.array([0.0, 5.0, 11.0])


def table(profile=None):
    """A table of Gaussians which widen with the column, as a density or of an effective PSF."""
    widths = 1.2 + 0.05 * TABLE_COLUMNS[:, np.newaxis]
    if profile is not None:
        return profile.evaluate(TABLE_OFFSETS, 0.0, widths)
    return np.exp(-0.5 * (TABLE_OFFSETS / widths) ** 2)


@dataclass(frozen=True)
class Example:
    """A model with true values, where to evaluate it, and what is special about it."""

    make: Callable
    inputs: tuple
    start: dict = field(default_factory=dict)  # where a fit starts, if not near the truth
    held: tuple = ()  # parameters fixed in fits: degenerate ones
    wings: float = 0.0  # light of a profile outside of the rows
    rtol: float = 1e-6  # agreement of derivatives with finite differences
    step: float = 1e-5  # of these

    def stock_addend(self):
        """A stock model with one free, linear parameter, on the same inputs."""
        if len(self.inputs) == 1:
            middle = float(np.mean(self.inputs[0])) + 7
            fixed = {"mean": True, "stddev": True}
            return models.Gaussian1D(0.4, middle, 1.5, fixed=fixed)
        fixed = {"x_mean": True, "y_mean": True, "x_stddev": True, "y_stddev": True, "theta": True}
        return models.Gaussian2D(0.4, 6, 31, 2, 2, 0.0, fixed=fixed)


def _source(profile, **settings):
    trace = PolynomialTrace(1, limits=(0, 11), c0=20.3, c1=0.7)
    return Source(profile, trace, flux=3.0, **settings)


def drifting():
    profile = DriftingBSplineProfile(limits=(0, 11), center=20.3, scale=1.2)
    profile.c4_x1, profile.c8_x1 = 0.02, 0.02
    return profile


def examples():
    """Example of every model, by a name for the report."""
    rows, columns = (ROWS,), (COLUMNS,)
    width = PolynomialTrace(1, limits=(0, 11), c0=1.6, c1=0.2)
    bspline = BSplineProfile()
    shape = tuple(n for n in bspline.param_names if n != "center")
    drifting_shape = tuple(n for n in drifting().param_names if n != "center")
    return {
        "box": Example(lambda: BoxProfile(20.3, 5.1), rows),
        "gaussian": Example(lambda: GaussianProfile(20.3, 1.4), rows),
        "moffat": Example(lambda: MoffatProfile(20.3, 2.0, 4.5), rows, wings=1e-6, rtol=1e-4),
        "lorentz": Example(lambda: LorentzProfile(20.3, 0.8), rows, wings=0.03),
        "voigt": Example(lambda: VoigtProfile(20.3, 1.1, 0.4), rows, wings=0.02),
        "bspline": Example(
            lambda: BSplineProfile(center=20.3, scale=1.2), rows, held=shape, rtol=1e-3, step=1e-3
        ),
        "drifting": Example(drifting, PIXELS, held=drifting_shape, rtol=1e-3, step=1e-3),
        "table": Example(
            lambda: TabulatedPSF(table(), TABLE_OFFSETS, TABLE_COLUMNS, center=20.3), PIXELS
        ),
        "effective": Example(
            lambda: EffectivePSF(
                table(GaussianProfile()), TABLE_OFFSETS, TABLE_COLUMNS, center=20.3
            ),
            PIXELS,
        ),
        "master background": Example(
            lambda: MasterBackgroundSpectrum(
                [0, 20, 45, 70, 100], **{f"c{j}": value for j, value in enumerate(
                    (1.0, 3.0, -1.0, 2.0, 0.5, 1.5, 2.5))},
            ),
            columns,
        ),
        "log polynomial": Example(
            lambda: LogPolynomialSpectrum(2, limits=(0, 100), c0=0.5, c1=-0.3, c2=0.2), columns
        ),
        "bar shadow": Example(
            lambda: BarShadow(3, 0.9, 20.3, 8.2, 10.1, 1.3), rows,
        ),
        "throughput": Example(
            lambda: SlitThroughput(1, limits=(0, 100), c0=0.9, c1=0.1), columns
        ),
        "slit function": Example(
            lambda: SlitFunction([0, 10, 20, 30, 40], c0=1.1, c1=0.2, c4=-0.1), rows
        ),
        "polynomial": Example(
            lambda: PolynomialTrace(2, limits=(0, 100), c0=20.0, c1=3.0, c2=-1.0), columns
        ),
        "spline": Example(
            lambda: SplineTrace([0, 30, 60, 100], c0=20, c1=22, c2=21, c3=25, c4=24, c5=23), columns
        ),
        "distorted trace": Example(
            lambda: DistortedTrace([0, 50, 100], [20, 25, 22], degree=2, c0=0.5, c1=0.1, c2=-0.2),
            columns,
        ),
        "tabulated trace": Example(
            lambda: TabulatedTrace([0, 50, 100], [20, 25, 22], c0=0.5, fixed={"c0": False}), columns
        ),
        "Fourier noise": Example(
            lambda: FourierNoise(n_harmonics=2, period=60.0, c0=1.0, c1=0.5, c3=-0.3), rows
        ),
        "flicker spectrum": Example(
            lambda: FlickerSpectrum(0.01, 1.2), (np.linspace(0.1, 0.5, 41),), step=1e-4
        ),
        "line offset": Example(lambda: LineOffset(c0=2.0), rows),
        "line median": Example(lambda: LineMedian(by_output=False, c0=2.0), rows),
        "B-spline trace": Example(
            lambda: BSplineTrace(
                0, 40, knot_spacing=10, columns=[0, 11],
                **{f"c{j}": value for j, value in enumerate(np.sin(np.arange(18.0)))},
            ),
            PIXELS, held=("c0", "c8", "c9", "c17"), rtol=1e-4,
        ),
        "wavelength map": Example(
            lambda: WavelengthMap(
                2, limits=(0, 40), table=WAVELENGTH_TABLE, shift=0.3, tilt=1.4, bow=-0.6
            ),
            PIXELS,
        ),
        "uniform sky": Example(lambda: UniformSky(2.5), PIXELS),
        "sky": Example(lambda: ColumnPolynomial(2, limits=(0, 40), c0=2.0, c1=0.5, c2=-1), PIXELS),
        "Legendre spectrum": Example(
            lambda: LegendreSpectrum(3, limits=(0, 100), c1=0.3, c3=-0.2), columns
        ),
        "spline spectrum": Example(
            lambda: BSplineSpectrum(8, limits=(0, 100), c2=1.4, c5=0.7), columns
        ),
        "tabulated spectrum": Example(
            lambda: TabulatedSpectrum([0, 40, 100], [1, 2, 0.5], c0=1.3), columns
        ),
        "dispersed source": Example(
            lambda: DispersedSource(
                [0, 13, 30, 13, 40, 45], [1, 2, 0.5, 1, -1, 3.0], [0, 3, 6], (41, 12),
                c0=1.5, c1=-0.4,
            ),
            PIXELS,
        ),
        "source": Example(lambda: _source(MoffatProfile(gamma=2, alpha=3.5)), PIXELS, rtol=1e-4),
        "source of changing width": Example(
            lambda: _source(GaussianProfile(), width=width), PIXELS
        ),
        "source of a table": Example(
            lambda: _source(TabulatedPSF(table(), TABLE_OFFSETS, TABLE_COLUMNS)), PIXELS
        ),
        "source on a spline": Example(
            lambda: Source(
                VoigtProfile(), SplineTrace([0, 5, 11], degree=2, c0=20, c1=21, c2=20, c3=19),
                flux=2.0, stddev=1.3, gamma=0.4,
            ),
            PIXELS,
        ),
    }  # fmt: skip


def concrete_models():
    """All models of the package, found by walking the subclasses of its bases."""
    for module in pkgutil.walk_packages(specmodels.models.__path__, "specmodels.models."):
        importlib.import_module(module.name)
    found, queue = set(), list(BASES)
    while queue:
        model_class = queue.pop()
        queue += model_class.__subclasses__()
        found.add(model_class)
    return {c for c in found - ABSTRACT if c.__module__.startswith("specmodels.")}


def rebuilt(model, values, **settings):
    """The model made again by its constructor, with these values in order of the parameters."""
    parameters = dict(zip(model.param_names, values, strict=True))
    return type(model)(**constructor_settings(model), **parameters, **settings)


def finite_difference(function, values, k, step=1e-5):
    """Central difference of ``function(values)`` by the value at position `k`."""
    step = step * max(abs(values[k]), 1.0)
    ends = []
    for moved in (values[k] + step, values[k] - step):
        ends.append(function([*values[:k], moved, *values[k + 1 :]]))
    return (ends[0] - ends[1]) / (2 * step)


def assert_same_model(one, other):
    """Same class, names, values and constraints."""
    assert type(one) is type(other)
    assert one.param_names == other.param_names
    assert one.name == other.name
    assert len(one) == len(other)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    for constraint in ("fixed", "bounds", "tied"):
        assert getattr(one, constraint) == getattr(other, constraint)
