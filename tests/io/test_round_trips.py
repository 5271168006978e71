"""What is written is read again: names, coordinates of cutouts, tables of any result."""

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SpectralCoord
from astropy.io import fits
from astropy.nddata import NDData
from astropy.table import QTable

import specmodels as sm
from specmodels.io.text import decoded, encoded, readable

NAMES = ["data", "flux", "asdf_library", "history", "meta", "images", "α Cen", "=?utf-8?q?x?=",
         "a/b", " spaces ", "x" * 120, "back\\slash", "two\nlines"]  # fmt: skip


def image(**changes):
    return sm.SpectralImage(np.ones((4, 8)), **changes)


@pytest.mark.parametrize("suffix", [".fits", ".asdf"])
@pytest.mark.parametrize("names", [NAMES, ["data"], ["α"]])
def test_names_of_any_kind_survive(tmp_path, suffix, names):
    exposure = sm.Exposure([image().replace(name=name) for name in names])
    assert list(sm.read(sm.write(exposure, tmp_path / f"x{suffix}"))) == names


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".asdf"])
def test_numbers_of_columns_and_rows_survive(tmp_path, suffix):
    cut = sm.SpectralImage(np.ones((40, 80))).cutout(slice(5, 20), slice(30, 70))
    spaced = image(x=np.arange(8) * 0.5, y=[1, 2, 5, 9])
    exposure = sm.Exposure([cut, image(name="plain"), spaced.replace(name="spaced")])
    back = sm.read(sm.write(exposure, tmp_path / f"x{suffix}"))
    for name, one in exposure.items():
        np.testing.assert_array_equal(back[name].x, one.x)
        np.testing.assert_array_equal(back[name].y, one.y)


def test_numbers_turn_with_the_image(tmp_path):
    path = sm.write(image(x=np.arange(8) + 10.0, y=np.arange(4) + 20.0), tmp_path / "x.fits")
    turned = sm.read(path, dispersion_axis=-2).single
    assert (turned.x[0], turned.y[0], turned.shape) == (20, 10, (8, 4))


@pytest.mark.parametrize("text", NAMES)
def test_texts_survive_in_headers(text):
    assert encoded(text).isascii()
    assert encoded(text).isprintable()
    assert decoded(encoded(text)) == text


def test_broken_encoded_words_stay_as_they_are():
    assert decoded("=?nosuch?q?x?=") == "=?nosuch?q?x?="
    assert readable("α\nb") == "? b"


class Result:
    """Of spectra with columns of special kinds."""

    def tables(self):
        wave = SpectralCoord(np.linspace(1, 2, 5), unit="um")
        table = QTable({"wavelength": wave, "flux": np.ones(5) * u.Jy})
        table.meta = {"label": np.int64(3), "model": object(), "star": "α Cen"}
        return {"data": table, "α Cen": table}


def test_columns_of_special_kinds_are_written_to_asdf(tmp_path):
    path = sm.write(Result(), tmp_path / "x.asdf")
    with asdf.open(path) as file:
        spectra = file["spectra"]
        assert list(spectra) == ["data", "α Cen"]
        assert spectra["α Cen"]["wavelength"].unit == u.um
        assert spectra["data"].meta["label"] == 3


def test_texts_that_are_not_ascii_are_written_to_fits(tmp_path):
    path = sm.write(Result(), tmp_path / "x.fits")
    with fits.open(path) as hdus:
        assert decoded(hdus[2].name) == "α Cen"
        assert hdus[1].header["STAR"] == "? Cen"


@pytest.mark.parametrize("suffix", [".fits", ".asdf"])
@pytest.mark.parametrize("role", ["data", "error", "variance", "mask", "wavelength"])
def test_extensions_that_are_not_there_are_refused(tmp_path, suffix, role):
    path = sm.write(image(variance=np.ones((4, 8))), tmp_path / f"x{suffix}")
    with pytest.raises(ValueError, match="nowhere"):
        sm.read(path, extensions={role: "nowhere"})


def test_keys_of_asdf_files_are_named_by_the_user(tmp_path):
    with asdf.AsdfFile({"mine": np.full((4, 8), 2.0), "noise": np.full((4, 8), 3.0)}) as file:
        file.write_to(tmp_path / "x.asdf")
    found = sm.read(tmp_path / "x.asdf", extensions={"data": "mine", "error": "noise"}).single
    assert (found.data[0, 0], found.variance[0, 0]) == (2, 9)


@pytest.mark.parametrize("obj", [np.ones((4, 8)), NDData(np.ones((4, 8))), image()])
def test_extensions_of_what_has_none_are_refused(obj):
    with pytest.raises(ValueError, match="extensions: expected none"):
        sm.read(obj, extensions={"data": "SCI"})
