"""Traces found from the pixels alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import SpectralImage
from specmodels.datasets import make_slit
from specmodels.evaluators.extraction.guess.first_guess import find_sources


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_sources", [1, 2, 3])
def test_number_and_rows_of_the_sources_are_found(seed, n_sources):
    image, truth = make_slit(seed=seed, n_sources=n_sources, separation=9.0, shape=(80, 300))
    guess = find_sources(image)
    assert len(guess.centers) == n_sources
    assert_allclose(np.sort(guess.centers), truth.trace.mean(axis=1), atol=0.7)
    assert (np.diff(np.abs(guess.snr)) <= 0).all()


@pytest.mark.parametrize("snr", [5.0, 30.0, 300.0])
def test_trace_is_followed(snr):
    image, truth = make_slit(seed=1, snr=snr, curvature=6.0)
    guess = find_sources(image, n_sources=1)
    error = guess.shape + guess.centers[0] - truth.trace[0]
    assert np.sqrt(np.mean(error**2)) < 0.5
    assert guess.trace_degree >= 1
    assert_allclose(np.mean(guess.shape), 0, atol=1e-9)


def test_degree_and_number_asked_for_are_kept():
    image, _ = make_slit(seed=2, n_sources=2, separation=8.0)
    assert find_sources(image, trace_degree=3).trace_degree == 3
    straight = find_sources(image, trace_degree=0)
    assert_allclose(straight.shape, 0, atol=1e-9)
    assert len(find_sources(image, n_sources=1).centers) == 1


def test_negative_source_is_found_and_comes_last():
    image, _ = make_slit(seed=3, shape=(60, 200), sky=0, hit_fraction=0, bad_fraction=0)
    data = image.data - 2 * np.roll(image.data, 15, axis=0)
    guess = find_sources(SpectralImage(data, variance=5 * image.variance))
    assert len(guess.centers) == 2
    assert (guess.snr > 0).tolist() == [True, False]


def test_width_grows_with_that_of_the_source():
    widths = []
    for width in (1.0, 2.0, 3.0):
        image, _ = make_slit(seed=4, width=(width, width), wing=0.0, shape=(60, 300))
        widths.append(find_sources(image).fwhm)
    assert_allclose(widths, 2.355 * np.array([1.0, 2.0, 3.0]), rtol=0.25)


def test_hits_are_no_sources():
    image, truth = make_slit(seed=5, hit_fraction=0.02)
    guess = find_sources(image)
    assert len(guess.centers) == 1
    assert_allclose(guess.centers[0], truth.trace[0].mean(), atol=0.7)


def test_light_in_a_few_columns_is_enough():
    """An emission-line object without a continuum."""
    rng = np.random.default_rng(6)
    data = rng.normal(size=(40, 300))
    rows = np.arange(40)[:, None]
    data[:, 100:103] += 30 * np.exp(-0.5 * ((rows - 22.3) / 1.5) ** 2)
    guess = find_sources(SpectralImage(data, variance=np.ones(data.shape)), n_sources=1)
    assert_allclose(guess.centers, 22.3, atol=0.7)


def test_rows_are_those_of_the_image_a_cutout_was_taken_from():
    image, truth = make_slit(seed=7)
    guess = find_sources(image.cutout(rows=slice(8, 36)))
    assert_allclose(guess.centers[0], truth.trace[0].mean(), atol=0.7)


def test_without_variances_the_same_is_found():
    image, truth = make_slit(seed=8)
    guess = find_sources(SpectralImage(image.data))
    assert_allclose(guess.centers[0], truth.trace[0].mean(), atol=0.7)


def test_image_is_not_changed_and_the_answer_repeats():
    image, _ = make_slit(seed=9)
    kept = image.data.copy()
    first, second = find_sources(image), find_sources(image)
    assert_array_equal(image.data, kept)
    assert_array_equal(first.shape, second.shape)
    assert_array_equal(first.centers, second.centers)


def test_refuses_an_image_without_pixels_or_light():
    with pytest.raises(ValueError, match="image: no usable pixel"):
        find_sources(SpectralImage(np.full((9, 9), np.nan)))
    with pytest.raises(ValueError, match="image: no source"):
        find_sources(SpectralImage(np.ones((9, 9)), variance=np.ones((9, 9))))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faint_source_far_from_a_bright_one_is_found(seed):
    """A fortieth of its height is more than the wings can be, twelve widths away."""
    rng = np.random.default_rng(seed)
    y = np.arange(70)[:, None] * np.ones(200)
    light = [
        height * np.exp(-0.5 * ((y - row) / 1.2) ** 2) for row, height in ((20, 400), (54, 10))
    ]
    data = sum(light) + rng.normal(0, 3, y.shape)
    image = SpectralImage(data, variance=np.full(data.shape, 9.0))
    guess = find_sources(image)
    np.testing.assert_allclose(guess.centers, [20, 54], atol=0.3)


@pytest.mark.parametrize("n_sources", [None, 2])
def test_faint_source_is_found_beside_wings_that_no_gaussian_describes(n_sources):
    """What is left of the wings is higher than it, and its own height no fiftieth of the star's."""
    rng = np.random.default_rng(4)
    y = np.arange(80)[:, None] * np.ones(300)
    light = [
        height * (1 + ((y - row) / 1.6) ** 2) ** -2.7 for row, height in ((45, 20000), (26, 260))
    ]
    data = rng.poisson(sum(light) + 100.0) - 100.0
    guess = find_sources(SpectralImage(data, variance=sum(light) + 100), n_sources=n_sources)
    np.testing.assert_allclose(guess.centers, [45, 26], atol=0.3)


def test_a_bad_row_at_the_end_is_neither_the_first_source_nor_another():
    rng = np.random.default_rng(5)
    y = np.arange(60)[:, None] * np.ones(200)
    data = 100 * np.exp(-0.5 * ((y - 33) / 1.4) ** 2) + rng.normal(0, 2, y.shape)
    data[0] += 250.0
    variance = np.full(data.shape, 4.0)
    variance[0] = 250.0
    guess = find_sources(SpectralImage(data, variance=variance))
    np.testing.assert_allclose(guess.centers, [33], atol=0.1)
    assert 3 < guess.fwhm < 3.6


def test_lines_near_one_another_tell_where_the_source_lies_and_no_slope():
    """A trace that is not followed is not held against the rows in which its light was found."""
    rows, columns = np.arange(50)[:, None], np.arange(260)
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.7, 1.4):
        lines = sum(a * np.exp(-0.5 * ((columns - c) / 1.6) ** 2)
                    for a, c in ((2100, 188), (5700, 217), (4400, 228)))  # fmt: skip
        trace = 36.0 + 0.02 * shift * (columns - 217)
        mean = lines * np.exp(-0.5 * ((rows - trace) / 1.2) ** 2) / 3 + 10
        data = rng.poisson(mean) + rng.normal(0, 3, mean.shape)
        guess = find_sources(SpectralImage(data, variance=mean + 9))
        assert guess.trace_degree == 0
        assert_allclose(guess.centers, [36.0], atol=0.7)
