"""What is done with one input: evaluated, written, drawn, reported. What it raises is a failure."""

import logging
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astropy.table import Table

from ..io import write
from ..io.replacing import replacing

__all__ = ["Outcome", "Task"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    name : str
    report : `~astropy.table.Table`
        A row for each source, with ``status`` and ``reason``.
    result : object or None
        What the evaluator returned, where it was kept.
    files : list of `~pathlib.Path`
        What was written.
    seconds : float
    traceback : str
        Where it failed; empty where it did not.
    """

    name: str
    report: Table
    result: Any = None
    files: list = field(default_factory=list)
    seconds: float = 0.0
    traceback: str = ""

    @property
    def failed(self):
        """Whether there is no result."""
        return bool(self.traceback)


@dataclass(frozen=True)
class Task:
    """The same work for every input; it travels to where the work is done.

    Parameters
    ----------
    evaluator : callable
    folder : path or None
        Where products and figures are written.
    figures, keep : bool
        Whether figures are drawn, and results are handed back.
    """

    evaluator: Any
    folder: Path | None = None
    figures: bool = False
    keep: bool = True

    def product(self, name):
        """Path of the product of an input."""
        kind = getattr(self.evaluator, "product", "result")
        return self.folder / f"{name}_{kind}.fits"

    def __call__(self, name, item):
        """Do it for one input."""
        start = time.perf_counter()
        try:
            result = self.evaluator(item)
            files = [] if self.folder is None else self._save(result, name)
            report = _named(name, _report(result))
        except Exception as error:
            return failure(name, error, time.perf_counter() - start)
        kept = result if self.keep else None
        return Outcome(name, report, kept, files, time.perf_counter() - start)

    def _save_data(self, result, name):
        """Write the data that an evaluator has made beside its tables, where it is of such a kind.

        Cutouts can be written where a datamodel came in, and not of bare images.
        """
        kind = getattr(self.evaluator, "data_product", None)
        if kind is None:
            return []
        try:
            made = result.to_source()
        except TypeError as error:
            log.info("%s: %s", name, error)
            return []
        return [write(made, self.folder / f"{name}_{kind}.fits", overwrite=True)]

    def _save(self, result, name):
        # What is there was left by an attempt whose worker died before it could tell.
        files = [write(result, self.product(name), overwrite=True)]
        if getattr(self.evaluator, "keep", False):
            steps = self.evaluator.named
            files += [write(data, self.folder / f"{name}_{steps[step].data_product or step}.fits",
                            overwrite=True) for step, data in result.passed.items()]  # fmt: skip
        files += self._save_data(result, name)
        if self.figures and hasattr(result, "plot"):
            files.append(_draw(result, files[0].with_suffix(".png")))
        return files


def failure(name, error, seconds=0.0):
    """Outcome of an input that raised: its own failure, named here and in full in the log."""
    refused = isinstance(error, (OSError, TypeError, ValueError))
    reason = str(error) if refused else f"{type(error).__name__}: {error}"
    log.warning("%s: %s", name, reason, exc_info=None if refused else error)
    where = "".join(traceback.format_exception(error))
    return Outcome(name, unfinished(name, "failed", reason), seconds=seconds, traceback=where)


def unfinished(name, status, reason):
    """Row of an input without a result."""
    return Table({"input": [name], "status": [status], "reason": [reason]})


def _report(result):
    """Rows of a result; one that does not judge itself says no more than that it is there."""
    report = Table(result.report()) if hasattr(result, "report") else Table({"reason": [""]})
    if "status" not in report.colnames:
        report.add_column(["done"] * len(report), name="status", index=0)
    return report


def _named(name, report):
    report.add_column([name] * len(report), name="input", index=0)
    return report


def _draw(result, target):
    from matplotlib import pyplot as plt

    figure = result.plot()
    try:
        with replacing(target) as path:
            figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)
    return target
