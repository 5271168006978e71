"""The command ``specmodels``: a thin layer over evaluators and `specmodels.map`."""

import argparse
import ast
import inspect
import json
import logging
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["main"]

# Exit codes.
GOOD, LOOK, FAILED, USAGE = 0, 1, 3, 2

JOBS = {
    "extract": ("OptimalExtraction", "spectra of the sources in slits: optimal extraction"),
    "clean": ("FlickerNoiseSubtraction", "detector frames without flicker (1/f) noise"),
    "oversample": ("TraceOversampling", "slices and slits on finer rows, by trace models"),
    "fill": ("PixelReplacement", "bad pixels filled from trace models"),
    "background": ("MasterBackgroundSubtraction", "slits without the sky that they share"),
    "decontaminate": ("ContaminationSubtraction", "grism cutouts without the light of neighbours"),
}

EPILOG = """\
exit codes: 0 all is well, 1 some result needs a look, 2 wrong usage, 3 some input failed

examples:
  specmodels extract night/*_s2d.fits --output spectra
  specmodels extract slit.fits --set n_sources=2 --set sky=1
  specmodels clean *_rate.fits --output cleaned --n-jobs 4 --skip-existing
"""


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


def _run(options):
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
        print("\n".join(done.summary.pformat(max_lines=-1, max_width=-1)))
    if done.failures:
        return FAILED
    return LOOK if set(done.summary["status"]) & {"check", "failed", "skipped"} else GOOD


def _evaluator(options):
    from . import evaluators

    kind = getattr(evaluators, JOBS[options.job][0])
    settings = dict(options.set)
    known = [name for name in inspect.signature(kind).parameters if name not in FROM_FILES]
    wrong = sorted(set(settings) - set(known))
    if wrong:
        raise ValueError(f"--set: {options.job} has no setting {wrong}; it has {known}")
    if options.job == "decontaminate":
        settings["scene"] = _scene(options)
    return kind(**settings)


# Settings that are objects, which a command line cannot give.
FROM_FILES = ("model", "fitter", "scene", "noise_model", "residual", "regions", "spatial")


def _scene(options):
    """Scene of the sources on a direct image, for one file of cutouts."""
    from .io import jwst_scene

    if len(options.files) != 1:
        raise ValueError(f"files: expected one, of which the scene is, got {len(options.files)}")
    return jwst_scene(
        options.files[0], options.direct, options.segmentation, options.photom, options.ranges
    )


def _told(done):
    """What a program wants to know."""
    from .many.summary import plain

    rows = [{key: plain(row[key]) for key in done.summary.colnames} for row in done.summary]
    files = {name: [str(path) for path in paths] for name, paths in done.files.items()}
    return {"summary": rows, "files": files, "failures": done.failures}


def _parser():
    parser = argparse.ArgumentParser(
        prog="specmodels", description="Models of what a spectrograph puts on a detector.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=version("specmodels"))
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, (kind, purpose) in JOBS.items():
        job = jobs.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]} "
            f"(specmodels.{kind}).", epilog=EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        _common(job)
        if name == "decontaminate":
            for role in ("direct", "segmentation", "photom", "ranges"):
                job.add_argument(f"--{role}", type=Path, required=True, metavar="FILE")
    return parser


def _common(job):
    job.add_argument("files", nargs="+", type=Path, metavar="FILE", help="FITS or ASDF, or folder")
    job.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER",
        help="where products, figures and summary go (default: here)",
    )  # fmt: skip
    job.add_argument(
        "--set", action="append", default=[], type=_setting, metavar="NAME=VALUE",
        help="a setting of the evaluator; may be repeated",
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
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value
