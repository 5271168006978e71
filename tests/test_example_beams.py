"""The script ``examples/beams.py``, run as a user runs it."""

import re

from tests.example_scripts import run
from tests.io.beams_files import write_beams


def chi2(folder, *arguments):
    """Chi-square of hidden pixels that the script prints for each cutout."""
    printed = run("beams.py", *arguments, folder=folder)
    assert (folder / "beams.png").stat().st_size > 10_000
    return {name: float(value) for name, value in re.findall(r"(\w+): chi2 .* (\S+)", printed)}


def test_predicts_pixels_of_a_simulated_field(tmp_path):
    assert chi2(tmp_path)["simulated"] < 1.1
    assert (tmp_path / "simulated_spectra.fits").exists()


def test_predicts_pixels_of_a_file(tmp_path):
    write_beams(tmp_path / "x.beams.fits", seed=1, grisms=("G102",))
    assert chi2(tmp_path, "x.beams.fits")["G102"] < 1.15
    assert (tmp_path / "G102_spectra.fits").exists()


def test_predicts_pixels_of_wfc3(tmp_path, shared_data):
    found = chi2(tmp_path, shared_data / "wfss" / "j033216m2743_00152.beams.fits")
    assert set(found) == {"G102", "G141"}
    assert max(found.values()) < 1.1
