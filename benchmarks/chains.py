"""Flicker noise subtracted, then spectra extracted: fluxes against the truth, also without."""

import numpy as np

import specmodels as sm

SHAPE, POWER = (48, 400), 0.3
EXTRACT = sm.OptimalExtraction(n_sources=1)
WAYS = {
    "extraction alone": EXTRACT,
    "chain": sm.FlickerNoiseSubtraction() | EXTRACT,
}
LINES = {"across": -2, "along": -1}


def run(*, quick=False):
    """One row for each direction of readout and way: over all columns of all seeds."""
    seeds = range(100, 102 if quick else 112)
    return [
        {"lines": f"{direction} the dispersion", "way": name, **_figures(way, axis, seeds)}
        for direction, axis in LINES.items() for name, way in WAYS.items()
    ]  # fmt: skip


def striped_slit(seed, axis):
    """A slit with flicker noise of twice the variance of its white noise; its true fluxes."""
    slit, truth = sm.datasets.make_slit(seed=seed, shape=SHAPE)
    lines = SHAPE if axis == -1 else SHAPE[::-1]
    _, detector = sm.datasets.make_flicker(seed=seed, shape=lines, n_outputs=1, common=POWER,
                                           separate=0, alternating=0, n_sources=0)  # fmt: skip
    noise = detector.noise if axis == -1 else detector.noise.T
    white = np.sqrt(np.median(slit.variance))
    readout = sm.Readout(fast_axis=axis, line_overhead=12)
    return slit.replace(data=slit.data + white * noise, readout=readout), truth.flux[0]


def _figures(way, axis, seeds):
    pulls, errors = [], []
    for seed in seeds:
        slit, true = striped_slit(seed, axis)
        table = next(iter(way(slit).tables().values()))
        good = ~np.asarray(table["mask"])
        errors.append((table["flux"].value - true)[good])
        pulls.append(errors[-1] / table["flux_error"].value[good])
    every = np.concatenate(pulls)
    means = [np.mean(own) for own in pulls]
    return {
        "rms error (counts)": np.sqrt(np.mean(np.concatenate(errors) ** 2)),
        "pull": np.mean(every), "its error": np.std(means) / np.sqrt(len(means)),
        "pull width": np.sqrt(np.mean(every**2)),
        "within a spectrum": np.sqrt(np.mean([np.var(own) for own in pulls])),
    }  # fmt: skip
