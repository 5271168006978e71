"""What `Ramp` takes, refuses, and finds by itself."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.ramp import Ramp

IMAGE, CUBE = np.ones((16, 32), "f4"), np.ones((3, 16, 32), "f4")


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, int])
def test_masks_of_whole_numbers_are_true_but_for_zero(kind):
    mask = np.zeros(IMAGE.shape, kind)
    mask[2, 3], mask[4, 5] = 1, 4
    ramp = Ramp(IMAGE, mask=mask, lit=mask.tolist())
    assert ramp.bad.dtype == ramp.lit.dtype == bool
    assert ramp.bad.sum() == ramp.lit.sum() == 2
    flags = np.zeros(CUBE.shape, kind)
    flags[1, 2] = 8
    assert np.isnan(Ramp(CUBE, frame_mask=flags).rate(1)).sum() == 32


@pytest.mark.parametrize("name", ["mask", "lit", "frame_mask", "jumped", "saturated"])
def test_masks_of_other_numbers_are_refused(name):
    with pytest.raises(TypeError, match=f"{name}: expected true and false, got dtype float64"):
        Ramp(IMAGE, **{name: np.zeros(IMAGE.shape)})


def test_axes_of_an_image_count_from_either_end():
    assert Ramp(IMAGE, dispersion_axis=0).dispersion_axis == -2
    assert Ramp(IMAGE, dispersion_axis=1).dispersion_axis == -1


@pytest.mark.parametrize(("data", "axis"), [(IMAGE, 5), (IMAGE, "x"), (CUBE, 0), (CUBE, 1)])
def test_axes_that_frames_do_not_have_are_refused(data, axis):
    with pytest.raises(ValueError, match="dispersion_axis: expected -1"):
        Ramp(data, dispersion_axis=axis)


@pytest.mark.parametrize("overhead", [1e6, 1e9, 1e15])
def test_pauses_far_longer_than_lines_are_refused(overhead):
    with pytest.raises(ValueError, match="line_overhead: expected"):
        Ramp(np.ones((1024, 32)), sm.Readout(line_overhead=overhead))


@pytest.mark.parametrize("shape", [(60, 100), (512, 512), (2048, 2048)])
def test_pauses_are_refused_that_make_a_frame_many_times_longer_than_it_is(shape):
    with pytest.raises(ValueError, match="line_overhead: expected"):
        Ramp(np.ones(shape), sm.Readout(line_overhead=1e5))
    assert Ramp(np.ones(shape), sm.Readout(line_overhead=1.5 * shape[1])).shape == shape


@pytest.mark.parametrize(
    "settings",
    [
        {"line_overhead": np.nan}, {"line_overhead": np.inf}, {"n_outputs": 2.5},
        {"n_outputs": np.nan}, {"dwell": np.inf},
    ],
)  # fmt: skip
def test_settings_of_readouts_are_numbers_that_make_sense(settings):
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: expected"):
        sm.Readout(**settings)


class TestAxisOfReadout:
    """Not given: told by the stripes."""

    def test_of_images_integrations_and_ramps(self, rng):
        stripes = rng.normal(size=(2, 5, 1, 64))
        groups = np.cumsum(rng.normal(9, 1, (2, 5, 48, 64)), axis=1) + 3 * stripes
        groups += 1000 * np.exp(-0.5 * ((np.arange(48) - 20) / 3) ** 2)[:, None]
        for frames in (groups, groups[:, 0], groups[0, 0] - 1000):
            assert Ramp(frames).readout.fast_axis == -2
            assert Ramp(np.swapaxes(frames, -1, -2)).readout.fast_axis == -1

    def test_most_of_the_stripes_of_an_array_are_gone(self):
        ramp, truth = sm.datasets.make_flicker(seed=2, n_outputs=1)
        frame = np.nan_to_num(np.array(ramp.data)).T
        result = sm.FlickerNoiseSubtraction()(frame)
        assert np.std(result.noise - truth.noise.T) < 0.65 * truth.noise.std()

    def test_is_asked_for_where_both_are_as_likely(self, rng):
        frame = rng.normal(size=(96, 96)) + rng.normal(size=(96, 1)) + rng.normal(size=96)
        with pytest.raises(ValueError, match="readout: expected a Readout"):
            sm.FlickerNoiseSubtraction()(frame)
