"""Independent pieces of work on several cores, in order; the same bits for any number of them.

Threads where the work is in kernels and large arrays, which release Python's lock; else processes,
which are forked, so that what the work needs is there without being sent. Never one in the other.
"""

import io
import logging
import multiprocessing
import os
import pickle
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from itertools import islice

__all__ = ["alone", "checked_jobs", "in_order", "n_cores"]

# Work that takes fewer seconds than this in all is done before other processes are up.
WORTH = 0.5
PACKAGE = "specmodels"
# Whether this is a piece of work that is done beside others.
_inside = ContextVar("inside", default=False)
# What forked processes work on.
_work = None


def n_cores():
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # fewer than the machine has, in containers and queues
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _usual():
    """Number of cores by default: no more than are given to OpenMP, whose threads ours replace."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(n_cores(), int(limit)) if limit.isdigit() and int(limit) else n_cores()


def checked_jobs(n_jobs):
    """Refuse what is no number of jobs; return it.

    Raises
    ------
    TypeError
        If `n_jobs` is neither an integer nor None.
    ValueError
        If it is neither positive nor -1.
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not isinstance(n_jobs, int)):
        raise TypeError(f"n_jobs: expected a number of processes or threads, got {n_jobs!r}")
    if n_jobs is not None and n_jobs < 1 and n_jobs != -1:
        raise ValueError(f"n_jobs: expected 1 or more, or -1 for all cores, got {n_jobs}")
    return n_jobs


@contextmanager
def alone():
    """What is done inside stays on one core: it is a piece of work itself."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


def in_order(function, items, n_jobs=None, *, threads=False, shared=()):
    """Results of a function for independent items, in their order.

    Parameters
    ----------
    function : callable
        Of one item. With processes its results are pickled, items and function are not.
    items : sequence
    n_jobs : int, optional
        Number of cores, -1 for all. Default: all that this process may use, or as many as
        ``OMP_NUM_THREADS`` says, where the work is long enough; processes only where no other
        thread of Python is there (as in notebooks), which might hold a lock that the work needs.
    threads : bool
        Whether the work releases Python's lock.
    shared : iterable of object
        What results may refer to besides items: it is the same in results of other processes.

    Yields
    ------
    object
        Whatever the first failing item raises is raised in its place.
    """
    items = list(items)
    number = {None: _usual(), -1: n_cores()}.get(checked_jobs(n_jobs), n_jobs)
    number = 1 if _inside.get() else min(number, len(items))
    if number > 1 and threads:
        yield from _by_threads(function, items, number)
        return
    # The first is done here: what it loads and compiles is then there for all.
    start = time.perf_counter()
    first = [function(item) for item in items[:1]]
    seconds = (time.perf_counter() - start) * (len(items) - 1)
    yield from first
    worth = n_jobs is not None or (seconds > WORTH and threading.active_count() == 1)
    if number > 1 and worth and _can_fork():
        yield from _by_processes(function, items[1:], min(number, len(items) - 1), shared)
    else:
        yield from map(function, islice(items, 1, None))


def _by_threads(function, items, number):
    def work(item):
        with alone():
            return function(item)

    # How NumPy treats errors belongs to the context, which new threads do not have.
    contexts = [copy_context() for _ in items]
    with ThreadPoolExecutor(number) as pool:
        yield from pool.map(lambda context, item: context.run(work, item), contexts, items)


def _can_fork():
    """Only the main thread may fork: locks of others would never be released in the new process."""
    return (
        "fork" in multiprocessing.get_all_start_methods()
        and threading.current_thread() is threading.main_thread()
        and not multiprocessing.current_process().daemon
    )


def _by_processes(function, items, number, shared):
    global _work
    work = _work = _Work(function, items, shared)
    context = multiprocessing.get_context("fork")
    try:
        with warnings.catch_warnings():
            # Of threads that are there while forking: those of BLAS look after themselves.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded",
                                    DeprecationWarning)  # fmt: skip
            pool = ProcessPoolExecutor(number, mp_context=context)
            answers = pool.map(_answer, range(len(items)))
        with pool:
            for answer in answers:
                result, told, records = work.loaded(answer)
                for warning in told:
                    warnings.warn_explicit(*warning)
                for record in records:
                    logging.getLogger(record.name).handle(record)
                yield result
    finally:
        if _work is work:  # and not that of another generator, begun since
            _work = None


class _Work:
    """What forked processes work on, and the objects that are not sent: they are there already."""

    def __init__(self, function, items, shared):
        self.function, self.items, self.shared = function, items, (*items, *shared)
        self.places = {id(thing): place for place, thing in enumerate(self.shared)}

    def dumped(self, answer):
        """An answer in bytes."""
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = lambda thing: self.places.get(id(thing))
        pickler.dump(answer)
        return stream.getvalue()

    def loaded(self, answer):
        """An answer from its bytes."""
        unpickler = pickle.Unpickler(io.BytesIO(answer))
        unpickler.persistent_load = lambda place: self.shared[place]
        return unpickler.load()


class _Kept(logging.Handler):
    """Keeps what is logged, for the process that asked."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.records.append(record)


def _answer(number):
    """Result of one item in another process, with the warnings and the log of its work."""
    logger, kept = logging.getLogger(PACKAGE), _Kept()
    logger.handlers, logger.propagate = [kept], False
    with alone(), warnings.catch_warnings(record=True) as told:
        result = _work.function(_work.items[number])
    told = [(w.message, w.category, w.filename, w.lineno) for w in told]
    return _work.dumped((result, told, kept.records))
