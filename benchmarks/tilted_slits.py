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
READ_NOISE = 4.0  # of the scenes
SEEDS = range(301, 307)


def _rms(values):
    """Rms over the seeds, of shape (n_seed, n_source)."""
    return np.sqrt(np.mean(values**2, axis=0))


# How seeds are pooled, and how bad a figure is: of two sources that of the worse one is shown.
EFFICIENCY = (lambda values: 1 / _rms(1 / values), lambda value: -value)
PULL = (_rms, lambda value: abs(value - 1))
FIGURES = {"efficiency_sums": EFFICIENCY, "efficiency_rms": EFFICIENCY,
           "bias": (lambda values: np.mean(values, axis=0), abs),
           "pull_rms": PULL, "pull_under_lines": PULL}  # fmt: skip


def run(*, quick=False):
    """Rows of the table, one for each setting; none where the scenes are not at hand."""
    if not HAVE_SCENES:
        return []
    seeds = list(SEEDS)[: 1 if quick else None]
    rows = [_row(name, seeds, *both) for name, both in SETTINGS.items()]
    scene, settings = next(iter(SETTINGS.values()))
    spoilt = {"variances of noisy pixels": _with_noisy_variance,
              "no variances": _without_variance,
              "12 hits of 50 to 1000 sigma": _with_hits}  # fmt: skip
    return rows + [_row(name, seeds, scene, settings, one) for name, one in spoilt.items()]


def _row(name, seeds, scene, settings, spoil=None):
    found = [_figures(seed, scene, settings, spoil) for seed in seeds]
    row = {"slit": name, "seeds": len(seeds)}
    for key, (pool, badness) in FIGURES.items():
        # Of one seed a source's pull under lines is known to a tenth only, a sum's to a twentieth.
        each = pool(np.array([one[key] for one in found]))
        row[key.replace("_", " ")] = round(float(max(each, key=badness)), 3)
    row["sky left, bright lines"] = round(float(np.mean([one["bright"] for one in found])), 2)
    row["CPU s"] = round(float(np.median([one["seconds"] for one in found])), 1)
    return row


def _figures(seed, scene, settings, spoil):
    """Figures of one slit, in arrays of its sources."""
    scenes, judge = shared("scenes"), shared("judge")
    made = scenes.tilted_slit_scene(seed=seed, **scene)
    given = made.model if spoil is None else spoil(made)
    start = time.process_time()
    result = sm.OptimalExtraction(**settings)(given)
    seconds = time.process_time() - start
    names = sorted(result.sources, key=lambda name: np.median(result.trace(name)))
    samples = [result.samples(name) for name in names]
    each = judge.spectra(made, *([np.asarray(one[k].value) for one in samples] for k in range(3)))
    own = {key: [one[key] for one in each] for key in FIGURES}
    return own | {"bright": judge.sky_left(made, result.sky)["bright"], "seconds": seconds}


def _with_noisy_variance(made):
    """The slit with variances as pipelines give them: Poisson's of the data themselves."""
    return _image(made, variance=np.maximum(made.model.data, 0.0) + READ_NOISE**2)


def _without_variance(made):
    return _image(made, variance=None)


def _with_hits(made):
    """The slit with strong hits that are not flagged, half of them on sources."""
    rng = np.random.default_rng(0)
    trace, sigma = made.truth["trace"][0], np.sqrt(made.truth["variance"][0])
    columns = rng.integers(40, made.model.data.shape[1] - 40, 12)
    rows = rng.integers(2, made.model.data.shape[0] - 2, 12)
    rows[:6] = np.rint(trace[0, columns[:6]])
    data = np.array(made.model.data)
    data[rows, columns] += 10 ** rng.uniform(np.log10(50), 3, 12) * sigma[rows, columns]
    return _image(made, data=data, variance=np.asarray(made.model.err) ** 2)


def _image(made, variance, data=None):
    model = made.model
    return sm.SpectralImage(
        np.array(model.data if data is None else data), variance=variance,
        mask=(np.asarray(model.dq) & 1) > 0, wavelength=np.asarray(model.wavelength),
        wavelength_unit="um",
    )  # fmt: skip
