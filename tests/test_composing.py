"""Every line of the table of compositions in the documentation says what is so."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.modeling import fix_inputs, models

import specmodels as sm

PAGE = Path(__file__).parents[1] / "docs" / "composing.rst"
NY, NX = 40, 160
TABLE = PAGE.read_text(encoding="utf-8").split(".. composition table")[1].split(".. end")[0]
LINES = re.findall(r"^``(.*?)`` +(right|refused|named)$", TABLE, re.M)


def star(name="star", **fixed):
    return sm.Source(sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, limits=(0, NX - 1)),
                     trace_c0=20.0, name=name, fixed=fixed)  # fmt: skip


X, Y = np.arange(float(NX)), np.arange(float(NY))[:, None]
WAVE = 1.0 + 0.8 * (X + 0.35 * (Y - 20)) / (NX - 1)
FLUX = 200 + X
READOUT = sm.Readout(fast_axis=-2)  # lines are columns


def flicker(shape, amplitude, exponent, seed):
    """Noise of this spectrum in columns read one after another: a piece of a longer series."""
    size = 8 * np.prod(shape)
    frequency = np.fft.rfftfreq(size)
    root = np.sqrt(amplitude * (2 * frequency.clip(1 / size)) ** -exponent) * (frequency > 0)
    white = np.random.default_rng(seed).normal(size=size)
    return np.fft.irfft(np.fft.rfft(white) * root, size)[: size // 8].reshape(shape[::-1]).T


FLICKER = flicker((NY, NX), 0.2, 1.0, 5)
SHADOW = dict(pitch=14.0, height=12.0, center=20.0, sigma=1.0)


def level():
    return sm.ColumnPolynomial(0, limits=(0, NY - 1), name="level")


def sky():
    return sm.MasterBackgroundSpectrum(np.linspace(0.85, 1.95, 81), name="sky")


def dispersed():
    image = np.exp(-0.5 * ((Y - 30) ** 2 + (X - 60) ** 2) / 9)
    index = np.flatnonzero(image > 1e-3)
    return sm.DispersedSource(index, image.ravel()[index], [0, index.size], (NY, NX), name="blob")


GRID = np.broadcast_arrays(X, Y)


def bump(light=0.0):
    model = sm.BSplineTrace(30, 38, knot_spacing=3, columns=(0.0, NX - 1.0), name="bump")
    for number, name in enumerate(model.param_names):
        setattr(model, name, light * (1 + np.sin(number)))
    return model


LIGHT = {
    "sky": 8 * np.sin(9 * WAVE) + 30,
    "ghost": 50 * np.exp(-((X - 90) ** 2 + (Y - 8) ** 2) / 32),
}
SHADE = sm.BarShadow(3, **SHADOW)(Y)
HALF = {"fixed": {"amplitude": True}}
# The model, and what is on the detector beside the star; the factor of the star.
CASES = {
    "star + level": lambda: (star() + level(), 20, 1),
    "star + ColumnPolynomial": lambda: (star() + sm.ColumnPolynomial(1, limits=(0, 39)), 20 + Y, 1),
    "star + UniformSky": lambda: (star() + sm.UniformSky(), 20, 1),
    "star + Const2D": lambda: (star() + models.Const2D(), 20, 1),
    "star + Planar2D": lambda: (star() + models.Planar2D(0, 0, 0), 0.1 * Y + 0.02 * X, 1),
    "star + Polynomial2D": lambda: (star() + models.Polynomial2D(2), 20 + 0.001 * X * Y, 1),
    "star + Gaussian2D": lambda: (
        star() + models.Gaussian2D(1, 90, 8, 4, 4, name="ghost") + level(), LIGHT["ghost"] + 20, 1),
    "star * half + level": lambda: (star() * models.Const2D(0.5, **HALF) + level(), 20, 0.5),
    "half * star + level": lambda: (models.Const2D(0.5, **HALF) * star() + level(), 20, 0.5),
    "(star + level) * half": lambda: ((star() + level()) * models.Const2D(0.5, **HALF), 20, 0.5),
    "star / two + level": lambda: (star() / models.Const2D(2, **HALF) + level(), 20, 0.5),
    "(star | Scale) + level": lambda: (
        (star() | models.Scale(0.5, fixed={"factor": True})) + level(), 20, 0.5),
    "star + sky": lambda: (star() + sky(), LIGHT["sky"], 1),
    "star + sky * shadow": lambda: (
        star() + sky() * sm.BarShadow(3, **SHADOW, fixed=dict.fromkeys(
            ("transmission", *SHADOW), True)), LIGHT["sky"] * SHADE, 1),
    "star + FourierNoise + level": lambda: (
        star() + sm.FourierNoise(n_harmonics=2, period=40.0, fixed={"c0": True}) + level(),
        20 + np.random.default_rng(3).normal(0, 5, NX) * np.cos(2 * np.pi * Y / 40), 1),
    "star + CorrelatedNoise + level": lambda: (
        star() + sm.CorrelatedNoise() + level(), 20 + FLICKER, 1),
    "star + LineOffset + level": lambda: (
        star() + sm.LineOffset(name="lines are columns") + level(), 0, 1),
    "star * throughput + level": lambda: (
        star() * sm.SlitThroughput(1, limits=(0.9, 1.9), name="throughput") + level(), 20, 1),
    "star + star + level": lambda: (star() + star() + level(), 20, 1),
    "star * fluxes": lambda: (
        star() * sm.repeated_over(models.Const2D(), "column"), 0, 1),
    "star + BSplineTrace": lambda: (star() + bump(), bump(light=9.0)(*GRID), 1),
    "star + Dispersed + level": lambda: (star() + dispersed() + level(), dispersed_light() + 20, 1),
    "fix_inputs(star + level)": lambda: (fix_inputs(star() + level(), {"x": 80.0}), 20, 1),
}  # fmt: skip


def dispersed_light():
    model = dispersed()
    model.c0 = 70.0
    return model(*GRID)


def image_of(extra, factor, seed):
    clean = FLUX * factor * sm.GaussianProfile(stddev=1.5, center=20.2)(Y) + extra
    clean = np.broadcast_to(clean, (NY, NX))
    data = clean + np.random.default_rng(seed).normal(size=clean.shape)
    return sm.SpectralImage(
        data,
        variance=np.ones(data.shape),
        wavelength=WAVE,
        spatial=np.broadcast_to(Y, data.shape),
        readout=READOUT,
    )


def scene_and_lines(seed):
    """A field of a grism with the lines of readout and a level: its fit, and pulls of spectra."""
    exposure, truth = sm.datasets.make_slitless(seed=seed, n_sources=8)
    offsets = np.random.default_rng(seed).normal(0, 0.4, (exposure.shape[0], 1))
    image = exposure.to_image(readout=sm.Readout(fast_axis=-1))
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    lines = sm.LineOffset(name="lines")
    lines.coefficient_prior = sm.RidgePrior()
    model = scene + lines + models.Const2D(name="level")
    fit = sm.LinearFitter()(model, image.replace(data=image.data + 20 + offsets))
    off = scene.fitted(fit).coefficients - truth.scene.coefficients
    errors = [fit.error(f"scene.c{k}") for k in range(scene.n_parameters)]
    return fit, off / errors


# Compositions without a source in columns: a fit, and pulls.
FIELDS = {"scene + LineOffset + level": scene_and_lines}


def fitted(name, seed):
    model, extra, factor = CASES[name]()
    return sm.VarProFitter()(model, image_of(extra, factor, seed))


def test_the_table_and_the_cases_are_the_same():
    assert [name for name, _ in LINES] == [*CASES, *FIELDS]


@pytest.mark.parametrize("name", FIELDS)
def test_composition_of_a_field(name):
    fits, pulls = zip(*(FIELDS[name](seed) for seed in range(6)), strict=True)
    assert dict(LINES)[name] == "right"
    assert all(fit.success for fit in fits)
    assert abs(np.mean(pulls)) < 0.25
    assert 0.88 < np.std(pulls) < 1.12
    assert np.mean([fit.reduced_chi2 for fit in fits]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("name", "answer"), [line for line in LINES if line[0] in CASES])
def test_composition(name, answer):
    if answer == "refused":
        with pytest.raises((TypeError, ValueError)):
            fitted(name, 1)
        return
    fits = [fitted(name, seed) for seed in (1, 2)]
    flux = next(n for n in fits[0].names if n.startswith("flux"))
    if answer == "named":
        assert not any(fit.success for fit in fits)
        assert "not determined" in fits[0].message
        return
    pulls = np.concatenate([(fit[flux] - FLUX) / fit.error(flux) for fit in fits])
    assert all(fit.success for fit in fits), fits[0].message
    assert abs(pulls.mean()) < 0.35  # trace and width are common to all columns
    assert 0.88 < pulls.std() < 1.12
    assert 0.94 < fits[0].reduced_chi2 < 1.06
    assert np.isfinite(fits[0].predict()).all()
