"""Slits with tilted lines: spectra of wavelength, against the truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erf

import specmodels as sm
from specmodels.evaluators.extraction.guess.automatic import SlitModelBuilder
from specmodels.evaluators.extraction.guess.leaves import leaves_of
from specmodels.evaluators.extraction.shapes import with_wing_priors
from specmodels.evaluators.extraction.tilted import (
    TiltedSlitBuilder,
    _with_scale_held,
    line_tilt,
)
from specmodels.fitters import LinearFitter, StagedFitter, VarProFitter
from specmodels.models import SlitFunction, bound, breakpoints, sky_of_wavelength

NY, NX = 40, 400


def spread(y, center, sigma):
    ends = (erf((y + side - center) / sigma / 2**0.5) for side in (0.5, -0.5))
    return 0.5 * (next(ends) - next(ends))


def tilted_slit(seed, tilt=5.0, unit=1.0):
    """One source with lines under a bright line sky; the wavelength is known in each pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:NY, :NX].astype(float)
    p = x - tilt * (y - NY / 2) / NY
    lines = rng.uniform(0, NX, 30), rng.uniform(50, 1500, 30)

    def night(p):
        return 60 + sum(
            h * np.exp(-0.5 * ((p - c) / 1.1) ** 2) for c, h in zip(*lines, strict=True)
        )

    def star(p):
        return 900 + 300 * np.sin(p / 40) + 1500 * np.exp(-0.5 * ((p - 180) / 1.3) ** 2)

    row = 20.3 + 0.004 * x
    image = night(p) * (1 + 0.04 * np.sin(y / 9)) + star(p) * spread(y, row, 1.6)
    data = rng.poisson(image) + rng.normal(0, 3, image.shape)
    wavelength = 1.0 + 0.001 * p
    given = sm.SpectralImage(unit * data, variance=unit**2 * (image + 9), wavelength=wavelength,
                             wavelength_unit="um")  # fmt: skip
    return given, star


def figures(result, star):
    table = result.table(next(iter(result.spectra)))
    truth = star((table["wavelength"].value - 1.0) / 0.001)
    inside = slice(15, -15)
    wrong = (np.asarray(table["flux"].value) - truth)[inside]
    return wrong / np.asarray(table["flux_error"].value)[inside], wrong, truth[inside]


def test_tilt_is_measured_in_columns():
    assert line_tilt(tilted_slit(0)[0]) == pytest.approx(5.0 * (NY - 1) / NY)
    assert line_tilt(sm.datasets.make_slit()[0]) == 0
    assert line_tilt(tilted_slit(0, tilt=0.0)[0]) < 1e-6


@pytest.mark.parametrize("seed", [1, 2, 15])
def test_fluxes_under_tilted_lines_have_honest_errors(seed):
    image, star = tilted_slit(seed)
    result = sm.OptimalExtraction(n_sources=1)(image)
    assert result.fit.success
    assert result.seen_spectra is not None
    assert 0.95 < result.fit.reduced_chi2 < 1.06
    pulls, wrong, truth = figures(result, star)
    assert abs(np.mean(pulls)) < 0.4  # what learnt wings and the slit function share
    assert 0.85 < np.std(pulls) < 1.15
    assert abs(np.sum(wrong) / np.sum(truth)) < 0.02


def test_errors_of_sums_need_the_covariance():
    image, star = tilted_slit(3)
    result = sm.OptimalExtraction(n_sources=1)(image)
    name = next(iter(result.spectra))
    covariance = result.covariance(name)
    _, error = result.seen_spectra.fluxes[name]
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), error, rtol=1e-8)
    _, wrong, _ = figures(result, star)
    sums = wrong[: 18 * 20].reshape(18, 20).sum(axis=1)
    inner = covariance[15 : 15 + 360, 15 : 15 + 360].reshape(18, 20, 18, 20)
    expected = np.sqrt(np.einsum("kikj->k", inner))
    assert 0.6 < np.std(sums / expected) < 1.5


def test_the_unit_of_the_data_does_not_matter():
    one, two = (sm.OptimalExtraction(n_sources=1)(tilted_slit(1, unit=unit)[0])
                for unit in (1.0, 1e-17))  # fmt: skip
    name = next(iter(one.spectra))
    (flux, error), (small, _) = one.seen_spectra.fluxes[name], two.seen_spectra.fluxes[name]
    assert np.nanmax(np.abs(small / 1e-17 - flux) / error) < 0.02


@pytest.mark.parametrize("spoil", ["columns", "wavelengths", "rows", "variance", "reversed"])
def test_spoilt_tilted_slits_are_extracted(spoil):
    image, star = tilted_slit(14)
    data, variance, wave = (np.array(a) for a in (image.data, image.variance, image.wavelength))
    if spoil == "columns":
        data[:, 100:120] = np.nan
    elif spoil == "wavelengths":
        wave[:4], wave[:, :30] = np.nan, np.nan
    elif spoil == "rows":
        data[10:14] = np.nan
    elif spoil == "variance":
        variance = None
    else:
        data, variance, wave = (a[:, ::-1] for a in (data, variance, wave))
    given = sm.SpectralImage(data, variance=variance, wavelength=wave, wavelength_unit="um")
    result = sm.OptimalExtraction(n_sources=1)(given)
    pulls, *_ = figures(result, star)
    assert np.isfinite(pulls).mean() > 0.9
    assert abs(np.nanmean(pulls)) < 0.5
    assert 0.8 < np.nanstd(pulls) < 1.25


def test_faint_source_gives_no_light_to_a_slit_that_is_even():
    """A throughput that is free would take what is a tenth of a sky with few lines."""
    ratios = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:42, :400].astype(float)
        p = x - 6.0 * (y - 21) / 42
        sky = 100 + sum(
            h * np.exp(-0.5 * ((p - c) / 1.3) ** 2)
            for h, c in zip(rng.uniform(20, 400, 10), rng.uniform(0, 400, 10), strict=True)
        )
        mean = sky + 45 * spread(y, 20 + 0 * x, 1.9)
        image = sm.SpectralImage(
            rng.poisson(mean) + rng.normal(0, 3, mean.shape), variance=mean + 9, wavelength=p
        )
        result = sm.OptimalExtraction(n_sources=1)(image)
        assert result.seen_spectra is not None
        assert not any("slit function" in str(leaf.name) for leaf, _ in result.fit.form.leaves())
        ratios.append(np.mean(result.table("source")["flux"].value) / 45)
    assert abs(np.mean(ratios) - 1) < 0.12


def test_uneven_slit_is_seen_in_the_sky():
    result = sm.OptimalExtraction(n_sources=1)(tilted_slit(1)[0])
    assert any("slit function" in str(leaf.name) for leaf, _ in result.fit.form.leaves())


def test_faint_source_under_tilted_lines_is_to_be_looked_at():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:42, :300].astype(float)
    p = x - 6.0 * (y - 21) / 42
    sky = 20 + sum(300 * np.exp(-0.5 * ((p - c) / 1.3) ** 2) for c in (30, 90, 150, 210, 270))
    for flux, faint in ((7.0, True), (200.0, False)):
        mean = sky + flux * spread(y, 20 + 0 * x, 1.6)
        image = sm.SpectralImage(
            rng.poisson(mean) + rng.normal(0, 3, mean.shape), variance=mean + 9, wavelength=p
        )
        (row,) = sm.OptimalExtraction(n_sources=1)(image).report()
        assert ("faint" in row["reason"]) == faint


def test_spectrum_beyond_the_trace_is_not_left_to_the_wings():
    """Wavelengths that only corners of the image see, where next to no light of the source gets."""
    image, _ = tilted_slit(3, tilt=8.0)
    model = TiltedSlitBuilder(SlitModelBuilder(n_sources=1)).build(image)
    spectrum = next(leaf for leaf in leaves_of(model) if leaf.name == "source spectrum")
    source = next(leaf for leaf in leaves_of(model) if leaf.name == "source")
    rows = np.rint(source.trace_position(image.x)).astype(int)
    at_trace = image.wavelength[rows, np.arange(len(image.x))]
    held = np.array([getattr(spectrum, n).prior is not None for n in spectrum.param_names])
    assert 2 <= held.sum() <= 12
    middle = np.flatnonzero(~held)
    assert np.array_equal(middle, np.arange(middle[0], middle[-1] + 1))
    index, value = spectrum.local_basis(at_trace)
    assert not held[index[value > 0]].any()


def test_scale_of_a_learnt_profile_is_that_of_its_priors():
    profile = with_wing_priors(sm.BSplineProfile(falling=True))
    source = sm.Source(profile, name="star")
    names = [n for n in source.param_names if n[0] == "c"]
    expected = np.array([getattr(source, n).value for n in names])
    for n, value in zip(names, expected, strict=True):
        setattr(source, n, 1e-5 * value)
    held = _with_scale_held(source)
    assert np.allclose([getattr(held, n).value for n in names], expected)
    assert [n for n in names if held.fixed[n]] == [names[np.argmax(expected)]]


def test_covariance_has_the_errors_that_pixels_share():
    image, _ = tilted_slit(3)
    # What is the same in all rows the sky takes; this is another in each half of the slit.
    draw = 20 * np.cos(np.arange(NX) / 60 + 3 * (np.arange(len(image.y))[:, None] // 20))
    result = sm.OptimalExtraction(n_sources=1)(image.replace(shared_errors={"left": draw}))
    name = next(iter(result.sources))
    error = result.source_fluxes[name].error
    assert np.median(error / np.sqrt(result.seen_spectra.covariances[name].variances)) > 1.1
    covariance = result.sample_covariance(name)
    np.testing.assert_allclose(covariance.variances, error**2)
    # The draw is the same over many columns, and so is its error: bins have all of it.
    wave = np.asarray(result.wavelength(name).value)
    edges = wave[32:321:8]
    found = result.rebin(edges)["flux_error"].value ** 2
    alone = replace(result, image=image, fit=result.fit.replace(image=image)).rebin(edges)
    more = found - alone["flux_error"].value ** 2
    single = error**2 - result.seen_spectra.covariances[name].variances
    assert 40 < np.sum(more) / np.sum(single[36:320:8]) < 65
    # So have samples at other wavelengths, of which these are twice as many.
    grid = np.linspace(wave[32], wave[320], 577)
    spectrum = result.spectrum_at(grid)
    np.testing.assert_allclose(spectrum.uncertainty.array[::2], error[32:321], rtol=1e-6)
    total = spectrum.meta["specmodels"]["covariance"].of_sums(0.5 * np.ones((1, 577)))[0, 0]
    assert np.isclose(total, covariance.of_sums(np.ones((1, 289)) @ np.eye(NX)[32:321])[0, 0],
                      rtol=0.1)  # fmt: skip


def test_learnt_profile_has_the_shoulders_of_a_core_with_wings():
    """Of two sources, whose wings reach beyond one another."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:60, :500].astype(float)
    p = x - 5.0 * (y - 30) / 60
    lines = rng.uniform(0, 500, 40), rng.uniform(50, 1500, 40)
    night = 60 + sum(h * np.exp(-0.5 * ((p - c) / 1.1) ** 2) for c, h in zip(*lines, strict=True))
    rows = 24.0 + 0.004 * x
    true = [0.9 * spread(y, row, 1.35) + 0.1 * spread(y, row, 4.05) for row in (rows, rows + 11)]
    image = night + 12000 * true[0] + 4000 * true[1]
    given = sm.SpectralImage(rng.poisson(image) + rng.normal(0, 3, image.shape), variance=image + 9,
                             wavelength=1.0 + 0.001 * p, wavelength_unit="um")  # fmt: skip
    result = sm.OptimalExtraction(n_sources=2)(given)
    model = next(leaf for leaf in leaves_of(result.fit.template) if isinstance(leaf, sm.Source))
    values = [getattr(model, n).value for n in model.param_names]
    light = model.fraction(x[:1], y[:, :1], values)
    assert np.sqrt(np.sum((light - true[0]) ** 2) / np.sum(true[0] ** 2)) < 4e-3
    assert np.sum(light[:20]) == pytest.approx(np.sum(true[0][:20]), rel=0.1)
    assert result.fit.reduced_chi2 < 1.03


def composed(image, free=True):
    """A Gaussian source and a sky, both of wavelength, without any prior."""
    source = sm.Source(
        sm.GaussianProfile(), sm.PolynomialTrace(1, limits=(0, NX - 1), c0=21.1, c1=0.8),
        width=sm.PolynomialTrace(0, c0=1.6), name="star", flux=1.0,
    )  # fmt: skip
    slit = SlitFunction(np.linspace(0, NY - 1, 9), name="slit")
    for one, names in ((source, source.param_names), (slit, slit.param_names)):
        for n in names:
            getattr(one, n).fixed = n in ("flux", "c0") or not free
    star = sm.MasterBackgroundSpectrum(breakpoints(image.wavelength, 1.0), name="light")
    night = sm.MasterBackgroundSpectrum(breakpoints(image.wavelength, 2 / 3), name="night")
    return source * star + sky_of_wavelength(night, slit_function=slit)


def test_noiseless_data_give_the_spectra_back():
    """Shapes and slit function are free, and found as well."""
    image, _ = tilted_slit(4)
    true = composed(image)
    rng = np.random.default_rng(0)
    for leaf in leaves_of(true):
        if leaf.name == "slit":
            for n in leaf.param_names[1:]:
                setattr(leaf, n, rng.normal(0, 0.03))
        if leaf.name in ("light", "night"):
            level = 900.0 if leaf.name == "light" else 60.0
            for n in leaf.param_names:
                setattr(leaf, n, level * rng.uniform(0.5, 3.0))
    values = {n: getattr(true, n).value for n in true.param_names}
    start = composed(image)
    for leaf in leaves_of(start):
        if leaf.name == "star":
            leaf.trace_c0, leaf.trace_c1, leaf.width_c0 = 21.5, 0.5, 1.9
    data = np.asarray(bound(true, image)(image.x[None], image.y[:, None]))
    noiseless = image.replace(data=data)
    for fitter in (VarProFitter(), StagedFitter(96)):
        fit = fitter(start, noiseless)
        assert fit.success
        for name, value in zip(true.param_names, fit.values, strict=True):
            error = fit.error(name)
            if np.isfinite(error) and error > 0:
                assert abs(value - values[name]) < 1e-6 * error


def test_part_of_a_slit_gives_the_same_as_the_whole():
    """Away from its ends, of which neighbours know less and less."""
    image, _ = tilted_slit(5)
    model = composed(image, free=False)
    whole, part = (LinearFitter()(model, one)
                   for one in (image, image.cutout(columns=slice(100, 300))))  # fmt: skip
    numbers = [k for k, n in enumerate(model.param_names) if n.endswith("_2")]  # of the light
    errors = [part.error(model.param_names[k]) for k in numbers]
    differ = [(part.values[k] - whole.values[k]) / error
              for k, error in zip(numbers, errors, strict=True)]  # fmt: skip
    assert np.max(np.abs(differ[135:270])) < 1e-3
    assert np.max(np.abs(differ[100:110])) > 0.1


def test_straight_lines_are_extracted_by_columns():
    """Whether or not each pixel has a wavelength of its own."""
    image, _ = tilted_slit(6, tilt=0.0)
    plain = image.replace(wavelength=image.wavelength[0])
    first, second = (sm.OptimalExtraction(n_sources=1)(one) for one in (image, plain))
    assert first.fit.independent_columns
    np.testing.assert_array_equal(first.spectrum.flux, second.spectrum.flux)
    np.testing.assert_array_equal(
        first.spectrum.uncertainty.array, second.spectrum.uncertainty.array
    )


@pytest.mark.parametrize("spoil", ["noisy", "hits"])
def test_noisy_variances_and_strong_hits_leave_no_bias(spoil):
    image, star = tilted_slit(7)
    data, variance = np.array(image.data), np.array(image.variance)
    if spoil == "noisy":
        variance = np.maximum(data, 0.0) + 9
    else:
        rng = np.random.default_rng(7)
        rows, columns = rng.integers(2, NY - 2, 12), rng.integers(5, NX - 5, 12)
        rows[:5] = np.rint(20.3 + 0.004 * columns[:5])
        data[rows, columns] += 10 ** rng.uniform(1.7, 3.0, 12) * np.sqrt(variance[rows, columns])
    result = sm.OptimalExtraction(n_sources=1)(image.replace(data=data, variance=variance))
    pulls, *_ = figures(result, star)
    assert abs(np.mean(pulls)) < 0.2
    assert 0.85 < np.std(pulls) < 1.15
    if spoil == "hits":
        assert result.fit.rejected[rows, columns].all()
