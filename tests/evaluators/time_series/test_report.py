"""Reports of time series."""

import numpy as np

import specmodels as sm


def test_light_curve_that_scatters_by_more_than_its_errors_is_named():
    series, _ = sm.datasets.make_time_series(seed=1, n_integrations=40, shape=(32, 200))
    factors = 1 + 0.01 * np.random.default_rng(1).normal(size=40)
    unsteady = [one.replace(data=f * one.data) for f, one in zip(factors, series, strict=True)]
    for images, named in ((list(series), False), (unsteady, True)):
        reason = sm.OptimalExtraction()(sm.TimeSeries(images)).report()["reason"][0]
        assert ("white light scatters" in reason) == named
