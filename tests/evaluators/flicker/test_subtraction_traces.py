"""Traces along the stripes and across them, also negative ones: their light stays, noise goes."""

import numpy as np
import pytest

import specmodels as sm

Y, X = np.mgrid[:256, :512]


def trace(row, height, width=2.0, tilt=0.0):
    return height * np.exp(-0.5 * ((Y - row - tilt * X) / width) ** 2)


SCENES = {
    "trace": trace(150, 300, tilt=0.01),
    "halo": trace(120, 300) + trace(120, 6, width=6.0),
    "nods": trace(128, 100) - trace(100, 50) - trace(156, 50),
}


def found(light, *, across, axis, seed):
    """Part of the light that was taken, part of the noise that is left, and pixels with light."""
    ramp, truth = sm.datasets.make_flicker(seed=seed, shape=(256, 512), n_sources=0, sky=0.0)
    data, readout, noise = np.array(ramp.data), ramp.readout, truth.noise
    mask, variance = ramp.mask, np.array(ramp.variance)
    if across:  # stripes along columns

        def turned(image):
            return np.concatenate([image.T, image.T[::-1]], axis=1)[:256, :512]

        data, noise, mask, variance = (turned(a) for a in (data, noise, mask, variance))
        readout = sm.Readout(fast_axis=-2, n_outputs=2, line_overhead=12)
    ramp = sm.Ramp(data + light, readout, mask=mask, dispersion_axis=axis,
                   variance=variance + np.abs(light) / 2)  # fmt: skip
    result = sm.FlickerNoiseSubtraction()(ramp)
    error = np.where(mask, 0, np.nan_to_num(result.noise) - noise)
    error -= error[np.abs(light) < 0.01].mean()
    lit = np.abs(light) > 3
    taken = np.sum((error * np.sign(light))[lit]) / np.abs(light[lit]).sum()
    return taken, error.std() / noise.std(), result.background_mask[lit].mean()


@pytest.mark.parametrize("axis", [-1, None])
@pytest.mark.parametrize("name", SCENES)
def test_along_the_stripes(name, axis):
    rows = np.array([found(SCENES[name], across=False, axis=axis, seed=s) for s in range(3)])
    assert np.abs(rows[:, 0].mean()) < 0.01
    assert rows[:, 1].mean() < 0.6
    assert rows[:, 2].max() < 0.01


@pytest.mark.parametrize("name", ["trace", "nods"])
def test_across_the_stripes(name):
    rows = np.array([found(SCENES[name], across=True, axis=-1, seed=s) for s in range(2)])
    assert np.abs(rows[:, 0]).max() < 0.01
    assert rows[:, 1].max() < 0.7
    assert rows[:, 2].max() < 0.01
