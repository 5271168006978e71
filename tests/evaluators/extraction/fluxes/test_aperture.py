"""The plain sum along the trace."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import SpectralImage
from specmodels.evaluators.extraction.fluxes.aperture import aperture_sum

SHAPE = (20, 30)
NOTHING = np.zeros(SHAPE)


def test_whole_pixels_are_summed():
    data = np.arange(600.0).reshape(SHAPE)
    image = SpectralImage(data, variance=np.full(SHAPE, 4.0))
    flux, error, _ = aperture_sum(image, NOTHING, NOTHING, np.full(30, 9.0), 1.5)
    assert_allclose(flux, data[8:11].sum(axis=0))
    assert_allclose(error, np.sqrt(3 * 4.0))


def test_pixels_count_by_the_part_inside():
    image = SpectralImage(np.ones(SHAPE), variance=np.ones(SHAPE))
    trace = np.linspace(7, 11, 30)
    flux, error, _ = aperture_sum(image, NOTHING, NOTHING, trace, 2.3)
    assert_allclose(flux, 4.6)
    assert (error < np.sqrt(4.6)).all()
    assert (error > np.sqrt(4)).all()


def test_radius_may_differ_from_column_to_column():
    image = SpectralImage(np.ones(SHAPE))
    radius = np.linspace(1, 3, 30)
    flux, _, _ = aperture_sum(image, NOTHING, NOTHING, np.full(30, 10.0), radius)
    assert_allclose(flux, 2 * radius)


def test_sky_and_neighbours_are_subtracted():
    image = SpectralImage(np.full(SHAPE, 7.0))
    flux, _, _ = aperture_sum(image, NOTHING, np.full(SHAPE, 5.0), np.full(30, 10.0), 2.5)
    assert_allclose(flux, 10.0)


def test_bad_pixels_are_filled_from_the_model():
    data, mask = np.full(SHAPE, 3.0), np.zeros(SHAPE, dtype=bool)
    data[10, 4], mask[10, 4] = 1e9, True
    image = SpectralImage(data, variance=np.ones(SHAPE), mask=mask)
    model = np.full(SHAPE, 2.0)
    flux, error, enclosed = aperture_sum(image, model, NOTHING, np.full(30, 10.0), 1.5)
    assert_allclose(flux[4], 8.0)
    assert_allclose(np.delete(flux, 4), 9.0)
    assert_allclose(error[4], np.sqrt(2))
    assert_allclose(enclosed, 6.0)


def test_column_without_a_good_pixel_is_nan():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:13, 3] = True
    image = SpectralImage(np.ones(SHAPE), variance=np.ones(SHAPE), mask=mask)
    flux, error, _ = aperture_sum(image, NOTHING, NOTHING, np.full(30, 10.0), 1.5)
    assert_array_equal(np.isnan(flux), np.arange(30) == 3)
    assert_array_equal(np.isnan(error), np.arange(30) == 3)


def test_aperture_beyond_the_image_ends_at_its_edge():
    image = SpectralImage(np.ones(SHAPE))
    flux, _, _ = aperture_sum(image, NOTHING, NOTHING, np.zeros(30), 2.5)
    assert_allclose(flux, 3.0)
    outside, _, _ = aperture_sum(image, NOTHING, NOTHING, np.full(30, -10.0), 2.5)
    assert np.isnan(outside).all()


def test_errors_are_the_scatter_of_the_sums():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(1, 3, SHAPE)
    trace = np.linspace(8.2, 10.9, 30)
    pulls = []
    for _ in range(60):
        image = SpectralImage(sigma * rng.normal(size=SHAPE), variance=sigma**2)
        flux, error, _ = aperture_sum(image, NOTHING, NOTHING, trace, 2.2)
        pulls.append(flux / error)
    assert abs(np.std(pulls) - 1) < 4 / np.sqrt(2 * 1800)
