"""Oversampled images of simulated IFU exposures against their truth, and against a perfect model.

The scenes and their figures of merit are independent of this package; without them nothing runs.
"""

import numpy as np

import specmodels as sm

from . import oversampling_scenes as scenes


def run(*, quick=False):
    """One row for each scene: means over seeds of errors relative to the column's peak."""
    rows = []
    for name in scenes.NAMES:
        found = [_figures(name, seed) for seed in range(1 if quick else 3)]
        mean = {key: np.mean([one[key] for one in found]) for key in found[0]}
        rows.append({"scene": name, "seeds": len(found), **mean})
    return rows


def _figures(name, seed):
    """RMS errors of one scene, plain and robust."""
    scene, exposure, maps = scenes.drawn(name, seed)
    out = {}
    for label, key, options in (
        ("half pixel", "rms", {}),
        ("native", "rms_native_response", {"native_response": True}),
        ("full residual", "rms_native_response",
         {"native_response": True, "residual": sm.FullResidual()}),
        ("spline alone", "rms_native_response", {"native_response": True, "psf_optimal": True}),
    ):  # fmt: skip
        result = sm.TraceOversampling(**maps, **options)(exposure)
        judged = scenes.judged(scene, result.data)
        out[label] = judged[key]
        out[f"{label}, robust"] = judged[f"{key}_robust"]
        if label == "half pixel":
            out["core flux - 1"] = judged["flux"] - 1
            out["lost"] = judged["lost"]
        if label in ("half pixel", "native"):
            out[f"{label}, pull"] = scenes.pull(scene, result, key)
    perfect = scenes.perfect(scene)
    out.update({f"perfect model, {key}": value for key, value in perfect.items()})
    return out
