"""Speed of flicker-noise fits, against the inner functions of jwst's ``clean_flicker_noise``.

Usage: ``python -m benchmarks.flicker_speed``. CPU seconds of one thread, the best of some runs, the
same frames and the same mask for both; set ``OMP_NUM_THREADS=1``.
"""

import resource
import time
import warnings

import numpy as np

from specmodels.evaluators.backgrounds import MedianBackground
from specmodels.models import CorrelatedNoise, FourierNoise, LineMedian
from specmodels.numerics.readout import Readout
from specmodels.ramp import Ramp

FULL, NARROW = (2048, 2048), (32, 2048)


def frame(shape, seed=0):
    """White noise, line offsets and a mask with a tenth of the pixels in blobs."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=shape) + rng.normal(size=(1, shape[1]))
    use = np.ones(shape, dtype=bool)
    for y, x in rng.uniform(0, 1, (shape[0] * shape[1] // 4000, 2)) * shape:
        use[int(y) : int(y) + 20, int(x) : int(x) + 20] = False
    return data.astype("f4"), use


def seconds(function, repeat=3):
    """Least CPU seconds of some calls, and megabytes added to the peak by the first."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function()
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    times = []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times), memory


def ours(model, shape, background=None):
    """A function which cleans one frame, and one for further frames with the same mask."""
    data, use = frame(shape)
    order = Readout(fast_axis=-2, line_overhead=12)
    ramp = Ramp(data, order)

    def level():
        return 0 if background is None else background(data, use, ramp)

    def clean():
        return data - model.plan(order, use, white=1.0, sample=data)(data - level())

    plan = model.plan(order, use, white=1.0, sample=data)
    return clean, lambda: data - plan(data - level())


def peer(fit_method, shape, background_method):
    """The peer's function for one frame; None where it is not installed."""
    try:
        from jwst.clean_flicker_noise import clean_flicker_noise as peer_module
    except ImportError:
        return None
    data, use = frame(shape)

    def clean():
        image = data.copy()
        mask = use.copy()
        background = peer_module.background_level(image, mask, background_method=background_method)
        image -= background
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if fit_method == "median":
                return peer_module.median_clean(image, mask, 1) + background
            if shape == FULL:
                return peer_module.fft_clean_full_frame(image, mask, "NRS1") + background
            cleaner = peer_module.fft_clean_subarray
            return cleaner(image, mask, "NRS1", npix_iter=512, exclude_outliers=False) + background

    return clean


def main():
    """Print a table."""
    cases = [
        ("Fourier, full frame", FourierNoise(), FULL, None, ("fft", None)),
        ("Fourier, background", FourierNoise(), FULL, MedianBackground(), ("fft", "median")),
        ("median, background", LineMedian(), FULL, MedianBackground(), ("median", "median")),
        ("Fourier, subarray", FourierNoise(section=8), NARROW, None, ("fft", None)),
        ("correlated, full frame", CorrelatedNoise(), FULL, None, None),
    ]  # fmt: skip
    print(f"{'case':<30}{'peer s':>9}{'MB':>6}{'first s':>9}{'MB':>6}{'next s':>9}{'ratio':>14}")
    for name, model, shape, background, other in cases:
        first, following = ours(model, shape, background)
        own, own_memory = seconds(first)
        later, _ = seconds(following)
        function = peer(other[0], shape, other[1]) if other else None
        theirs, memory = seconds(function, 2) if function else (np.nan, np.nan)
        print(f"{name:<30}{theirs:>9.3f}{memory:>6.0f}{own:>9.4f}{own_memory:>6.0f}{later:>9.4f}"
              f"{theirs / own:>7.1f}{theirs / later:>7.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
