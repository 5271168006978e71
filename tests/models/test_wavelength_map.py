"""Wavelengths with free parameters: where lines fall, and what the lines of an image tell."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm

NX, NY = 160, 24
X, Y = np.arange(float(NX)), np.arange(float(NY))
T = (2 * Y - NY + 1)[:, None] / (NY - 1)
LINES = np.random.default_rng(4).uniform(0, NX, 25)
HEIGHTS = np.random.default_rng(5).uniform(50, 900, 25)
SIGMA = 3.0


def wavelength(p):
    return 5000 + 1.5 * p + 2e-4 * p**2


def light(p):
    return 100 + sum(h * np.exp(-0.5 * ((p - c) / 1.1) ** 2)
                     for c, h in zip(LINES, HEIGHTS, strict=True))  # fmt: skip


def exposure(shift=0.0, tilt=0.0, bow=0.0, seed=0, name="image"):
    """Sky lines that are moved, tilted and bowed; the image has one wavelength per column."""
    p = X - shift - tilt * T / 2 - bow * (T**2 - 1 / 3)
    noise = SIGMA * np.random.default_rng(seed).normal(size=p.shape)
    return sm.SpectralImage(light(p) + noise, variance=np.full(p.shape, SIGMA**2),
                            wavelength=wavelength(X), name=name)  # fmt: skip


def sky(moved):
    spectrum = sm.MasterBackgroundSpectrum(np.linspace(wavelength(-8), wavelength(NX + 7), 270))
    return sm.with_wavelength_map(sm.on_pixels(spectrum), moved)


class TestWhereLinesFall:
    def test_all_pixels_move_by_the_shift(self):
        moved = sm.WavelengthMap(table=(X, Y[:1], wavelength(X)[None]), shift=2.0)
        assert_allclose(moved(50.0, 3.0), wavelength(48.0))
        assert_allclose(moved(50.5, 20.0), wavelength(48.5), atol=1e-4)

    def test_tilt_and_bow_are_columns_over_the_rows(self):
        table = (X, Y[:1], wavelength(X)[None])
        tilted = sm.WavelengthMap(1, limits=(0, NY - 1), table=table, tilt=3.0)
        assert_allclose(tilted([78.5, 81.5], [0.0, NY - 1.0]), wavelength(80.0), atol=1e-4)
        bowed = sm.WavelengthMap(2, limits=(0, NY - 1), table=table, bow=1.5)
        rows = [0.0, (NY - 1) / 2]
        assert_allclose(bowed([81.0, 79.5], rows), wavelength(80.0), atol=1e-4)

    def test_tilt_may_change_along_the_columns(self):
        table = (X, Y[:1], X[None])
        moved = sm.WavelengthMap(1, column_degree=1, limits=(0, NY - 1), column_limits=(0, NX - 1),
                                 table=table, tilt=2.0, tilt_x1=1.0)  # fmt: skip
        assert_allclose(moved([0.0, NX - 1.0], [0.0, 0.0]), [0.5, NX - 1 + 1.5])

    def test_wavelengths_go_on_beyond_the_ends_and_over_missing_ones(self):
        known = np.broadcast_to(wavelength(X), (NY, NX)).copy()
        known[:, :5] = np.nan
        known[:, -3:] = np.nan
        moved = sm.WavelengthMap(table=(X, Y, known), shift=4.0)
        assert_allclose(moved(6.0, 2.0), wavelength(2.0), atol=2e-2)
        assert_allclose(moved(300.0, 2.0), wavelength(X[-5]) + 1.56 * (296 - X[-5]), rtol=1e-4)

    def test_rows_between_those_of_the_table_are_interpolated(self):
        table = (X, Y, X + 0.1 * Y[:, None])
        assert_allclose(sm.WavelengthMap(table=table, shift=1.0)(10.0, 3.5), 9.35)


class TestFits:
    def test_flexure_tilt_and_bow_are_found_from_the_lines(self):
        image = exposure(tilt=2.5, bow=-0.8)
        moved = sm.WavelengthMap(2, limits=(0, NY - 1), tilt=2.2, bow=-0.5,
                                 fixed={"shift": True})  # fmt: skip
        fit = sm.VarProFitter()(sky(moved), image)
        assert fit.success, fit.message
        for name, true in (("tilt_0", 2.5), ("bow_0", -0.8)):
            assert abs(fit[name] - true) < min(4 * fit.error(name), 0.02)
        assert abs(fit.reduced_chi2 - 1) < 0.1

    def test_each_exposure_has_its_own_shift(self):
        shifts = (-0.3, 0.1, 0.2)
        images = [exposure(s, 1.0, seed=n, name=f"e{n}") for n, s in enumerate(shifts)]
        moved = sm.WavelengthMap(1, limits=(0, NY - 1), over=("exposure",))
        # Knots of two thirds of a pixel need lines at several phases.
        moved.shift.prior = sm.GaussianPrior(0.0, 0.5)
        moved.tilt, moved.tilt.fixed = 1.0, True
        fit = sm.VarProFitter()(sky(moved), images)
        assert fit.success, fit.message
        difference = np.diff(fit["shift_0"]) - np.diff(shifts)
        assert np.all(np.abs(difference) < 0.01)
        assert abs(np.mean(fit["shift_0"])) < 0.5

    def test_one_map_serves_all_spectra(self):
        source = sm.Source(sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, c0=11.3), name="s")
        source.flux.fixed = True
        spectrum = sm.MasterBackgroundSpectrum(np.linspace(4985, 5255, 170), name="s spectrum")
        night = sm.MasterBackgroundSpectrum(np.linspace(4985, 5255, 270))
        whole = source * spectrum + sm.sky_of_wavelength(night, degree=1, limits=(0, NY - 1))
        model = sm.with_wavelength_map(whole, sm.WavelengthMap(1, limits=(0, NY - 1), tilt=1.2))
        tied = [n for n in model.param_names if n.startswith(("shift", "tilt")) and model.tied[n]]
        free = [n for n in model.param_names if n.startswith("tilt") and not model.tied[n]]
        assert (len(tied), len(free)) == (2, 1)
        model.shift_1.fixed = True
        image = exposure(tilt=1.5)
        p = X - 1.5 * T / 2
        star = source.fraction(X[None], Y[:, None], [1, 11.3, 1.5]) * (300 + p)
        fit = sm.VarProFitter()(model, image.replace(data=image.data + star))
        assert fit.success, fit.message
        assert abs(fit[free[0]] - 1.5) < 0.02


@pytest.mark.parametrize(
    "wrong", [dict(degree=-1), dict(column_degree=0.5), dict(limits=(3, 3)),
              dict(column_limits=(5, 1))],
)  # fmt: skip
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        sm.WavelengthMap(**wrong)


def test_a_map_without_wavelengths_says_so():
    with pytest.raises(ValueError, match="wavelengths are not known"):
        sm.WavelengthMap()(3.0, 4.0)


def test_a_model_without_spectra_is_refused():
    with pytest.raises(ValueError, match="spectrum of wavelength"):
        sm.with_wavelength_map(sm.ColumnPolynomial(1), sm.WavelengthMap())
