"""The axis along which stripes run, of simulated frames."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.numerics.stripes import stripe_axis


def everywhere(frame):
    return stripe_axis(frame, np.isfinite(frame))


@pytest.mark.parametrize("n_sources", [0, 20, 60])
def test_axis_is_that_of_readout(n_sources):
    frame = np.array(sm.datasets.make_flicker(seed=4, n_sources=n_sources)[0].data)
    assert everywhere(frame) == -1
    assert everywhere(frame.T) == -2


@pytest.mark.parametrize("stripes_along", [0, 1])
def test_a_trace_is_no_stripe(stripes_along):
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:200, :300]
    frame = rng.normal(size=y.shape) + 30 * np.exp(-0.5 * ((y - 80 - 0.02 * x) / 2) ** 2)
    shape = (200, 1) if stripes_along else (1, 300)
    assert everywhere(frame + 0.5 * rng.normal(size=shape)) == (-1 if stripes_along else -2)


def test_white_noise_counts_as_read_along_rows():
    rng = np.random.default_rng(3)
    found = [everywhere(rng.normal(size=(64, 128))) for _ in range(50)]
    assert found.count(-1) >= 48
    assert everywhere(np.zeros((64, 128))) == everywhere(np.full((3, 4), np.nan)) == -1


def test_stripes_of_both_axes_are_not_told_apart():
    rng = np.random.default_rng(4)
    frame = rng.normal(size=(128, 128)) + rng.normal(size=(128, 1)) + rng.normal(size=128)
    assert everywhere(frame) is None
