"""Slits, slices and frames on several cores: the same bits for any number."""

import numpy as np
import pytest

import specmodels as sm

EVALUATORS = [sm.OptimalExtraction, sm.TraceOversampling, sm.PixelReplacement,
              sm.FlickerNoiseSubtraction]  # fmt: skip


@pytest.fixture(scope="module")
def slits():
    images = [sm.datasets.make_slit(seed=k, shape=(24, 60))[0].replace(name=f"s{k}")
              for k in range(3)]  # fmt: skip
    return sm.Exposure([*images, images[0].replace(mask=np.ones((24, 60), bool), name="nothing")])


def test_slits_are_the_same_bits_on_two_cores(slits):
    one, two = (sm.OptimalExtraction(n_sources=1, n_jobs=n)(slits) for n in (1, 2))
    assert list(one) == list(two) == ["s0", "s1", "s2"]
    assert one.failures == two.failures
    assert "no usable pixel" in two.failures["nothing"]
    for name in one:
        np.testing.assert_array_equal(one[name].spectrum.flux, two[name].spectrum.flux)
        np.testing.assert_array_equal(
            one[name].spectrum.uncertainty.array, two[name].spectrum.uncertainty.array
        )
    assert two["s1"].source_exposure is slits


def test_slices_are_the_same_bits_on_two_cores():
    slit = sm.datasets.make_undersampled_slit(shape=(20, 100))[0]
    data, variance = (np.vstack([plane] * 3) for plane in (slit.filled, slit.variance))
    regions = np.repeat([1, 2, 3], 20)[:, None] + np.zeros((1, 100), int)
    spatial = np.tile(np.arange(20.0), 3)[:, None] + np.zeros((1, 100))
    image = sm.SpectralImage(data, variance=variance)
    one, two = (sm.TraceOversampling(regions=regions, spatial=spatial, n_jobs=n)(image)
                for n in (1, 2))  # fmt: skip
    assert len(two.fits) == 3
    np.testing.assert_array_equal(one.data, two.data)
    np.testing.assert_array_equal(one.variance, two.variance)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3)], ids=["frames", "groups", "both"])
@pytest.mark.parametrize("per_integration", [False, True])
def test_frames_are_the_same_bits_on_two_cores(shape, per_integration):
    image, _ = sm.datasets.make_flicker(shape=(64, 128), n_sources=3)
    rng = np.random.default_rng(4)
    frames = image.data + rng.normal(0, 1, (*shape, 64, 128))
    data = frames if len(shape) == 1 else frames.cumsum(axis=1)
    ramp = sm.Ramp(data.astype("f4"), readout=image.readout)
    one, two = (sm.FlickerNoiseSubtraction(per_integration=per_integration, n_jobs=n)(ramp)
                for n in (1, 2))  # fmt: skip
    np.testing.assert_array_equal(one.cleaned, two.cleaned)
    np.testing.assert_array_equal(one.levels, two.levels)


@pytest.mark.parametrize("kind", EVALUATORS)
@pytest.mark.parametrize(
    ("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), ("two", TypeError)]
)
def test_bad_numbers_are_refused(kind, n_jobs, error):
    with pytest.raises(error, match="n_jobs: expected"):
        kind(n_jobs=n_jobs)
