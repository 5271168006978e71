"""Extraction from random input."""

import numpy as np
import pytest

import specmodels as sm

from .generated import SEEDS, check_errors, masked, result_of, shape_of, spoilt, variances

# Have failed before: columns without light, shapes of wings that are hardly seen.
KNOWN = (70372, 71031)


def model(rng, shape):
    """None, for which sources are found, or sources of some profile on some sky."""
    kind = rng.integers(4)
    if kind == 0:
        return None
    middle = rng.uniform(-1, shape[0])
    profile = (sm.GaussianProfile(stddev=1.5), sm.MoffatProfile(), sm.BSplineProfile())[kind - 1]
    limits = (0, max(shape[1] - 1, 1))
    source = sm.Source(profile, sm.PolynomialTrace(1, limits=limits, c0=middle))
    if rng.random() < 0.5:
        return source
    return source + sm.ColumnPolynomial(int(rng.integers(2)), limits=(0, max(shape[0] - 1, 1)))


@pytest.mark.parametrize("seed", [*SEEDS, *KNOWN])
def test_whatever_comes_in_is_extracted_within_errors_or_refused(seed):
    rng = np.random.default_rng([9, seed])
    shape = shape_of(rng)
    row, column = np.mgrid[: shape[0], : shape[1]].astype(float)
    place = row - shape[0] / 2 + rng.uniform(-3, 3) * column / shape[1]
    light = rng.choice([10.0, 1000.0]) * np.exp(-0.5 * (place / rng.choice([0.5, 1.5, 5.0])) ** 2)
    clean = light + rng.choice([0.0, 30.0])
    data = spoilt(rng, rng.normal(clean, np.sqrt(clean + 1)))
    given = dict(variance=variances(rng, data), mask=masked(rng, shape))
    job = sm.OptimalExtraction(model(rng, shape))
    result = result_of(job, rng, data, given)
    if result is None:
        return
    for spectrum in result.spectra.values():
        flux, error = spectrum.flux.value, spectrum.uncertainty.array
        check_errors(np.where(spectrum.mask, np.nan, flux), error)
    report = result.report()
    assert set(report["source"]) == set(result.spectra)
    assert all(report["reason"][report["status"] != "ok"])
    result.tables()
