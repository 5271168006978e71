"""Where tasks are done: here, one after the other, or on the workers of a dask cluster."""

from contextlib import contextmanager, suppress

from ..numerics.cores import alone, checked_jobs, n_cores
from .task import failure

__all__ = ["outcomes", "workers"]

# Tasks that wait at the scheduler for each worker: enough to keep it busy, few enough for memory.
AHEAD = 2
RESTART = 60  # seconds in which a worker that died is up again
# What processes of our own do beside the work. By default each samples its stack a hundred times a
# second and looks after itself fifty times, which takes three per cent of a core for as long as the
# work lasts, much where others keep the cores busy; tasks of seconds need none of it.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "500ms",
    # Memory that is given back at once has to be made anew for each array: a quarter of CPU time.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
}


@contextmanager
def workers(n_jobs, n_inputs, client=None):
    """Client of the workers, or None where all is done in this process.

    Parameters
    ----------
    n_jobs : int or None
        Number of processes on this machine. Default: one per core, no more than inputs, where
        `dask.distributed` is installed; else one.
    n_inputs : int
    client : `distributed.Client`, optional
        One of any cluster, instead; it stays open.

    Raises
    ------
    ImportError
        If more than one process is asked for without `dask.distributed`.
    TypeError, ValueError
        If `n_jobs` is no number of processes, or `client` no client.
    """
    if client is not None:
        if not hasattr(client, "submit"):
            raise TypeError(f"client: expected a dask.distributed Client, got {client!r}")
        yield client
        return
    number = min(_n_jobs(n_jobs), n_inputs)
    if number == 1:
        yield None
        return
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(QUIET),  # workers take it over when they start, also anew
        LocalCluster(
            n_workers=number, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as own,
    ):
        yield own
        # A cluster that is closed while a dead worker is started anew may hang.
        with suppress(TimeoutError):
            own.wait_for_workers(number, timeout=RESTART)


def _n_jobs(n_jobs):
    if checked_jobs(n_jobs) == 1:
        return 1
    try:
        import distributed  # noqa: F401
    except ImportError:
        if n_jobs is None:
            return 1
        raise ImportError(
            f"n_jobs={n_jobs} needs dask.distributed: pip install 'specmodels[dask]'"
        ) from None
    return n_cores() if n_jobs in (None, -1) else n_jobs


def outcomes(task, named, client=None):
    """Do a task for every input; outcomes as they come."""
    if client is None:
        return (task(name, item) for name, item in named.items())
    return _distributed(task, named, client)


def _distributed(task, named, client):
    """Hand out tasks few at a time, so that neither inputs nor results pile up.

    An input that kills its workers takes along those that wait there, which the scheduler blames as
    well. What was blamed is done once more in the end, one by one.
    """
    from distributed import KilledWorker, as_completed

    waiting = iter(named.items())
    names, blamed = {}, []

    def submit(item):
        name, data = item
        # A worker that dies has its task done again elsewhere: what it wrote is whole or absent.
        future = client.submit(_beside, task, name, data, pure=False)
        names[future.key] = name
        return future

    room = AHEAD * max(len(client.scheduler_info(n_workers=-1)["workers"]), 1)
    done = as_completed([submit(item) for _, item in zip(range(room), waiting, strict=False)])
    for future in done:
        name = names.pop(future.key)
        if isinstance(future.exception(), KilledWorker):
            blamed.append(name)
        else:
            yield _outcome(name, future)
        future.release()
        for item in waiting:
            done.add(submit(item))
            break
    for name in blamed:
        yield _outcome(name, submit((name, named[name])))


def _beside(task, name, data):
    """A task beside others, which stays on one core."""
    with alone():
        return task(name, data)


def _outcome(name, future):
    """Outcome of a task that has ended, or will."""
    error = future.exception()
    return future.result() if error is None else failure(name, error)
