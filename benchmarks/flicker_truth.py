"""Flicker noise left in rate images of simulated detectors, against what was put in.

The scenes and their figures of merit are independent of this package; without them nothing runs.
"""

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np

import specmodels as sm
from specmodels.io.ramps import read_ramp

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "tools"
# RMS to reach, DN/s: Fourier terms, correlated noise.
GOALS = {
    "nirspec_ifu": (0.110, 0.085),
    "nirspec_ifu, slices known": (0.110, 0.085),
    "nirspec_subarray": (1.15, 1.00),
    "niriss_soss": (0.21, 0.19),
    "nircam_image": (0.115, 0.090),
    "miri_image": (0.090, 0.090),
}
# Small detectors are simulated more often, the step of the SOSS background most.
SEEDS, MORE_SEEDS = 5, {"nirspec_subarray": 12, "niriss_soss": 24, "miri_image": 12}


def run(*, quick=False):
    """One row for each scene and noise model: means over seeds, and the worst of them."""
    rows = []
    for name, goals in GOALS.items():
        kind = name.partition(",")[0]
        found = {"Fourier": [], "correlated": []}
        peers = None
        for seed in range(1 if quick else MORE_SEEDS.get(kind, SEEDS)):
            scene = tool("scenes").make(f"flicker_{kind}", seed=seed)
            if seed == 0:
                peers = _peers(scene)
            for model, figures in found.items():
                figures.append(_figures(scene, name, model))
        rows += [_row(name, model, figures, goal, peers)
                 for (model, figures), goal in zip(found.items(), goals, strict=True)]  # fmt: skip
    return rows


def _row(name, model, figures, goal, peers):
    mean = {key: float(np.mean([one[key] for one in figures])) for key in figures[0]}
    return {
        "scene": name, "model": model, "seeds": len(figures), "before": mean["before"],
        "after": mean["after"], "worst": max(one["after"] for one in figures), "goal": goal,
        "on sources": mean["after_on_sources"], "white": mean["white"],
        "source bias %": mean["bias"], "its error": _error([f["bias"] for f in figures]),
        "largest bias %": max(abs(f["bias"]) for f in figures),
        "level change / before": mean["level"],
        "left² / quoted variance": mean["left"] / mean["quoted"],
        "peer, median": peers["median"], "peer, NSClean": peers["fft"],
    }  # fmt: skip


def _error(values):
    """Standard error of a mean."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else np.nan


def _figures(scene, name, model):
    rate = scene.models["rate"]
    ramp = read_ramp(rate)
    if name.endswith("slices known"):
        region = tool("scenes").nirspec_ifu_grid("G140M")["region"] > 0
        ramp = ramp.replace(lit=region if ramp.lit is None else region | ramp.lit)
    # Short lines are fitted together.
    section = {"section": 8, "n_harmonics": 8} if min(ramp.shape) < 64 else {}
    noise = sm.FourierNoise(**section) if model == "Fourier" else sm.CorrelatedNoise()
    result = sm.FlickerNoiseSubtraction(noise)(ramp)
    truth = scene.truth
    dark = (rate.dq == 0) & truth["mask"]
    error = (truth["flicker_rate"] - result.noise)[dark]
    out = tool("judge").flicker(scene, np.asarray(result.cleaned))
    level = abs(np.mean(np.asarray(result.noise)[dark], dtype=float)) / out["before"]
    return out | {"bias": 100 * out["source_flux_bias"], "left": float(np.var(error)),
                  "quoted": float(np.nanmean(result.variance[dark])), "level": level}  # fmt: skip


def _peers(scene):
    """RMS that jwst's ``clean_flicker_noise`` leaves with its own mask; NaN where it has no fit."""
    out = {"median": np.nan, "fft": np.nan}
    nirspec = scene.name.startswith("flicker_nirspec")
    for method in ("median", "fft") if nirspec else ("median",):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = tool("peers").jwst_clean_flicker(scene, fit_method=method)
        except ImportError:
            continue
        out[method] = tool("judge").flicker(scene, found.arrays["cleaned"])["after"]
    return out


def tool(name):
    """A module of the scenes and their judge."""
    if not TOOLS.is_dir():
        raise SystemExit(f"flicker_truth needs the scenes in {TOOLS}, which is absent")
    if str(TOOLS) not in sys.path:
        sys.path.insert(0, str(TOOLS))
    return importlib.import_module(name)
