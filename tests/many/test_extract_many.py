"""Many files: one that is bad never stops the rest, and nothing half-written is left."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

import specmodels as sm
from specmodels.datasets import make_slit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two good files, one empty, one truncated, one that is no FITS file."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in ((1, "a"), (2, "e")):
        image, _ = make_slit(seed=seed, shape=(24, 60))
        sm.write(image, folder / f"{name}.fits")
    fits.PrimaryHDU(np.full((24, 60), np.nan)).writeto(folder / "b.fits")
    (folder / "c.fits").write_bytes((folder / "a.fits").read_bytes()[:4000])
    (folder / "d.fits").write_text("not a FITS file")
    (folder / "notes.txt").write_text("not an input")
    return folder


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("outputs") / "new"
    results, summary = sm.extract_many(folder, output=output, progress_bar=False)
    return results, summary, output


def test_good_files_are_extracted_and_bad_ones_named_with_the_reason(done):
    results, summary, _ = done
    assert list(results) == ["a", "e"]
    rows = {row["input"]: row for row in summary}
    assert list(rows) == list("abcde")
    for name in "bcd":
        assert rows[name]["status"] == "failed"
    assert "no usable pixel" in rows["b"]["reason"]
    assert "not a complete FITS file" in rows["c"]["reason"]
    assert "expected a FITS or ASDF file" in rows["d"]["reason"]
    assert {rows[name]["status"] for name in "ae"} <= {"ok", "check"}


def test_spectra_figures_and_summary_are_written(done):
    results, summary, output = done
    names = {f"{n}_spectrum.{suffix}" for n in "ae" for suffix in ("fits", "png")}
    assert {path.name for path in output.iterdir()} == {*names, "summary.ecsv", "summary.json"}
    table = QTable.read(output / "a_spectrum.fits", hdu=1)
    np.testing.assert_array_equal(table["flux"], results["a"].table("source")["flux"])
    assert (output / "e_spectrum.png").read_bytes().startswith(b"\x89PNG")
    back = QTable.read(output / "summary.ecsv")
    assert list(back["input"]) == list(summary["input"])


def test_nothing_is_written_without_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results, _ = sm.extract_many([folder / "a.fits"], progress_bar=False)
    assert list(results) == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_figures_may_be_left_out(folder, tmp_path):
    sm.extract_many([folder / "a.fits"], output=tmp_path, figures=False, progress_bar=False)
    assert not list(tmp_path.glob("*.png"))


def test_existing_files_are_kept_unless_told_otherwise(folder, tmp_path):
    precious = tmp_path / "a_spectrum.fits"
    precious.write_text("precious")
    options = {"output": tmp_path, "figures": False, "progress_bar": False}
    _, summary = sm.extract_many([folder / "a.fits"], **options)
    assert summary["status"][0] == "failed"
    assert "overwrite=True" in summary["reason"][0]
    assert precious.read_text() == "precious"
    sm.extract_many([folder / "a.fits"], overwrite=True, **options)
    assert len(QTable.read(precious, hdu=1)) == 60


def test_failure_while_writing_leaves_no_partial_file(folder, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def fail(figure, path, **options):
        with open(path, "w") as file:
            file.write("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    _, summary = sm.extract_many([folder / "a.fits"], output=tmp_path, progress_bar=False)
    assert summary["status"][0] == "failed"
    assert "disk full" in summary["reason"][0]
    assert not list(tmp_path.glob("*.png"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("tmp", "."))]


def test_anything_that_can_be_read_may_be_given_by_name(folder):
    image, _ = make_slit(seed=3, shape=(24, 60))
    inputs = {"memory": image, "file": folder / "a.fits", "array": np.zeros((2, 2, 2, 2))}
    results, summary = sm.extract_many(inputs, progress_bar=False)
    assert list(results) == ["memory", "file"]
    assert "data: expected 2 dimensions" in summary["reason"][list(summary["input"]).index("array")]


def test_objects_without_names_are_numbered():
    image, _ = make_slit(seed=3, shape=(24, 60))
    results, _ = sm.extract_many([image, image], progress_bar=False)
    assert list(results) == ["input 1", "input 2"]


def test_several_slits_of_a_file_have_a_row_each(tmp_path):
    images = [make_slit(seed=k, shape=(24, 60))[0].replace(name=f"s{k}") for k in (1, 2)]
    bad = sm.SpectralImage(np.full((5, 60), np.nan), name="bad")
    path = sm.write(sm.Exposure([*images, bad]), tmp_path / "multi.fits")
    results, summary = sm.extract_many([path], output=tmp_path / "out", progress_bar=False)
    assert list(summary["image"]) == ["s1", "s2", "bad"]
    assert summary["status"][2] == "failed"
    assert len(results["multi"]) == 2
    assert (tmp_path / "out" / "multi_spectrum.png").exists()


def test_evaluator_is_the_users(folder):
    seen = []

    def evaluator(path):
        seen.append(path)
        raise ValueError("not today")

    results, summary = sm.extract_many([folder / "a.fits"], evaluator, progress_bar=False)
    assert seen == [folder / "a.fits"]
    assert results == {}
    assert summary["reason"][0] == "not today"


def test_inputs_without_a_name_of_their_own_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="inputs: names must differ"):
        sm.extract_many([folder / "a.fits", tmp_path / "a.fits"], progress_bar=False)
    with pytest.raises(ValueError, match="inputs: expected at least one"):
        sm.extract_many([], progress_bar=False)
    with pytest.raises(ValueError, match="inputs: expected at least one"):
        sm.extract_many(tmp_path, progress_bar=False)


def test_file_that_is_not_there_is_a_failure():
    results, summary = sm.extract_many(["/nowhere/x.fits"], progress_bar=False)
    assert results == {}
    assert "no file" in summary["reason"][0]


@pytest.mark.parametrize("error", [KeyError("a"), IndexError("b"), ZeroDivisionError("c")])
def test_whatever_one_input_raises_is_its_own_failure(folder, error):
    def evaluator(item):
        if item == "bad":
            raise error
        return sm.OptimalExtraction()(item)

    inputs = {"bad": "bad", "good": folder / "a.fits"}
    results, summary = sm.extract_many(inputs, evaluator, progress_bar=False)
    assert list(results) == ["good"]
    assert summary["status"][0] == "failed"
    assert type(error).__name__ in summary["reason"][0]


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "/absolute", "", "back\\slash", "nul\0"])
def test_name_that_leads_elsewhere_is_refused_before_anything_is_done(folder, tmp_path, name):
    output = tmp_path / "out"
    with pytest.raises(ValueError, match="inputs: expected names of files"):
        sm.extract_many({name: folder / "a.fits"}, output=output, progress_bar=False)
    assert not list(tmp_path.iterdir())
