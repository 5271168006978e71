"""NSClean's fits, against the JWST pipeline's own and against the truth."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.models import NSCleanNoise, NSCleanSubarrayNoise
from specmodels.numerics.readout import Readout

FULL = Readout(fast_axis=-2)
SUBARRAY = Readout(fast_axis=-2, line_overhead=12)
TURNED = Readout(fast_axis=-2, line_overhead=12, fast_direction=-1, slow_direction=-1)


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def frame(rng, shape):
    """Columns that differ, white noise, a masked band and single masked pixels."""
    data = rng.normal(size=shape) + np.cumsum(rng.normal(size=shape[1])) * 0.3
    slow = rng.normal(size=(9, shape[1]))
    y = np.linspace(0, 2 * np.pi, shape[0])
    data += np.array([np.cos(k * y) for k in range(9)]).T @ slow * 0.3
    use = rng.random(shape) < 0.9
    use[shape[0] // 3 : shape[0] // 2, shape[1] // 4 :] = False
    return np.where(use, data, 0).astype("f4"), use


@pytest.mark.parametrize(("detector", "order"), [("NRS1", FULL), ("NRS2", TURNED)])
def test_full_frame_equals_the_pipeline(rng, detector, order):
    peer = pytest.importorskip("jwst.clean_flicker_noise.nsclean", reason="is the reference")
    data, use = frame(rng, (256, 256))
    settings = {"fc": 1 / 64, "kill_width": 1 / 128}
    expected = data - peer.NSClean(detector, use, **settings).clean(data.copy())
    found = NSCleanNoise(cutoff=1 / 64, roll_off=1 / 128).plan(order, use)(data)
    assert np.abs(found - expected).max() < 1e-4 * expected.std()


@pytest.mark.parametrize(("detector", "order"), [("NRS1", SUBARRAY), ("NRS2", TURNED)])
@pytest.mark.parametrize("sigma", [None, 4.0])
def test_subarray_equals_the_pipeline(rng, detector, order, sigma):
    peer = pytest.importorskip("jwst.clean_flicker_noise.clean_flicker_noise")
    data, use = frame(rng, (32, 300))
    cleaned = peer.fft_clean_subarray(
        data.copy(), use.copy(), detector, exclude_outliers=sigma is not None
    )
    expected = data - cleaned
    found = NSCleanSubarrayNoise(sigma=sigma).plan(order, use)(data)
    assert np.abs(found - expected).max() < 1e-4 * expected.std()


def test_centred_weights_and_smoothing_leave_less(rng):
    lines = np.repeat(rng.normal(size=128), 2)
    data = np.broadcast_to(lines, (256, 256)) + 0.1 * rng.normal(size=(256, 256))
    use = rng.random(data.shape) < 0.8
    settings = {"cutoff": 1 / 64, "roll_off": 1 / 128, "buffer": 0.5}
    left = [
        (NSCleanNoise(**settings, centred=centred).plan(FULL, use)(data) - lines)[:, 8:-8].std()
        for centred in (False, True)
    ]
    assert left[1] < 0.7 * left[0]


def test_lines_without_pixels_get_no_noise(rng):
    data, use = frame(rng, (64, 64))
    use[:, 20:24] = False
    noise = NSCleanNoise(buffer=0).plan(FULL, use)(data)
    assert not noise[:, 20:24].any()
    assert noise[:, 30:40].any()
    nothing = np.zeros_like(use)
    for model in (NSCleanNoise(), NSCleanSubarrayNoise()):
        assert not model.plan(SUBARRAY, nothing)(data).any()


def test_sections_that_do_not_tell_all_frequencies_get_no_noise(rng):
    data, use = frame(rng, (64, 32))
    for overhead, fitted in ((12, True), (3000, False)):
        plan = NSCleanSubarrayNoise(sigma=None).plan(Readout(line_overhead=overhead), use)
        assert np.any(plan(data) != 0) == fitted
    assert plan.fit.groups == []


def test_pixels_bad_in_one_frame_do_not_count(rng):
    data, use = frame(rng, (32, 128))
    bad = rng.random(data.shape) < 0.02
    spoiled = np.where(bad, 1e4, data)
    for model in (NSCleanNoise(), NSCleanSubarrayNoise()):
        noise = model.plan(SUBARRAY, use)(spoiled, bad)
        expected = model.plan(SUBARRAY, use & ~bad)(data)
        np.testing.assert_allclose(noise, expected, atol=1e-5)


def test_evaluator_takes_it(rng):
    data, use = frame(rng, (32, 300))
    result = sm.FlickerNoiseSubtraction(
        NSCleanSubarrayNoise(), mask=~use.T, background=sm.MedianBackground()
    )(data.T)
    assert np.isfinite(result.cleaned).all()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: NSCleanNoise(cutoff=0), "cutoff"),
        (lambda: NSCleanNoise(buffer=-1), "buffer"),
        (lambda: NSCleanSubarrayNoise(band=(1, 2, 3)), "band"),
        (lambda: NSCleanSubarrayNoise(n_pixel=0), "n_pixel"),
        (lambda: NSCleanSubarrayNoise(least=2), "least"),
        (lambda: NSCleanSubarrayNoise(sigma=0), "sigma"),
    ],
)
def test_bad_settings_are_named(make, name):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        make()
