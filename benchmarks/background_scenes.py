"""Simulated slitlets for the benchmarks of the master background, and the peer on them."""

import importlib
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "tools"
SCENES = {
    "S/N 5": {"snr": 5},
    "S/N 8": {"snr": 8},
    "S/N 80, equal throughput, no hits": {
        "snr": 80, "hit_fraction": 0, "throughput_scatter": 0},
    "S/N 80": {"snr": 80},
    "S/N 8, ten background slitlets": {"snr": 8, "n_background": 11},
}  # fmt: skip


def tool(name):
    """A module of the scenes next to the repository."""
    if not TOOLS.is_dir():
        raise SystemExit(f"this benchmark needs the scenes in {TOOLS}, which is absent")
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


@lru_cache(maxsize=2)
def drawn(name, seed):
    """A scene of `SCENES`."""
    return tool("scenes").mos_background_scene(seed=seed, **SCENES[name])


def peer_result(scene):
    """The pipeline's combination and expansion; None where it is not installed."""
    try:
        return tool("peers").jwst_master_background(scene)
    except ImportError:
        return None


def of_result(result):
    """The backgrounds of a result as the judge takes them: zero where nothing is known."""
    return [np.nan_to_num(background) for background in result.backgrounds.values()]
