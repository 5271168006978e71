"""The command: products, report, exit codes, and what it says of wrong usage."""

import json
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

import specmodels as sm
from specmodels import command_line
from specmodels.command_line import JOBS, main
from specmodels.datasets import make_slit


@pytest.fixture(scope="module")
def slit(tmp_path_factory):
    image, _ = make_slit(seed=4, shape=(24, 60))
    return sm.write(image, tmp_path_factory.mktemp("in") / "slit.fits")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    path = tmp_path_factory.mktemp("in") / "empty.fits"
    fits.PrimaryHDU(np.full((24, 60), np.nan)).writeto(path)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_spectrum_figure_and_summary_are_written(slit, tmp_path, capsys):
    code = run("extract", slit, "--output", tmp_path, "--n-jobs", 1, "--set", "n_sources=1")
    result = sm.OptimalExtraction(n_sources=1)(slit)
    assert code == (0 if result.report()["status"][0] == "ok" else 1)
    table = QTable.read(tmp_path / "slit_spectrum.fits", hdu=1)
    np.testing.assert_array_equal(table["flux"], result.table("source")["flux"])
    assert (tmp_path / "slit_spectrum.png").exists()
    assert "slit" in capsys.readouterr().out


def test_report_is_json_where_asked_for(slit, empty, tmp_path, capsys):
    options = ["--output", tmp_path, "--n-jobs", 1, "--no-figures", "--json"]
    assert run("extract", slit, empty, *options) == 3
    told = json.loads(capsys.readouterr().out)
    assert [row["input"] for row in told["summary"]] == ["slit", "empty"]
    assert told["files"] == {"slit": [str(tmp_path / "slit_spectrum.fits")]}
    assert "no usable pixel" in told["failures"]["empty"]


def test_summary_is_as_wide_as_the_terminal():
    columns = {f"column{n}": [1 / 3] for n in range(20)}
    table = QTable({"input": ["a"], "status": ["check"], "reason": ["why " * 5]} | columns)
    assert "0.3333" in command_line._lines(table)[-1]
    assert "0.33333" not in command_line._lines(table)[-1]
    *lines, more = command_line._lines(table, 80)
    assert len(lines[0]) <= 80 < len(command_line._lines(table)[0])
    assert "why why" in lines[-1]
    assert more == f"{20 - lines[0].count('column')} more columns: summary.ecsv"
    assert table.colnames[-1] == "column19"
    assert table["column0"].info.format is None


def test_run_goes_on_where_it_stopped(slit, tmp_path):
    options = ["extract", slit, "--output", tmp_path, "--n-jobs", 1, "--no-figures"]
    code = run(*options)
    product = tmp_path / "slit_spectrum.fits"
    written = product.stat().st_mtime_ns
    assert run(*options) == 3  # there already
    assert run(*options, "--skip-existing") == code
    assert product.stat().st_mtime_ns == written
    assert run(*options, "--overwrite") == code
    assert product.stat().st_mtime_ns != written


def test_frames_are_cleaned(tmp_path):
    frame, _ = sm.datasets.make_flicker(seed=1)
    fits.PrimaryHDU(np.asarray(frame.data)).writeto(tmp_path / "frame.fits")
    path, out = tmp_path / "frame.fits", tmp_path / "out"
    assert run("clean", path, "--output", out, "--n-jobs", 1, "--no-figures") in (0, 1)
    assert (out / "frame_cleaned.fits").exists()


def test_degree_of_the_sky_is_a_setting(slit, tmp_path):
    assert run("extract", slit, "--output", tmp_path, "--n-jobs", 1, "--no-figures",
               "--set", "n_sources=1", "--set", "sky=1") in (0, 1)  # fmt: skip
    expected = sm.OptimalExtraction(n_sources=1, sky=sm.ColumnPolynomial(1))(slit)
    table = QTable.read(tmp_path / "slit_spectrum.fits", hdu=1)
    np.testing.assert_array_equal(table["flux"], expected.table("source")["flux"])


def test_chain_does_its_steps_and_keeps_what_they_hand_on(slit, tmp_path):
    steps = ["--steps", "clean,extract", "--keep", "--no-figures", "--n-jobs", 1]
    settings = ["--set", "extract.n_sources=1"]
    code = run("chain", slit, "--output", tmp_path, *steps, *settings)
    chain = sm.FlickerNoiseSubtraction() | sm.OptimalExtraction(n_sources=1)
    expected = chain(slit)
    assert code == (0 if expected["spectrum"].report()["status"][0] == "ok" else 1)
    for name in ("slit_spectrum.fits", "slit_cleaned.fits"):
        assert (tmp_path / name).exists()
    table = QTable.read(tmp_path / "slit_spectrum.fits", hdu=1)
    np.testing.assert_array_equal(table["flux"], expected.tables()["source"]["flux"])
    # From what was kept the chain goes on, with the same bits.
    run("chain", tmp_path / "slit_cleaned.fits", "--output", tmp_path / "again", *steps, *settings)
    again = QTable.read(tmp_path / "again" / "slit_cleaned_spectrum.fits", hdu=1)
    np.testing.assert_array_equal(again["flux"], table["flux"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "clean,guess"], "got ['guess']"),
        (["--steps", "clean", "--set", "extract.sky=1"], "got ['extract']"),
        (["--steps", "extract", "--set", "extract.colour=1"], "extract has no setting"),
        (["--steps", "decontaminate,extract"], "--direct, --segmentation, --photom, --ranges"),
    ],
)
def test_wrong_chains_are_named(slit, tmp_path, options, said, capsys):
    assert run("chain", slit, "--output", tmp_path, *options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "colour=1"], "extract has no setting ['colour']"),
        (["--set", "aperture=-1"], "aperture: expected a positive number"),
        (["--n-jobs", "0"], "n_jobs: expected 1 or more"),
    ],
)
def test_wrong_settings_are_named(slit, tmp_path, options, said, capsys):
    assert run("extract", slit, "--output", tmp_path, *options) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["guess"], ["extract"], ["extract", "a", "--set", "b"]])
def test_wrong_usage_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: specmodels" in capsys.readouterr().err


@pytest.mark.parametrize("job", JOBS)
def test_help_teaches(job, capsys):
    with pytest.raises(SystemExit) as stop:
        main([job, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert JOBS[job][0] in said
    assert "--skip-existing" in said
    assert "exit codes" in said


def test_module_is_the_command():
    command = [sys.executable, "-m", "specmodels", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip()
