"""Seconds and megabytes of a call."""

import gc
import statistics
import time
import tracemalloc
from dataclasses import dataclass

MEGABYTE = 1e6


@dataclass(frozen=True)
class Cost:
    """What a call took: medians of wall and processor seconds, and what it returned."""

    seconds: float
    cpu: float
    result: object


def costs(functions, *, repeat):
    """Cost of each function of a mapping.

    They are called in turn, so that a machine which slows down does so for all; a first round,
    whose results are kept, warms up caches and is not timed.

    Parameters
    ----------
    functions : mapping of str to callable
        Functions without arguments.
    repeat : int
        Number of timed rounds.

    Returns
    -------
    dict of str to Cost
    """
    results = {name: function() for name, function in functions.items()}
    times = {name: [] for name in functions}
    for _ in range(repeat):
        for name, function in functions.items():
            gc.collect()
            times[name].append(_timed(function))
    return {
        name: Cost(*(statistics.median(column) for column in zip(*times[name], strict=True)), value)
        for name, value in results.items()
    }


def _timed(function):
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def least_cpu(function, repeat=3):
    """Least processor seconds of some calls, after one that is not counted."""
    function()
    return min(_timed(function)[1] for _ in range(repeat))


def memory(function):
    """Megabytes that a call allocates at its peak, and those that its result keeps.

    What Python and NumPy allocate is counted; workspace inside of compiled libraries is not.
    """
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = function()
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del result
    return (peak - before) / MEGABYTE, (after - before) / MEGABYTE
