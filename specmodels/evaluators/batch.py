"""Extraction of many files: progress, a figure for each, a summary that names what needs a look."""

import logging
import os
from pathlib import Path

from astropy.table import QTable, Table, vstack

from ..io import write
from ..io.replacing import replacing
from .extraction import OptimalExtraction

__all__ = ["extract_many"]

log = logging.getLogger(__name__)


def extract_many(
    inputs, evaluator=None, *, output=None, figures=True, overwrite=False, progress_bar=True
):
    """Extract the spectra of many files, one bad file never stopping the rest.

    Parameters
    ----------
    inputs : iterable or mapping
        Paths, or anything else that `~specmodels.read` understands; with a mapping, by name. A
        folder stands for the FITS and ASDF files in it.
    evaluator : callable, optional
        Default: `OptimalExtraction` with its defaults.
    output : path, optional
        Folder for the spectra (``NAME_spectrum.fits``), the figures (``NAME_spectrum.png``) and the
        summary (``summary.ecsv``). Nothing is written where it is not given.
    figures : bool
        Whether a figure is drawn for each input.
    overwrite : bool
        Whether files may be replaced.
    progress_bar : bool
        Whether progress is shown.

    Returns
    -------
    results : dict
        Result of each input that could be extracted, by name.
    summary : `~astropy.table.QTable`
        A row for each source: ``input``, ``status`` (``ok``, ``check``, ``failed``), ``reason`` and
        the figures of the report. What needs a person is ``summary[summary["status"] != "ok"]``.

    Raises
    ------
    ValueError
        If there is no input, or two have the same name, or a name cannot be that of a file in the
        folder.
    """
    from tqdm.auto import tqdm

    named = _named(inputs)
    evaluator = OptimalExtraction() if evaluator is None else evaluator
    folder = None if output is None else Path(output)
    if folder is not None:
        _check_names(named)
        folder.mkdir(parents=True, exist_ok=True)
    results, reports = {}, []
    for name, item in tqdm(named.items(), disable=not progress_bar, desc="extract", unit="file"):
        try:
            result = evaluator(item)
            if folder is not None:
                _save(result, folder, name, figures, overwrite)
            reports.append(_report(name, result))
        except Exception as error:
            # Whatever an input raises is its own failure, named here and in full in the log.
            refused = isinstance(error, (OSError, TypeError, ValueError))
            reason = str(error) if refused else f"{type(error).__name__}: {error}"
            log.warning("%s: %s", name, reason, exc_info=not refused)
            reports.append(Table({"input": [name], "status": ["failed"], "reason": [reason]}))
            continue
        results[name] = result
    summary = QTable(vstack(reports, metadata_conflicts="silent"))
    if folder is not None:
        with replacing(folder / "summary.ecsv") as path:
            summary.write(path)
    return results, summary


def _report(name, result):
    """Rows of the summary for one result."""
    report = Table(result.report())
    report.add_column([name] * len(report), name="input", index=0)
    return report


def _named(inputs):
    """Inputs by name: a mapping as it is, paths by their stems, other things by number."""
    if hasattr(inputs, "items"):
        named = dict(inputs.items())
    else:
        listed = _files(inputs) if isinstance(inputs, (str, os.PathLike)) else list(inputs)
        names = [Path(item).name.split(".fits")[0].removesuffix(".asdf")
                 if isinstance(item, (str, os.PathLike)) else f"input {number + 1}"
                 for number, item in enumerate(listed)]  # fmt: skip
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"inputs: names must differ, got more than one {repeated}: use a mapping"
            )
        named = dict(zip(names, listed, strict=True))
    if not named:
        raise ValueError("inputs: expected at least one, got none")
    return named


def _check_names(names):
    """Refuse names by which files would be written elsewhere than in the folder."""
    wrong = [name for name in names if not str(name) or set(str(name)) & set("/\\\0")]
    if wrong:
        raise ValueError(f"inputs: expected names of files without folders, got {wrong}")


def _files(folder):
    folder = Path(folder)
    if not folder.is_dir():
        return [folder]
    return sorted(p for p in folder.iterdir() if ".fits" in p.name or p.suffix == ".asdf")


def _save(result, folder, name, figures, overwrite):
    write(result, folder / f"{name}_spectrum.fits", overwrite=overwrite)
    if not figures:
        return
    from matplotlib import pyplot as plt

    figure = result.plot()
    try:
        with replacing(folder / f"{name}_spectrum.png") as path:
            figure.savefig(path, dpi=110)
    finally:
        plt.close(figure)
