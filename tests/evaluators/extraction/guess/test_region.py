"""Empty columns and vignetted edges are no part of the slit."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.evaluators.extraction.guess.region import slit_region


def sky(seed=0, shape=(30, 100)):
    rng = np.random.default_rng(seed)
    data = 100 + rng.normal(size=shape)
    return sm.SpectralImage(data, variance=np.ones(shape))


def test_good_image_is_returned_as_it_is():
    image = sky()
    assert slit_region(image) is image


def test_empty_columns_are_masked():
    image = sky()
    data = np.array(image.data)
    data[:, 10:25] = 0.0
    data[5, 40] = 0.0
    region = slit_region(image.replace(data=data))
    assert_array_equal(region.mask.all(axis=0), (data == 0).all(axis=0))
    assert not region.mask[5, 40]
    assert region.notes == ("15 columns masked, zero throughout",)


def test_image_that_is_zero_throughout_is_left_alone():
    image = sm.SpectralImage(np.zeros((30, 100)))
    assert slit_region(image) is image


@pytest.mark.parametrize("n_dark", [1, 2, 3])
@pytest.mark.parametrize("side", ["first", "last"])
def test_dark_edges_are_masked(n_dark, side):
    image = sky()
    rows = slice(0, n_dark) if side == "first" else slice(-n_dark, None)
    data = np.array(image.data)
    data[rows] -= 30
    region = slit_region(image.replace(data=data))
    expected = np.zeros(image.shape, dtype=bool)
    expected[rows] = True
    assert_array_equal(region.mask, expected)
    assert region.notes == (f"{side} {n_dark} rows of the slit masked, vignetted",)


def test_edges_of_a_slanted_slit_are_those_of_each_column():
    image = sky()
    first = np.linspace(0, 8, 100).astype(int)
    rows = np.arange(30)[:, None]
    data = np.where(rows == first, 60.0, image.data)
    region = slit_region(image.replace(data=data, mask=rows < first))
    assert_array_equal(region.mask, rows <= first)


def test_source_at_the_edge_is_not_vignetting():
    image = sky()
    data = np.array(image.data)
    data[:3] += 50
    assert slit_region(image.replace(data=data)).notes == ()


def test_what_was_masked_is_no_part_of_the_fit():
    image, truth = make_slit(seed=1, shape=(40, 200))
    data = np.array(image.data)
    data[:2] -= 40
    data[:, 150:] = 0.0
    result = sm.OptimalExtraction()(image.replace(data=data))
    assert_array_equal(result.mask("source"), np.arange(200) >= 150)
    assert result.fit.image.mask[:2].all()
    table = result.table("source")
    pulls = (table["flux"].value - truth.flux[0])[:150] / table["flux_error"].value[:150]
    assert abs(np.median(pulls)) < 4 * 1.25 / np.sqrt(150)
