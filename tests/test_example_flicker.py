"""The script ``examples/flicker.py``, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "flicker.py"


def run(*arguments, folder):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cleans_a_simulated_image(tmp_path):
    printed = run(folder=tmp_path)
    assert "simulated_clean.npy" in printed
    cleaned = np.load(tmp_path / "simulated_clean.npy")
    assert np.median(cleaned, axis=1).std() < 0.2
    assert (tmp_path / "simulated_clean.png").exists()


def test_cleans_a_real_ramp(tmp_path, shared_data):
    from astropy.io import fits

    path = next((shared_data / "flicker").glob("*nis_uncal.fits"))
    run(path, folder=tmp_path)
    (cleaned,) = tmp_path.glob("*_clean.fits")
    stripes = []
    for file in (path, cleaned):
        with fits.open(file) as hdus:
            change = np.diff(hdus["SCI"].data[0].astype(float), axis=0)[0, :20]
        stripes.append(np.diff(np.median(change, axis=0)).std())
    assert stripes[1] < 0.5 * stripes[0]
