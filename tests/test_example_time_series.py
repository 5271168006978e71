"""The script ``examples/time_series.py``, run as a user runs it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from astropy.table import QTable
from stdatamodels.jwst import datamodels

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "time_series.py"


def run(*arguments, folder):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_light_curves_of_a_simulated_transit(tmp_path):
    printed = run(folder=tmp_path)
    pull, shift = map(float, re.search(r"light (\S+) quoted errors, shift (\S+) pix",
                                       printed).groups())  # fmt: skip
    assert pull < 1.35
    assert shift < 0.002
    curves = QTable.read(tmp_path / "simulated_lightcurves.ecsv")
    assert curves["flux"].shape == (60, 6)
    with datamodels.open(tmp_path / "simulated_x1dints.fits") as model:
        assert type(model) is datamodels.TSOMultiSpecModel
        assert model.meta.instrument.name == "NIRSPEC"
        table = model.spec[0].spec_table
        # The file has barycentric times, which are no UTC.
        assert np.allclose(table["TDB-MID"], curves["time"])
        assert np.isnan(table["MJD-AVG"]).all()
        white = table["FLUX"].sum(axis=1)
    depth = 1 - np.median(white[25:35]) / np.median(white[[*range(9), *range(51, 60)]])
    assert abs(depth - 0.015) < 0.001


def test_real_integrations_scatter_less_than_their_errors(tmp_path, shared_data):
    (path,) = (shared_data / "extraction").glob("ERS_NGTS10_*_calints.fits")
    printed = run(path, folder=tmp_path)
    scatter, quoted = map(float, re.search(r"scatter (\d+) ppm, quoted (\d+) ppm",
                                           printed).groups())  # fmt: skip
    assert 0 < scatter < quoted
    assert len(list(tmp_path.glob("*_time_series.png"))) == 1
