"""Oversampling of simulated exposures with the real WCS of an integral field unit."""

import numpy as np

import specmodels as sm


def test_miri_mrs(shared_tools):
    scene = shared_tools.scenes.miri_mrs_scene(seed=1)
    result = sm.TraceOversampling(native_response=True)(scene.model)
    judged = shared_tools.judge.oversampled(scene, result.data.T)
    assert judged["rms_native_response_robust"] < 0.008
    assert judged["lost"] == 0
    hits = scene.truth["hits"].T & np.isfinite(result.trace)
    fine = np.repeat(hits, 2, axis=0)
    true = scene.truth["oversampled_native_response"].T
    pulls = np.abs(result.data - true)[fine] / result.error[fine]
    assert np.median(pulls) < 3
