"""What became of every input: a table for people, and JSON with the failures in full."""

import json
import time
from pathlib import Path

import numpy as np
from astropy.table import QTable, vstack

from ..io.replacing import replacing
from .task import Outcome, unfinished

__all__ = ["Summary", "plain", "skipped"]

SECONDS = 10.0  # between two times that the summary is written
FORMAT = "specmodels.summary-1"


class Summary:
    """Outcomes in the order of inputs, on disk while they come.

    ``summary.ecsv`` and ``summary.json`` are written every few seconds and at the end, so that a
    run that was killed has said what it had done.

    Parameters
    ----------
    names : iterable of str
        The inputs.
    folder : path or None
        Where both are written.
    about : dict
        What is said of the whole run: the evaluator and versions.
    """

    def __init__(self, names, folder=None, about=None):
        self.outcomes = dict.fromkeys(names)
        self._stays = {}  # what the files go on to say of inputs that were refused
        self.folder = None if folder is None else Path(folder)
        self.about = dict(about or {})
        self._written = time.monotonic()

    def add(self, outcome):
        """Take in what became of one input."""
        self.outcomes[outcome.name] = outcome
        if self.folder is not None and time.monotonic() - self._written > SECONDS:
            self.write()

    def refuse(self, outcome, before):
        """Take in an input whose product may not be replaced.

        It has failed in this run; on disk stays its outcome `before`, which is that of its product.
        """
        self.outcomes[outcome.name] = outcome
        self._stays[outcome.name] = before

    def table(self):
        """A row for each source of each input: ``input``, ``status``, ``reason`` and the rest."""
        return _stacked([outcome for outcome in self.outcomes.values() if outcome is not None])

    def write(self):
        """Write both files."""
        if self.folder is None:
            return
        outcomes = [self._stays.get(name, one) for name, one in self.outcomes.items() if one]
        with replacing(self.folder / "summary.ecsv") as path:
            _stacked(outcomes).write(path)
        inputs = [_as_json(outcome) for outcome in outcomes]
        left = [name for name, outcome in self.outcomes.items() if outcome is None]
        content = {"format": FORMAT, **self.about, "inputs": inputs, "not_done": left}
        with replacing(self.folder / "summary.json") as path:
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        self._written = time.monotonic()

    @staticmethod
    def earlier(folder):
        """Reports that an earlier run has left in a folder, by name of the input."""
        try:
            table = QTable.read(Path(folder) / "summary.ecsv")
            names = table["input"]
        except (OSError, ValueError, KeyError):
            return {}
        return {name: _without_gaps(table[names == name]) for name in dict.fromkeys(names)}


def skipped(name, product, known):
    """Outcome of an input whose product is there: as the earlier run left it, if it has told."""
    report = known.get(name)
    if report is None or "failed" in report["status"]:
        reason = f"{product.name} is there; the run that wrote it has left no report"
        report = unfinished(name, "skipped", reason)
    return Outcome(name, report, files=[product])


def _stacked(outcomes):
    """Table of all reports."""
    reports = [outcome.report for outcome in outcomes]
    return QTable(vstack(reports, metadata_conflicts="silent")) if reports else QTable()


def _without_gaps(report):
    """Report without columns that only other inputs have."""
    gaps = [key for key in report.colnames if np.all(getattr(report[key], "mask", False))]
    report.remove_columns(gaps)
    return report


def _as_json(outcome):
    report = outcome.report
    rows = [{key: plain(row[key]) for key in report.colnames} for row in report]
    return {
        "name": outcome.name,
        "seconds": round(outcome.seconds, 3),
        "files": [path.name for path in outcome.files],
        "report": rows,
        "units": {key: str(report[key].unit) for key in report.colnames if report[key].unit},
        "traceback": outcome.traceback,
    }


def plain(value):
    """Value as JSON has it; what is masked or not finite is null."""
    value = getattr(value, "value", value)
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, (bool, int, float, str, list, type(None))) else str(value)
