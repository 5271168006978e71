"""Types of the public names: the stub has those of the package, and goes with it."""

import ast
import tomllib
from pathlib import Path

import pytest

import specmodels as sm

ROOT = Path(__file__).resolve().parents[1]


def stub_names():
    """Names by module, as the stub imports them."""
    tree = ast.parse((ROOT / "specmodels" / "__init__.pyi").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            assert all(name.asname == name.name for name in node.names)  # else not exported
            found[node.module] = tuple(name.name for name in node.names)
    return found


def test_stub_has_the_public_names_and_no_others():
    found = stub_names()
    assert found.keys() == sm._NAMES.keys()
    for module, names in sm._NAMES.items():
        assert sorted(found[module]) == sorted(names), module


@pytest.mark.parametrize("name", ["py.typed", "__init__.pyi"])
def test_types_go_with_the_package(name):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["specmodels"]
    assert (ROOT / "specmodels" / name).exists()
    assert any(Path(name).match(pattern) for pattern in patterns)


def test_calls_that_users_write_are_checked():
    mypy = pytest.importorskip("mypy.api", reason="mypy is not installed")
    said, _, code = mypy.run(["--config-file", str(ROOT / "pyproject.toml"),
                              str(ROOT / "tests" / "typing" / "calls.py")])  # fmt: skip
    assert code == 0, said
