"""The script ``examples/oversampling.py``, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import specmodels as sm

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "oversampling.py"


def run(*arguments, folder):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_oversamples_a_simulated_slit(tmp_path):
    printed = run(folder=tmp_path)
    error = float(printed.split("error over the core: ")[1].split()[0])
    assert error < 0.012
    image = sm.read(tmp_path / "simulated_oversampled.fits").single
    assert image.shape == (64, 600)
    assert np.isfinite(image.data).all()
    assert (tmp_path / "simulated_oversampled.png").exists()
