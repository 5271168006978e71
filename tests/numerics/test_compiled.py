"""Compiled loops: kept on disk where that can be, and no error where it cannot."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from specmodels.numerics import banded

numba = pytest.importorskip("numba")
SOURCE = """
from specmodels.numerics.compiled import compiled

@compiled
def added(values):
    total = 0.0
    for value in values:
        total += value
    return total
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Folder in which compiled code is kept."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def kernel(tmp_path):
    """What makes a kernel from its source, as a new process would."""
    path = tmp_path / "loops.py"
    path.write_text(SOURCE)

    def made():
        spec = importlib.util.spec_from_file_location("loops", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.added

    return made


def files(cache, kind):
    return sorted(cache.rglob(f"*.{kind}"))


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


def test_what_was_compiled_is_found_again(cache, kernel):
    assert kernel()(np.ones(3)) == 3
    again = kernel()
    assert again(np.ones(3)) == 3
    assert hits(again) == 1


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", [b"", b"no pickle"])
def test_damaged_code_is_made_anew(kind, damage, cache, kernel):
    kernel()(np.ones(3))
    assert files(cache, kind)
    for path in files(cache, kind):
        path.write_bytes(damage)
    damaged = kernel()
    assert damaged(np.ones(3)) == 3
    assert hits(damaged) == 0
    mended = kernel()
    assert mended(np.ones(3)) == 3
    assert hits(mended) == 1


def test_folder_that_cannot_be_written_to_is_no_error(cache, kernel, monkeypatch):
    made = kernel()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert made(np.ones(3)) == 3
    assert not files(cache, "nbc")


def test_no_folder_at_all_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "file"), "HOME": "/proc/nowhere",
        "XDG_CACHE_HOME": "/proc/nowhere",
        "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator,UserWideCacheLocator",
    }  # fmt: skip
    code = """
import numpy as np
from specmodels.numerics.spline_points import value_at
assert type(value_at._cache).__name__ == "NullCache", value_at._cache
print(value_at(np.zeros(3), np.arange(-4.0, 6.0), np.ones(6)))
"""
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_division_by_zero_is_numpys():
    assert np.isinf(banded.inverse_band(np.zeros((4, 1)))).any()
