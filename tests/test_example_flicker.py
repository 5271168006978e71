"""The script ``examples/flicker.py``, run as a user runs it."""

import re

import numpy as np
from astropy.io import fits

from tests.example_scripts import run

NUMBERS = r"([0-9.]+) before, ([0-9.]+) after; quoted ([0-9.]+)"


def test_cleans_a_simulated_ramp(tmp_path):
    printed = run("flicker.py", folder=tmp_path)
    assert "wrote simulated_clean.fits" in printed
    before, after, quoted = map(float, re.search(NUMBERS, printed).groups())
    assert after < 0.6 * before
    assert abs(quoted / after - 1) < 0.1
    assert (tmp_path / "simulated_clean.png").exists()
    with fits.open(tmp_path / "simulated_clean.fits") as hdus:
        assert hdus["SCI"].shape == (2, 4, 256, 512)
        assert hdus["BACKGROUND_MASK"].shape == (256, 512)


def test_cleans_a_real_ramp(tmp_path, shared_data):
    path = next((shared_data / "flicker").glob("*nis_uncal.fits"))
    run("flicker.py", path, folder=tmp_path)
    (cleaned,) = tmp_path.glob("*_clean.fits")
    stripes = []
    for file in (path, cleaned):
        with fits.open(file) as hdus:
            change = np.diff(hdus["SCI"].data[0].astype(float), axis=0)[0, :20]
        stripes.append(np.diff(np.median(change, axis=0)).std())
    assert stripes[1] < 0.5 * stripes[0]
