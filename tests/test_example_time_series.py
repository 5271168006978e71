"""The script ``examples/time_series.py``, run as a user runs it."""

import re

import numpy as np
from astropy.table import QTable
from stdatamodels.jwst import datamodels

from tests.example_scripts import run


def test_light_curves_of_a_simulated_transit(tmp_path):
    printed = run("time_series.py", folder=tmp_path)
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
    printed = run("time_series.py", path, folder=tmp_path)
    scatter, quoted = map(float, re.search(r"scatter (\d+) ppm, quoted (\d+) ppm",
                                           printed).groups())  # fmt: skip
    assert 0 < scatter < quoted
    assert len(list(tmp_path.glob("*_time_series.png"))) == 1
