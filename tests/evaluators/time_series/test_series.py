"""Time series against their truth: light curves, movements, hits, and what is not kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm

NGTS10 = "ERS_NGTS10_2022_new_drift_041_calints.fits"


@pytest.fixture(scope="module")
def simulated():
    series, truth = sm.datasets.make_time_series(seed=11, n_integrations=40)
    return series, truth, sm.OptimalExtraction()(series)


class TestSimulated:
    def test_light_curves_scatter_by_their_errors(self, simulated):
        _, truth, result = simulated
        curves = result.light_curves(8)
        order = np.argsort(result.wavelength().value)
        usable = order[~result.mask().all(axis=0)[order]]
        true = np.stack([truth.flux[:, b].sum(axis=1) for b in np.array_split(usable, 8)], axis=1)
        ratio = curves["flux"].value / true
        pull = (ratio / ratio.mean(axis=0) - 1) * (curves["flux"] / curves["flux_error"]).value
        assert abs(np.std(pull) - 1) < 0.12

    def test_fluxes_of_single_columns_have_right_errors(self, simulated):
        _, truth, result = simulated
        error = result.flux_error()
        ratio = np.nanmean(result.flux["source"] / truth.flux, axis=0)
        pull = (result.flux["source"] - ratio * truth.flux) / error
        assert abs(np.nanstd(pull) - 1) < 0.04
        assert abs(np.nanmedian(ratio) - 1) < 2e-3

    def test_movements_are_those_of_the_truth(self, simulated):
        _, truth, result = simulated
        table = result.movements()
        shift = table["shift"] - truth.shift
        assert np.std(shift) < 1.4 * np.median(table["shift_error"])
        stretch = table["stretch"] - truth.stretch
        assert np.std(stretch) < 1.6 * np.median(table["stretch_error"])
        assert np.corrcoef(table["background"].value, truth.sky.mean(axis=1))[0, 1] > 0.9

    def test_hits_are_found_where_they_are(self, simulated):
        series, truth, result = simulated
        there = set()
        for i in range(len(series)):
            rows, columns = np.nonzero(truth.hits(i, series.shape[1:], 11))
            there |= {(i, int(r), int(c)) for r, c in zip(rows, columns, strict=True)}
        hits = result.hits
        found = {tuple(int(hits[k][j]) for k in ("integration", "row", "column"))
                 for j in range(len(hits))}  # fmt: skip
        bad = series.first.mask
        seen = {hit for hit in there if not bad[hit[1], hit[2]]}
        assert len(found & seen) > 0.95 * len(seen)
        assert len(found - seen) < 10

    def test_status_is_ok(self, simulated):
        assert list(simulated[2].report()["status"]) == ["ok"]

    def test_common_errors_are_apart(self, simulated):
        result = simulated[2]
        white = result.light_curves(1)
        assert 0 < white.meta["shared_error"][0] < 0.01
        assert white.meta["n_columns"] == [np.count_nonzero(~result.mask().all(axis=0))]

    def test_outputs(self, simulated, tmp_path):
        series, _, result = simulated
        assert result.spectrum.flux.shape == (40, series.shape[2])
        assert len(result.spectrum_list()) == 40
        path = sm.write(result, tmp_path / "series.fits")
        from astropy.table import QTable

        table = QTable.read(path, hdu=1)
        assert_allclose(table["flux"].value, result.flux["source"])

    def test_plot_shows_everything(self, simulated):
        from matplotlib import pyplot as plt

        figure = simulated[2].plot()
        assert len(figure.findobj(plt.Axes)) == 7  # with the bar of colours
        plt.close(figure)

    def test_plot_says_what_kind_of_times_they_are(self):
        series, _ = sm.datasets.make_time_series(seed=12, n_integrations=6)
        dated = sm.TimeSeries(list(series), times=60000 + series.times, time_scale="tdb")
        figure = sm.OptimalExtraction()(dated).plot()
        assert "MJD (TDB) − 59999" in {ax.get_xlabel() for ax in figure.axes}

    @pytest.mark.parametrize("bins", [0, 1.5, 10**6, [3.0, 2.0], [100.0, 200.0]])
    def test_bins_that_cannot_be_are_refused(self, simulated, bins):
        with pytest.raises(ValueError, match="bins"):
            simulated[2].light_curves(bins)

    def test_unknown_sources_are_refused(self, simulated):
        with pytest.raises(ValueError, match=r"source.*expected one of"):
            simulated[2].white_light("nobody")


@pytest.mark.parametrize(
    ("motion", "seeing", "sigma"), [(0.3, 0.06, 1.3), (0.3, 0.1, 1.3), (1.0, 0.05, 0.64)]
)
def test_large_movements_leave_no_noise(motion, seeing, sigma):
    series, truth = sm.datasets.make_time_series(
        seed=5, n_integrations=60, motion=motion, seeing=seeing, sigma=sigma, snr=200.0
    )
    result = sm.OptimalExtraction(n_sources=1)(series)
    white = result.white_light()
    ratio = white["flux"].value / truth.flux[:, ~result.mask().all(axis=0)].sum(axis=1)
    pull = (ratio / np.mean(ratio) - 1) * (white["flux"] / white["flux_error"]).value
    assert np.std(pull) < 1.25  # of 60, one in a hundred is as large by chance
    shift = result.movements()["shift"] - truth.shift
    assert np.std(shift) < 0.01


def test_dead_columns_in_one_integration_leave_no_dip():
    series, _ = sm.datasets.make_time_series(seed=6, n_integrations=12, depth=0.0)
    images = list(series)
    mask = images[4].mask.copy()
    mask[:, 50:90] = True
    images[4] = images[4].replace(mask=mask)
    white = sm.OptimalExtraction()(sm.TimeSeries(images)).white_light()
    relative = white["flux"] / np.median(white["flux"])
    assert abs(relative[4] - 1) < 5 * white["flux_error"][4] / white["flux"][4]


class TestLostIntegrations:
    """A series of which some integrations are dark, missing, or of another scene."""

    @staticmethod
    def extracted(numbers, change):
        series, truth = sm.datasets.make_time_series(
            seed=21, n_integrations=16, shape=(40, 200), snr=150.0
        )
        images = [change(one) if i in numbers else one for i, one in enumerate(series)]
        result = sm.OptimalExtraction()(sm.TimeSeries(images))
        rest = np.array([i not in numbers for i in range(16)])
        white = result.white_light()
        ratio = white["flux"].value / truth.flux[:, ~result.mask().all(axis=0)].sum(axis=1)
        pull = (ratio / np.median(ratio[rest]) - 1) * (white["flux"] / white["flux_error"]).value
        return result, white, pull[rest]

    @pytest.mark.parametrize("numbers", [[0], [5, 6], range(0, 16, 2)])
    def test_masked_ones_have_no_flux_and_are_named(self, numbers):
        result, white, pull = self.extracted(
            numbers, lambda one: one.replace(mask=np.ones(one.shape, dtype=bool))
        )
        assert list(np.flatnonzero(np.isnan(white["flux"]))) == list(numbers)
        assert result.mask()[list(numbers)].all()
        assert np.std(pull) < 1.6
        row = result.report()[0]
        assert row["status"] == "check"
        assert f"integrations {numbers[0]}" in row["reason"]
        assert "no usable pixel" in row["reason"]

    @pytest.mark.parametrize("kind", ["noise", "dark"])
    def test_strange_ones_spoil_no_others(self, kind):
        def strange(one):
            noise = np.random.default_rng(0).normal(0, 300, one.shape)
            return one.replace(data=noise if kind == "noise" else np.zeros(one.shape))

        result, _, pull = self.extracted([7], strange)
        assert np.std(pull) < 1.6
        assert 0.9 < np.median(result.reduced_chi2) < 1.1
        assert "integrations 7 do not fit" in result.report()["reason"][0]


def test_noise_without_a_star_is_no_source():
    rng = np.random.default_rng(5)
    images = [sm.SpectralImage(rng.normal(20, 8, (40, 100)), variance=np.full((40, 100), 64.0))
              for _ in range(5)]  # fmt: skip
    assert (
        "no source is seen" in sm.OptimalExtraction()(sm.TimeSeries(images)).report()["reason"][0]
    )


def test_a_model_that_misses_light_of_the_mean_is_said():
    series, _ = sm.datasets.make_time_series(seed=21, n_integrations=8, shape=(40, 200), snr=150.0)
    trace = sm.PolynomialTrace(2, limits=(0, 199), c0=19.7, c1=0.0, c2=2.0)
    source = sm.Source(sm.GaussianProfile(), trace, name="star", width=None)
    for name in source.param_names:
        if name.startswith("trace"):
            getattr(source, name).fixed = True
    result = sm.OptimalExtraction(source + sm.ColumnPolynomial(0, name="sky"))(series)
    assert "misses" in result.report()["reason"][0]


def test_series_without_variances_have_the_errors_of_their_scatter():
    series, truth = sm.datasets.make_time_series(seed=7, n_integrations=20)
    bare = sm.TimeSeries([one.replace(variance=None, components={}) for one in series])
    result = sm.OptimalExtraction()(bare)
    ratio = np.nanmean(result.flux["source"] / truth.flux, axis=0)
    pull = (result.flux["source"] - ratio * truth.flux) / result.flux_error()
    assert abs(np.nanstd(pull) - 1) < 0.15


def test_arrays_of_three_dimensions_are_series():
    series, _ = sm.datasets.make_time_series(seed=8, n_integrations=5, shape=(30, 80))
    data = np.array([one.filled for one in series])
    before = data.copy()
    result = sm.OptimalExtraction()(data)
    assert_allclose(data, before)
    assert result.flux["source"].shape == (5, 80)


def test_integrations_are_read_one_at_a_time():
    series, _ = sm.datasets.make_time_series(seed=9, n_integrations=60, shape=(30, 80))
    made, held = [], []

    class Watched:
        def __len__(self):
            return len(series)

        def __getitem__(self, i):
            import weakref

            image = series[i].replace()
            made.append(weakref.ref(image))
            held.append(sum(ref() is not None for ref in made))
            return image

    sm.OptimalExtraction()(sm.TimeSeries(Watched()))
    assert max(held) <= 12


def test_terms_that_columns_share_are_refused_with_a_reason():
    series, _ = sm.datasets.make_time_series(seed=9, n_integrations=3, shape=(30, 80))
    source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(2), name="star")
    sky = sm.MasterBackgroundSpectrum(sm.breakpoints(series.first.wavelength, 1), name="sky")
    with pytest.raises(ValueError, match="columns that are independent"):
        sm.OptimalExtraction(source + sky)(series)


def test_miri_integrations_have_a_spectrum_each(shared_data):
    result = sm.OptimalExtraction(n_sources=1)(shared_data / "extraction" / NGTS10)
    white = result.white_light()
    assert len(white) == 4
    spread = np.std(white["flux"]) / np.mean(white["flux"])
    assert spread < np.median(white["flux_error"] / white["flux"])
