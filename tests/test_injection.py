"""Sources put into data come back; what is wrong with an extraction shows."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.injection.light import CLEARANCE, Template

EXTRACT = sm.OptimalExtraction(n_sources=1, profile=sm.MoffatProfile())


@pytest.fixture(scope="module")
def slit():
    return make_slit(seed=5, shape=(60, 150), snr=20, wing=0.0, hit_fraction=0.0)[0]


@pytest.fixture(scope="module")
def recovered(slit):
    return sm.injection_recovery(EXTRACT, slit, 16, snr=(5, 60), gain=1.0, progress_bar=False)


def test_sources_come_back_with_their_flux(recovered):
    assert np.mean(recovered.table["found"]) > 0.9
    assert abs(np.nanmedian(recovered.ratios) - 1) < 0.02
    assert abs(np.nanmedian(recovered.pulls)) < 1.0
    assert "sources found" in repr(recovered)


def test_report_counts_every_source(recovered):
    report = recovered.report(bins=3)
    assert report["n"].sum() == 16
    assert np.all(np.diff(report["snr"]) > 0)
    assert np.all((report["completeness"] >= 0) & (report["completeness"] <= 1))


def test_wrong_variances_show_in_the_pulls(slit):
    # Up to 25 times too small they would be mended; errors of bright sources hold what is left.
    wrong = slit.replace(variance=slit.variance / 50, components={})
    found, right = (sm.injection_recovery(EXTRACT, one, 12, snr=(10, 40), progress_bar=False)
                    for one in (wrong, slit))  # fmt: skip
    assert found.report(bins=1)["pull_width"][0] > 2 * right.report(bins=1)["pull_width"][0]


def test_the_same_again_and_another_by_another_seed(slit):
    options = {"n": 2, "progress_bar": False}
    first, again = (sm.injection_recovery(EXTRACT, slit, **options) for _ in range(2))
    np.testing.assert_array_equal(first.table["found_flux"], again.table["found_flux"])
    other = sm.injection_recovery(EXTRACT, slit, rng=7, **options)
    assert other.table["snr"][0] != first.table["snr"][0]


def test_template_has_all_light_and_keeps_its_distance(slit):
    result = EXTRACT(slit)
    template = Template(result, "source")
    places = template.places()
    assert np.abs(places).min() > CLEARANCE * np.max(result.fwhm("source")) - 0.2
    np.testing.assert_allclose(template.fraction(places[0]).sum(axis=0), 1, atol=0.1)


def test_data_are_not_changed(slit):
    before = slit.data.copy()
    sm.injection_recovery(EXTRACT, slit, 1, progress_bar=False)
    np.testing.assert_array_equal(slit.data, before)


def test_none_found_is_said(slit):
    blind = sm.OptimalExtraction(profile=sm.MoffatProfile())
    found = sm.injection_recovery(blind, slit, 2, snr=(0.01, 0.02), progress_bar=False)
    assert repr(found) == "<InjectionResult: 0 of 2 sources found>"
    assert np.isnan(found.report(bins=1)["bias"][0])
    assert len(found.plot().axes) == 3


def test_figure_has_three_panels(recovered):
    figure = recovered.plot()
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "fraction found", "flux found / put in", "pull",
    ]  # fmt: skip


def test_slit_without_room_is_refused():
    narrow = make_slit(seed=5, shape=(14, 80), wing=0.0, hit_fraction=0.0)[0]
    with pytest.raises(ValueError, match="no room for a source"):
        sm.injection_recovery(EXTRACT, narrow, 1, progress_bar=False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n": 0}, ValueError, "n: expected a number of trials"),
        ({"snr": (0, 1)}, ValueError, "snr: expected a range"),
        ({"gain": -1}, ValueError, "gain: expected a positive number"),
        ({"source": "nobody"}, ValueError, "source: expected one of"),
    ],
)
def test_bad_settings_are_refused(slit, options, error, message):
    with pytest.raises(error, match=message):
        sm.injection_recovery(EXTRACT, slit, **{"n": 1, "progress_bar": False, **options})


def test_what_makes_no_model_is_refused(slit):
    with pytest.raises(TypeError, match="evaluator: expected an OptimalExtraction"):
        sm.injection_recovery(sm.TraceOversampling(), slit, 1)
