"""Which files tell of a scene: those that are given, else those that the cutouts name."""

from pathlib import Path

import pytest

from specmodels.io import scene_files as module
from specmodels.io.scene_files import scene_files
from tests.io.beams_files import write_beams

datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
NAMES = {"direct": "x_i2d.fits", "segmentation": "x_segm.fits", "photom": "photom_1.fits",
         "ranges": "ranges_2.asdf"}  # fmt: skip
WHAT = {"direct": "direct image", "segmentation": "map", "photom": "photometry", "ranges": "limits"}


def given(**paths):
    return {role: (what, paths.get(role)) for role, what in WHAT.items()}


@pytest.fixture
def cutouts(tmp_path, monkeypatch):
    """A file of cutouts that names all files, in a folder where none of them is."""
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    folder = tmp_path / "night"
    folder.mkdir()
    model = datamodels.MultiSlitModel()
    model.meta.instrument.name = "NIRISS"
    model.meta.direct_image, model.meta.segmentation_map = NAMES["direct"], NAMES["segmentation"]
    model.meta.ref_file.photom.name = f"crds://{NAMES['photom']}"
    model.meta.ref_file.wavelengthrange.name = f"crds://{NAMES['ranges']}"
    model.save(folder / "x_cal.fits")
    return folder / "x_cal.fits"


def test_files_are_found_beside_the_cutouts_and_in_the_cache_of_references(cutouts, tmp_path):
    references = tmp_path / "crds" / "references" / "jwst" / "niriss"
    references.mkdir(parents=True)
    where = {"direct": cutouts.parent, "segmentation": cutouts.parent, "photom": references,
             "ranges": references}  # fmt: skip
    for role, folder in where.items():
        (folder / NAMES[role]).touch()
    assert scene_files(cutouts, given()) == {role: where[role] / NAMES[role] for role in NAMES}


def test_what_is_given_wins_and_others_may_lie_beside_it(cutouts, tmp_path):
    (tmp_path / "images").mkdir()
    own = tmp_path / "images" / "own.fits"
    for path in (own, own.parent / NAMES["segmentation"], cutouts.parent / NAMES["direct"],
                 cutouts.parent / NAMES["photom"], cutouts.parent / NAMES["ranges"]):  # fmt: skip
        path.touch()
    found = scene_files(cutouts, given(direct=own))
    assert found["direct"] == own
    assert found["segmentation"] == own.parent / NAMES["segmentation"]


def test_cutouts_are_not_asked_where_all_files_are_given(cutouts, monkeypatch):
    monkeypatch.setattr(module, "opened", None)
    paths = {role: Path(name) for role, name in NAMES.items()}
    assert scene_files(cutouts, given(**paths)) == paths


@pytest.mark.parametrize("way", ["{}", "../elsewhere", "crds://../elsewhere"])
def test_paths_of_metadata_lead_to_no_other_folder(cutouts, tmp_path, way):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x_i2d.fits").touch()
    with datamodels.open(cutouts) as model:
        model.meta.direct_image = f"{way.format(elsewhere)}/x_i2d.fits"
        model.save(cutouts.parent / "y_cal.fits")
    paths = {role: Path(name) for role, name in NAMES.items() if role != "direct"}
    with pytest.raises(ValueError, match="--direct: expected"):
        scene_files(cutouts.parent / "y_cal.fits", given(**paths))
    (cutouts.parent / "x_i2d.fits").touch()
    found = scene_files(cutouts.parent / "y_cal.fits", given(**paths))
    assert found["direct"] == cutouts.parent / "x_i2d.fits"


def test_every_file_that_is_missing_is_named_with_what_it_is(cutouts):
    (cutouts.parent / NAMES["direct"]).touch()
    with pytest.raises(ValueError, match=r"^--segmentation, --photom, --ranges: expected") as told:
        scene_files(cutouts, given())
    for word in ("photometry: photom_1.fits was not found", "limits", str(cutouts.parent), "crds"):
        assert word in str(told.value)
    assert "direct image" not in str(told.value)


def test_cutouts_that_name_nothing_and_beams_files_are_told(tmp_path, monkeypatch):
    monkeypatch.delenv("CRDS_PATH", raising=False)
    datamodels.MultiSlitModel().save(tmp_path / "y_cal.fits")
    with pytest.raises(ValueError, match=r"direct image: not named.*CRDS_PATH is not set"):
        scene_files(tmp_path / "y_cal.fits", given())
    write_beams(tmp_path / "x.beams.fits", seed=1, grisms=("G102",))
    with pytest.raises(ValueError, match=r"files: expected cutouts of JWST, got the beams file"):
        scene_files(Path(tmp_path / "x.beams.fits"), given())
