"""Parts of several jobs fitted together, against the jobs one after the other.

Each combination is simulated from its own model, so that the truth of each coefficient is known:
grism scenes under stripes and a sky, in one orientation and in two; slitlets of a frame with one
sky and the detector's noise; a star in slices that share their sky; a trace under a throughput.
"""

import time

import numpy as np

import specmodels as sm
from tests.combined_scenes import COMBINATIONS

FRAMES = 100


def run(*, quick=False):
    """One row for each combination."""
    return [row(name, range(3 if quick else FRAMES)) for name in COMBINATIONS]


def row(name, seeds):
    """Figures of one combination over random frames."""
    found = [one_frame(name, seed) for seed in seeds]
    joint, steps = (np.concatenate([one[k] for one in found]) for k in (0, 1))
    number = [len(one[0]) for one in found]
    means = [np.mean(one[0][:, 0] ** 2) for one in found]
    pull = np.sqrt(np.mean(joint[:, 0] ** 2))
    return {
        "fitted together": name, "frames": len(found), "coefficients": int(np.mean(number)),
        "pull": pull, "±": np.std(means, ddof=1) / np.sqrt(len(means)) / (2 * pull),
        "chi2/dof": np.mean([one[2] for one in found]),
        "pull of the steps": np.sqrt(np.mean(steps[:, 0] ** 2)),
        "variance, steps / together": np.median((steps[:, 0] * steps[:, 1]) ** 2)
        / np.median((joint[:, 0] * joint[:, 1]) ** 2),
        "CPU, s": np.median([one[3] for one in found]),
    }  # fmt: skip


def one_frame(name, seed):
    """Pulls and errors of all coefficients, together and in steps; chi2/dof; seconds."""
    scene = COMBINATIONS[name](seed)
    start = time.process_time()
    fit = sm.VarProFitter()(scene.model, scene.images)
    joint = scene.measured(fit)
    seconds = time.process_time() - start
    if not fit.success:
        raise RuntimeError(f"{name}, seed {seed}: {fit.message}")
    truth = scene.truth
    pairs = [np.stack([(values - truth) / errors, errors], axis=-1)
             for values, errors in (joint, scene.in_steps())]  # fmt: skip
    known = np.isfinite(pairs).all(axis=(0, 2))
    return pairs[0][known], pairs[1][known], fit.reduced_chi2, seconds
