"""Master background of random slits."""

import numpy as np
import pytest

import specmodels as sm

from .generated import SEEDS, check_errors, masked, outcome, shape_of, spoilt, variances


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_in_is_fitted_within_errors_or_refused(seed):
    rng = np.random.default_rng(seed)
    images = []
    for number in range(int(rng.integers(1, 5))):
        shape = shape_of(rng, rows=15)
        wave = 1.0 + np.linspace(0, 1, shape[1]) + 0.01 * np.arange(shape[0])[:, None]
        light = 50 + 20 * np.sin(9 * wave)
        data = spoilt(rng, rng.normal(light, 5)) if rng.random() < 0.5 else rng.normal(light, 5)
        if rng.random() < 0.1:
            wave = np.where(rng.random(shape) < 0.3, np.nan, wave)
        images.append((data, dict(variance=variances(rng, data), mask=masked(rng, shape),
                                  wavelength=wave, name=f"BKG_{number}")))  # fmt: skip
    fitter = sm.LogPolynomialSkyFitter() if rng.random() < 0.3 else None
    names = [given["name"] for _, given in images][: max(1, len(images) - 1)]

    def run():
        exposure = sm.Exposure([sm.SpectralImage(data, **given) for data, given in images])
        with np.errstate(all="ignore"):
            return sm.MasterBackgroundSubtraction(slits=names, fitter=fitter)(exposure)

    result = outcome(run, *(data for data, _ in images))
    if result is None:
        return
    for _, given in images:
        name = given["name"]
        sky = np.asarray(result.backgrounds[name])
        check_errors(sky, np.sqrt(result.background_variance(name)))
    assert len(result.report()) == len(images)
    assert all(result.left_out.values())
