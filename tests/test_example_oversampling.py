"""The script ``examples/oversampling.py``, run as a user runs it."""

import numpy as np

import specmodels as sm
from tests.example_scripts import run


def test_oversamples_a_simulated_slit(tmp_path):
    printed = run("oversampling.py", folder=tmp_path)
    error = float(printed.split("error over the core: ")[1].split()[0])
    assert error < 0.012
    image = sm.read(tmp_path / "simulated_oversampled.fits").single
    assert image.shape == (64, 600)
    assert np.isfinite(image.data).all()
    assert (tmp_path / "simulated_oversampled.png").exists()
