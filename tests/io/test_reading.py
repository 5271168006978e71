"""Broken and hostile files are refused by name, before memory is asked for."""

import os
import struct
import warnings

import asdf
import numpy as np
import pytest
from asdf.exceptions import AsdfConversionWarning
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

import specmodels as sm
from specmodels.io.claims import check_claim
from specmodels.io.jwst import model_class
from specmodels.io.reading import reading
from specmodels.io.spectra_files import read_spectra

IMAGE = sm.SpectralImage(np.arange(80.0).reshape(4, 20), variance=np.ones((4, 20)),
                         wavelength=np.linspace(1, 2, 20), wavelength_unit="um")  # fmt: skip


def asdf_with(path, tree, *, internal=True):
    with asdf.AsdfFile(tree) as file:
        file.write_to(path, all_array_storage="internal" if internal else "inline")
    return path


def yaml_file(path, *lines):
    start = ["#ASDF 1.0.0", "#ASDF_STANDARD 1.5.0", "%YAML 1.1", "%TAG ! tag:stsci.edu:asdf/"]
    text = "\n".join([*start, "--- !core/asdf-1.1.0", *lines, "...", ""])
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.bz2", ".asdf"])
def test_file_cut_at_any_length_is_whole_or_refused(tmp_path, suffix):
    path = sm.write(IMAGE, tmp_path / f"x{suffix}")
    whole, unnamed = path.read_bytes(), 0
    # Every length of compressed files, each block and header card of plain ones.
    for length in range(0, len(whole), 1 if len(whole) < 2000 else 80):
        path.write_bytes(whole[:length])
        try:
            image = sm.read(path).single
        except (OSError, ValueError) as error:
            unnamed += path.name not in str(error)
            continue
        assert image.variance is not None
        assert image.wavelength is not None
        np.testing.assert_array_equal(image.data, IMAGE.data)
    assert unnamed == 0


@pytest.mark.parametrize(
    "error",
    [KeyError("a"), IndexError("b"), struct.error("c"), OSError("d"), TypeError("e"),
     RecursionError("f"), MemoryError("g")],
)  # fmt: skip
def test_whatever_is_raised_becomes_a_refusal_that_names_the_file(tmp_path, error):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    refusal = pytest.raises((OSError, TypeError, ValueError), match=r"obj: .*x\.fits")
    with refusal as caught, reading(path):
        raise error
    assert str(error).strip("'") in str(caught.value)
    assert caught.value.__cause__ is error


def test_error_of_an_argument_keeps_its_name(tmp_path):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    with pytest.raises(ValueError, match=r"^variance: .*x\.fits"):
        sm.read(path, variance=np.ones((2, 2)))


@pytest.mark.parametrize("source", ["other.asdf", "file:///{here}/other.asdf", "{here}/other.asdf"])
def test_arrays_of_other_files_are_refused(tmp_path, source):
    asdf_with(tmp_path / "other.asdf", {"data": np.full((4, 20), 7.0)})
    path = asdf_with(tmp_path / "x.asdf", {"data": np.ones((4, 20))})
    text = source.format(here=tmp_path).encode()
    content = path.read_bytes()
    assert b"source: 0" in content
    path.write_bytes(content.replace(b"source: 0", b'"s\\x6furce": "' + text + b'"'))
    with pytest.raises(ValueError, match=r"in another file, .*other\.asdf"):
        sm.read(path)


def test_references_to_other_files_are_refused(tmp_path):
    asdf_with(tmp_path / "other.asdf", {"data": np.full((4, 20), 7.0)})
    path = yaml_file(tmp_path / "x.asdf", "data: {$ref: 'other.asdf#/data'}")
    with pytest.raises(ValueError, match="in another file"):
        sm.read(path)


def test_aliases_that_multiply_are_refused(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path = yaml_file(tmp_path / "x.asdf", *lines)
    with pytest.raises(ValueError, match="stands for more than"):
        sm.read(path)


def test_alias_that_leads_back_to_itself_does_not_hang(tmp_path):
    path = yaml_file(tmp_path / "x.asdf", "a: &a [*a, *a]")
    with pytest.raises(ValueError, match=r"x\.asdf"):
        sm.read(path)


def test_tree_with_common_aliases_is_read(tmp_path):
    data = np.arange(80.0).reshape(4, 20)
    path = asdf_with(tmp_path / "x.asdf", {"data": data, "variance": data + 1, "again": data})
    np.testing.assert_array_equal(sm.read(path).single.data, data)


def test_array_larger_than_the_file_is_refused(tmp_path):
    path = asdf_with(tmp_path / "x.asdf", {"data": np.ones((4, 20))})
    content = path.read_bytes()
    at = content.index(b"shape: [4, 20]")
    claim = b"strides: [0, 0]\n  shape: [40000, 50000]"
    path.write_bytes(content[:at] + claim + content[at + 14 :])
    with pytest.raises(ValueError, match="claims"):
        sm.read(path)


def test_array_whose_check_sum_is_wrong_is_refused(tmp_path):
    path = asdf_with(tmp_path / "x.asdf", {"data": np.ones((4, 20))})
    content = bytearray(path.read_bytes())
    content[content.index(np.ones(4).tobytes()) + 30] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"x\.asdf.*hecksum"):
        sm.read(path)


@pytest.mark.parametrize("claim", [10**5, 10**12, -3])
def test_header_that_claims_more_than_the_file_has_is_refused(tmp_path, claim):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    content = path.read_bytes()
    old, new = f"NAXIS1  = {20:20d}".encode(), f"NAXIS1  = {claim:20d}".encode()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"x\.fits is not a complete FITS file"):
        sm.read(path)


def test_compressed_image_that_claims_far_more_than_is_stored_is_refused(tmp_path):
    path = tmp_path / "x.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.ones((20, 40)))]).writeto(path)
    content = path.read_bytes()
    old = f"ZNAXIS1 = {40:20d}".encode()
    assert old in content
    path.write_bytes(content.replace(old, f"ZNAXIS1 = {10**9:20d}".encode()))
    with pytest.raises(ValueError, match="claims"):
        sm.read(path)


def test_claims_are_measured_by_what_is_stored():
    check_claim(10**8, 10, "a small file")
    check_claim(10**10, 10**9, "a large file")
    with pytest.raises(ValueError, match="claims"):
        check_claim(10**10, 10**6, "a bomb")


def test_extensions_lost_between_two_are_noticed(tmp_path):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    with fits.open(path) as hdus:
        end = hdus["VAR"]._header_offset
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match="1 extensions of 4"):
        sm.read(path)


@pytest.mark.filterwarnings("ignore:Unexpected bytes trailing END")
def test_table_behind_a_header_whose_end_is_broken_is_not_read_as_an_image(tmp_path):
    path = tmp_path / "x.fits"
    fits.BinTableHDU(Table({"wavelength": np.linspace(1, 2, 9)})).writeto(path)
    content = bytearray(path.read_bytes())
    content[content.find(b"END".ljust(80)) + 62] = ord("`")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.fits.*header before byte 2880 has a broken END"):
        read_spectra(path)


def test_blanks_behind_the_last_extension_do_no_harm(tmp_path):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    path.write_bytes(path.read_bytes() + b"\0" * 5760)
    with pytest.warns(AstropyUserWarning, match="padding"):
        assert sm.read(path).single.shape == (4, 20)


@pytest.mark.parametrize("name", ["open", "os", "JwstDataModel.__init__", "fits_support"])
def test_only_datamodels_are_named_by_headers(name):
    assert model_class({"DATAMODL": name}) is None


def test_missing_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        sm.read(os.fspath(tmp_path / "x.fits"))


def test_broken_headers_give_one_warning_that_names_the_file(tmp_path):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    content = bytearray(path.read_bytes())
    for k, card in enumerate((b"XTENSION", b"COMMENT ", b"HISTORY ")):
        at = content.find(card)
        if at > 0 and k:
            content[at : at + 8] = b"a\xe9 b=  ="
    content[content.find(b"END     ") + 3 : content.find(b"END     ") + 6] = b"  !"
    path.write_bytes(bytes(content))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        sm.read(path)
    assert len(seen) == 1
    assert path.name in str(seen[0].message)


def test_other_warnings_pass_as_they_are(tmp_path):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    with pytest.warns(DeprecationWarning, match="mine"), reading(path):
        warnings.warn("mine", DeprecationWarning, stacklevel=1)


def test_cut_spectra_are_refused_by_name(tmp_path):
    slit, _ = sm.datasets.make_slit(shape=(20, 40))
    path = sm.write(sm.OptimalExtraction()(slit), tmp_path / "spectra.fits")
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises((OSError, ValueError), match=r"file: .*spectra\.fits"):
        read_spectra(path)


@pytest.mark.parametrize("number", [1, 3])
def test_several_unknown_tags_give_one_warning_that_names_the_file(tmp_path, number):
    """Where the line of the standard is broken, asdf warns of each tag of the tree."""
    path = sm.write(IMAGE, tmp_path / "x.fits")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with reading(path):
            for k in range(number):
                warnings.warn(f"tag {k} is unknown", AsdfConversionWarning, stacklevel=1)
    assert len(seen) == 1
    if number == 1:
        assert seen[0].category is AsdfConversionWarning
    else:
        assert "x.fits: its tags are broken: tag 0 is unknown, and 2 more" in str(seen[0].message)
