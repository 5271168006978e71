"""Images finer than their pixels."""

import numpy as np
import pytest
from scipy.special import erf

from specmodels.numerics.rendering import subpixel_means


def gaussian_means(edges, center, sigma):
    return np.diff(0.5 * erf((edges - center) / sigma / np.sqrt(2))) / np.diff(edges)


def test_parts_average_to_the_pixel():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(12, 15))
    rows, columns = (grid.ravel() for grid in np.mgrid[:12, :15])
    for n in (1, 2, 3):
        parts = subpixel_means(image, rows, columns, n)
        assert parts.shape == (image.size, n, n)
        np.testing.assert_allclose(parts.mean(axis=(1, 2)), image.ravel(), atol=1e-10)


@pytest.mark.parametrize(("sigma", "better"), [(0.75, 5), (1.5, 15)])
def test_parts_of_a_gaussian_are_closer_than_the_square_pixel(sigma, better):
    n, center = 3, 9.3
    coarse = gaussian_means(np.arange(20) - 0.5, center, sigma)
    fine = gaussian_means(np.arange(20 * n + 1) / n - 0.5, center, sigma)
    image = np.outer(coarse, coarse)
    rows, columns = (grid.ravel() for grid in np.mgrid[2:18, 2:18])
    parts = subpixel_means(image, rows, columns, n)
    truth = np.outer(fine, fine).reshape(20, n, 20, n).transpose(0, 2, 1, 3)[rows, columns]
    error = np.sqrt(np.mean((parts - truth) ** 2))
    square = np.sqrt(np.mean((image[rows, columns][:, None, None] - truth) ** 2))
    assert error < square / better


def test_image_of_one_row_can_be_rendered():
    image = np.arange(6.0)[None]
    parts = subpixel_means(image, np.zeros(6, int), np.arange(6), 2)
    np.testing.assert_allclose(parts.mean(axis=(1, 2)), image[0], atol=1e-10)
