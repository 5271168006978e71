"""Independent pieces of work on several cores: the same results, and what is said on the way."""

import logging
import os
import threading
import warnings

import numpy as np
import pytest

from specmodels.numerics import cores
from specmodels.numerics.cores import alone, in_order

ITEMS = [np.full(3, float(k)) for k in range(5)]
WAYS = [{"threads": False}, {"threads": True}]


def where(item):
    return os.getpid(), threading.get_ident()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_jobs", [None, 1, 2, 7, -1])
def test_results_are_in_order_and_do_not_depend_on_the_number(way, n_jobs):
    found = list(in_order(lambda item: item + 0.1, ITEMS, n_jobs, **way))
    np.testing.assert_array_equal(found, [item + 0.1 for item in ITEMS])


def test_nothing_to_do():
    assert list(in_order(where, [], 2)) == []


def test_processes_do_the_work_of_all_items_but_the_first():
    pids = [pid for pid, _ in in_order(where, ITEMS, 2)]
    assert pids[0] == os.getpid()
    assert os.getpid() not in pids[1:]


def test_threads_stay_in_this_process():
    found = list(in_order(where, ITEMS, 2, threads=True))
    assert {pid for pid, _ in found} == {os.getpid()}
    assert threading.get_ident() not in {thread for _, thread in found}


@pytest.mark.parametrize("way", WAYS)
def test_work_is_never_spread_inside_of_work(way):
    def outer(item):
        return [where(item), *in_order(where, ITEMS, 2, **way)]

    for found in in_order(outer, ITEMS, 2, **way) if way["threads"] else _later(outer):
        assert len(set(found)) == 1


def _later(outer):
    """Results of the items that other processes do."""
    return list(in_order(outer, ITEMS, 2))[1:]


def test_work_that_is_alone_stays_here():
    with alone():
        assert {pid for pid, _ in in_order(where, ITEMS, 2)} == {os.getpid()}


def test_short_work_stays_here_by_default(monkeypatch):
    monkeypatch.setattr(cores, "_usual", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert {pid for pid, _ in in_order(where, ITEMS)} == {os.getpid()}
    monkeypatch.setattr(cores, "WORTH", 0.0)
    assert len({pid for pid, _ in in_order(where, ITEMS)}) > 1


def test_beside_other_threads_processes_are_started_when_asked_for(monkeypatch):
    monkeypatch.setattr(cores, "_usual", lambda: 2)
    monkeypatch.setattr(cores, "WORTH", 0.0)
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert {pid for pid, _ in in_order(where, ITEMS)} == {os.getpid()}
    assert len({pid for pid, _ in in_order(where, ITEMS, 2)}) > 1


def test_only_the_main_thread_starts_processes():
    found = []
    thread = threading.Thread(target=lambda: found.extend(in_order(where, ITEMS, 2)))
    thread.start()
    thread.join()
    assert {pid for pid, _ in found} == {os.getpid()}


def test_items_and_what_is_shared_are_the_same_objects():
    exposure = {"all": ITEMS}
    found = list(in_order(lambda item: {"of": exposure, "is": item}, ITEMS, 2, shared=[exposure]))
    assert all(result["of"] is exposure for result in found)
    assert all(result["is"] is item for result, item in zip(found, ITEMS, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_errors_arrive(way):
    def failing(item):
        if item[0] == 3:
            raise ValueError("the third")
        return item

    with pytest.raises(ValueError, match="the third"):
        list(in_order(failing, ITEMS, 2, **way))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_and_logs_arrive(n_jobs, caplog):
    def telling(item):
        warnings.warn(f"warned of {item[0]}", UserWarning, stacklevel=1)
        logging.getLogger("specmodels.work").warning("logged %s", item[0])

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        list(in_order(telling, ITEMS, n_jobs))
    assert [str(w.message) for w in told] == [f"warned of {item[0]}" for item in ITEMS]
    assert caplog.messages == [f"logged {item[0]}" for item in ITEMS]


def test_threads_treat_errors_of_numpy_as_their_caller_does():
    with np.errstate(divide="ignore"):
        found = list(in_order(lambda item: 1 / item, ITEMS, 2, threads=True))
    assert np.isinf(found[0]).all()


@pytest.mark.parametrize(
    ("n_jobs", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("two", TypeError),
                          (True, TypeError)],
)  # fmt: skip
def test_bad_numbers_are_refused(n_jobs, error):
    with pytest.raises(error, match="n_jobs: expected"):
        list(in_order(where, ITEMS, n_jobs))


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("1,2", 1), ("", None), ("many", None)])
def test_default_respects_the_limit_of_threads(limit, most, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert cores._usual() == (most or 3)


def test_one_generator_may_begin_while_another_waits():
    found = [(result, list(in_order(abs, [4, 5, 6], 2)))
             for result in in_order(abs, [1, 2, 3], 2)]  # fmt: skip
    assert found == [(number, [4, 5, 6]) for number in (1, 2, 3)]
