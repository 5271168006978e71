"""What the automatic extraction chooses by itself: sky, region, lines, drifting profiles."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels import (
    DriftingBSplineProfile,
    GaussianProfile,
    OptimalExtraction,
    SpectralImage,
    UniformSky,
    datasets,
)
from specmodels.evaluators.extraction.guess.first_guess import find_sources
from specmodels.evaluators.extraction.guess.region import slit_region


def noisy(image, read_noise=4.0, seed=1):
    rng = np.random.default_rng(seed)
    variance = np.maximum(image, 0) + read_noise**2
    return SpectralImage(image + rng.normal(size=image.shape) * np.sqrt(variance),
                         variance=variance)  # fmt: skip


def trace_of(flux, shape, center, stddev=1.4):
    return flux * GaussianProfile().evaluate(np.arange(shape[0])[:, None], center, stddev)


class TestSky:
    def test_is_one_level_where_it_was_subtracted(self):
        image = trace_of(np.full(400, 800.0), (40, 400), 19.4) + np.zeros((40, 400))
        result = OptimalExtraction()(noisy(image))
        sky = next(leaf for leaf, _ in result.fit.form.leaves() if leaf.name == "sky")
        assert isinstance(sky, UniformSky)
        pull = (result.spectrum.flux.value - 800) / result.spectrum.uncertainty.array
        assert abs(pull.mean()) < 0.3

    @pytest.mark.parametrize("part", [0.03, 0.06, 0.1])
    def test_has_no_parabola_with_the_lines_of_the_source(self, part):
        """Wings that reach the ends of the slit, under a sky of one level."""
        rows = np.arange(40)[:, None]
        halo = 1.2 - ((rows - 19.5) / 19.5) ** 2
        image = (1 - part) * GaussianProfile().evaluate(rows, 18.3, 1.4) + part * halo / halo.sum()
        lines = sum(np.exp(-0.5 * ((np.arange(400) - c) / 2) ** 2) for c in (60, 170, 230, 330))
        flux = 4e4 * (1 + lines)
        result = OptimalExtraction(n_sources=1)(noisy(flux * image + 20))
        assert not any(n.startswith("c2_") and np.ndim(result.fit[n]) for n in result.fit.names)
        off = np.sum(result.source_fluxes["source"].flux) - np.sum(flux)
        assert abs(off) < 3 * np.sqrt(result.covariance("source").sum())

    def test_slopes_where_the_sky_does(self):
        rows = np.arange(60)[:, None]
        sky = 200 * (1 + 0.02 * (rows - 30)) * np.ones((60, 400))
        result = OptimalExtraction()(noisy(trace_of(np.full(400, 900.0), (60, 400), 22.0) + sky))
        names = [name for name in result.fit.names if name.startswith("c")]
        assert any(name.startswith("c1") for name in names)
        assert np.median(result.spectrum.flux.value) == pytest.approx(900, rel=0.02)

    @pytest.mark.parametrize("bow", [0.15, -0.15])
    def test_bows_where_the_sky_is_the_same_at_both_ends(self, bow):
        """A slope alone gains nothing there."""
        rows = np.linspace(-1, 1, 61)[:, None]
        sky = 150 * (1 + bow * rows**2) * np.ones((61, 400))
        flux = np.full(400, 2500.0)
        result = OptimalExtraction()(noisy(trace_of(flux, (61, 400), 30.3) + sky))
        sky = next(leaf for leaf, _ in result.fit.form.leaves() if leaf.name == "sky")
        assert sky.degree == 2
        assert_allclose(np.mean(result.table("source")["flux"].value), 2500.0, rtol=0.01)

    def test_empty_columns_are_masked_and_noted(self):
        slit, _ = datasets.make_slit()
        data = np.array(slit.data)
        data[:, :40] = 0.0
        image = slit_region(slit.replace(data=data))
        assert image.mask[:, :40].all()
        assert not image.mask[:, 40:].all()
        assert "40 columns" in image.notes[0]


class TestRegion:
    def test_vignetted_rows_are_masked_and_noted(self):
        slit, _ = datasets.make_slit(sky=400.0)
        data = np.array(slit.data)
        data[:2] *= 0.3
        image = slit_region(slit.replace(data=data))
        assert image.mask[:2].all()
        assert image.mask[2].mean() < 0.1
        assert any("first 2 rows" in note for note in image.notes)

    def test_image_without_such_flaws_is_left_alone(self):
        slit, _ = datasets.make_slit()
        assert slit_region(slit) is slit

    def test_far_rows_of_a_long_slit_are_left_out(self):
        slit, _ = datasets.make_slit(shape=(300, 200))
        result = OptimalExtraction()(slit)
        assert result.image.shape[0] < 150
        assert any("near the sources" in note for note in result.notes)
        assert result.trace("source").mean() == pytest.approx(149.5, abs=3)


class TestSources:
    def test_emission_lines_alone_show_where_a_source_is(self):
        flux = np.zeros(400)
        flux[[100, 101, 102, 250, 251, 252]] = [800, 1500, 800, 500, 1000, 500]
        rows = np.arange(30)[:, None]
        flat = 1 + 0.04 * np.random.default_rng(2).normal(size=(30, 1))
        image = trace_of(flux, (30, 400), 11.7) + 150 * flat + 0 * rows
        guess = find_sources(noisy(image, read_noise=2.0), n_sources=1)
        assert guess.centers[0] == pytest.approx(11.7, abs=0.7)

    def test_dark_edge_is_no_negative_source(self):
        image = trace_of(np.full(300, 600.0), (30, 300), 14.0) + 100.0
        image[0] = 20.0
        guess = find_sources(noisy(image))
        assert len(guess.centers) == 1
        assert guess.snr[0] > 0


def test_profile_drifts_where_its_shape_changes_by_more_than_its_width():
    n_row, n_column = 41, 600
    u = np.linspace(0, 1, n_column)
    y = np.arange(n_row)[:, None]
    gaussian = GaussianProfile()
    core, wing = gaussian.evaluate(y, 20.3, 1.2), gaussian.evaluate(y, 20.3, 4.0)
    profile = (0.95 - 0.4 * u) * core + (0.05 + 0.4 * u) * wing
    flux = 20000.0 * np.ones(n_column)
    result = OptimalExtraction()(noisy(flux * profile + 20.0))
    leaf, _ = result.sources["source"]
    assert isinstance(leaf.profile, DriftingBSplineProfile)
    error = result.spectrum.flux.value / flux - 1
    for part in np.array_split(error, 4):
        assert abs(part.mean()) < 0.005


@pytest.mark.parametrize("row", [0.4, 1.5, 20.2])
def test_half_a_profile_tells_of_the_other_half(row):
    """At an edge, or with a dead row in the core, a family of profiles is wrong by per cents."""
    shape, u = (42, 400), np.linspace(-1, 1, 400)
    y, width = np.arange(shape[0])[:, None], 1.1 * (1 + 0.1 * u)
    gaussian = GaussianProfile()
    profile = 0.9 * gaussian.evaluate(y, row, width) + 0.1 * gaussian.evaluate(y, row, 3 * width)
    image = noisy(30000.0 * profile + 20.0)
    if row > 10:
        image = image.replace(mask=image.mask | (y == round(row)))
    result = OptimalExtraction()(image)
    leaf, positions = result.sources["source"]
    shape = [float(result.fit.values[k]) for k in positions[-len(leaf._shape_names) :]]
    assert_allclose(shape, shape[::-1])
    flux, covariance = result.spectrum.flux.value, result.covariance("source")
    off, error = np.mean(flux) / 30000.0 - 1, np.sqrt(np.sum(covariance)) / 400 / 30000.0
    assert abs(off) < min(3 * error, 0.02)
    assert error < 0.015


def test_profile_does_not_drift_to_what_hits_are():
    rng = np.random.default_rng(3)
    image = noisy(trace_of(np.full(400, 220.0), (50, 400), 24.3, 1.9) + np.full((50, 400), 10.0))
    hits = rng.random(image.shape) < 0.03
    data = np.where(hits, image.data + 90 * (1 + rng.pareto(1.5, image.shape)), image.data)
    result = OptimalExtraction()(image.replace(data=data))
    assert_allclose(result.fwhm("source"), 2.355 * 1.9, rtol=0.15)
    assert np.mean(result.spectrum.flux.value) == pytest.approx(220, rel=0.03)


def test_what_does_not_converge_is_held_and_told(monkeypatch):
    from specmodels import SigmaClipFitter, VarProFitter

    slit, _ = datasets.make_slit()
    fitter = SigmaClipFitter(VarProFitter(max_iterations=1, tolerance=1e-12))
    result = OptimalExtraction(fitter=fitter)(slit)
    assert not result.fit.success
    assert "held" in result.report()["reason"][0]
    assert np.isfinite(result.spectrum.flux.value).all()
