"""Without numba everything can be imported, and jobs give the same numbers, slowly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.small_jobs import JOBS

pytest.importorskip("numba")


def blocked(code):
    """Standard output of some code in a process in which numba cannot be imported."""
    code = f"import sys\nsys.modules['numba'] = None\n{code}"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def numbers_without(tmp_path_factory):
    """Numbers of all jobs in one such process: a folder with a file for each."""
    folder = tmp_path_factory.mktemp("numbers")
    blocked(f"""
import numpy as np
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from tests.small_jobs import JOBS
from specmodels.numerics import compiled
assert compiled.numba is None
for name, job in JOBS.items():
    np.savez({str(folder)!r} + f"/{{name}}.npz", *job())
""")
    return folder


def test_every_public_name_can_be_fetched():
    assert "done" in blocked("import specmodels\nfrom specmodels import *\nprint('done')")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", JOBS)
def test_numbers_are_the_same_to_twelve_digits(numbers_without, name):
    with np.load(numbers_without / f"{name}.npz") as found:
        for plain, compiled in zip(found.values(), JOBS[name](), strict=True):
            size = np.max(np.abs(compiled), where=np.isfinite(compiled), initial=0.0)
            assert size > 0
            np.testing.assert_allclose(plain, compiled, rtol=1e-12, atol=1e-12 * size)
