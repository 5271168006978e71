"""`map`: one evaluator over many inputs."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from astropy.table import QTable

from .inputs import check_file_names, named_inputs
from .schedule import outcomes, workers
from .summary import Summary, skipped
from .task import Task, failure

__all__ = ["MapResult", "extract_many", "map"]


@dataclass(frozen=True, eq=False)
class MapResult:
    """What `map` returns.

    Attributes
    ----------
    summary : `~astropy.table.QTable`
        A row for each source of each input: ``input``, ``status``, ``reason`` and the figures of
        the report. What needs a person is ``summary[summary["status"] != "ok"]``.
    results : dict
        Results by name, where they were kept.
    files : dict of list of `~pathlib.Path`
        What was written, by name.
    failures : dict of str
        The traceback of each input that failed, by name.
    """

    summary: QTable
    results: dict = field(repr=False)
    files: dict = field(repr=False)
    failures: dict = field(repr=False)

    def __repr__(self):
        counts = {}
        for status in self.summary["status"] if len(self.summary) else ():
            counts[str(status)] = counts.get(str(status), 0) + 1
        said = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        return f"<MapResult of {len(set(self.summary['input']))} inputs; sources: {said}>"


def map(
    evaluator, inputs, output=None, *, client=None, n_jobs=None, keep=None, skip_existing=False,
    overwrite=False, figures=True, progress_bar=True,
):  # fmt: skip
    """Apply an evaluator to many inputs, one bad input never stopping the rest.

    Inputs are handed out a few at a time, products are written as they come and put in their place
    when complete. A worker that dies costs its input a second attempt, and nothing else. Numbers do
    not depend on how many workers there are.

    Parameters
    ----------
    evaluator : callable
        An `~specmodels.evaluators.Evaluator`, or any function of one input.
    inputs : iterable, mapping or path
        Paths, or anything else that `~specmodels.read` understands; with a mapping, by name. A
        folder stands for the FITS and ASDF files in it.
    output : path, optional
        Folder for the products (``NAME_spectrum.fits``, by the job), the figures (``.png``) and the
        summary (``summary.ecsv``, ``summary.json`` with tracebacks). Nothing is written where it is
        not given.
    client : `distributed.Client`, optional
        Where the work is done: any cluster that dask knows. Default: processes on this machine.
    n_jobs : int, optional
        Number of those processes; 1 does all in this one, -1 takes all cores. Default: all cores
        where ``dask.distributed`` is installed, else 1. In a script, processes need the usual
        ``if __name__ == "__main__":`` around what starts them.
    keep : bool, optional
        Whether results are handed back. Default: where they are not written.
    skip_existing : bool
        Leave out inputs whose product is there, as after a run that was interrupted. Those that
        failed are tried again. Goes before `overwrite`.
    overwrite : bool
        Whether files may be replaced.
    figures : bool
        Whether a figure is drawn for each input.
    progress_bar : bool
        Whether progress is shown.

    Returns
    -------
    done : `MapResult`

    Raises
    ------
    ImportError
        If several processes are asked for and ``dask.distributed`` is not installed.
    TypeError
        If the evaluator cannot be called, or `client` or `n_jobs` are of the wrong kind.
    ValueError
        If there is no input, or two have the same name, or a name cannot be that of a file in the
        folder.
    """
    from tqdm.auto import tqdm

    if not callable(evaluator):
        raise TypeError(f"evaluator: expected an evaluator or a function, got {evaluator!r}")
    named = named_inputs(inputs)
    folder = None if output is None else Path(output)
    if folder is None and skip_existing:
        raise ValueError("skip_existing: expected an output folder to look in, got none")
    if folder is not None:
        check_file_names(named)
        folder.mkdir(parents=True, exist_ok=True)
    task = Task(evaluator, folder, figures, folder is None if keep is None else keep)
    summary = Summary(named, folder, _about(evaluator))
    _take_in_existing(summary, task, skip_existing, overwrite)
    left = {name: item for name, item in named.items() if summary.outcomes[name] is None}
    with workers(n_jobs, max(len(left), 1), client) as place:
        bar = tqdm(total=len(named), initial=len(named) - len(left), disable=not progress_bar,
                   desc=getattr(evaluator, "product", "map"), unit="input")  # fmt: skip
        try:
            for outcome in outcomes(task, left, place):
                summary.add(outcome)
                bar.update()
        finally:  # interrupted, too
            bar.close()
            if left or skip_existing:  # else nothing was done, and an earlier summary stays
                summary.write()
    return _result(summary)


def extract_many(
    inputs, evaluator=None, *, output=None, figures=True, overwrite=False, progress_bar=True
):
    """Extract the spectra of many files in this process: `map` in the case most met.

    Parameters
    ----------
    inputs, output, figures, overwrite, progress_bar
        As of `map`.
    evaluator : callable, optional
        Default: `~specmodels.evaluators.OptimalExtraction` with its defaults.

    Returns
    -------
    results : dict
        Result of each input that could be extracted, by name.
    summary : `~astropy.table.QTable`
        As of `MapResult`.

    Raises
    ------
    ValueError
        As of `map`.
    """
    from ..evaluators import OptimalExtraction

    evaluator = OptimalExtraction() if evaluator is None else evaluator
    done = map(
        evaluator, inputs, output, n_jobs=1, keep=True, figures=figures, overwrite=overwrite,
        progress_bar=progress_bar,
    )  # fmt: skip
    return done.results, done.summary


def _take_in_existing(summary, task, skip_existing, overwrite):
    """Inputs whose product exists: left out, or refused before any work is done."""
    if task.folder is None or (overwrite and not skip_existing):
        return
    known = Summary.earlier(task.folder)
    for name in summary.outcomes:
        product = task.product(name)
        if not product.exists():
            continue
        before = skipped(name, product, known)
        if skip_existing:
            summary.add(before)
        else:
            ways = "overwrite=True replaces it, skip_existing=True leaves it"
            reason = f"output: {product} exists; {ways}"
            summary.refuse(failure(name, FileExistsError(reason)), before)


def _about(evaluator):
    return {"specmodels": version("specmodels"), "evaluator": repr(evaluator)}


def _result(summary):
    done = [outcome for outcome in summary.outcomes.values() if outcome is not None]
    return MapResult(
        summary=summary.table(),
        results={one.name: one.result for one in done if one.result is not None},
        files={one.name: one.files for one in done if one.files},
        failures={one.name: one.traceback for one in done if one.failed},
    )
