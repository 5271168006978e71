"""Slits that nobody prepared: right, or named with the reason."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import erf

import specmodels as sm


def spread(y, center, sigma):
    edges = [erf((y + s - center) / sigma / np.sqrt(2)) for s in (0.5, -0.5)]
    return 0.5 * (edges[0] - edges[1])


def noisy(light, *, sky=10.0, read=3.0, seed=1):
    """Image of some light on a sky, with its true variance."""
    rng, mean = np.random.default_rng(seed), light + sky
    data = rng.poisson(mean) + rng.normal(0, read, mean.shape)
    return sm.SpectralImage(data, variance=mean + read**2)


def grid(n_row, n_column):
    return np.arange(n_row)[:, None], np.arange(float(n_column))


def ratio(result, true, columns=slice(None), name=None):
    spectrum = result.spectra[name or next(iter(result.spectra))].flux.value
    return float(
        np.nansum(spectrum[columns]) / np.sum(np.broadcast_to(true, spectrum.shape)[columns])
    )


@pytest.mark.parametrize("throw", [9.0, 13.0])
def test_nods_are_sources_of_both_signs(throw):
    y, _ = grid(56, 400)
    light = 40 * (spread(y, 27, 1.4) - sum(0.5 * spread(y, 27 + s, 1.4) for s in (throw, -throw)))
    light = light + np.zeros(400)
    data = light + np.random.default_rng(4).normal(size=light.shape)
    result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=np.ones(light.shape)))
    assert len(result.sources) == 3
    assert ratio(result, 40.0) == pytest.approx(1, abs=0.03)


def test_dead_row_costs_no_flux():
    y, _ = grid(38, 300)
    image = noisy(1500 * spread(y, 17, 1.3) + np.zeros(300), seed=8)
    data = np.array(image.data)
    data[17] = np.nan
    result = sm.OptimalExtraction()(image.replace(data=data, mask=np.isnan(data)))
    assert ratio(result, 1500.0) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("row", [0.5, 2.0, 36.0])
def test_source_at_the_end_of_the_slit_is_found(row):
    y, _ = grid(38, 300)
    result = sm.OptimalExtraction()(noisy(3000 * spread(y, row, 1.4) + np.zeros(300), seed=7))
    assert np.mean(result.trace("source")) == pytest.approx(row, abs=0.2)
    assert ratio(result, 3000.0) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("column", [40, 150, 261])
def test_line_without_continuum_has_all_its_flux(seed, column):
    y, x = grid(40, 300)
    true = 4000 * np.exp(-0.5 * ((x - column) / 1.4) ** 2)
    result = sm.OptimalExtraction()(noisy(true * spread(y, 21.3, 1.6), seed=seed))
    assert ratio(result, true, slice(column - 10, column + 11)) == pytest.approx(1, abs=0.03)
    assert result.report()["status"][0] == "ok"


@pytest.mark.parametrize("slope", [-0.6, 0.4])
def test_line_of_a_rotating_galaxy_is_no_hit(slope):
    y, x = grid(60, 500)
    line = 2500 * np.exp(-0.5 * ((x - 240 - slope * (y - 30)) / 2) ** 2) * spread(y, 30, 6) / 5
    light = 40 * spread(y, 30, 5) + line
    data = light + np.random.default_rng(3).normal(0, 0.6, light.shape)
    image = sm.SpectralImage(data, variance=np.full(light.shape, 0.36))
    result = sm.OptimalExtraction()(image)
    near = slice(215, 266)
    flux = result.spectrum.flux.value[near]
    assert (np.sum(flux) - 40 * len(flux)) / line.sum() == pytest.approx(1, abs=0.03)
    assert any("light beyond the profile" in note for note in result.notes)
    # The errors of the sums are those of independent pixels.
    error = result.spectrum.uncertainty.array[near]
    true = light.sum(axis=0)[near]
    assert np.abs((flux - true) / error).max() < 5


def test_hits_are_not_taken_for_light():
    y, _ = grid(40, 400)
    image = noisy(2000 * spread(y, 19.4, 1.5) + np.zeros(400), seed=5)
    rng, data = np.random.default_rng(6), np.array(image.data)
    hits = rng.random(data.shape) < 0.01
    data[hits] += 300
    result = sm.OptimalExtraction()(image.replace(data=data))
    assert not result.coherent_light.lines.any()
    assert ratio(result, 2000.0) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("distance", [2.6, 3.2])
def test_blends_of_known_number_are_told_apart(distance):
    y, _ = grid(44, 600)
    rows = 20.4 + distance * np.arange(3)
    flux = np.array([4000.0, 2500.0, 3200.0])
    light = sum(f * spread(y, r, 1.1) for f, r in zip(flux, rows, strict=True)) + np.zeros(600)
    result = sm.OptimalExtraction(n_sources=3)(noisy(light, seed=2))
    found = sorted(result.spectra, key=lambda name: np.mean(result.trace(name)))
    assert_allclose([np.mean(result.trace(name)) for name in found], rows, atol=0.1)
    means = [np.mean(result.spectra[name].flux.value) for name in found]
    assert_allclose(means, flux, rtol=0.02)


def test_pair_that_is_not_resolved_is_looked_for_where_it_is():
    """Of five sources two lie within a third of the width; none of the others may be split."""
    y, _ = grid(55, 332)
    rows, flux = (17.3, 21.2, 30.9, 35.5, 36.7), (6000.0, 7000.0, 5000.0, 2500.0, 1600.0)
    light = sum(f * spread(y, r, 1.48) for f, r in zip(flux, rows, strict=True)) + np.zeros(332)
    result = sm.OptimalExtraction(n_sources=5)(noisy(light, sky=100.0, seed=3))
    found = sorted(result.sources, key=lambda name: np.mean(result.trace(name)))
    assert_allclose([np.mean(result.trace(name)) for name in found], rows, atol=0.3)
    means = np.array([np.mean(result.table(name)["flux"].value) for name in found])
    errors = [np.sqrt(np.mean(result.covariance(name))) for name in found]
    assert np.all(np.abs(means - flux) < 3 * np.array(errors))
    assert_allclose(means[:3], flux[:3], rtol=0.02)


def test_disk_around_a_bulge_is_one_source():
    """Its wings are no peaks by themselves, and are the same on both sides."""
    y, _ = grid(57, 400)
    disk = np.exp(-np.abs(y - 28.5) / 3.7)
    light = 9000 * (0.5 * spread(y, 28.5, 0.87) + 0.5 * disk / disk.sum()) + np.zeros(400)
    result = sm.OptimalExtraction()(noisy(light, sky=100.0, seed=5))
    assert list(result.sources) == ["source"]
    error = np.sqrt(np.mean(result.covariance("source"))) / 9000
    assert abs(ratio(result, 9000.0) - 1) < 3 * error < 0.13


@pytest.mark.parametrize("seed", range(3))
def test_faint_disk_around_a_bulge_is_within_errors(seed):
    """Of the disk too little is seen for the sky and the profile to tell of it."""
    y, _ = grid(60, 300)
    disk = np.exp(-np.abs(y - 29.2) / 4)
    light = 120 * (0.2 * spread(y, 29.2, 0.85) + 0.8 * disk / disk.sum()) + np.zeros(300)
    result = sm.OptimalExtraction()(noisy(light, sky=100.0, seed=seed))
    error = np.sqrt(np.mean(result.covariance("source"))) / 120
    assert abs(ratio(result, 120.0) - 1) < 3 * error < 0.4


@pytest.mark.parametrize("row", [0.0, 39.0])
def test_light_beyond_the_end_of_the_slit_is_within_errors(row):
    """Half of it is known by the other half, of which the middle is hardly seen."""
    y, x = grid(40, 400)
    bent = row + 0.2 * (2 * (x / 399 - 0.5) ** 2 - 1 / 6)
    light = 50000 * (0.95 * spread(y, bent, 1.6) + 0.05 * spread(y, bent, 4.8))
    result = sm.OptimalExtraction()(noisy(light, sky=1.0, seed=9))
    error = np.sqrt(np.mean(result.covariance("source"))) / 50000
    assert abs(ratio(result, 50000.0) - 1) < 3 * error < 0.15


def test_trace_bends_at_the_end_of_the_slit():
    """Shifts of light that is cut off are not seen before the fit."""
    y, _ = grid(42, 387)
    u = np.linspace(-1, 1, 387)
    light = 84000 * spread(y, 0.58 - 0.3 * (u**2 - 1 / 3), 1.1 * (1 + 0.15 * u))
    result = sm.OptimalExtraction()(noisy(light, sky=0.0, seed=2))
    for part in np.array_split(np.arange(387), 4):
        assert ratio(result, 84000.0, part) == pytest.approx(1, abs=0.015)


def test_lobes_that_fill_the_slit_are_found():
    """What rows scatter by is not the light of the sources themselves."""
    y, _ = grid(46, 350)
    lobes = spread(y, 9.3, 1.6) + spread(y, 35.9, 1.6)
    light = 1500 * (spread(y, 22.6, 1.6) - 0.5 * lobes) + np.zeros(350)
    rng, variance = np.random.default_rng(6), 100 + 9 + np.abs(light)
    data = light + 100 + rng.normal(size=light.shape) * np.sqrt(variance)
    result = sm.OptimalExtraction()(sm.SpectralImage(data, variance=variance))
    assert len(result.sources) == 3
    assert ratio(result, 1500.0) == pytest.approx(1, abs=0.03)


def test_saturated_core_is_filled_by_the_profile_that_holds_elsewhere():
    y, _ = grid(44, 400)
    light = 2e5 * spread(y, 20.9, 1.7) * (1 + 0.1 * np.linspace(-1, 1, 400))
    mask = np.zeros(light.shape, dtype=bool)
    mask[19:24, 20:190] = True
    image = noisy(light, sky=100.0, seed=3)
    result = sm.OptimalExtraction()(image.replace(mask=mask))
    own = result.table("source")
    off = np.mean(own["flux"].value[20:190] / light.sum(axis=0)[20:190]) - 1
    part = result.covariance("source")[20:190, 20:190]
    assert abs(off) < 3 * np.sqrt(np.mean(part)) / np.mean(light.sum(axis=0))
    assert own.meta["status"] == "ok", own.meta["reason"]


def test_unresolved_blend_is_named():
    y, _ = grid(40, 300)
    light = 900 * (spread(y, 19, 1.8) + 0.6 * spread(y, 20.8, 1.8)) + np.zeros(300)
    report = sm.OptimalExtraction(n_sources=2)(noisy(light)).report()
    assert (report["status"] == "check").all()
    assert all("pixels away" in reason for reason in report["reason"])


@pytest.mark.parametrize("tilt", [3.0, -5.0])
def test_tilted_lines_are_named(tilt):
    y, x = grid(40, 400)
    places = x - tilt * (y - 19.5) / 39
    sky = sum(300 * np.exp(-0.5 * ((places - c) / 1.3) ** 2) for c in (50, 120, 210, 330))
    image = noisy(1500 * spread(y, 18, 1.4) + sky)
    report = sm.OptimalExtraction(wavelength_terms=False)(image).report()
    assert report["status"][0] == "check"
    assert "tilted" in report["reason"][0]
    result = sm.OptimalExtraction()(image)  # which fits them as they are
    assert "lines tilted by" in result.notes[-1]
    assert ratio(result, 1500.0) == pytest.approx(1, abs=0.02)


def test_straight_lines_are_not_called_tilted():
    y, x = grid(40, 400)
    sky = sum(300 * np.exp(-0.5 * ((x - c) / 1.3) ** 2) for c in (50, 120, 210, 330))
    report = sm.OptimalExtraction()(noisy(1500 * spread(y, 18, 1.4) + sky)).report()
    assert report["status"][0] == "ok"


def test_bow_of_the_sky_that_no_column_shows_is_found():
    y, _ = grid(60, 400)
    t = (y - 29.5) / 30
    sky = 20 * (1 + 0.3 * t + 0.3 * t**2) + np.zeros(400)
    flux = []
    for seed in range(3):
        image = noisy(400 * spread(y, 26.6, 1.7) + np.zeros(400), sky=sky, seed=seed)
        flux.append(ratio(sm.OptimalExtraction()(image), 400.0))
    assert np.mean(flux) == pytest.approx(1, abs=0.02)


def test_whole_frame_of_many_spectra_is_refused_by_name():
    frame = sm.SpectralImage(np.ones((600, 600)), meta={"exposure_type": "NRS_IFU"}, name="frame")
    with pytest.raises(ValueError, match=r"'frame'.*integral-field"):
        sm.OptimalExtraction()(frame)


class TestRealData:
    def test_lines_of_a_rotating_galaxy(self, shared_data):
        from examples.deimos import Deimos  # noqa: F401

        result = sm.OptimalExtraction()(shared_data / "extraction" / "slit.1343.108R.fits.gz")
        flux = result.table("source")["flux"].value
        side = np.nanmedian(np.r_[flux[3540:3580], flux[3655:3695]])
        assert np.nansum(flux[3585:3651] - side) == pytest.approx(76_800, rel=0.05)

    def test_halves_of_a_slit_agree(self, shared_data):
        from examples.deimos import Deimos  # noqa: F401

        ends = []
        for half, part in (("B", slice(-900, -100)), ("R", slice(100, 900))):
            path = shared_data / "extraction" / f"slit.1306.077{half}.fits.gz"
            table = sm.OptimalExtraction()(path).table("source")
            ends.append(np.nanmedian(table["flux"].value[part]))
        assert ends[1] / ends[0] == pytest.approx(1, abs=0.1)

    def test_positive_trace_of_nods(self, shared_data):
        result = sm.OptimalExtraction()(shared_data / "mos" / "jw02736_s06355_s2d.fits")
        assert np.median(result.trace(next(iter(result.sources)))) == pytest.approx(24, abs=2)
