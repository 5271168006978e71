"""How close extracted spectra come to the truth, this package knowing least."""

import time

import numpy as np

from . import methods
from .inputs import make_slit

SCENES = {
    "one source": {},
    "one, hits flagged": {"flagged": True},
    "one, straight, hits flagged": {"straight": True, "flagged": True},
    "one, S/N 10": {"snr": 10.0},
    "one, S/N 3": {"snr": 3.0},
    "one, S/N 1": {"snr": 1.0},
    "one, noisy variances": {"noisy": True},
    "three blended": {"n_sources": 3},
    "three, hits flagged": {"n_sources": 3, "flagged": True},
    "three, noisy variances": {"n_sources": 3, "noisy": True},
}
METHODS = {
    "specmodels": methods.specmodels_automatic,
    "jwst, true profiles": methods.jwst_optimal,
    "specreduce Horne, Gaussian": methods.specreduce_gaussian,
    "specreduce Horne, interpolated": methods.specreduce_interpolated,
    "specreduce boxcar": methods.specreduce_boxcar,
}
FIGURES = {
    "flux_ratio": "flux/truth",
    "bias": "bias",
    "pull": "pull",
    "pull_rms": "pull, rms",
    "efficiency": "efficiency",
    "outliers": "outliers",
    "lost": "lost",
}


def run(*, quick=False):
    """One row for each scene, method and source: the means over all seeds."""
    seeds = range(2 if quick else 16)
    rows = []
    for scene, options in SCENES.items():
        slits = [make_slit(seed, **options) for seed in seeds]
        for name, method in METHODS.items():
            rows += _rows(scene, name, method, slits)
    return rows


def _rows(scene, name, method, slits):
    figures, seconds, failed = [], [], 0
    for slit in slits:
        start = time.process_time()
        try:
            result = method(slit)
        except methods.FAILURES:
            failed += 1
            continue
        seconds.append(time.process_time() - start)
        figures.append(slit.judged(*result))
    n_sources = len(figures[0]) if figures else 1
    for source in range(n_sources):
        values = {
            shown: np.mean([figure[source][key] for figure in figures]) if figures else np.nan
            for key, shown in FIGURES.items()
        }
        yield {
            "scene": scene if slits[0].n_sources == 1 else f"{scene}, source {source + 1}",
            "method": name, **values,
            "worst bias": max((abs(f[source]["bias"]) for f in figures), default=np.nan),
            "failed": f"{failed} of {len(slits)}" if failed else None,
            "s, processor": np.median(seconds) if seconds else np.nan,
            "goals missed": _missed(values, n_sources) if name == "specmodels" else None,
        }  # fmt: skip


def _missed(values, n_sources):
    """Names of the figures that miss their goals."""
    goals = {
        "bias": abs(values["bias"]) < 0.1,
        "pull": abs(values["pull"] - 1) <= 0.03,
        "efficiency": values["efficiency"] >= (0.98 if n_sources == 1 else 0.97),
        "outliers": values["outliers"] < 1e-3,
    }
    return ", ".join(name for name, met in goals.items() if not met) or "none"
