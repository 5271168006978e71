"""Slits with tilted lines: efficiency against the bound, pulls, and what is left of the sky."""

import time

import numpy as np

import specmodels as sm

from .inputs import HAVE_SCENES, shared

SETTINGS = {
    "two sources, tilt 6, bow 1.5": ({}, dict(n_sources=2)),
    "the same, nothing told": ({}, {}),
    "tilt 0.4, bow 0.1": (dict(tilt=0.4, bow=0.1), dict(n_sources=2)),
    "one source, S/N 60, tilt 3, bow -2": (
        dict(n_sources=1, snr=60.0, tilt=3.0, bow=-2.0), dict(n_sources=1)),
    "40 rows, one source, S/N 8, tilt 2": (
        dict(n_sources=1, snr=8.0, tilt=2.0, bow=-1.0, shape=(40, 1500)), dict(n_sources=1)),
}  # fmt: skip
SEEDS = range(301, 307)
# Of the figures of all sources that of the worse one is shown.
FIGURES = {
    "efficiency_sums": lambda value: -value,
    "efficiency_rms": lambda value: -value,
    "bias": abs,
    "pull_rms": lambda value: abs(value - 1),
    "pull_under_lines": lambda value: abs(value - 1),
}


def _rms(values):
    """Rms over the seeds, of shape (n_seed, n_source)."""
    return np.sqrt(np.mean(values**2, axis=0))


POOLED = {
    "efficiency_sums": lambda values: 1 / _rms(1 / values),
    "efficiency_rms": lambda values: 1 / _rms(1 / values),
    "bias": lambda values: np.mean(values, axis=0),
    "pull_rms": _rms,
    "pull_under_lines": _rms,
}


def run(*, quick=False):
    """Rows of the table, one for each setting; none where the scenes are not at hand."""
    if not HAVE_SCENES:
        return []
    seeds = list(SEEDS)[: 1 if quick else None]
    return [_row(name, seeds, *both) for name, both in SETTINGS.items()]


def _row(name, seeds, scene, settings):
    found = [_figures(seed, scene, settings) for seed in seeds]
    row = {"slit": name, "seeds": len(seeds)}
    for key, worse in FIGURES.items():
        # Of one seed a source's pull under lines is known to a tenth only, a sum's to a twentieth.
        each = POOLED[key](np.array([one[key] for one in found]))
        row[key.replace("_", " ")] = round(float(max(each, key=worse)), 3)
    row["sky left, bright lines"] = round(float(np.mean([one["bright"] for one in found])), 2)
    row["CPU s"] = round(float(np.median([one["seconds"] for one in found])), 1)
    return row


def _figures(seed, scene, settings):
    """Figures of one slit, in arrays of its sources."""
    scenes, judge = shared("scenes"), shared("judge")
    made = scenes.tilted_slit_scene(seed=seed, **scene)
    start = time.process_time()
    result = sm.OptimalExtraction(**settings)(made.model)
    seconds = time.process_time() - start
    names = sorted(result.sources, key=lambda name: np.median(result.trace(name)))
    samples = [result.samples(name) for name in names]
    each = judge.spectra(made, *([np.asarray(one[k].value) for one in samples] for k in range(3)))
    own = {key: [one[key] for one in each] for key in FIGURES}
    return own | {"bright": judge.sky_left(made, result.sky)["bright"], "seconds": seconds}
