"""The command ``specmodels``: a thin layer over evaluators and `specmodels.map`."""

import argparse
import ast
import inspect
import json
import logging
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["main"]

# Exit codes.
GOOD, LOOK, FAILED, USAGE = 0, 1, 3, 2
LEAST_COLUMNS = 3  # of the summary: input, status and reason

JOBS = {
    "extract": ("OptimalExtraction", "spectra of the sources in slits: optimal extraction"),
    "clean": ("FlickerNoiseSubtraction", "detector frames without flicker (1/f) noise"),
    "oversample": ("TraceOversampling", "slices and slits on finer rows, by trace models"),
    "fill": ("PixelReplacement", "bad pixels filled from trace models"),
    "background": ("MasterBackgroundSubtraction", "slits without the sky that they share"),
    "decontaminate": ("ContaminationSubtraction", "grism cutouts without the light of neighbours"),
    "chain": ("Chain", "several of these jobs, each with the data that the one before has made"),
}
WARM = "compile all that these jobs need, and keep it for later runs"
SCENE = {
    "direct": "direct image (i2d)", "segmentation": "segmentation map of its sources",
    "photom": "photometric reference file", "ranges": "reference file of wavelength ranges",
}  # fmt: skip

EXIT_CODES = """\
exit codes: 0 all is well, 1 some result needs a look, 2 wrong usage, 3 some input failed

output: products, figures and a summary (summary.ecsv, and summary.json with tracebacks) in the
folder of --output. A run that was interrupted goes on with --skip-existing.
"""
EXAMPLES = {
    "extract": ("extract night/*_s2d.fits --output spectra",
                "extract slit.fits --set n_sources=2 --set sky=1"),
    "clean": ("clean *_rate.fits --output cleaned --n-jobs 4 --skip-existing",),
    "oversample": ("oversample *_cal.fits --set factor=2 --output fine",),
    "fill": ("fill *_cal.fits --output filled",),
    "background": ("background *_cal.fits --set slits=['BKG*'] --output subtracted",),
    "decontaminate": ("decontaminate x_cal.fits",
                      "decontaminate x_cal.fits --direct i2d.fits --segmentation segm.fits"
                      " --photom photom.fits --ranges ranges.asdf"),
    "chain": ("chain *_rate.fits --steps clean,extract --output spectra",
              "chain *_cal.fits --steps background,extract --set extract.n_sources=1 --keep",),
}  # fmt: skip


def main(arguments=None):
    """Run the command, and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return _run(options)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"specmodels {options.job}: {error}", file=sys.stderr)
        return USAGE


def _warm():
    """Compile all that jobs need, and say what became of it."""
    from .numerics.compiled import cache_folders, counts
    from .warm import warmed

    for job in warmed():
        print(f"{job.name}: {job.seconds:.1f} s, {job.compiled} kernels compiled, "
              f"{job.found} found", flush=True)  # fmt: skip
    if not any(counts()):
        print("numba is not installed: nothing is compiled, and jobs are slow")
    elif not cache_folders():
        print("not kept: no folder can be written to; NUMBA_CACHE_DIR names another one")
    for folder in cache_folders():
        print(f"kept in {folder}")
    return GOOD


def _run(options):
    if options.job == "warm":
        return _warm()
    from .many import map

    evaluator = _evaluator(options)
    done = map(
        evaluator, options.files, options.output, n_jobs=options.n_jobs, keep=False,
        skip_existing=options.skip_existing, overwrite=options.overwrite,
        figures=not options.no_figures, progress_bar=sys.stderr.isatty(),
    )  # fmt: skip
    if options.json:
        json.dump(_told(done), sys.stdout, indent=1)
        print()
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print("\n".join(_lines(done.summary, width)))
    if done.failures:
        return FAILED
    return LOOK if set(done.summary["status"]) & {"check", "failed", "skipped"} else GOOD


def _lines(summary, width=None):
    """Lines of the summary, in four digits, without the last columns where all are too wide."""
    from .evaluators.tables import readable

    table = readable(summary.copy())
    lines = table.pformat(max_lines=-1, max_width=-1)
    while width is not None and len(lines[0]) > width and len(table.colnames) > LEAST_COLUMNS:
        table.remove_column(table.colnames[-1])
        lines = table.pformat(max_lines=-1, max_width=-1)
    more = len(summary.colnames) - len(table.colnames)
    return [*lines, f"{more} more columns: summary.ecsv"] if more else lines


def _evaluator(options):
    from . import evaluators

    settings = dict(options.set)
    if options.job != "chain":
        return _one(options.job, settings, options)
    steps, given = options.steps.split(","), [name.partition(".")[0] for name in settings]
    wrong = sorted(set(steps) - (set(JOBS) - {"chain"})) + sorted(set(given) - set(steps))
    if wrong:
        raise ValueError(f"--steps, --set: expected some of {sorted(set(JOBS) - {'chain'})}, and "
                         f"STEP.NAME=VALUE for one of the steps, got {wrong}")  # fmt: skip
    own = {step: {name.partition(".")[2]: value for name, value in settings.items()
                  if name.partition(".")[0] == step} for step in steps}  # fmt: skip
    return evaluators.Chain(*(_one(step, own[step], options) for step in steps), keep=options.keep)


def _one(job, settings, options):
    from . import evaluators

    kind = getattr(evaluators, JOBS[job][0])
    known = [name for name in inspect.signature(kind).parameters if name not in FROM_FILES]
    wrong = sorted(set(settings) - set(known))
    if wrong:
        raise ValueError(f"--set: {job} has no setting {wrong}; it has {known}")
    if job == "decontaminate":
        settings = settings | {"scene": _scene(options)}
    return kind(**settings)


# Settings that are objects, which a command line cannot give.
FROM_FILES = ("model", "fitter", "scene", "noise_model", "residual", "regions", "spatial")


def _scene(options):
    """Scene of the sources on a direct image, for one file of cutouts."""
    from .io import jwst_scene
    from .io.scene_files import scene_files

    if len(options.files) != 1:
        raise ValueError(f"files: expected one, of which the scene is, got {len(options.files)}")
    given = {role: (what, getattr(options, role)) for role, what in SCENE.items()}
    found = scene_files(options.files[0], given)
    return jwst_scene(options.files[0], *(found[role] for role in SCENE))


def _told(done):
    """What a program wants to know."""
    from .many.summary import plain

    rows = [{key: plain(row[key]) for key in done.summary.colnames} for row in done.summary]
    files = {name: [str(path) for path in paths] for name, paths in done.files.items()}
    return {"summary": rows, "files": files, "failures": done.failures}


def _parser():
    parser = argparse.ArgumentParser(
        prog="specmodels", description="Models of what a spectrograph puts on a detector.",
        epilog=_epilog(*JOBS), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version("specmodels"))
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    jobs.add_parser(
        "warm", help=WARM, description="Compile all that jobs need, for pipelines and containers. "
        "Folders are NUMBA_CACHE_DIR, the package's own, or the user's; none is no error."
    )  # fmt: skip
    for name, (kind, purpose) in JOBS.items():
        job = jobs.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]} "
            f"(specmodels.{kind}).", epilog=_epilog(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        _common(job)
        if name == "chain":
            _of_chain(job)
        if name in ("decontaminate", "chain"):
            for role, what in SCENE.items():
                job.add_argument(f"--{role}", type=Path, metavar="FILE",
                                 help=f"{what}; default: the one that FILE names")  # fmt: skip
        else:
            job.set_defaults(**dict.fromkeys(SCENE))
    return parser


def _epilog(*jobs):
    """Exit codes, and examples of jobs."""
    lines = [f"  specmodels {line}" for job in jobs for line in EXAMPLES[job]]
    return "\n".join([EXIT_CODES, "examples:", *lines])


def _of_chain(job):
    job.add_argument(
        "--steps", required=True, metavar="JOB,JOB,...",
        help="the jobs in their order; those that a file has behind it are left out",
    )  # fmt: skip
    job.add_argument("--keep", action="store_true", help="write what each step hands on as well")


def _common(job):
    job.add_argument("files", nargs="+", type=Path, metavar="FILE", help="FITS or ASDF, or folder")
    job.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
        help="where products, figures and summary go (default: here)",
    )  # fmt: skip
    job.add_argument(
        "--set", action="append", default=[], type=_setting, metavar="NAME=VALUE",
        help="a setting of the evaluator (of a chain: JOB.NAME=VALUE); may be repeated",
    )  # fmt: skip
    job.add_argument(
        "--n-jobs", type=int, metavar="N", help="processes (default: one per core, with dask)"
    )
    job.add_argument("--skip-existing", action="store_true", help="go on where a run stopped")
    job.add_argument("--overwrite", action="store_true", help="replace files that exist")
    job.add_argument("--no-figures", action="store_true", help="write no figures")
    job.add_argument("--json", action="store_true", help="print the report as JSON")


def _setting(text):
    """Name and value of ``NAME=VALUE``; what is no Python literal is text."""
    name, equals, value = text.partition("=")
    if not equals or not all(part.isidentifier() for part in name.split(".")):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value
