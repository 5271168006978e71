"""Extraction with any composition: two blended sources, a sky of wavelength, and flicker lines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm

NY, NX = 36, 150
X, Y = np.arange(float(NX)), np.arange(float(NY))[:, None]
WAVE = 2.0 + 1.1 * (X + 0.3 * (Y - 18)) / (NX - 1)
SKY = 30 + 8 * np.sin(5 * WAVE)
FLUX = {"target": 400 + 100 * np.sin(X / 9), "neighbour": 150 + 60 * np.cos(X / 13)}
ROWS = {"target": 11.3, "neighbour": 17.2}
SCATTER = 1.5


def slit(seed):
    """The image, and what on it is no source."""
    rng = np.random.default_rng(seed)
    wave = 2 * np.pi * X / NX
    lines = rng.normal(0, SCATTER, (2, NY, 1)) * [np.cos(wave) + 0 * Y, np.sin(wave) + 0 * Y]
    below = SKY + lines.sum(axis=0)
    light = sum(FLUX[n] * sm.GaussianProfile(stddev=1.7, center=ROWS[n])(Y) for n in FLUX)
    image = sm.SpectralImage(
        rng.normal(light + below, 1.0), variance=np.ones((NY, NX)), wavelength=WAVE,
        readout=sm.Readout(fast_axis=-1),
    )  # fmt: skip
    return image, below


def model():
    sources = [
        sm.Source(sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(1, limits=(0, NX - 1)),
                  trace_c0=row, name=name) for name, row in (("target", 11), ("neighbour", 17.5))
    ]  # fmt: skip
    sky = sm.MasterBackgroundSpectrum(np.linspace(1.8, 3.3, 60), name="sky")
    flicker = sm.FourierNoise(n_harmonics=1, period=NX, name="flicker")
    flicker.coefficient_prior = sm.FlickerPrior(offset=1.0)
    return sources[0] + sources[1] + sky + flicker


@pytest.fixture(scope="module")
def results():
    out = []
    for seed in range(8):
        image, below = slit(seed)
        out.append((sm.OptimalExtraction(model())(image), below))
    return out


def test_fluxes_have_true_errors(results):
    """Columns are not independent: whole frames are, and sums have errors of their covariance."""
    single, sums = [], []
    parts = np.repeat(np.eye(NX // 25), 25, axis=1)
    for result, _ in results:
        assert result.fit.success, result.fit.message
        for name, flux in FLUX.items():
            table = result.table(name)
            off = table["flux"].value - flux
            single.append(off / table["flux_error"].value)
            covariance = parts @ result.covariance(name) @ parts.T
            sums.append(parts @ off / np.sqrt(np.diagonal(covariance)))
            assert_allclose(
                np.sqrt(np.diagonal(result.covariance(name))), table["flux_error"].value
            )
    assert np.sqrt(np.mean(np.square(single))) == pytest.approx(1, abs=0.25)
    assert np.sqrt(np.mean(np.square(sums))) == pytest.approx(1, abs=0.35)


def test_errors_of_sums_are_larger_than_those_of_independent_columns(results):
    result = results[0][0]
    error = result.table("target")["flux_error"].value
    total = np.sqrt(result.covariance("target").sum())
    assert total > 3 * np.sqrt(np.sum(error**2))


def test_sky_is_all_that_is_no_source(results):
    for result, below in results:
        parts = result.fit.components()
        assert_allclose(result.sky, parts["sky"] + parts["flicker"], rtol=1e-9, atol=1e-9)
        seen = below[np.isin(Y[:, 0], result.fit.image.y)]
        off = result.sky - seen
        away = np.abs(result.fit.image.y - 14) > 8
        assert np.std(off[away]) < 0.4
        assert np.abs(np.mean(off[away])) < 0.15


def test_aperture_and_background_are_those_of_the_rest_subtracted(results):
    for result, below in results:
        for name, flux in FLUX.items():
            table = result.table(name)
            assert np.median(table["aperture_flux"].value / flux) == pytest.approx(1, abs=0.03)
            rows = np.round(result.trace(name)).astype(int)
            off = table["background"].value - below[rows, np.arange(NX)]
            assert np.abs(np.median(off)) < 2.0


def test_report_and_figure_tell_of_both_sources(results):
    result = results[0][0]
    report = result.report()
    assert list(report["source"]) == ["target", "neighbour"]
    assert set(report["status"]) == {"ok"}
    figure = result.plot()
    images = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert_allclose(np.ma.filled(images[1], np.nan), result.model)
    assert result.table("target")["chi2"].sum() == pytest.approx(result.fit.chi2.sum())


def test_sources_behind_factors_and_pipes_are_found():
    from astropy.modeling.models import Const2D, Scale

    image, _ = slit(1)
    half = Const2D(0.5, name="half", fixed={"amplitude": True})
    target = model()["target"]
    rest = model()["neighbour"] + model()["sky"]
    for seen in (half * target, target / Const2D(2.0, name="two", fixed={"amplitude": True}),
                 target | Scale(0.5, fixed={"factor": True}, name="scale")):  # fmt: skip
        result = sm.OptimalExtraction(seen + rest)(image)
        assert list(result.sources) == ["target", "neighbour"]
        ratio = result.table("target")["flux"].value / FLUX["target"]
        assert np.median(ratio) == pytest.approx(2, abs=0.05)
        assert np.abs(np.median(result.sky - SKY[np.isin(Y[:, 0], result.fit.image.y)])) < 0.5


def test_two_sources_of_one_name_are_refused():
    twice = model()["target"] + model()["target"] + model()["sky"]
    with pytest.raises(ValueError, match=r"names must differ, got more than one \['target'\]"):
        sm.OptimalExtraction(twice)(slit(2)[0])


def test_what_columns_share_is_part_of_each_flux(results):
    """Errors of all columns at once, from which the covariance is made as for columns."""
    result = results[0][0]
    for name, own in result.source_fluxes.items():
        fitted = result.fit.covariance_of(result.fit.names[result.sources[name][1][0]])
        assert_allclose(own.common.T @ own.common, fitted, rtol=1e-9, atol=1e-9)
        assert_allclose(result.covariance(name), fitted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("noise", ["flicker", "correlated"])
def test_long_sums_of_spectra_of_wavelength_know_of_what_all_columns_share(noise):
    """Flicker under a tilted slit: far columns have it in common as well as neighbours."""
    image, _ = slit(3)
    spectra = [
        sm.Source(sm.GaussianProfile(stddev=1.7), sm.PolynomialTrace(0, limits=(0, NX - 1)),
                  trace_c0=ROWS[name], name=name, fixed={"flux": True})
        * sm.MasterBackgroundSpectrum(np.linspace(1.8, 3.3, 160), name=f"{name} spectrum")
        for name in FLUX
    ]  # fmt: skip
    given = sm.FlickerSpectrum(0.4, 1.0)
    shared = {"flicker": model()["flicker"], "correlated": sm.CorrelatedNoise(given, given)}[noise]
    both = spectra[0] + spectra[1] + model()["sky"] + shared
    result = sm.OptimalExtraction(both, fitter=sm.LinearFitter())(image)
    weights = np.repeat(np.eye(NX // 50), 50, axis=1)
    for name in FLUX:
        rows = weights @ result.seen_spectra.rows(name)
        true = result.fit.covariance_of_rows(rows)
        found = result.sample_covariance(name).of_sums(weights)
        assert_allclose(found, true, rtol=1e-3)
        error = result.table(name)["flux_error"].value
        assert (np.diagonal(found) > 3 * (weights @ error**2)).all()
        assert len(result.source_fluxes[name].common) > 0


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_lines_of_a_rotating_galaxy_are_named_where_no_sum_counts_them(shift):
    """Variances are too large, as those of resampled pixels, so that chi-square says nothing."""
    profile = sm.GaussianProfile(stddev=4.0, center=18.2)(Y)
    line = 150 * np.exp(-0.5 * ((X - 70 - shift * (Y - 18.2)) / 2) ** 2)
    data = np.random.default_rng(5).normal((60 + line) * profile + SKY, 1.0)
    image = sm.SpectralImage(data, variance=np.full((NY, NX), 1.35), wavelength=WAVE + 0 * Y)
    trace = sm.PolynomialTrace(0, c0=18.0)
    sky = sm.MasterBackgroundSpectrum(np.linspace(1.8, 3.3, 60), name="sky")
    source = sm.Source(sm.GaussianProfile(stddev=4.0), trace, name="galaxy")
    row = sm.OptimalExtraction(source + sky)(image).report()[0]
    assert row["status"] == ("check" if shift else "ok")
    assert row["reason"].startswith("light that the profile lacks") == (shift > 0)
