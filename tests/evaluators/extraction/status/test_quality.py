"""Reports: good extractions are left alone, the others named with a reason."""

from dataclasses import replace

import numpy as np
import pytest

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.evaluators.extraction.status import criticism, neighbours
from specmodels.evaluators.extraction.status.quality import judge_source


def judged(image, name="source", **settings):
    return judge_source(sm.OptimalExtraction(**settings)(image), name)


@pytest.mark.parametrize("seed", range(3))
def test_good_extraction_is_ok(seed):
    image, truth = make_slit(seed=seed)
    row = judged(image)
    assert (row["status"], row["reason"]) == ("ok", "")
    expected = np.median(truth.flux[0] / truth.smallest_error[0])
    assert row["snr"] == pytest.approx(expected, rel=0.05)
    assert row["flux"] == pytest.approx(np.median(truth.flux[0]), rel=0.03)
    assert row["row"] == pytest.approx(truth.trace[0].mean(), abs=0.1)
    assert row["fwhm"] == pytest.approx(2.355 * 1.1, rel=0.15)
    error = row["optimal_over_aperture_error"]
    assert abs(row["optimal_over_aperture"] - 1) < 0.01 + 4 * error


@pytest.mark.parametrize(("factor", "reason"), [(9.0, "chi2/dof"), (1 / 9, "chi2/dof")])
def test_variances_that_are_off_are_named(factor, reason):
    image, _ = make_slit(seed=1)
    row = judged(image.replace(variance=factor * image.variance, components={}))
    assert row["status"] == "check"
    assert reason in row["reason"]


@pytest.mark.parametrize("response", [0.0, 0.5])
def test_row_under_the_trace_that_is_dead_is_named(response):
    """Its light is missing in all sums, whose noise knows nothing of it."""
    image, truth = make_slit(seed=6, snr=60.0)
    row = round(float(truth.trace[0].mean()))
    data = image.data.copy()
    data[row] *= response
    judgement = judged(image.replace(data=data))
    assert judgement["summed"] > 0.5
    assert judgement["status"] == "check"
    assert "chi2/dof" in judgement["reason"]


def test_profile_that_does_not_hold_is_named_though_sums_are_right():
    """Success and a green light do not stand beside a chi-square that is clearly off."""
    image, truth = make_slit(seed=2, snr=250.0, wing=0.1)
    given = sm.GaussianProfile(stddev=1.1)
    row = judged(image, profile=given, n_sources=1)
    assert row["summed"] > 0.5
    assert row["flux"] == pytest.approx(np.median(truth.flux[0]), rel=0.03)
    assert row["chi2_dof"] > 3
    assert "chi2/dof" in row["reason"]


@pytest.mark.parametrize("seed", range(3))
def test_core_that_is_clipped_without_a_flag_is_named(seed):
    image, _ = make_slit(seed=seed, shape=(40, 200), snr=100)
    top = 0.7 * np.nanpercentile(image.data, 99.5)
    assert (
        "clipped without a flag"
        in judged(image.replace(data=np.minimum(image.data, top)), n_sources=1)["reason"]
    )
    counts = np.round(image.data / np.sqrt(np.nanmedian(image.variance)))  # of a few electrons each
    whole = image.replace(data=counts, variance=np.ones(counts.shape), components={})
    assert "clipped" not in judged(whole, n_sources=1)["reason"]


def test_faint_source_is_named():
    """Only where it is not certain: a mean of faint columns is right within its error."""
    image, _ = make_slit(seed=2, snr=0.1)
    row = judged(image, n_sources=1)
    assert "uncertain" in row["reason"]


def ratios(line=(), seed=0):
    """Flux, error and mask of columns without light but for a line."""
    flux = np.random.default_rng(seed).normal(size=400)
    flux[200 : 200 + len(line)] += line
    return flux, np.ones(400), np.zeros(400, dtype=bool)


@pytest.mark.parametrize("seed", range(20))
def test_line_that_is_seen_in_some_columns_makes_a_source_certain(seed):
    """Neither the mean of all columns nor their scatter tells of one line."""
    line = 6 * np.exp(-0.5 * (np.arange(-3, 4) / 1.3) ** 2)
    assert criticism.total_snr(*ratios(line, seed)) > criticism.LEAST_SNR


@pytest.mark.parametrize("seed", range(20))
def test_neither_noise_nor_one_column_makes_a_source_certain(seed):
    assert criticism.total_snr(*ratios((), seed)) < criticism.LEAST_SNR
    assert criticism.total_snr(*ratios((9.0,), seed)) < criticism.LEAST_SNR


def test_fit_that_failed_is_named():
    image, _ = make_slit(seed=3)
    result = sm.OptimalExtraction()(image)
    failed = replace(result, fit=result.fit.replace(success=False, message="not converged"))
    assert judge_source(failed, "source")["reason"] == "not converged"


def test_profile_too_narrow_for_the_data_is_named():
    """The model misses light, which is summed, and its sky takes the rest."""
    image, _ = make_slit(seed=4, width=(2.0, 2.0), wing=0.0)
    profile = sm.GaussianProfile(stddev=1.2, fixed={"stddev": True})
    row = judged(image, profile=profile, aperture=3.0)
    assert row["status"] == "check"
    assert "give the profile" in row["reason"]


def test_numbers_are_plain_for_tables():
    image, _ = make_slit(seed=5)
    kinds = {key: type(value) for key, value in judged(image).items()}
    assert kinds.pop("status") is str
    assert kinds.pop("reason") is str
    assert kinds.pop("n_rejected") is int
    assert set(kinds.values()) == {float}


def order_beside(row_at_start, row_at_end, part, seed=5):
    """A bright source, and light that crosses the slit in most of the columns."""
    shape, rng = (50, 400), np.random.default_rng(seed)
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    trace = np.linspace(row_at_start, row_at_end, shape[1])
    gaussian = sm.GaussianProfile()
    mean = 20000 * gaussian.evaluate(y, 24.6, 1.5) + 50.0
    mean = mean + np.where(x > 120, part * 20000, 0.0) * gaussian.evaluate(y, trace, 2.0)
    data = mean + rng.normal(size=shape) * np.sqrt(mean + 9)
    return sm.SpectralImage(data, variance=mean + 9)


def test_light_far_away_that_lifts_the_sky_is_named():
    row = judged(order_beside(14.0, 3.0, 0.4), n_sources=1)
    assert row["status"] == "check"
    assert "sky is too bright" in row["reason"]


def test_light_that_comes_in_on_one_side_is_named():
    row = judged(order_beside(42.0, 31.0, 0.15), n_sources=1)
    assert row["status"] == "check"
    assert "light on one side" in row["reason"]


def test_light_that_comes_in_on_one_side_is_in_the_errors():
    result = sm.OptimalExtraction(n_sources=1)(order_beside(42.0, 31.0, 0.05))
    flux, covariance = result.source_fluxes["source"].flux, result.covariance("source")
    for part in np.array_split(np.arange(400), 4):
        error = np.sqrt(covariance[np.ix_(part, part)].sum())
        assert abs(np.sum(flux[part] - 20000)) < 3 * error


def test_source_next_to_light_that_no_trace_describes_is_named():
    """Another order is taken for a source whose trace is parallel: its light lies in both."""
    image = order_beside(42.0, 29.0, 0.08)
    result = sm.OptimalExtraction(n_sources=2)(image)
    brightest = max(result.sources, key=lambda name: np.sum(result.table(name)["flux"].value))
    assert result.table(brightest).meta["status"] == "check"
    assert "next to" in "".join(neighbours.doubtful_neighbours(result, brightest))


def test_source_that_takes_light_away_from_another_is_not_seen():
    y = np.arange(40)[:, None] + np.zeros(300)
    gaussian, rng = sm.GaussianProfile(), np.random.default_rng(7)
    mean = sum(4000 * gaussian.evaluate(y, row, 1.5) for row in (10.0, 26.0, 28.0)) + 50
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    result = sm.OptimalExtraction(n_sources=3)(image)
    alone = min(result.sources, key=lambda name: np.mean(result.trace(name)))
    assert result.table(alone).meta["status"] == "ok"
    fluxes, blended = dict(result.source_fluxes), next(n for n in result.sources if n != alone)
    fluxes[blended] = replace(fluxes[blended], flux=-fluxes[blended].flux)
    other = replace(result)
    other.__dict__["source_fluxes"] = fluxes
    assert "asked for" in "".join(neighbours.hidden_neighbours(other, alone))


def test_source_that_is_no_more_than_a_misfit_of_another_is_not_seen():
    """Where two lie in one place, the last that was asked for goes to where the profile is off."""
    y = np.arange(50)[:, None] + np.zeros(300)
    gaussian, rng = sm.GaussianProfile(), np.random.default_rng(7)
    mean = sum(4000 * gaussian.evaluate(y, row, 2.0) for row in (16.0, 33.0)) + 50
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    result = sm.OptimalExtraction(n_sources=2)(image)
    assert not any(any(neighbours.hidden_neighbours(result, name)) for name in result.sources)
    first, second = result.sources
    moved, fluxes = replace(result), dict(result.source_fluxes)
    fluxes[second] = replace(fluxes[second], flux=0.02 * fluxes[second].flux)
    curves = {first: result._curves[first],
              second: (result.trace(first) - 6.0, result.fwhm(second))}  # fmt: skip
    moved.__dict__.update(source_fluxes=fluxes, _curves=curves)
    assert "asked for" in "".join(neighbours.hidden_neighbours(moved, first))
    assert "may miss" in "".join(neighbours.hidden_neighbours(moved, second))


@pytest.mark.parametrize(("error", "named"), [(0.0, True), (0.2, False)])
def test_wings_at_the_ends_of_the_slit_are_named_where_no_error_holds_them(error, named):
    y = np.arange(30)[:, None] + np.zeros(200)
    mean = 3000 * sm.MoffatProfile().evaluate(y, 14.5, 3.0, 1.6) + 20
    data = np.random.default_rng(8).poisson(mean).astype(float)
    profile = sm.MoffatProfile(gamma=3.0, alpha=1.6, fixed={"alpha": True})
    result = sm.OptimalExtraction(profile=profile)(sm.SpectralImage(data, variance=mean))
    own = result.source_fluxes["source"]
    wings = replace(own.wings, error=error)
    result.__dict__["source_fluxes"] = {"source": replace(own, wings=wings)}
    assert any(criticism.light_outside(result, "source")) == named


def test_line_of_the_sky_upon_one_of_the_sources_is_no_wing():
    """It tells of itself only."""
    y, x = np.mgrid[:40, :300].astype(float)
    line = np.exp(-0.5 * ((x - 180) / 2.5) ** 2)
    sources = sum(
        flux * np.exp(-0.5 * ((y - row) / 1.5) ** 2) for row, flux in ((15, 800), (25, 500))
    )
    mean = 50 + 30 * line + sources * (1 + line)
    data = np.random.default_rng(0).poisson(mean).astype(float)
    result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=mean))
    for row in result.report():
        assert (row["status"], row["reason"]) == ("ok", "")
