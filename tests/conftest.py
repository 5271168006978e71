"""Fixtures for all tests, and what makes every run give the same answer."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
from hypothesis import settings

matplotlib.use("agg")

# Wrong calls, which a type checker is to see; not to be run.
collect_ignore = ["typing"]

# The same examples in every run and on every machine, however slow.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the real data, which lie next to the repository and are never part of it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}, which is absent")
    return folder


@pytest.fixture(scope="session")
def shared_tools():
    """Independent scenes with known truth (``.scenes``), and figures of merit (``.judge``)."""
    folder = SHARED / "tools"
    if not folder.is_dir():
        pytest.skip(f"needs the scenes in {folder}, which is absent")
    sys.path.insert(0, str(folder))
    try:
        names = ("scenes", "judge")
        return SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    except ImportError as error:
        pytest.skip(f"needs {error.name} for the scenes in {folder}")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(autouse=True)
def _close_figures():
    """Leave no figure open, of which matplotlib would warn after the twentieth."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
