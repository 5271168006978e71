"""Reports of time series."""

from dataclasses import replace

import numpy as np

import specmodels as sm


def test_light_curve_that_scatters_by_more_than_its_errors_is_named():
    series, _ = sm.datasets.make_time_series(seed=1, n_integrations=40, shape=(32, 200))
    factors = 1 + 0.01 * np.random.default_rng(1).normal(size=40)
    unsteady = [one.replace(data=f * one.data) for f, one in zip(factors, series, strict=True)]
    for images, named in ((list(series), False), (unsteady, True)):
        reason = sm.OptimalExtraction()(sm.TimeSeries(images)).report()["reason"][0]
        assert ("white light scatters" in reason) == named


def test_movements_about_as_large_as_is_followed_are_named_whatever_the_width_of_a_source():
    rows, names = np.arange(40.0)[:, None], ("narrow", "wide")
    light = sum(4e4 * sm.GaussianProfile().evaluate(rows, row, width)
                for row, width in ((12.0, 1.0), (27.0, 2.0)))  # fmt: skip
    rng = np.random.default_rng(2)
    light = np.repeat(light + 20.0, 80, axis=1)
    images = rng.poisson(light, (4, 40, 80)).astype(float)
    narrow, wide = (
        sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, limits=(0, 79), c0=row), name=name)
        for name, row in zip(names, (12.0, 27.0), strict=True)
    )
    model = narrow + wide + sm.ColumnPolynomial(0, name="sky")
    series = sm.TimeSeries([sm.SpectralImage(one, variance=light) for one in images])
    result = sm.OptimalExtraction(model)(series)
    first, other = (float(np.median(result.mean.fwhm(name))) for name in names)
    assert other > 1.5 * first
    limit = 3 * first  # largest shift that is followed
    for shift, stretch, named in ((0.9 * limit, 0, True), (0.7 * limit, 0, False), (0, 0.55, True)):
        theta = result.theta.copy()
        theta[2, :2] = -shift, stretch
        reasons = replace(result, theta=theta).report()["reason"]
        text = "integrations 2 moved or widened about as far as is followed"
        assert [text in reason for reason in reasons] == [named, named]
