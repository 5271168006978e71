"""Tables of results: as CSV for the documentation, as text for the screen."""

import csv
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "_static" / "benchmarks"
PACKAGES = ("specmodels", "numpy", "scipy", "astropy", "specutils", "specreduce", "jwst")


def write(name, rows):
    """Write rows (dictionaries) to the CSV file of that name."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(_lines(rows))


def as_text(rows):
    """Rows with their columns aligned."""
    lines = _lines(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _lines(rows):
    """Header and cells; columns that a row does not have stay empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [names, *([_shown(row.get(name)) for name in names] for row in rows)]


def _shown(value):
    """Three significant digits of a number, four decimals at most; nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return _number(float(value))
    return str(value)


def _number(value):
    if np.isnan(value):
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if 0 < abs(value) < 5e-5:
        return f"{value:.0e}"
    text = f"{value:.3g}" if not 0.1 <= abs(value) < 10 else f"{value:.3f}"
    return "0" if float(text) == 0 else text


def versions():
    """Versions of Python and of the packages compared."""
    rows = [{"package": "python", "version": platform.python_version()}]
    for name in PACKAGES:
        try:
            rows.append({"package": name, "version": version(name)})
        except PackageNotFoundError:
            rows.append({"package": name, "version": "not installed"})
    return rows
