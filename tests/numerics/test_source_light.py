"""Light shared between sources, and continued beyond their segments."""

import numpy as np

from specmodels.numerics.footprints import footprints
from specmodels.numerics.source_light import shared_light


def galaxy(x0, y0, sigma, peak, shape=(50, 60)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / sigma**2)


def test_footprints_grow_and_labels_may_have_gaps():
    segments = np.zeros((20, 30), int)
    segments[5:8, 5:9] = 7
    segments[15:20, 25:30] = 1000003
    labels, prints = footprints(segments, 2)
    np.testing.assert_array_equal(labels, [7, 1000003])
    assert np.sum(prints.source == 0) == 7 * 8
    assert np.sum(prints.source == 1) == 7 * 7
    assert np.sum(prints.inside) == np.sum(segments > 0)


def test_light_is_continued_beyond_the_segment():
    image = galaxy(25.3, 22.8, 2.0, 10.0)
    _, prints = footprints((image > 0.5).astype(int), 8)
    light = shared_light(image, np.full(image.shape, 0.01), prints)
    own, total = light.own, light.total
    outside = ~prints.inside
    truth = image[prints.rows, prints.columns]
    np.testing.assert_allclose(own, total, rtol=1e-12)
    assert np.abs(own - truth)[outside].sum() < 0.01 * image.sum() < 0.3 * truth[outside].sum()


def test_neighbours_share_their_pixels():
    one, other = galaxy(22, 25, 2.0, 10.0), galaxy(29, 25, 1.5, 8.0)
    image = one + other
    segments = np.where(image > 0.05, np.where(one > other, 1, 2), 0)
    _, prints = footprints(segments, 6)
    light = shared_light(image, np.full(image.shape, 0.01), prints)
    own, total = light.own, light.total
    pixel = prints.rows, prints.columns
    for source, truth in enumerate((one, other)):
        mine = prints.source == source
        error = np.abs(own / total * image[pixel] - truth[pixel])[mine].sum()
        assert error < 0.04 * truth.sum()


def test_masked_pixels_and_dark_segments_do_no_harm():
    image = galaxy(20, 20, 2.0, 5.0)
    segments = (image > 1).astype(int)
    segments[40:42, 40:42] = 2
    mask = np.zeros(image.shape, bool)
    mask[20, 20] = True
    image[20, 20] = 1e9
    _, prints = footprints(segments, 4)
    light = shared_light(image, np.full(image.shape, 0.1), prints, mask)
    own, total = light.own, light.total
    assert np.isfinite(own).all()
    assert np.isfinite(total).all()
    center = (prints.rows == 20) & (prints.columns == 20)
    assert 3 < own[center][0] < 7
    assert np.all(own[prints.source == 1] < 0.1)


def test_ellipses_are_those_of_sources_that_cut_each_other_off():
    one, other = galaxy(25, 25, 2.5, 10.0), galaxy(30, 26, 2.5, 8.0)
    segments = np.where(one + other > 0.05, np.where(one > other, 1, 2), 0)
    _, prints = footprints(segments, 6)
    light = shared_light(one + other, np.full(one.shape, 0.01), prints)
    np.testing.assert_allclose(light.ellipses[:2], [[25, 30], [25, 26]], atol=0.2)


def test_parts_of_pixels_average_to_the_pixel_and_follow_the_light():
    fine = galaxy(75.9, 66.4, 0.9 * 3, 10.0, shape=(150, 180))
    image = fine.reshape(50, 3, 60, 3).mean(axis=(1, 3))
    _, prints = footprints((image > 0.5).astype(int), 6)
    light = shared_light(image, np.full(image.shape, 0.001), prints)
    parts = light.within_pixels(3)
    np.testing.assert_allclose(parts.mean(axis=(1, 2)), light.own)
    truth = fine.reshape(50, 3, 60, 3).transpose(0, 2, 1, 3)[prints.rows, prints.columns]
    even = light.own[:, None, None]
    assert np.abs(parts - truth).sum() < 0.4 * np.abs(even - truth).sum()
