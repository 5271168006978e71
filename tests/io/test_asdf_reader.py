"""Reading ASDF files that hold arrays or objects."""

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from specutils import Spectrum

from specmodels.io import read

SHAPE = (3, 4)
DATA = np.arange(12.0).reshape(SHAPE) + 1


def save(path, tree):
    with asdf.AsdfFile(tree) as file:
        file.write_to(path)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.asdf"


@pytest.mark.parametrize(
    ("key", "plane"),
    [("err", np.sqrt(DATA)), ("variance", DATA), ("ivar", 1 / DATA), ("wht", 1 / DATA)],
)
def test_tree_of_arrays_is_read(path, key, plane):
    tree = {"data": DATA, key: plane, "dq": (DATA == 2).astype(int), "wavelength": np.ones(4),
            "unit": "Jy", "wavelength_unit": "um", "name": "star"}  # fmt: skip
    image = read(save(path, tree))["star"]
    np.testing.assert_array_equal(image.data, DATA)
    np.testing.assert_allclose(image.variance, DATA)
    np.testing.assert_array_equal(image.mask, DATA == 2)
    assert (image.unit, image.wavelength_unit) == (u.Jy, u.um)


def test_quantities_keep_their_units(path):
    tree = {"data": DATA * u.Jy, "error": np.ones(SHAPE) * u.mJy, "wavelength": np.ones(4) * u.nm}
    image = read(save(path, tree)).single
    np.testing.assert_allclose(image.variance, 1e-6)
    assert (image.unit, image.wavelength_unit) == (u.Jy, u.nm)


def test_mappings_become_images_by_name(path):
    tree = {"a": {"data": DATA, "var": DATA}, "b": {"data": DATA.T.copy()}}
    exposure = read(save(path, tree))
    assert list(exposure) == ["a", "b"]
    assert exposure.source == path


def test_one_readable_object_is_read(path):
    data = np.arange(24.0).reshape(3, 8) + 1
    uncertainty = StdDevUncertainty(np.sqrt(data))
    spectrum = Spectrum(data * u.Jy, np.arange(1, 9) * u.um, uncertainty=uncertainty)
    exposure = read(save(path, {"thing": spectrum, "note": "x"}))
    np.testing.assert_allclose(exposure.single.variance, data)


def test_file_stays_readable_after_closing_and_axis_is_respected(path):
    image = read(save(path, {"data": DATA}), dispersion_axis=-2).single
    np.testing.assert_array_equal(image.data, DATA.T)


@pytest.mark.parametrize("tree", [{}, {"x": 1}, {"a": "x", "b": [1]}])
def test_tree_without_an_image_raises(path, tree):
    with pytest.raises(ValueError, match="expected an ASDF file with an entry 'data'"):
        read(save(path, tree))


def test_truncated_file_raises(path):
    save(path, {"data": np.ones((50, 50))})
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ValueError, match=r"x\.asdf is not a readable ASDF file"):
        read(path)
