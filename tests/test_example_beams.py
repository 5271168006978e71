"""The script ``examples/beams.py``, run as a user runs it."""

import re
import subprocess
import sys
from pathlib import Path

from tests.io.beams_files import write_beams

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "beams.py"


def chi2(folder, *arguments):
    """Chi-square of hidden pixels that the script prints for each cutout."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "beams.png").stat().st_size > 10_000
    return {name: float(value) for name, value in re.findall(r"(\w+): chi2 .* (\S+)", done.stdout)}


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
