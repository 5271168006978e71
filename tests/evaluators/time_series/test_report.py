"""Reports of time series."""

import specmodels as sm


def white_light_is_named(**settings):
    series, _ = sm.datasets.make_time_series(seed=1, n_integrations=60, shape=(32, 400), **settings)
    return "white light scatters" in sm.OptimalExtraction()(series).report()["reason"][0]


def test_light_curve_that_scatters_by_more_than_its_errors_is_named():
    assert white_light_is_named(snr=300.0, motion=0.3, seeing=0.1)
    assert not white_light_is_named(snr=20.0, motion=0.05, seeing=0.03)
