"""Sums over the pixels of columns are those of plain formulas, whatever the number of columns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.column_sums import projected, sums_of_images

N_IMAGE, N_LINEAR, N_ROW = 5, 2, 11


def drawn(n_column, seed=0):
    """Images, basis images, data and weights, of which some are zero."""
    rng = np.random.default_rng(seed)
    images, columns = (rng.normal(size=(n, N_ROW, n_column)) for n in (N_IMAGE, N_LINEAR))
    weights = rng.uniform(0, 2, (N_ROW, n_column)) * (rng.random((N_ROW, n_column)) < 0.8)
    return images, columns, weights * rng.normal(size=weights.shape), weights


@pytest.mark.parametrize("n_column", [1, 16, 63, 64, 150])
def test_sums_are_those_of_products(n_column):
    images, columns, weighted_data, weights = drawn(n_column)
    vector, crossed, squared = sums_of_images(images, columns, weighted_data, weights)
    assert_allclose(vector, np.einsum("myb,yb->mb", images, weighted_data), atol=1e-12)
    assert_allclose(crossed, np.einsum("kyb,yb,myb->kmb", columns, weights, images), atol=1e-12)
    assert_allclose(squared, np.einsum("myb,yb,nyb->mnb", images, weights, images), atol=1e-12)


@pytest.mark.parametrize("n_column", [1, 15, 64, 150])
def test_parameters_have_the_sums_of_their_terms(n_column):
    sums = sums_of_images(*drawn(n_column))
    place, owner = np.array([0, 0, 1, 4, 3, 2]), np.array([0, 1, 1, 2, 3, 0])
    rows = np.random.default_rng(1).normal(size=(len(place), n_column))
    gradient, mixed, information = projected(rows, place, owner, 4, *sums)
    # Derivatives by parameters are sums of rows times images.
    own = np.zeros((4, N_IMAGE, n_column))
    for p, m, row in zip(owner, place, rows, strict=True):
        own[p, m] += row
    vector, crossed, squared = sums
    assert_allclose(gradient, np.einsum("pmb,mb->p", own, vector), atol=1e-12)
    assert_allclose(mixed, np.einsum("pmb,kmb->kpb", own, crossed), atol=1e-12)
    expected = np.einsum("pmb,mnb,qnb->pq", own, squared, own)
    assert_allclose(information, expected, atol=1e-11)


def test_columns_do_not_depend_on_others():
    """A column has the same bits alone and among others."""
    arrays = drawn(100)
    whole = sums_of_images(*arrays)
    some = sums_of_images(*(np.ascontiguousarray(a[..., 70:73]) for a in arrays))
    for one, few in zip(whole, some, strict=True):
        np.testing.assert_array_equal(one[..., 70:73], few)
