"""Without numba everything can be imported, and jobs give the same numbers, slowly."""

import subprocess
import sys

import numpy as np
import pytest

import specmodels as sm
from specmodels.numerics.bsplines import LocalBasis
from specmodels.numerics.cloud import bin_medians

pytest.importorskip("numba")


def numbers():
    """What is compared: a job, and kernels of others."""
    slit, _ = sm.datasets.make_slit(shape=(20, 40), snr=100.0)
    spectrum = sm.OptimalExtraction(n_sources=1, profile=sm.GaussianProfile())(slit).spectrum
    x = np.linspace(0, 1, 300)
    basis = LocalBasis.at(x, np.linspace(0, 1, 12))
    solution = basis.equations(np.sin(9 * x), 1 + x, 14).solve()
    medians = bin_medians((20 * x).astype(int), np.cos(40 * x), 64)
    return spectrum.flux.value, solution.values, solution.covariance_band, medians


def blocked(code):
    """Standard output of some code in a process in which numba cannot be imported."""
    code = f"import sys\nsys.modules['numba'] = None\n{code}"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_every_public_name_can_be_fetched():
    assert "done" in blocked("import specmodels\nfrom specmodels import *\nprint('done')")


def test_numbers_are_the_same_to_twelve_digits(tmp_path):
    path = tmp_path / "numbers.npz"
    blocked(f"""
import runpy
import numpy as np
sys.modules["pytest"] = type(sys)("pytest")
sys.modules["pytest"].importorskip = lambda name: None
numbers = runpy.run_path({__file__!r})["numbers"]
np.savez({str(path)!r}, *numbers())
""")
    with np.load(path) as found:
        for plain, compiled in zip(found.values(), numbers(), strict=True):
            np.testing.assert_allclose(plain, compiled, rtol=1e-12, atol=1e-12 * np.nanmax(
                np.abs(compiled)))  # fmt: skip
