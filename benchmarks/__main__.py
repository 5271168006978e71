"""Command line: ``python -m benchmarks [NAME ...]`` runs all benchmarks, or those named.

Each writes one table to ``docs/_static/benchmarks/NAME.csv``, which the documentation shows.
"""

import argparse
import importlib
import logging
import time
import warnings

from . import tables

NAMES = (
    "extraction_truth",
    "honesty",
    "subpixel",
    "extraction_speed",
    "profile_fits",
    "memory",
    "throughput",
    "scaling",
    "shared_profiles",
    "flicker_truth",
    "flicker_speed",
    "oversampling_truth",
    "oversampling_speed",
    "background_truth",
    "background_speed",
    "contamination_truth",
    "contamination_speed",
    "dispersal_speed",
    "composing_truth",
    "chains",
    "combinations",
    "time_series",
    "overlapping_orders",
    "tilted_slits",
    "dithers",
    "composing_speed",
)


def main():
    """Run benchmarks and write their tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="few seeds and repetitions")
    parser.add_argument("--dry-run", action="store_true", help="print, but write no table")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {unknown}; there are {list(NAMES)}")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for name in arguments.names or NAMES:
        start = time.perf_counter()
        rows = importlib.import_module(f".{name}", __package__).run(quick=arguments.quick)
        print(f"\n{name} ({time.perf_counter() - start:.0f} s)\n{tables.as_text(rows)}", flush=True)
        if not arguments.dry_run:
            tables.write(name, rows)
    if not arguments.dry_run:
        tables.write("versions", tables.versions())


main()
