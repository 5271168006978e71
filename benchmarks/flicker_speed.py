"""Speed of flicker-noise fits, against the inner functions of jwst's ``clean_flicker_noise``.

CPU seconds of one thread, the best of some calls, the same frames and the same mask for both; of
whole evaluators, the median method of the peer, each with a mask of its own. Set
``OMP_NUM_THREADS=1``.
"""

import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import specmodels as sm
from specmodels.numerics.readout import Readout
from specmodels.ramp import Ramp

from . import measure
from .flicker_truth import tool

WHOLE = ("nircam_image", "nirspec_ifu")
FULL, NARROW, MEGABYTE = (2048, 2048), (32, 2048), 1e6
ORDER = Readout(fast_axis=-2, line_overhead=12)


def run(*, quick=False):
    """Rows for single frames, and for a ramp."""
    cases = [
        ("Fourier, full frame", sm.FourierNoise(), FULL, None, "fft", 40),
        ("Fourier, median background", sm.FourierNoise(), FULL, sm.MedianBackground(), "fft", 40),
        ("median, median background", sm.LineMedian(), FULL, sm.MedianBackground(), "median", 20),
        ("Fourier, subarray", sm.FourierNoise(section=8), NARROW, None, "fft", 20),
        ("NSClean's fit, full frame", sm.NSCleanNoise(), FULL, None, "fft", None),
        ("NSClean's fit, subarray", sm.NSCleanSubarrayNoise(sigma=None), NARROW, None, "fft", None),
        ("correlated, full frame", sm.CorrelatedNoise(), FULL, None, None, None),
    ]  # fmt: skip
    rows = [_frame_row(*case, repeat=2 if quick else 5) for case in cases]
    rows.append(_ramp_row(n_int=1 if quick else 5, n_group=3 if quick else 20))
    return rows + [_whole_row(name, repeat=1 if quick else 4) for name in WHOLE]


def _whole_row(name, *, repeat):
    """The default evaluator and the peer's step, each with a mask of its own, in turn."""
    scene = tool("scenes").make(f"flicker_{name}", seed=0)
    rate = scene.models["rate"]

    def peer():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tool("peers").jwst_clean_flicker(scene, fit_method="median")

    found = {"first s": [], "peer s": []}
    for _ in range(repeat):
        for key, clean in (("first s", lambda: sm.FlickerNoiseSubtraction()(rate)),
                           ("peer s", peer)):  # fmt: skip
            found[key].append(measure.least_cpu(clean, 1))
    row = {"case": f"whole evaluator, mask included, {name}"}
    row |= {key: min(values) for key, values in found.items()}
    return row | {"ratio, first": row["peer s"] / row["first s"], "goal": 2}


def frame(shape, seed=0):
    """White noise, line offsets and a mask with a tenth of the pixels in blobs."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=shape) + rng.normal(size=(1, shape[1]))
    use = np.ones(shape, dtype=bool)
    for y, x in rng.uniform(0, 1, (shape[0] * shape[1] // 4000, 2)) * shape:
        use[int(y) : int(y) + 20, int(x) : int(x) + 20] = False
    return data.astype("f4"), use


def _frame_row(name, model, shape, background, method, goal, *, repeat):
    """Times of the first frame, with all that depends on the mask, and of those that follow."""
    data, use = frame(shape)
    ramp = Ramp(data, ORDER)

    def level():
        return 0 if background is None else background(data, use, ramp)

    def plan():
        return model.plan(ORDER, use, white=1.0, sample=data)

    def first():
        return data - plan()(data - level())

    ready = plan()
    row = {"case": name, "first s": measure.least_cpu(first, repeat),
           "next s": measure.least_cpu(lambda: data - ready(data - level()), repeat),
           "added memory / frame": measure.memory(first)[0] * MEGABYTE / data.nbytes}  # fmt: skip
    peer = _peer(method, shape, "median" if background is not None else None)
    if peer is not None:
        row["peer s"] = measure.least_cpu(peer, 2)
        row |= {"ratio, first": row["peer s"] / row["first s"],
                "ratio, next": row["peer s"] / row["next s"], "goal": goal}  # fmt: skip
    return row


def _ramp_row(n_int, n_group):
    """A memory-mapped ramp, one integration after the other; the peer for one group."""
    data, use = frame(FULL)
    with tempfile.TemporaryDirectory() as folder:
        ramp = np.lib.format.open_memmap(Path(folder) / "ramp.npy", "w+", "f4",
                                         (n_int, n_group, *FULL))  # fmt: skip
        for i in range(n_int):
            for g in range(n_group):
                ramp[i, g] = g * data + i
        ramp.flush()
        clean = sm.FlickerNoiseSubtraction(
            sm.FourierNoise(), background=sm.MedianBackground(), mask=~use
        )
        start = time.process_time()
        for part in clean.integrations(Ramp(ramp, ORDER)):
            part.cleaned.mean()
        seconds = time.process_time() - start
    number = n_int * (n_group - 1)
    row = {"case": f"Fourier, ramp of {n_int} × {n_group} groups, per group",
           "next s": seconds / number}  # fmt: skip
    peer = _peer("fft", FULL, "median")
    if peer is not None:
        row["peer s"] = measure.least_cpu(peer, 2)
        row |= {"ratio, next": row["peer s"] / row["next s"], "goal": 40}
    return row


def _peer(method, shape, background_method):
    """The peer's function for one frame; None where there is none."""
    if method is None:
        return None
    try:
        from jwst.clean_flicker_noise import clean_flicker_noise as module
    except ImportError:
        return None
    data, use = frame(shape)

    def clean():
        image, mask = data.copy(), use.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            level = module.background_level(image, mask, background_method=background_method)
            image -= level
            if method == "median":
                return module.median_clean(image, mask, 1) + level
            if shape == FULL:
                return module.fft_clean_full_frame(image, mask, "NRS1") + level
            return module.fft_clean_subarray(image, mask, "NRS1", exclude_outliers=False) + level

    return clean
