"""Plans of correlated noise: a first guess from a frame that hardly differs saves steps."""

import numpy as np
from numpy.testing import assert_allclose

from specmodels import CorrelatedNoise
from specmodels.numerics.readout import Readout


def test_what_was_found_is_a_better_guess_than_its_image():
    rng = np.random.default_rng(4)
    shape = (64, 128)
    lines = np.cumsum(rng.normal(size=(shape[0], 1)), axis=0) + 0.1 * rng.normal(size=shape)
    frame = (lines - lines.mean()).astype("f4")
    use = rng.random(shape) > 0.2
    plan = CorrelatedNoise().plan(Readout(line_overhead=12), use, white=0.01, sample=frame * use)
    noise, guess = plan.found(frame)
    assert_allclose(plan(frame), noise)
    steps = {}
    for name, near in (("nothing", None), ("image", noise), ("all times", guess)):
        again, _ = plan.found(frame + np.float32(1e-3) * use, near)
        steps[name] = plan.iterations[-1]
        assert_allclose(again, noise, atol=0.02)
    assert steps["all times"] < min(steps["image"], steps["nothing"])
