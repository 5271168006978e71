"""Grism scenes of random fields."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism

from .generated import SEEDS, check_errors, masked, outcome, shape_of, spoilt, variances


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_comes_in_is_fitted_within_errors_or_refused(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng, rows=50, columns=160)
    y, x = np.indices(shape)
    light, segments = np.zeros(shape), np.zeros(shape, int)
    for label in range(1, int(rng.integers(0, 6)) + 1):
        own = 30 * np.exp(-0.5 * ((y - rng.uniform(0, shape[0])) ** 2
                                  + (x - rng.uniform(0, shape[1])) ** 2) / 4)  # fmt: skip
        segments[(own > 1) & (segments == 0)] = label
        light += own
    direct = spoilt(rng, light) if rng.random() < 0.4 else light
    data = spoilt(rng, rng.normal(10, 3, shape))
    given = dict(variance=variances(rng, data), mask=masked(rng, shape))
    whole = (slice(0, shape[0]), slice(0, shape[1]))
    cutouts = tuple(sm.Cutout(label, 1, whole) for label in (1, 2, 99))
    spectrum = sm.LegendreSpectrum(2) if rng.random() < 0.5 else sm.BSplineSpectrum(8)
    fitter = sm.SceneFitter(ridge=rng.choice([0, 0.1, 6]), joint=bool(rng.random() < 0.5),
                            clip=rng.choice([None, 4.0]))  # fmt: skip

    def run():
        with np.errstate(all="ignore"):
            scene = sm.GrismScene.from_direct_image(
                direct, segments, analytic_grism(shape=shape), spectrum=spectrum
            )
            exposure = sm.SlitlessExposure(data, cutouts=cutouts, **given)
            return sm.ContaminationSubtraction(scene, fitter)(exposure)

    result = outcome(run, data, direct, segments)
    if result is None:
        return
    assert np.isfinite(result.simulated_image).all()
    for entry in result.scene.entries:
        spectrum = result.spectrum(entry.key)
        if np.any(spectrum.flux.value):
            check_errors(spectrum.flux.value, spectrum.uncertainty.array)
    for slit in result.slits:
        assert np.isfinite(slit.corrected).any() or np.isnan(slit.data).all()
    assert all(row["fitted"] or row["reason"] for row in result.report())
