"""Kernels of entries of pixels, against one another."""

import numpy as np
from numpy.testing import assert_allclose

from specmodels.numerics.sparse_rows import all_transposed, transposed


def test_many_images_are_transposed_as_each_of_them():
    rng = np.random.default_rng(1)
    index = rng.integers(0, 9, (200, 4))
    value = np.where(rng.random((200, 4)) < 0.3, 0.0, rng.normal(size=(200, 4)))
    images = rng.normal(size=(5, 200))
    found = all_transposed(index, value, images, 9)
    assert_allclose(found.T, [transposed(index, value, image, 9) for image in images], atol=1e-12)
