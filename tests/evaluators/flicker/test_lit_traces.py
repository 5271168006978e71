"""Faint traces along the stripes: the noise under them is seen, not interpolated."""

import numpy as np
import pytest

import specmodels as sm

Y, X = np.mgrid[:256, :384]


def cleaned(light, seed, *, lit=True, frames=1):
    """Result for a faint trace in noise, and the noise."""
    ramp, truth = sm.datasets.make_flicker(seed=seed, shape=Y.shape, n_sources=0, sky=0.0)
    data = np.array(ramp.data) + light
    data = data if frames == 1 else np.stack([data] * frames)
    ramp = sm.Ramp(data.astype("f4"), ramp.readout, mask=ramp.mask, dispersion_axis=-1)
    return sm.FlickerNoiseSubtraction()(ramp), truth.noise


def error_under(light, result, noise):
    """Error of the noise, relative to that of dark pixels, where there is light."""
    error = np.asarray(result.noise) - noise
    error = error - np.nanmean(error[..., np.abs(light) < 0.01])
    return error[..., np.abs(light) > 3]


@pytest.fixture(scope="module")
def scenes():
    light = 40 * np.exp(-0.5 * ((Y - 75 - 0.02 * X) / 1.8) ** 2)
    return light, [cleaned(light, seed) for seed in range(3)]


def test_little_of_a_faint_trace_is_taken(scenes):
    light, results = scenes
    taken = [np.nansum(error_under(light, *one)) / light[light > 3].sum() for one in results]
    assert np.sqrt(np.mean(np.square(taken))) < 0.02


def test_quoted_variance_holds_under_the_trace(scenes):
    light, results = scenes
    assert all(len(result.scenes[0].lit) == 1 for result, _ in results)
    square = np.mean([np.nanmean(error_under(light, *one) ** 2) for one in results])
    quoted = np.mean([one.variance[light > 3].mean() for one, _ in results])
    assert 0.6 < square / quoted < 1.5


def test_lines_of_the_spectrum_stay():
    line = 1 + 3 * np.exp(-0.5 * ((X - 140) / 1.5) ** 2)
    light = 40 * np.exp(-0.5 * ((Y - 75 - 0.02 * X) / 1.8) ** 2) * line
    result, noise = cleaned(light, 5)
    here = np.where(np.abs(X - 140) < 3, light, 0)
    assert len(result.scenes[0].lit) == 1
    assert abs(np.nansum(error_under(here, result, noise)) / here.sum()) < 0.03


def test_light_that_is_no_trace_stays_masked():
    rng = np.random.default_rng(1)
    light = np.where(np.abs(Y - 80) < 12, 60 * rng.random((256, 1)), 0)
    result, _ = cleaned(light, 6)
    assert not any(np.isfinite(one.ratio).sum() > light.size / 3 for one in result.scenes[0].lit)
    assert np.isfinite(result.noise[~np.asarray(result.ramp.mask)]).all()


def test_frames_of_a_trace_are_cleaned_like_an_image(scenes):
    light, results = scenes
    result, noise = cleaned(light, 0, frames=2)
    image = results[0][0]
    good = ~np.asarray(image.ramp.mask)
    assert np.std((result.noise[1] - image.noise)[good]) < 0.1 * noise.std()
