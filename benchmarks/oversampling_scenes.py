"""Simulated IFU exposures for benchmarks, and what a perfect model of them would give."""

import importlib
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

import specmodels as sm
from specmodels.numerics.robust import MAD_TO_SIGMA

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "tools"
NAMES = ("NIRSpec G140M", "NIRSpec G395H", "NIRSpec PRISM", "MIRI MRS 34LONG")
CORE = 0.1


@lru_cache(maxsize=2)
def drawn(name, seed):
    """The scene, its exposure, and the maps of regions and positions as settings."""
    tools = _tool("scenes")
    grating = name.split()[-1]
    if name.startswith("MIRI"):
        scene = tools.miri_mrs_scene(seed=seed)
    else:
        scene = tools.nirspec_ifu_scene(grating, seed=seed)
    turn = np.transpose if scene.truth["vertical"] else np.asarray
    maps = {"regions": turn(scene.truth["region"]), "spatial": turn(scene.truth["alpha"])}
    return scene, sm.read(scene.model), maps


def judged(scene, data):
    """Figures of merit of an oversampled image, dispersion along the last axis."""
    turn = np.transpose if scene.truth["vertical"] else np.asarray
    return _tool("judge").oversampled(scene, turn(data))


def pull(scene, result, key):
    """Robust scatter of errors over their standard deviations, in the core of the source.

    Parameters
    ----------
    scene : object
    result : `~specmodels.evaluators.OversamplingResult`
    key : {"rms", "rms_native_response"}
        Truth to compare with, as in `judged`.
    """
    turn = np.transpose if scene.truth["vertical"] else np.asarray
    light = turn(scene.truth["oversampled"])
    true = light if key == "rms" else turn(scene.truth["oversampled_native_response"])
    core = (light > CORE * np.nanpercentile(light, 99.95)) & ~result.estimated
    return MAD_TO_SIGMA * np.nanmedian(np.abs((result.data - true) / result.error)[core])


def perfect(scene):
    """Errors of a perfect model with the noise of the data: what no method can do without.

    Returns
    -------
    dict
        RMS with the linearly interpolated residual of the true image, and of the true image with
        the scale of each column fitted; unflagged hits left out.
    """
    truth = scene.truth
    turn = np.transpose if truth["vertical"] else np.asarray
    image, native = turn(truth["image"]), turn(truth["oversampled_native_response"])
    good = (turn(np.asarray(scene.model.dq)) == 0) & ~turn(truth["hits"])
    residual = np.where(good, turn(scene.model.data) - image, 0.0)
    below, above = (np.roll(residual, shift, axis=0) for shift in (1, -1))
    fine = np.empty(native.shape)
    fine[::2], fine[1::2] = 0.75 * residual + 0.25 * below, 0.75 * residual + 0.25 * above
    out = {"residual": judged(scene, native + fine)["rms_native_response"]}
    weights = np.where(good, 1 / turn(scene.model.err).astype(float) ** 2, 0.0)
    scaled = np.array(native)
    for number in np.unique(turn(truth["region"])[turn(truth["region"]) > 0]):
        mine = turn(truth["region"]) == number
        w = np.where(mine, weights, 0.0)
        model = np.where(mine, image, 0.0)
        strength = (w * model**2).sum(axis=0)
        change = np.divide((w * model * residual).sum(axis=0), strength,
                           out=np.zeros(strength.shape), where=strength > 0)  # fmt: skip
        scaled += np.where(np.repeat(mine, 2, axis=0), native * change, 0.0)
    out["scale"] = judged(scene, scaled)["rms_native_response"]
    return out


def _tool(name):
    if str(TOOLS) not in sys.path:
        if not TOOLS.is_dir():
            raise SystemExit(f"needs the scenes in {TOOLS}")
        sys.path.insert(0, str(TOOLS))
    return importlib.import_module(name)
