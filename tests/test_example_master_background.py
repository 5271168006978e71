"""The script ``examples/master_background.py``, run as a user runs it."""

import re

import numpy as np
from astropy.table import QTable

import specmodels as sm
from tests.example_scripts import run


def test_subtracts_the_sky_of_simulated_slitlets(tmp_path):
    printed = run("master_background.py", folder=tmp_path)
    assert "wrote simulated_subtracted.fits" in printed
    assert "1 left out" in printed
    (error,) = re.findall(r"error of the sky under the targets: ([0-9.]+)%", printed)
    assert float(error) < 2
    sky = QTable.read(tmp_path / "simulated_sky.fits", hdu=1)
    _, truth = sm.datasets.make_slitlets(seed=7, contaminated=1)
    ratio = sky["flux"].value / truth.sky(sky["wavelength"].value)
    assert abs(np.median(ratio) - 1) < 0.02
    assert len(sm.read(tmp_path / "simulated_subtracted.fits")) == 8
    assert (tmp_path / "simulated_sky.png").exists()
    assert (tmp_path / "simulated_slit.png").exists()
