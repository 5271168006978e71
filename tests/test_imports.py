"""Imports go one way, through layers which know nothing of those above them.

The sources are read, not run, so that imports inside functions count as well.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "specmodels"

# From the bottom to the top. A file or folder of the package belongs to the layer of its name.
LAYERS = (
    "numerics",
    "checked_arrays",
    "spectral_image",
    "exposure",
    "dithers",
    "ramp",
    "slitless",
    "time_series",
    "models",
    "fitters",
    "instruments",
    "io",
    "evaluators",
    "many",
    "injection",
    "steps",
    "plotting",
    "datasets",
    "warm",
    "command_line",
    "__main__",
    "__init__",
)
# `result.plot()` may fetch its figures from above, at the time of the call. The test of cycles
# makes sure that the figures in turn know nothing of what calls them.
DEFERRED = {"plotting"}
WITHOUT_LAYER = {"version"}  # written by the build, imports nothing

PEERS = {"crds", "grizli", "jwst", "msaexp", "pypeit", "slitlessutils", "specreduce", "stcal"}
KERNELS = "numerics.compiled"  # the one module that may import numba
HOMES = {"stdatamodels": {"io", "instruments"}, "stpipe": {"steps"}}  # where these may be imported


@dataclass(frozen=True)
class Import:
    """One imported module, and where that is written."""

    source: str
    line: int
    target: str
    in_function: bool

    def __str__(self):
        return f"{self.source}, line {self.line}: imports {self.target}"


class Sources:
    """The modules of a package, by dotted name, and what each of them imports."""

    def __init__(self, package):
        self.name = package.name
        self.files = {self._dotted(path, package): path for path in sorted(package.rglob("*.py"))}
        self.imports = [found for module in self.files for found in self._imports(module)]

    @staticmethod
    def _dotted(path, package):
        parts = path.relative_to(package.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def layer(self, module):
        """Name of the layer of a module of the package."""
        parts = module.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    def inside(self, module):
        """Whether a module belongs to the package."""
        return module.split(".")[0] == self.name

    def _imports(self, module):
        def visit(node, in_function):
            for target in self._targets(module, node):
                yield Import(module, node.lineno, target, in_function)
            in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from visit(child, in_function)

        return visit(ast.parse(self.files[module].read_text(encoding="utf-8")), False)

    def _targets(self, module, node):
        if isinstance(node, ast.Import):
            return [name.name for name in node.names]
        if isinstance(node, ast.ImportFrom):
            base = self._base(module, node)
            named = [(f"{base}.{name.name}", base) for name in node.names]
            return [full if full in self.files else short for full, short in named]
        return []

    def _base(self, module, node):
        if not node.level:
            return node.module
        parts = module.split(".")
        is_package = self.files[module].name == "__init__.py"
        start = parts[: len(parts) - node.level + is_package]
        return ".".join([*start, *([node.module] if node.module else [])])


def unknown_layers(sources):
    """Modules which belong to no layer."""
    known = {*LAYERS, *WITHOUT_LAYER}
    return [module for module in sources.files if sources.layer(module) not in known]


def upward(sources):
    """Imports of a higher layer."""
    rank = {layer: number for number, layer in enumerate(LAYERS)}

    def allowed(found):
        here, there = sources.layer(found.source), sources.layer(found.target)
        if there in WITHOUT_LAYER or (found.in_function and there in DEFERRED):
            return True
        return rank[there] <= rank[here]

    return [
        found for found in sources.imports if sources.inside(found.target) and not allowed(found)
    ]


def cycles(sources):
    """Chains of modules which import each other, directly or through others."""
    graph = {module: set() for module in sources.files}
    for found in sources.imports:
        if found.target in graph:
            graph[found.source].add(found.target)
    chains, done = [], set()

    def visit(module, chain):
        if module in chain:
            chains.append(" -> ".join([*chain[chain.index(module) :], module]))
        elif module not in done:
            for target in sorted(graph[module]):
                visit(target, [*chain, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return chains


def peers(sources):
    """Imports of packages that do the same job: they are for benchmarks only."""
    return [found for found in sources.imports if found.target.split(".")[0] in PEERS]


def away_from_home(sources):
    """Imports of packages which only some layers may know."""
    return [
        found
        for found in sources.imports
        for package, homes in HOMES.items()
        if found.target.split(".")[0] == package and sources.layer(found.source) not in homes
    ]


def eager_matplotlib(sources):
    """Imports of matplotlib outside functions, which make ``import specmodels`` slow."""
    return [
        found
        for found in sources.imports
        if found.target.split(".")[0] == "matplotlib" and not found.in_function
    ]


def direct_numba(sources):
    """Imports of numba, which need not be installed, away from the decorator of kernels."""
    return [
        found
        for found in sources.imports
        if found.target.split(".")[0] == "numba" and found.source != f"{sources.name}.{KERNELS}"
    ]


RULES = [unknown_layers, upward, cycles, peers, away_from_home, eager_matplotlib, direct_numba]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_package_keeps_the_rule(rule):
    broken = rule(Sources(PACKAGE))
    assert not broken, "\n".join([rule.__doc__, *map(str, broken)])


def test_the_package_was_found():
    assert {"specmodels", "specmodels.models"} <= set(Sources(PACKAGE).files)


# What each rule must catch: a file of the package, and what is written in it.
VIOLATIONS = [
    (unknown_layers, {"misc.py": ""}),
    (upward, {"numerics/a.py": "from specmodels.models import b"}),
    (upward, {"models/a.py": "from ..fitters.b import c"}),
    (upward, {"models/a.py": "from .. import fitters", "fitters/__init__.py": ""}),
    (upward, {"models/a.py": "import specmodels as sm"}),
    (upward, {"models/a.py": "def f():\n    from specmodels.io import read"}),
    (upward, {"fitters/base.py": "from specmodels.plotting import b"}),
    (cycles, {"models/a.py": "from .b import c", "models/b.py": "from . import a"}),
    (
        cycles,
        {
            "models/__init__.py": "from .a import b",
            "models/a.py": "from specmodels.models import b",
        },
    ),
    (
        cycles,
        {
            "fitters/base.py": "def plot():\n    from specmodels.plotting import b",
            "plotting.py": "from specmodels.fitters import base",
        },
    ),
    (peers, {"io/jwst.py": "def f():\n    from jwst.datamodels import b"}),
    (peers, {"evaluators/a.py": "import specreduce.extract"}),
    (away_from_home, {"models/a.py": "from stdatamodels.jwst import datamodels"}),
    (eager_matplotlib, {"plotting.py": "import matplotlib.pyplot as plt"}),
    (eager_matplotlib, {"evaluators/a.py": "class A:\n    from matplotlib import cm"}),
    (direct_numba, {"numerics/a.py": "import numba"}),
    (direct_numba, {"fitters/a.py": "def f():\n    from numba import njit"}),
]  # fmt: skip

ALLOWED = {
    "numerics/spline.py": "import numpy as np",
    "numerics/compiled.py": "import numba",
    "models/__init__.py": "from .traces import Trace",
    "models/traces.py": "from ..numerics import spline\nfrom . import linear",
    "models/linear.py": "",
    "io/__init__.py": "from .jwst import read",
    "io/jwst.py": "from stdatamodels.jwst import datamodels",
    "evaluators/a.py": "class A:\n    def plot(self):\n        from ..plotting import b",
    "plotting.py": "def b():\n    import matplotlib.pyplot as plt",
    "__init__.py": "from .io import read\nfrom .version import version",
}


def package_of(folder, files):
    """A package with the given files."""
    package = folder / "specmodels"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Sources(package)


@pytest.mark.parametrize(("rule", "files"), VIOLATIONS)
def test_rule_catches_a_violation(rule, files, tmp_path):
    assert rule(package_of(tmp_path, files))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_accepts_what_is_allowed(rule, tmp_path):
    assert not rule(package_of(tmp_path, ALLOWED))
