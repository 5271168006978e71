"""The script ``examples/nods.py``, run as a user runs it."""

import re

import numpy as np
from astropy.table import QTable
from stdatamodels.jwst import datamodels

from tests.example_scripts import run


def ratios(printed):
    """Signal-to-noise ratio of all together, and of each alone."""
    together, alone = re.search(r"together ([0-9.]+) alone \[(.*)\]", printed).groups()
    return float(together), [float(one) for one in alone.split(",")]


def test_three_nods_are_worth_the_root_of_three(tmp_path):
    printed = run("nods.py", folder=tmp_path)
    together, alone = ratios(printed)
    assert abs(together / np.linalg.norm(alone) - 1) < 0.12
    bias, scatter = map(float, re.search(r"bias (\S+), scatter (\S+) quoted", printed).groups())
    assert abs(bias) < 0.3
    assert abs(scatter - 1) < 0.15
    assert "ok" in printed
    table = QTable.read(tmp_path / "simulated_exposures.ecsv")
    assert np.all(np.abs(table["share"] - 1 / 3) < 0.05)
    assert (tmp_path / "simulated_spectrum.png").exists()
    with datamodels.open(tmp_path / "simulated_x1d.fits") as model:
        assert model.meta.instrument.name == "NIRSPEC"  # of the first exposure
        assert model.spec[0].source_id == 7
        assert model.spec[0].spec_table.columns["FLUX"].unit == "Jy"


def test_real_nods_show_the_lines_of_the_galaxy(tmp_path, shared_data):
    files = sorted((shared_data / "mos").glob("jw01345062001_*phot.138.1345_933.fits"))
    printed = run("nods.py", *files, folder=tmp_path)
    together, alone = ratios(printed)
    assert together > max(alone)
    with datamodels.open(tmp_path / "nods_x1d.fits") as model:
        table = model.spec[0].spec_table
        peaks = [table["FLUX"][np.abs(table["WAVELENGTH"] - line) < 0.05].max()
                 for line in (2.62, 3.44)]  # fmt: skip
        errors = np.nanmedian(table["FLUX_ERROR"])
    assert min(peaks) > 5 * errors
