"""Lists of exposures: what they hold, and what is refused."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.dithers import Dithers


def image(name="image", **fields):
    return sm.SpectralImage(np.ones((8, 20)), variance=np.ones((8, 20)), name=name, **fields)


def test_a_list_is_read_as_exposures_of_the_same_sources():
    found = sm.read([image("A"), image("B")])
    assert isinstance(found, Dithers)
    assert list(found) == ["A", "B"]
    (images,) = found.slits.values()
    assert [one.name for one in images] == ["A", "B"]
    assert sm.read(found) is found
    assert repr(found) == "<Dithers of 2 exposures of 1 slit: 'A', 'B'>"


def test_exposures_without_names_are_numbered():
    found = sm.read([np.ones((8, 20)), np.ones((8, 20))])
    assert list(found) == ["exposure 1", "exposure 2"]


def test_exposures_have_the_names_of_their_files(tmp_path):
    for name in ("first", "second"):
        sm.write(image(), tmp_path / f"{name}.fits")
    assert list(sm.read([tmp_path / "first.fits", tmp_path / "second.fits"])) == ["first", "second"]


def test_slits_are_matched_by_name():
    found = Dithers({"A": sm.Exposure([image("1"), image("2")]), "B": sm.Exposure([image("2")])})
    assert {slit: [one.name for one in images] for slit, images in found.slits.items()} == {
        "1": ["A"],
        "2": ["A", "B"],
    }
    with pytest.raises(ValueError, match="exposures: expected slits of the same names"):
        Dithers([sm.Exposure([image("1"), image("2")]), sm.Exposure([image("3"), image("4")])])


def test_different_sources_are_not_combined():
    two = [image("A", meta={"source_id": 3}), image("B", meta={"source_id": 4})]
    with pytest.raises(ValueError, match=r"obj: expected exposures of the same source.*'3', '4'"):
        sm.read(two)
    assert len(Dithers(two)) == 2  # the user's word
    headers = [image(name, meta={"header": {"OBJECT": name}}) for name in ("M31", "M33")]
    with pytest.raises(ValueError, match="OBJECT"):
        sm.read(headers)


@pytest.mark.parametrize("wrong", [[], [[1, 2], [3, 4]], [image(), None], [image(), "none.fits"]])
def test_bad_lists_are_refused(wrong):
    with pytest.raises((TypeError, ValueError, OSError), match="obj"):
        sm.read(wrong)


@pytest.mark.parametrize("wrong", [[], [1], {"A": np.ones((3, 4))}])
def test_other_things_are_no_exposures(wrong):
    with pytest.raises((TypeError, ValueError), match="exposures: expected"):
        Dithers(wrong)


@pytest.mark.parametrize("job", [sm.PixelReplacement, sm.TraceOversampling,
                                 sm.MasterBackgroundSubtraction])  # fmt: skip
def test_other_jobs_take_no_list(job):
    with pytest.raises(TypeError, match=f"data: {job.__name__} takes one exposure at a time"):
        job()([image("A"), image("B")])
