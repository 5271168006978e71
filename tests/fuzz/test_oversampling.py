"""Trace models of random input."""

import numpy as np
import pytest

import specmodels as sm

from .generated import SEEDS, check_errors, masked, result_of, shape_of, spoilt, variances


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_in_is_modelled_within_errors_or_refused(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng)
    row = np.arange(shape[0])[:, None]
    place = row - shape[0] / 2 + rng.uniform(-3, 3) * np.linspace(0, 1, shape[1])
    width = rng.choice([0.3, 1.0, 4.0])
    clean = 1000 * np.exp(-0.5 * ((place - rng.uniform(-4, 4)) / width) ** 2) + 10
    data = spoilt(rng, rng.normal(clean, np.sqrt(clean)))
    spatial = place if rng.random() < 0.7 else None
    if spatial is not None and rng.random() < 0.3:
        spatial = np.where(rng.random(shape) < 0.05, np.nan, spatial)
    given = dict(variance=variances(rng, data), mask=masked(rng, shape), spatial=spatial)
    factor = rng.choice([1, 1.3, 2, 3])
    job = sm.PixelReplacement() if rng.random() < 0.4 else sm.TraceOversampling(factor=factor)
    result = result_of(job, rng, data, given)
    if result is None:
        return
    if result.variance is not None:
        check_errors(result.data, np.sqrt(np.abs(result.variance)))
    for name, spectrum in result.spectra.items():
        check_errors(spectrum.flux.value, spectrum.uncertainty.array)
        assert name in result.fits
    report = result.report()
    assert all(report["reason"][report["status"] != "modelled"])
