"""Variances of slits that come without, from their scatter along the dispersion."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.oversampling.trace_noise import noise_from_scatter


@pytest.mark.parametrize("options", [{}, {"tilt": 0.0}, {"fwhm": (3.0, 3.0)}])
def test_noise_grows_with_the_light(options):
    image, truth = sm.datasets.make_undersampled_slit(seed=4, **options)
    ratio = noise_from_scatter(image.replace(variance=None)) / image.variance
    bright = truth.image > 0.3 * truth.image.max()
    assert 0.85 < np.median(ratio[bright]) < 1.1
    assert 0.9 < np.median(ratio[~bright]) < 1.1


def test_a_scale_of_the_data_is_one_of_the_noise():
    image, _ = sm.datasets.make_undersampled_slit(seed=1, shape=(20, 100))
    variance = noise_from_scatter(image)
    np.testing.assert_allclose(noise_from_scatter(image.replace(data=1e-18 * image.data)),
                               1e-36 * variance, rtol=1e-6)  # fmt: skip


def test_data_without_scatter_are_refused():
    flat = sm.SpectralImage(np.ones((8, 30)))
    with pytest.raises(ValueError, match="show no scatter"):
        noise_from_scatter(flat)
    with pytest.raises(ValueError, match="none can be told"):
        noise_from_scatter(flat.replace(mask=np.ones((8, 30), dtype=bool)))
